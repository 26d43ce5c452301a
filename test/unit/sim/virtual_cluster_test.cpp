// SPDX-License-Identifier: Apache-2.0
// Where packets of the virtual cluster are judged, by whom, in what order; the datapath is a stub
// that records what it is asked.
#include "sim/virtual/virtual_cluster.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <set>

#include "sim/replay/packet_facts.h"

namespace postern::sim {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

struct Asked {
  std::uint32_t ifindex;
  std::uint8_t direction;
  std::vector<std::byte> frame;
  Instant now;
};

// Shared by the stub backends of all nodes.
struct Script {
  std::vector<Asked> asked;
  std::function<bool(const Asked&)> allows = [](const Asked&) { return true; };
  int backends = 0;
};

class StubBackend final : public Backend, public PacketInjector {
 public:
  StubBackend(const TableSizes& sizes, Script& script) : sizes_(sizes), script_(script) {
    ++script_.backends;
  }
  [[nodiscard]] std::string_view name() const override { return "stub"; }
  [[nodiscard]] TickClock clock() const override { return {}; }
  [[nodiscard]] const TableSizes& sizes() const override { return sizes_; }
  Result<void> apply(const TableDelta&) override { return {}; }
  Result<PolicyTables> dump() const override { return PolicyTables(sizes_); }
  Result<void> attach(std::uint32_t) override { return {}; }
  Result<void> detach(std::uint32_t) override { return {}; }
  Result<std::vector<ConntrackEntry>> conntrack() const override { return std::vector<ConntrackEntry>{}; }
  Result<void> forget_connections(EndpointId) override { return {}; }
  Result<void> age_connections(Duration) override { return {}; }
  Result<std::vector<pn_counter>> counters() const override { return std::vector<pn_counter>{}; }
  Result<std::size_t> drain_events(EventSink&) override { return std::size_t{0}; }
  [[nodiscard]] int event_fd() const override { return -1; }
  [[nodiscard]] PacketInjector* injector() override { return this; }
  Classified classify(std::uint32_t ifindex, std::uint8_t direction, std::span<const std::byte> frame,
                      Instant now) override {
    script_.asked.push_back({ifindex, direction, {frame.begin(), frame.end()}, now});
    const bool allow = script_.allows(script_.asked.back());
    return {allow, allow ? pn_step_allow(PN_REASON_RULE, 1) : pn_step_deny(PN_REASON_ISOLATED, 0)};
  }

 private:
  TableSizes sizes_;
  Script& script_;
};

class VirtualClusterTest : public testing::Test {
 protected:
  VirtualClusterTest()
      : cluster_("sim", [this](const TableSizes& sizes) -> Result<std::unique_ptr<Backend>> {
          return std::make_unique<StubBackend>(sizes, script_);
        }) {
    pod("x", "a", "10.0.0.1", "n1");
    pod("x", "b", "10.0.0.2", "n2");
    pod("x", "host", "172.18.0.2", "n1").host_network = true;
    node("n1", "172.18.0.2");
    node("n2", "172.18.0.3");
  }

  Pod& pod(const char* ns, const char* name, const char* address, const char* node) {
    Pod& made = placement_.cluster.pods[{ns, name}];
    made.key = {ns, name};
    made.node_name = node;
    made.addresses = {*IpAddress::parse(address)};
    return made;
  }
  void node(const char* name, const char* address) {
    Node& made = placement_.cluster.nodes[name];
    made.name = name;
    made.addresses = {{"InternalIP", *IpAddress::parse(address)}};
  }
  void place() {
    const auto placed = cluster_.place(placement_);
    ASSERT_TRUE(placed) << placed.error().message;
  }
  void start() {
    ASSERT_TRUE(cluster_.begin({}));
    place();
  }
  [[nodiscard]] Party party(const char* ns, const char* name) const {
    const Pod& found = placement_.cluster.pods.at({ns, name});
    return {Party::Kind::pod, found.key, found.node_name, found.addresses.front()};
  }
  static Party node_party(const char* name, const char* address) {
    return {Party::Kind::node, {}, name, *IpAddress::parse(address)};
  }
  static Party outside(const char* address) {
    return {Party::Kind::outside, {}, {}, *IpAddress::parse(address)};
  }

  ProbeOutcome probe(const Party& from, const Party& to, ProbeProtocol protocol = ProbeProtocol::tcp,
                     std::uint16_t port = 80) {
    script_.asked.clear();
    const ProbeRequest request{from, to, protocol, port};
    const auto outcomes = cluster_.probe({&request, 1});
    EXPECT_TRUE(outcomes) << (outcomes ? "" : outcomes.error().message);
    return outcomes ? outcomes->front() : ProbeOutcome{};
  }
  // "a>" egress of pod a, ">b" ingress of pod b, in the order asked.
  [[nodiscard]] std::vector<std::string> path() const {
    std::vector<std::string> result;
    for (const Asked& asked : script_.asked) {
      std::string name = "?";
      for (const char* pod : {"a", "b"}) {
        if (asked.ifindex == 100 + cluster_.endpoint_of({"x", pod}).value) name = pod;
      }
      result.push_back(asked.direction == PN_EGRESS ? name + ">" : ">" + name);
    }
    return result;
  }

  Script script_;
  Placement placement_;
  VirtualCluster cluster_;
};

TEST_F(VirtualClusterTest, EveryPacketBetweenPodsIsJudgedWhereItLeavesAndWhereItArrives) {
  start();
  EXPECT_TRUE(probe(party("x", "a"), party("x", "b"), ProbeProtocol::udp).allowed);
  EXPECT_THAT(path(), ElementsAre("a>", ">b", "b>", ">a"));
  EXPECT_TRUE(probe(party("x", "a"), party("x", "b")).allowed);
  EXPECT_THAT(path(), ElementsAre("a>", ">b", "b>", ">a", "a>", ">b", "a>", ">b", "b>", ">a"));
}

TEST_F(VirtualClusterTest, EachNodeHasABackendOfItsOwn) {
  start();
  EXPECT_EQ(script_.backends, 2);
  EXPECT_NE(cluster_.enforcer("n1"), cluster_.enforcer("n2"));
  EXPECT_EQ(cluster_.enforcer("n3"), nullptr);
}

TEST_F(VirtualClusterTest, NodesHostNetworkPodsAndOutsideHostsHaveNoInterface) {
  start();
  const Party a = party("x", "a");
  for (const Party& other : {node_party("n1", "172.18.0.2"), party("x", "host"), outside("203.0.113.7")}) {
    EXPECT_TRUE(probe(a, other, ProbeProtocol::udp).allowed);
    EXPECT_THAT(path(), ElementsAre("a>", ">a"));
    EXPECT_TRUE(probe(other, a, ProbeProtocol::udp).allowed);
    EXPECT_THAT(path(), ElementsAre(">a", "a>"));
  }
}

TEST_F(VirtualClusterTest, APodTalkingToItselfNeverLeavesIt) {
  script_.allows = [](const Asked&) { return false; };
  start();
  EXPECT_TRUE(probe(party("x", "a"), party("x", "a")).allowed);
  EXPECT_THAT(path(), IsEmpty());
}

TEST_F(VirtualClusterTest, TheDropThatEndsAProbeIsNamedAndNothingFollowsIt) {
  start();
  script_.allows = [](const Asked& asked) { return asked.direction != PN_INGRESS; };
  const auto outcome = probe(party("x", "a"), party("x", "b"));
  EXPECT_FALSE(outcome.allowed);
  EXPECT_FALSE(outcome.dropped_reply);
  ASSERT_TRUE(outcome.drop);
  EXPECT_EQ(outcome.drop->pod.to_string(), "x/b");
  EXPECT_EQ(outcome.drop->node, "n2");
  EXPECT_EQ(outcome.drop->direction, PN_INGRESS);
  EXPECT_EQ(pn_step_reason(outcome.drop->step), static_cast<std::uint32_t>(PN_REASON_ISOLATED));
  EXPECT_THAT(path(), ElementsAre("a>", ">b"));
}

TEST_F(VirtualClusterTest, ADroppedAnswerIsADenial) {
  start();
  std::size_t count = 0;
  script_.allows = [&](const Asked&) { return ++count != 3; };
  const auto outcome = probe(party("x", "a"), party("x", "b"));
  EXPECT_FALSE(outcome.allowed);
  EXPECT_TRUE(outcome.dropped_reply);
  EXPECT_EQ(outcome.drop->pod.to_string(), "x/b");
  EXPECT_EQ(outcome.drop->direction, PN_EGRESS);
}

TEST_F(VirtualClusterTest, EveryProbeIsAFreshConnection) {
  start();
  std::set<std::vector<std::byte>> first_packets;
  for (int i = 0; i < 3; ++i) {
    probe(party("x", "a"), party("x", "b"));
    EXPECT_TRUE(first_packets.insert(script_.asked.front().frame).second);
  }
}

TEST_F(VirtualClusterTest, APodKeepsItsInterfaceUntilAddressNodeOrNetworkChange) {
  start();
  const NamespacedName a{"x", "a"};
  const auto first = cluster_.endpoint_of(a);
  placement_.cluster.pods[a].labels = {{"new", "label"}};
  place();
  EXPECT_EQ(cluster_.endpoint_of(a), first);
  placement_.cluster.pods[a].addresses = {*IpAddress::parse("10.0.0.7")};
  place();
  const auto second = cluster_.endpoint_of(a);
  EXPECT_NE(second, first);
  placement_.cluster.pods[a].node_name = "n2";
  place();
  const auto third = cluster_.endpoint_of(a);
  EXPECT_NE(third, second);
  placement_.cluster.pods[a].host_network = true;
  place();
  EXPECT_EQ(cluster_.endpoint_of(a), EndpointId{});
  placement_.cluster.pods[a].host_network = false;
  place();
  EXPECT_NE(cluster_.endpoint_of(a), third);
}

TEST_F(VirtualClusterTest, FinishedPodsAndPodsWithoutAddressHaveNoInterface) {
  pod("x", "done", "10.0.0.8", "n1").phase = PodPhase::failed;
  pod("x", "new", "10.0.0.9", "n1").addresses.clear();
  start();
  EXPECT_EQ(cluster_.endpoint_of({"x", "done"}), EndpointId{});
  EXPECT_EQ(cluster_.endpoint_of({"x", "new"}), EndpointId{});
}

// Where the frames of a probe through a Service say that they come from and go to.
struct Wire {
  std::string source;
  std::string destination;
  std::uint16_t source_port = 0;
  std::uint16_t destination_port = 0;
  friend bool operator==(const Wire&, const Wire&) = default;
};

Wire wire_of(const Asked& asked) {
  const auto facts = read_packet(asked.frame, asked.frame.size());
  return {facts.source.to_string(), facts.destination.to_string(), facts.source_port, facts.destination_port};
}

class ServiceTest : public VirtualClusterTest, public testing::WithParamInterface<IpFamily> {
 protected:
  ServiceTest() {
    const bool v4 = GetParam() == IpFamily::v4;
    a_ = v4 ? "10.0.0.1" : "fd00::1";
    b_ = v4 ? "10.0.0.2" : "fd00::2";
    node_ = v4 ? "172.18.0.2" : "fd18::2";
    service_ = v4 ? "10.96.0.1" : "fd96::1";
    placement_.cluster.pods[{"x", "a"}].addresses.push_back(*IpAddress::parse("fd00::1"));
    placement_.cluster.pods[{"x", "b"}].addresses.push_back(*IpAddress::parse("fd00::2"));
    placement_.cluster.nodes["n1"].addresses.push_back({"InternalIP", *IpAddress::parse("fd18::2")});
  }
  [[nodiscard]] Party end(const char* name) const {
    Party made = party("x", name);
    made.address = *placement_.cluster.pods.at({"x", name}).address(GetParam());
    return made;
  }
  ProbeOutcome ask(const Party& from, const Party& to, ProbeProtocol protocol) {
    script_.asked.clear();
    ProbeRequest request{from, to, protocol, 8080};
    if (to.kind != Party::Kind::service) request.via = ServiceHop{*IpAddress::parse(service_), 80};
    const auto outcomes = cluster_.probe({&request, 1});
    EXPECT_TRUE(outcomes) << (outcomes ? "" : outcomes.error().message);
    return outcomes ? outcomes->front() : ProbeOutcome{};
  }
  PacketOutcome send(const Party& from, const Party& to, const PacketLine& line, bool via = false) {
    script_.asked.clear();
    PacketRequest request{from, to, &line, {}};
    if (via) {
      request.via = ServiceHop{*IpAddress::parse(service_), 80};
      request.target_port = 8080;
    }
    if (line.quotes) request.quoted = QuotedAddresses{end("a").address, end("b").address};
    const auto outcomes = cluster_.send({&request, 1});
    EXPECT_TRUE(outcomes) << (outcomes ? "" : outcomes.error().message);
    return outcomes ? outcomes->front() : PacketOutcome{};
  }

  std::string a_;
  std::string b_;
  std::string node_;
  std::string service_;
};

TEST_P(ServiceTest, EveryProtocolGoesBetweenPodsOfTheFamily) {
  start();
  for (const auto protocol :
       {ProbeProtocol::tcp, ProbeProtocol::udp, ProbeProtocol::sctp, ProbeProtocol::icmp}) {
    EXPECT_TRUE(probe(end("a"), end("b"), protocol).allowed);
    for (const Asked& asked : script_.asked) {
      const auto facts = read_packet(asked.frame, asked.frame.size());
      EXPECT_EQ(facts.source.family(), GetParam());
      EXPECT_TRUE(facts.has_ports);
    }
  }
}

TEST_P(ServiceTest, TheClientSeesTheServiceAndTheBackendSeesTheClient) {
  start();
  for (const auto protocol : {ProbeProtocol::tcp, ProbeProtocol::udp, ProbeProtocol::sctp}) {
    EXPECT_TRUE(ask(end("a"), end("b"), protocol).allowed);
    const std::uint16_t port = wire_of(script_.asked.front()).source_port;
    for (const Asked& asked : script_.asked) {
      const bool at_client = asked.ifindex == 100 + cluster_.endpoint_of({"x", "a"}).value;
      const bool from_client = at_client == (asked.direction == PN_EGRESS);
      const Wire forward = at_client ? Wire{a_, service_, port, 80} : Wire{a_, b_, port, 8080};
      const Wire back{forward.destination, forward.source, forward.destination_port, forward.source_port};
      EXPECT_EQ(wire_of(asked), from_client ? forward : back);
    }
  }
}

TEST_P(ServiceTest, APodThatReachesItselfComesInFromItsNode) {
  start();
  EXPECT_TRUE(ask(end("a"), end("a"), ProbeProtocol::udp).allowed);
  EXPECT_THAT(path(), ElementsAre("a>", ">a", "a>", ">a"));
  const std::uint16_t port = wire_of(script_.asked[0]).source_port;
  EXPECT_EQ(wire_of(script_.asked[0]), (Wire{a_, service_, port, 80}));
  EXPECT_EQ(wire_of(script_.asked[1]), (Wire{node_, a_, port, 8080}));
  EXPECT_EQ(wire_of(script_.asked[2]), (Wire{a_, node_, 8080, port}));
  EXPECT_EQ(wire_of(script_.asked[3]), (Wire{service_, a_, 80, port}));
}

TEST_P(ServiceTest, AServiceWithoutABackendIsNeverAnswered) {
  start();
  const Party nobody{Party::Kind::service, {}, {}, *IpAddress::parse(service_)};
  const auto passed = ask(end("a"), nobody, ProbeProtocol::tcp);
  EXPECT_FALSE(passed.allowed);
  EXPECT_FALSE(passed.drop);
  EXPECT_THAT(path(), ElementsAre("a>"));
  PacketLine line;
  line.part = UdpPart{40000, 80};
  const auto sent = send(end("a"), nobody, line);
  EXPECT_FALSE(sent.allowed);
  ASSERT_TRUE(sent.from);
  EXPECT_FALSE(sent.to);
  script_.allows = [](const Asked&) { return false; };
  const auto dropped = ask(end("a"), nobody, ProbeProtocol::tcp);
  ASSERT_TRUE(dropped.drop);
  EXPECT_EQ(dropped.drop->direction, PN_EGRESS);
}

TEST_P(ServiceTest, SinglePacketsAreTranslatedAndSoAreTheirAnswers) {
  start();
  PacketLine opening;
  opening.part = TcpPart{40000, 80, "S"};
  EXPECT_TRUE(send(end("a"), end("b"), opening, true).allowed);
  EXPECT_EQ(wire_of(script_.asked[0]), (Wire{a_, service_, 40000, 80}));
  EXPECT_EQ(wire_of(script_.asked[1]), (Wire{a_, b_, 40000, 8080}));
  PacketLine answer;
  answer.part = TcpPart{8080, 40000, "SA"};
  EXPECT_TRUE(send(end("b"), end("a"), answer).allowed);
  EXPECT_EQ(wire_of(script_.asked[0]), (Wire{b_, a_, 8080, 40000}));
  EXPECT_EQ(wire_of(script_.asked[1]), (Wire{service_, a_, 80, 40000}));
  PacketLine other;
  other.part = TcpPart{8080, 40001, "SA"};
  EXPECT_TRUE(send(end("b"), end("a"), other).allowed);
  EXPECT_EQ(wire_of(script_.asked[1]), (Wire{b_, a_, 8080, 40001})) << "no connection that was translated";
}

TEST_P(ServiceTest, AnIcmpErrorAboutATranslatedConnectionQuotesTheService) {
  start();
  PacketLine opening;
  opening.part = UdpPart{40000, 80};
  EXPECT_TRUE(send(end("a"), end("b"), opening, true).allowed);
  PacketLine error;
  error.part = IcmpPart{static_cast<std::uint8_t>(GetParam() == IpFamily::v4 ? 3 : 1), 3, 0};
  error.quotes = QuotedPacket{"x/a", "x/b", {}, {}, UdpPart{40000, 8080}};
  EXPECT_TRUE(send(end("b"), end("a"), error).allowed);
  const auto quoted = [&](const Asked& asked) {
    const std::size_t ip = GetParam() == IpFamily::v4 ? 20 : 40;
    std::vector<std::byte> inner(asked.frame.begin(), asked.frame.begin() + 14);
    inner.insert(inner.end(), asked.frame.begin() + static_cast<std::ptrdiff_t>(14 + ip + 8),
                 asked.frame.end());
    return wire_of({0, 0, inner, {}});
  };
  EXPECT_EQ(quoted(script_.asked[0]), (Wire{a_, b_, 40000, 8080}));
  EXPECT_EQ(quoted(script_.asked[1]), (Wire{a_, service_, 40000, 80}));
  EXPECT_EQ(wire_of(script_.asked[1]).source, service_);
}

INSTANTIATE_TEST_SUITE_P(Families, ServiceTest, testing::Values(IpFamily::v4, IpFamily::v6),
                         [](const auto& family) { return family.param == IpFamily::v4 ? "IPv4" : "IPv6"; });

TEST_F(VirtualClusterTest, ANodeWithoutAnAddressOfTheFamilyCannotMasquerade) {
  start();
  ProbeRequest request{party("x", "a"), party("x", "a"), ProbeProtocol::tcp, 8080};
  request.via = ServiceHop{*IpAddress::parse("fd96::1"), 80};
  request.from.address = request.to.address;
  placement_.cluster.nodes["n1"].addresses.clear();
  place();
  const auto outcome = cluster_.probe({&request, 1});
  ASSERT_FALSE(outcome);
  EXPECT_NE(outcome.error().message.find("node n1 has no address"), std::string::npos)
      << outcome.error().message;
}

TEST_F(VirtualClusterTest, NoServiceTranslatesIcmp) {
  start();
  ProbeRequest request{party("x", "a"), party("x", "b"), ProbeProtocol::icmp, 0};
  request.via = ServiceHop{*IpAddress::parse("10.96.0.1"), 0};
  EXPECT_FALSE(cluster_.probe({&request, 1}));
}

TEST_F(VirtualClusterTest, ASourceOfItsOwnReplacesTheSendersAddress) {
  start();
  PacketLine line;
  line.part = UdpPart{1000, 53};
  line.source = *IpAddress::parse("203.0.113.5");
  const PacketRequest request{party("x", "a"), party("x", "b"), &line, {}};
  ASSERT_TRUE(cluster_.send({&request, 1}));
  EXPECT_EQ(wire_of(script_.asked[0]), (Wire{"203.0.113.5", "10.0.0.2", 1000, 53}));
  EXPECT_EQ(wire_of(script_.asked[1]), (Wire{"203.0.113.5", "10.0.0.2", 1000, 53}));
}

TEST_F(VirtualClusterTest, TimeMovesOnlyByAdvanceAndByPackets) {
  start();
  ASSERT_TRUE(cluster_.advance(seconds(30)));
  probe(party("x", "a"), party("x", "b"));
  EXPECT_EQ(script_.asked.front().now, Instant{} + seconds(30));
  PacketLine line;
  line.part = UdpPart{1000, 53};
  const PacketRequest request{party("x", "a"), party("x", "b"), &line, Instant{} + seconds(31)};
  const auto sent = cluster_.send({&request, 1});
  ASSERT_TRUE(sent);
  EXPECT_TRUE(sent->front().allowed);
  ASSERT_TRUE(sent->front().from && sent->front().to);
  EXPECT_EQ(script_.asked.back().now, Instant{} + seconds(31));
}

TEST_F(VirtualClusterTest, BeginForgetsEverything) {
  start();
  ASSERT_TRUE(cluster_.advance(seconds(30)));
  ASSERT_TRUE(cluster_.begin({}));
  EXPECT_EQ(cluster_.endpoint_of({"x", "a"}), EndpointId{});
  EXPECT_EQ(cluster_.enforcer("n1"), nullptr);
  EXPECT_EQ(cluster_.now(), Instant{});
}

}  // namespace
}  // namespace postern::sim
