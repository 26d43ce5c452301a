// SPDX-License-Identifier: Apache-2.0
// Where packets of the virtual cluster are judged, by whom, in what order; the datapath is a stub
// that records what it is asked.
#include "sim/virtual/virtual_cluster.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <set>

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
