// SPDX-License-Identifier: Apache-2.0
// The namespace cluster with the kernel backend: probes and packets are judged by real programs.
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>

#include "backends/tc/tc_backend.h"
#include "test/kernel_cluster/small_cluster.h"
#include "test/kernel_cluster/wrapped_backend.h"

namespace postern::sim {
namespace {

using testing_support::key;
using testing_support::peer_rule;
using testing_support::port_rule;
using testing_support::SmallCluster;
using testing_support::WrappedBackend;
using Clock = std::chrono::steady_clock;

Result<std::unique_ptr<Backend>> kernel_backend(const TableSizes& sizes) { return make_tc_backend(sizes); }

SmallCluster two_nodes() {
  SmallCluster small;
  small.node("n1", "192.168.0.1").node("n2", "192.168.0.2");
  small.pod("x/a", "n1", "10.1.0.1").pod("x/b", "n1", "10.1.0.2").pod("x/c", "n2", "10.2.0.1");
  small.outside("8.8.8.8");
  return small;
}

class EnforcementTest : public testing::Test {
 protected:
  void make(BackendFactory factory = kernel_backend) {
    auto made = NetnsCluster::make(std::move(factory));
    ASSERT_TRUE(made) << made.error().message;
    cluster = std::move(*made);
  }
  void put(const Placement& placement) {
    auto begun = cluster->begin({});
    ASSERT_TRUE(begun) << begun.error().message;
    place(placement);
  }
  void place(const Placement& placement) {
    auto placed = cluster->place(placement);
    ASSERT_TRUE(placed) << placed.error().message;
  }
  ProbeOutcome probe(const ProbeRequest& request) {
    auto outcomes = cluster->probe(std::vector{request});
    EXPECT_TRUE(outcomes) << outcomes.error().message;
    return outcomes ? outcomes->front() : ProbeOutcome{};
  }
  PacketOutcome send(const SmallCluster& small, const std::string& from, const std::string& to,
                     PacketLine line, Instant at = {}) {
    auto outcomes = cluster->send(std::vector{PacketRequest{small.party(from), small.party(to), &line, at}});
    EXPECT_TRUE(outcomes) << outcomes.error().message;
    return outcomes ? outcomes->front() : PacketOutcome{};
  }

  std::unique_ptr<NetnsCluster> cluster;
};

PacketLine tcp_line(std::uint16_t sport, std::uint16_t dport, const std::string& flags) {
  PacketLine line;
  line.part = TcpPart{sport, dport, flags};
  return line;
}

PacketLine udp_line(std::uint16_t sport, std::uint16_t dport) {
  PacketLine line;
  line.part = UdpPart{sport, dport};
  return line;
}

std::uint32_t reason_of(const std::optional<EndVerdict>& verdict) {
  return verdict ? pn_step_reason(verdict->step) : static_cast<std::uint32_t>(PN_REASON_COUNT);
}

TEST_F(EnforcementTest, a_denied_probe_ends_by_the_reported_drop_in_every_protocol) {
  make();
  SmallCluster small = two_nodes();
  small.ingress_policy("x/closed", "b", {});
  put(small.placement);
  for (const auto protocol :
       {ProbeProtocol::tcp, ProbeProtocol::udp, ProbeProtocol::sctp, ProbeProtocol::icmp}) {
    for (const std::string from : {"x/a", "x/c", "node:n2", "8.8.8.8"}) {
      const auto request = small.probe(
          from, "x/b", protocol, protocol == ProbeProtocol::icmp ? std::uint16_t{0} : std::uint16_t{80});
      probe(request);  // opens the server
      const auto start = Clock::now();
      const ProbeOutcome outcome = probe(request);
      EXPECT_LT(Clock::now() - start, std::chrono::milliseconds(100)) << from;
      EXPECT_FALSE(outcome.allowed) << from;
      EXPECT_FALSE(outcome.dropped_reply) << from;
      ASSERT_TRUE(outcome.drop) << from;
      EXPECT_EQ(outcome.drop->pod, key("x/b")) << from;
      EXPECT_EQ(outcome.drop->direction, PN_INGRESS) << from;
      EXPECT_EQ(outcome.drop->node, "n1") << from;
      EXPECT_EQ(reason_of(outcome.drop), PN_REASON_ISOLATED) << from;
    }
    EXPECT_TRUE(probe(small.probe("node:n1", "x/b", protocol, 80)).allowed) << "the own node";
    EXPECT_TRUE(probe(small.probe("x/b", "x/b", protocol, 80)).allowed) << "itself";
    EXPECT_TRUE(probe(small.probe("x/b", "x/c", protocol, 80)).allowed) << "replies";
  }
}

TEST_F(EnforcementTest, rules_of_both_ends_must_allow) {
  make();
  SmallCluster small = two_nodes();
  small.ingress_policy("x/in", "c", {port_rule(Protocol::tcp, 80)});
  small.egress_policy("x/out", "a", {peer_rule("c"), port_rule(Protocol::udp, 53)});
  put(small.placement);
  EXPECT_TRUE(probe(small.probe("x/a", "x/c", ProbeProtocol::tcp, 80)).allowed);
  const auto at_server = probe(small.probe("x/a", "x/c", ProbeProtocol::tcp, 81));
  EXPECT_FALSE(at_server.allowed);
  ASSERT_TRUE(at_server.drop);
  EXPECT_EQ(at_server.drop->node, "n2");
  const auto at_client = probe(small.probe("x/a", "x/b", ProbeProtocol::tcp, 80));
  EXPECT_FALSE(at_client.allowed);
  ASSERT_TRUE(at_client.drop);
  EXPECT_EQ(at_client.drop->pod, key("x/a"));
  EXPECT_EQ(at_client.drop->direction, PN_EGRESS);
  EXPECT_TRUE(probe(small.probe("x/a", "x/b", ProbeProtocol::udp, 53)).allowed);
  EXPECT_TRUE(probe(small.probe("x/b", "x/a", ProbeProtocol::tcp, 80)).allowed)
      << "only its egress is isolated";
}

TEST_F(EnforcementTest, a_policy_that_goes_opens_what_it_closed) {
  make();
  SmallCluster small = two_nodes();
  small.ingress_policy("x/closed", "b", {});
  put(small.placement);
  const auto request = small.probe("x/a", "x/b", ProbeProtocol::tcp, 80);
  EXPECT_FALSE(probe(request).allowed);
  small.placement.cluster.network_policies.clear();
  place(small.placement);
  EXPECT_TRUE(probe(request).allowed);
}

TEST_F(EnforcementTest, packets_tell_the_verdict_of_both_ends) {
  make();
  SmallCluster small = two_nodes();
  small.placement.trace_all = true;
  small.ingress_policy("x/in", "c", {port_rule(Protocol::tcp, 80)});
  put(small.placement);
  const auto allowed = send(small, "x/a", "x/c", tcp_line(40000, 80, "S"));
  EXPECT_TRUE(allowed.allowed);
  ASSERT_TRUE(allowed.from && allowed.to);
  EXPECT_EQ(allowed.from->step, 0u) << "nothing judges the sender";
  EXPECT_EQ(reason_of(allowed.to), PN_REASON_RULE);
  const auto denied = send(small, "x/a", "x/c", tcp_line(40001, 22, "S"));
  EXPECT_FALSE(denied.allowed);
  EXPECT_EQ(reason_of(denied.to), PN_REASON_ISOLATED);
  PacketLine cut = tcp_line(40002, 80, "S");
  cut.length = 30;
  const auto malformed = send(small, "x/b", "x/c", cut);
  EXPECT_FALSE(malformed.allowed);
  EXPECT_EQ(reason_of(malformed.to), PN_REASON_MALFORMED);
  const auto unjudged = send(small, "x/c", "x/b", cut);
  EXPECT_TRUE(unjudged.allowed) << "no policy, no parsing";
}

TEST_F(EnforcementTest, tagged_frames_and_other_protocols_reach_the_hook) {
  make();
  SmallCluster small = two_nodes();
  small.placement.trace_all = true;
  small.ingress_policy("x/in", "c", {port_rule(Protocol::tcp, 80)});
  put(small.placement);
  PacketLine tagged = tcp_line(40000, 80, "S");
  tagged.vlan = {10};
  EXPECT_TRUE(send(small, "x/a", "x/c", tagged).allowed);
  tagged.vlan = {0, 10};
  EXPECT_TRUE(send(small, "x/a", "x/c", tagged).allowed);
  tagged.vlan = {10, 20};
  EXPECT_TRUE(send(small, "x/a", "x/c", tagged).allowed);
  tagged.part = TcpPart{40000, 81, "S"};
  EXPECT_FALSE(send(small, "x/a", "x/c", tagged).allowed);
  PacketLine other;
  other.part = FramePart{{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x88, 0xb5, 1, 2, 3, 4}};
  EXPECT_TRUE(send(small, "x/a", "x/b", other).allowed);
  const auto dropped = send(small, "x/a", "x/c", other);
  EXPECT_FALSE(dropped.allowed);
  EXPECT_EQ(reason_of(dropped.to), PN_REASON_ETHERTYPE);
}

TEST_F(EnforcementTest, time_that_passes_ends_a_tracked_connection) {
  make();
  SmallCluster small = two_nodes();
  small.placement.trace_all = true;
  small.egress_policy("x/out", "a", {port_rule(Protocol::udp, 53)});
  small.ingress_policy("x/in", "a", {});
  put(small.placement);
  EXPECT_TRUE(send(small, "x/a", "x/c", udp_line(40000, 53)).allowed);
  const auto reply = send(small, "x/c", "x/a", udp_line(53, 40000), Instant{} + seconds(1));
  EXPECT_TRUE(reply.allowed);
  EXPECT_EQ(reason_of(reply.to), PN_REASON_ESTABLISHED);
  ASSERT_TRUE(cluster->advance(seconds(200)));
  EXPECT_FALSE(send(small, "x/c", "x/a", udp_line(53, 40000), Instant{} + seconds(201)).allowed);
}

TEST_F(EnforcementTest, a_new_scenario_and_a_new_pod_have_no_connections) {
  make();
  SmallCluster small = two_nodes();
  small.placement.trace_all = true;
  small.egress_policy("x/out", "a", {port_rule(Protocol::udp, 53)});
  small.ingress_policy("x/in", "a", {});
  const auto open = [&] { return send(small, "x/a", "x/c", udp_line(40000, 53)).allowed; };
  const auto answer = [&] { return send(small, "x/c", "x/a", udp_line(53, 40000)).allowed; };
  put(small.placement);
  EXPECT_TRUE(open() && answer());
  put(small.placement);
  EXPECT_FALSE(answer()) << "a new scenario";
  EXPECT_TRUE(open() && answer());
  Placement without = small.placement;
  without.cluster.pods.erase(key("x/a"));
  place(without);
  place(small.placement);
  EXPECT_FALSE(answer()) << "a new pod with the old address";
}

TEST_F(EnforcementTest, twenty_scenarios_use_the_same_namespaces_and_descriptors) {
  make();
  SmallCluster closed = two_nodes();
  closed.ingress_policy("x/closed", "b", {});
  const SmallCluster open = two_nodes();
  const auto descriptors = [] {
    const std::filesystem::directory_iterator all("/proc/self/fd");
    return std::distance(begin(all), end(all));
  };
  const auto request = closed.probe("x/a", "x/b", ProbeProtocol::tcp, 80);
  // Twice: what is made on first use is there after the second scenario.
  for (int i = 0; i < 2; ++i) {
    put(closed.placement);
    EXPECT_FALSE(probe(request).allowed);
  }
  const auto pool = cluster->pool_size();
  const auto before = descriptors();
  const auto start = Clock::now();
  for (int i = 0; i < 20; ++i) {
    put(i % 2 == 0 ? open.placement : closed.placement);
    EXPECT_EQ(probe(request).allowed, i % 2 == 0) << i;
  }
  std::printf("%.1f ms a scenario\n",
              std::chrono::duration<double, std::milli>(Clock::now() - start).count() / 20);
  EXPECT_EQ(cluster->pool_size(), pool);
  EXPECT_EQ(descriptors(), before);
}

// R26, through the whole way: packets are judged by the last policy that fitted, and the next one that fits counts.
TEST_F(EnforcementTest, a_policy_whose_peers_do_not_fit_is_refused_whole) {
  make();
  ClusterSettings settings;
  settings.limits.entries[static_cast<std::size_t>(TableId::hosts)] = 1;  // of PN_HOSTS_WAYS addresses
  settings.limits.entries[static_cast<std::size_t>(TableId::hosts_far)] = 4;
  ASSERT_TRUE(cluster->begin(settings));
  SmallCluster small = two_nodes();
  small.ingress_policy("x/in", "b", {peer_rule("a")});
  place(small.placement);
  const auto expect = [&](bool from_a, bool from_c) {
    EXPECT_EQ(probe(small.probe("x/a", "x/b", ProbeProtocol::tcp, 80)).allowed, from_a);
    EXPECT_EQ(probe(small.probe("x/c", "x/b", ProbeProtocol::tcp, 80)).allowed, from_c);
  };
  expect(true, false);

  SmallCluster large = two_nodes();
  for (int i = 2; i < 12; ++i) {
    large.pod("x/c" + std::to_string(i), "n2", "10.2.0." + std::to_string(i));
    large.placement.cluster.pods[key("x/c" + std::to_string(i))].labels["pod"] = "c";
  }
  large.ingress_policy("x/in", "b", {peer_rule("c")});
  const auto refused = cluster->place(large.placement);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::table_full);
  EXPECT_NE(refused.error().message.find("table hosts_far is full: it has 4 addresses beyond full buckets of hosts, "),
            std::string::npos)
      << refused.error().message;
  expect(true, false);

  small.ingress_policy("x/in", "b", {peer_rule("c")});
  place(small.placement);
  expect(false, true);
}

TEST_F(EnforcementTest, a_drop_that_nobody_reports_is_a_failure_of_the_rig) {
  make([](const TableSizes& sizes) -> Result<std::unique_ptr<Backend>> {
    auto inner = kernel_backend(sizes);
    if (!inner) return inner;
    return std::make_unique<WrappedBackend>(std::move(*inner),
                                            [](const pn_event&) { return std::vector<pn_event>{}; });
  });
  SmallCluster small = two_nodes();
  small.ingress_policy("x/closed", "b", {});
  put(small.placement);
  const auto outcome = cluster->probe(std::vector{small.probe("x/a", "x/b", ProbeProtocol::udp, 80)});
  ASSERT_FALSE(outcome);
  EXPECT_NE(outcome.error().message.find("x/a (10.1.0.1) -> x/b (10.1.0.2) UDP 80"), std::string::npos);
  EXPECT_NE(outcome.error().message.find("neither answered nor reported"), std::string::npos)
      << outcome.error().message;
}

TEST_F(EnforcementTest, a_reported_drop_of_what_arrived_is_a_failure_of_the_rig) {
  make([](const TableSizes& sizes) -> Result<std::unique_ptr<Backend>> {
    auto inner = kernel_backend(sizes);
    if (!inner) return inner;
    return std::make_unique<WrappedBackend>(std::move(*inner), [](pn_event event) {
      event.step = pn_step_deny(PN_REASON_ISOLATED, 0);
      return std::vector{event};
    });
  });
  SmallCluster small = two_nodes();
  small.placement.trace_all = true;
  small.ingress_policy("x/in", "b", {PolicyRule{}});
  put(small.placement);
  for (const auto protocol :
       {ProbeProtocol::tcp, ProbeProtocol::udp, ProbeProtocol::sctp, ProbeProtocol::icmp}) {
    const auto outcome = cluster->probe(std::vector{small.probe("x/a", "x/b", protocol, 80)});
    ASSERT_FALSE(outcome);
    EXPECT_NE(outcome.error().message.find("reported as dropped, but"), std::string::npos)
        << outcome.error().message;
  }
  const PacketLine line = tcp_line(40000, 80, "S");
  const auto sent =
      cluster->send(std::vector{PacketRequest{small.party("x/a"), small.party("x/b"), &line, {}}});
  ASSERT_FALSE(sent);
  EXPECT_NE(sent.error().message.find("reported as dropped, but it passed"), std::string::npos)
      << sent.error().message;
}

}  // namespace
}  // namespace postern::sim
