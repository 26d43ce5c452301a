// SPDX-License-Identifier: Apache-2.0
// IPv6 and dual stack on the namespace cluster: addresses come up at once, neighbours are found, and a
// namespace that had one family serves another scenario with the other.
#include <gtest/gtest.h>

#include <ctime>
#include <filesystem>

#include "backends/tc/tc_backend.h"
#include "sim/capture/capture.h"
#include "sim/packet/packet.h"
#include "test/kernel_cluster/small_cluster.h"
#include "test/kernel_cluster/wrapped_backend.h"

namespace postern::sim::families_test {
namespace {

using testing_support::key;
using testing_support::port_rule;
using testing_support::SmallCluster;
using testing_support::WrappedBackend;

constexpr ProbeProtocol kProtocols[] = {ProbeProtocol::tcp, ProbeProtocol::udp, ProbeProtocol::sctp,
                                        ProbeProtocol::icmp};

SmallCluster only_v4() {
  SmallCluster small;
  small.node("n1", "192.168.0.1").node("n2", "192.168.0.2");
  small.pod("x/a", "n1", "10.1.0.1").pod("x/b", "n1", "10.1.0.2").pod("y/a", "n2", "10.2.0.1");
  small.host_pod("y/host", "n2").outside("93.184.216.34");
  return small;
}

SmallCluster only_v6() {
  SmallCluster small;
  small.node("n1", "fd18::1").node("n2", "fd18::2");
  small.pod("x/a", "n1", "fd00:1::1").pod("x/b", "n1", "fd00:1::2").pod("y/a", "n2", "fd00:2::1");
  small.host_pod("y/host", "n2").outside("2001:db8::34");
  return small;
}

SmallCluster dual() {
  SmallCluster small;
  small.node("n1", "192.168.0.1 fd18::1").node("n2", "192.168.0.2 fd18::2");
  small.pod("x/a", "n1", "10.1.0.1 fd00:1::1").pod("x/b", "n1", "10.1.0.2 fd00:1::2");
  small.pod("y/a", "n2", "fd00:2::1 10.2.0.1");
  small.host_pod("y/host", "n2").outside("93.184.216.34 2001:db8::34");
  return small;
}

std::vector<std::string> ends_of(IpFamily family) {
  return {"x/a",     "x/b",     "y/a", "y/host",
          "node:n1", "node:n2", family == IpFamily::v4 ? "93.184.216.34" : "2001:db8::34"};
}

std::vector<ProbeRequest> every_pair(const SmallCluster& small, IpFamily family) {
  std::vector<ProbeRequest> requests;
  for (const auto& from : ends_of(family)) {
    for (const auto& to : ends_of(family)) {
      for (const auto protocol : kProtocols) {
        const auto port = static_cast<std::uint16_t>(protocol == ProbeProtocol::icmp ? 0 : 80);
        requests.push_back({small.party(from, family), small.party(to, family), protocol, port});
      }
    }
  }
  return requests;
}

class FamiliesTest : public testing::Test {
 protected:
  void SetUp() override { make({}); }
  void make(BackendFactory factory) {
    auto made = NetnsCluster::make(std::move(factory));
    ASSERT_TRUE(made) << made.error().message;
    cluster = std::move(*made);
  }
  void put(const SmallCluster& small) {
    auto begun = cluster->begin({});
    ASSERT_TRUE(begun) << begun.error().message;
    place(small);
  }
  void place(const SmallCluster& small) {
    auto placed = cluster->place(small.placement);
    ASSERT_TRUE(placed) << placed.error().message;
  }
  void expect_all_allowed(const std::vector<ProbeRequest>& requests) {
    const auto outcomes = cluster->probe(requests);
    ASSERT_TRUE(outcomes) << outcomes.error().message;
    ASSERT_EQ(outcomes->size(), requests.size());
    for (std::size_t i = 0; i < requests.size(); ++i) EXPECT_TRUE((*outcomes)[i].allowed) << i;
  }

  std::unique_ptr<NetnsCluster> cluster;
};

TEST_F(FamiliesTest, every_end_reaches_every_end_over_ipv6) {
  const SmallCluster small = only_v6();
  put(small);
  expect_all_allowed(every_pair(small, IpFamily::v6));
}

TEST_F(FamiliesTest, every_end_reaches_every_end_over_both_families) {
  const SmallCluster small = dual();
  put(small);
  expect_all_allowed(every_pair(small, IpFamily::v6));
  expect_all_allowed(every_pair(small, IpFamily::v4));
}

TEST_F(FamiliesTest, scenarios_of_any_family_follow_each_other_in_the_same_namespaces) {
  put(dual());
  const auto pool = cluster->pool_size();
  EXPECT_EQ(pool, (NetnsCluster::PoolSize{2, 3, 2}));
  for (int round = 0; round < 2; ++round) {
    put(only_v4());
    expect_all_allowed(every_pair(only_v4(), IpFamily::v4));
    put(only_v6());
    expect_all_allowed(every_pair(only_v6(), IpFamily::v6));
    put(dual());
    expect_all_allowed(every_pair(dual(), IpFamily::v4));
    expect_all_allowed(every_pair(dual(), IpFamily::v6));
  }
  EXPECT_EQ(cluster->pool_size(), pool);
}

TEST_F(FamiliesTest, a_pod_may_gain_and_lose_a_family_between_steps) {
  SmallCluster small = dual();
  put(small);
  expect_all_allowed(every_pair(small, IpFamily::v6));
  auto& pod = small.placement.cluster.pods[testing_support::key("x/a")];
  pod.addresses = testing_support::addresses("10.1.0.9");
  place(small);
  expect_all_allowed({{small.party("x/a"), small.party("y/a", IpFamily::v4), ProbeProtocol::tcp, 80}});
  pod.addresses = testing_support::addresses("fd00:1::9");
  place(small);
  expect_all_allowed({{small.party("x/a"), small.party("y/a", IpFamily::v6), ProbeProtocol::tcp, 80},
                      {small.party("y/a", IpFamily::v6), small.party("x/a"), ProbeProtocol::udp, 80}});
  pod.addresses = testing_support::addresses("10.1.0.1 fd00:1::1");
  place(small);
  expect_all_allowed(every_pair(small, IpFamily::v4));
  expect_all_allowed(every_pair(small, IpFamily::v6));
}

TEST_F(FamiliesTest, pods_that_trade_addresses_of_ipv6_are_reached_at_their_new_ones) {
  SmallCluster small = only_v6();
  put(small);
  for (int i = 0; i < 3; ++i) {
    std::swap(small.placement.cluster.pods[testing_support::key("x/a")].addresses,
              small.placement.cluster.pods[testing_support::key("y/a")].addresses);
    place(small);
    expect_all_allowed(every_pair(small, IpFamily::v6));
  }
}

TEST_F(FamiliesTest, a_capture_of_ipv6_holds_each_packet_once_and_nothing_of_the_link) {
  const SmallCluster small = only_v6();
  put(small);
  const std::string path =
      std::filesystem::temp_directory_path() / ("families_test." + std::to_string(::time(nullptr)) + ".pcap");
  const auto started = cluster->start_capture(path);
  ASSERT_TRUE(started) << started.error().message;
  expect_all_allowed({
      small.probe("x/a", "x/b", ProbeProtocol::udp, 80),
      small.probe("x/a", "y/a", ProbeProtocol::sctp, 80),
      small.probe("x/a", "2001:db8::34", ProbeProtocol::icmp),
      small.probe("node:n1", "x/a", ProbeProtocol::udp, 80),
      small.probe("node:n1", "y/a", ProbeProtocol::udp, 80),
      small.probe("y/host", "node:n1", ProbeProtocol::udp, 80),
      small.probe("2001:db8::34", "node:n2", ProbeProtocol::icmp),
  });
  const auto packets = cluster->stop_capture();
  std::filesystem::remove(path);
  ASSERT_TRUE(packets) << packets.error().message;
  EXPECT_EQ(*packets, 14u) << "a question and an answer each";
}

TEST_F(FamiliesTest, ends_of_two_families_are_an_error) {
  const SmallCluster small = dual();
  put(small);
  const auto outcome = cluster->probe(std::vector{ProbeRequest{
      small.party("x/a", IpFamily::v4), small.party("x/b", IpFamily::v6), ProbeProtocol::tcp, 80}});
  ASSERT_FALSE(outcome);
  EXPECT_NE(outcome.error().message.find("two families"), std::string::npos) << outcome.error().message;
}

// With the kernel backend: the program sees neighbour discovery and judges the rest.
class JudgedFamiliesTest : public FamiliesTest {
 protected:
  void SetUp() override {
    make([](const TableSizes& sizes) -> Result<std::unique_ptr<Backend>> { return make_tc_backend(sizes); });
  }
  ProbeOutcome probe(const ProbeRequest& request) {
    const auto outcomes = cluster->probe(std::vector{request});
    EXPECT_TRUE(outcomes) << outcomes.error().message;
    return outcomes ? outcomes->front() : ProbeOutcome{};
  }
  PacketOutcome send(const SmallCluster& small, const std::string& from, const std::string& to,
                     const PacketLine& line) {
    PacketRequest request{small.party(from, IpFamily::v6), small.party(to, IpFamily::v6), &line, {}};
    if (line.quotes) request.quoted = QuotedAddresses{request.to.address, request.from.address};
    const auto outcomes = cluster->send(std::vector{request});
    EXPECT_TRUE(outcomes) << outcomes.error().message;
    return outcomes ? outcomes->front() : PacketOutcome{};
  }
};

std::uint32_t reason_of(const std::optional<EndVerdict>& verdict) {
  return verdict ? pn_step_reason(verdict->step) : static_cast<std::uint32_t>(PN_REASON_COUNT);
}

PacketLine line_of(PacketPart part) {
  PacketLine line;
  line.part = std::move(part);
  return line;
}

TEST_F(JudgedFamiliesTest, a_denied_probe_ends_by_the_reported_drop_in_both_families) {
  SmallCluster small = dual();
  small.ingress_policy("x/closed", "b", {});
  put(small);
  for (const IpFamily family : {IpFamily::v4, IpFamily::v6}) {
    for (const auto protocol : kProtocols) {
      const auto port = static_cast<std::uint16_t>(protocol == ProbeProtocol::icmp ? 0 : 80);
      const auto ask = [&](const std::string& from, const std::string& to) {
        return probe({small.party(from, family), small.party(to, family), protocol, port});
      };
      for (const std::string& from : {std::string("x/a"), std::string("y/a"), ends_of(family).back()}) {
        const auto outcome = ask(from, "x/b");
        EXPECT_FALSE(outcome.allowed) << from;
        ASSERT_TRUE(outcome.drop) << from;
        EXPECT_EQ(outcome.drop->pod, key("x/b"));
        EXPECT_EQ(outcome.drop->direction, PN_INGRESS);
        EXPECT_EQ(reason_of(outcome.drop), PN_REASON_ISOLATED);
      }
      EXPECT_TRUE(ask("node:n1", "x/b").allowed) << "the own node";
      EXPECT_TRUE(ask("x/b", "x/b").allowed) << "itself";
      EXPECT_TRUE(ask("x/b", "y/a").allowed) << "replies";
    }
  }
}

// Isolated in both directions, so each of its neighbour messages meets a judging program (R17).
TEST_F(JudgedFamiliesTest, a_pod_that_may_do_nothing_else_still_finds_its_neighbours) {
  SmallCluster small = only_v6();
  small.ingress_policy("x/in", "b", {port_rule(Protocol::tcp, 80)});
  small.egress_policy("x/out", "b", {port_rule(Protocol::udp, 53)});
  put(small);
  EXPECT_TRUE(probe(small.probe("y/a", "x/b", ProbeProtocol::tcp, 80)).allowed);
  EXPECT_FALSE(probe(small.probe("y/a", "x/b", ProbeProtocol::tcp, 81)).allowed);
  EXPECT_TRUE(probe(small.probe("x/b", "y/a", ProbeProtocol::udp, 53)).allowed);
  EXPECT_FALSE(probe(small.probe("x/b", "y/a", ProbeProtocol::udp, 54)).allowed);
}

TEST_F(JudgedFamiliesTest, packets_of_ipv6_tell_the_verdict_of_both_ends) {
  SmallCluster small = only_v6();
  small.placement.trace_all = true;
  small.ingress_policy("y/in", "a", {port_rule(Protocol::tcp, 80)});
  put(small);
  struct Row {
    const char* name;
    PacketLine line;
    bool allowed;
    std::uint32_t reason;
  };
  std::vector<Row> rows;
  rows.push_back({"a port that a rule allows", line_of(TcpPart{40000, 80, "S"}), true, PN_REASON_RULE});
  rows.push_back({"another port", line_of(TcpPart{40000, 81, "S"}), false, PN_REASON_ISOLATED});
  rows.push_back({"behind extension headers", line_of(TcpPart{40001, 80, "S"}), true, PN_REASON_RULE});
  rows.back().line.extensions = {ExtensionHeader::hop_by_hop, ExtensionHeader::destination,
                                 ExtensionHeader::routing};
  rows.push_back({"behind too many of them", line_of(TcpPart{40002, 80, "S"}), false, PN_REASON_MALFORMED});
  rows.back().line.extensions.assign(9, ExtensionHeader::destination);
  rows.push_back({"cut", line_of(TcpPart{40003, 80, "S"}), false, PN_REASON_MALFORMED});
  rows.back().line.length = 50;
  rows.push_back({"tagged", line_of(TcpPart{40004, 80, "S"}), true, PN_REASON_RULE});
  rows.back().line.vlan = {10};
  rows.push_back({"another protocol", line_of(IpPart{47}), false, PN_REASON_PROTOCOL});
  rows.push_back({"a neighbour solicitation", line_of(IcmpPart{135, 0, 0}), true, PN_REASON_ALWAYS});
  rows.push_back({"an echo", line_of(IcmpPart{128, 0, 7}), false, PN_REASON_ISOLATED});
  for (const Row& row : rows) {
    const auto outcome = send(small, "x/a", "y/a", row.line);
    EXPECT_EQ(outcome.allowed, row.allowed) << row.name;
    EXPECT_EQ(reason_of(outcome.to), row.reason) << row.name;
  }
}

TEST_F(JudgedFamiliesTest, an_icmp_error_about_a_live_connection_of_ipv6_is_related) {
  SmallCluster small = only_v6();
  small.placement.trace_all = true;
  small.egress_policy("x/out", "a", {port_rule(Protocol::udp, 53)});
  small.ingress_policy("x/in", "a", {});
  put(small);
  EXPECT_TRUE(send(small, "x/a", "y/a", line_of(UdpPart{40000, 53})).allowed);
  PacketLine error = line_of(IcmpPart{packet::kIcmpv6Unreachable, 4, 0});
  error.quotes = QuotedPacket{"x/a", "y/a", {}, {}, UdpPart{40000, 53}};
  const auto related = send(small, "y/a", "x/a", error);
  EXPECT_TRUE(related.allowed);
  EXPECT_EQ(reason_of(related.to), PN_REASON_RELATED);
  error.quotes->part = UdpPart{40001, 53};
  EXPECT_FALSE(send(small, "y/a", "x/a", error).allowed);
}

// Links report and look for neighbours when they like; here a message of theirs is judged right before
// and right after every packet.
TEST_F(JudgedFamiliesTest, what_links_say_meanwhile_is_not_taken_for_a_packet) {
  make([](const TableSizes& sizes) -> Result<std::unique_ptr<Backend>> {
    auto inner = make_tc_backend(sizes);
    if (!inner) return inner;
    return std::make_unique<WrappedBackend>(std::move(*inner), [](const pn_event& event) {
      pn_event report = event;
      report.step = pn_step_allow(PN_REASON_ALWAYS, 0);
      report.length = 90;
      report.protocol = 58;
      return std::vector{report, event, report};
    });
  });
  SmallCluster small = only_v6();
  small.placement.trace_all = true;
  small.ingress_policy("y/in", "a", {port_rule(Protocol::udp, 53)});
  put(small);
  const auto allowed = send(small, "x/a", "y/a", line_of(UdpPart{40000, 53}));
  EXPECT_TRUE(allowed.allowed);
  EXPECT_EQ(reason_of(allowed.to), PN_REASON_RULE);
  EXPECT_EQ(reason_of(send(small, "x/a", "y/a", line_of(UdpPart{40000, 54})).to), PN_REASON_ISOLATED);
  PacketLine as_long = line_of(UdpPart{40000, 53});  // 90 bytes as well
  as_long.extensions.assign(3, ExtensionHeader::destination);
  as_long.vlan = {10};
  EXPECT_EQ(reason_of(send(small, "x/a", "y/a", as_long).to), PN_REASON_RULE);
}

}  // namespace
}  // namespace postern::sim::families_test
