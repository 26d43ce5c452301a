// SPDX-License-Identifier: Apache-2.0
// The cross-check against the node's real nf_conntrack: pods with real sockets, of both families, one of them
// behind a Service that nftables translates; connections that stay there, go, or never were there.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <nftables/libnftables.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <set>

#include "agent/conntrack/cleanup_loop.h"
#include "agent/conntrack/connection_sweep.h"
#include "agent/conntrack/node_conntrack.h"
#include "backends/tc/tc_backend.h"
#include "engine/conntrack/conntrack_view.h"
#include "engine/enforce/node_enforcer.h"
#include "test/kernel/takeover_fixture.h"
#include "test/kernel_conntrack/node_table.h"
#include "test/support/effort.h"

namespace postern::test {
namespace {

using agent::ConnectionSweep;
using agent::ListedConnections;

constexpr const char* kPeer4 = "10.1.0.1";
constexpr const char* kPeer6 = "fd00:1::1";
constexpr std::uint32_t kLeastIdle = 10;

// Tracks what passes; port 7777 is not tracked; 53 and 54 of the Service 10.96.0.10 are 5353 and 5354 of the
// second pod.
constexpr const char* kRules = R"(
table inet cleanup {
  chain untracked { type filter hook prerouting priority raw; udp dport 7777 notrack; udp sport 7777 notrack; }
  chain untracked_too { type filter hook output priority raw; udp sport 7777 notrack; udp dport 7777 notrack; }
  chain tracked { type filter hook prerouting priority filter; ct state established accept; }
  chain service {
    type nat hook prerouting priority dstnat;
    ip daddr 10.96.0.10 udp dport 53 dnat ip to 10.0.0.10:5353
    ip daddr 10.96.0.10 udp dport 54 dnat ip to 10.0.0.10:5354
  }
}
)";

Result<void> run_nft(const std::string& commands) {
  const std::unique_ptr<nft_ctx, void (*)(nft_ctx*)> context(nft_ctx_new(NFT_CTX_DEFAULT), nft_ctx_free);
  if (!context) return fail(ErrorCode::io, "cannot open nftables");
  nft_ctx_buffer_error(context.get());
  if (nft_run_cmd_from_buffer(context.get(), commands.c_str()) == 0) return {};
  return fail(ErrorCode::io, nft_ctx_get_error_buffer(context.get()));
}

// The entry that the datapath has of it.
pn_ct_key key_of(const NodeTuple& tuple) {
  const auto abi = [](const IpAddress& address) {
    pn_address made{};
    const auto& bytes = address.bytes();
    for (std::size_t i = 0; i < 4 && address.is_v4(); ++i) made.low = made.low << 8 | std::uint64_t{bytes[i]};
    if (address.is_v4()) return pn_address_v4(static_cast<std::uint32_t>(made.low));
    for (std::size_t i = 0; i < 8; ++i) {
      made.high = made.high << 8 | bytes[i];
      made.low = made.low << 8 | bytes[i + 8];
    }
    return made;
  };
  return {abi(tuple.source), abi(tuple.destination), pn_swap16(tuple.source_port), pn_swap16(tuple.destination_port),
          7u << 8 | tuple.protocol};
}

Pod pod_of(const std::string& space, const std::string& address) {
  Pod pod;
  pod.key = {space, "pod"};
  pod.addresses = {*IpAddress::parse(address)};
  return pod;
}

// Nobody may come in to the pods of x and z; the pod of y, the Service's, may not go out. So what comes
// back passes as part of a connection alone.
ClusterSnapshot cluster() {
  ClusterSnapshot cluster;
  for (const auto& pod : {pod_of("x", "10.0.0.9"), pod_of("y", "10.0.0.10"), pod_of("z", "fd00::9")}) {
    cluster.pods[pod.key] = pod;
    NetworkPolicy policy;
    policy.key = {pod.key.ns, "isolated"};
    policy.isolates_egress = pod.key.ns == "y";
    policy.isolates_ingress = !policy.isolates_egress;
    cluster.network_policies[policy.key] = policy;
  }
  return cluster;
}

class NodeConntrackTest : public testing::Test {
 protected:
  void SetUp() override {
    auto rig = PodRig::make({kPeer4, kPeer6});
    ASSERT_TRUE(rig) << rig.error().to_string();
    rig_ = std::move(*rig);
    for (const char* address : {"10.0.0.9", "10.0.0.10", "fd00::9"}) {
      const auto added = rig_->add_pod(address);
      ASSERT_TRUE(added) << added.error().to_string();
    }
    auto backend = TcBackend::make({});
    ASSERT_TRUE(backend) << backend.error().to_string();
    EnforcerSettings settings;
    settings.hash_secret = 0x12345678;
    enforcer_ = std::make_unique<NodeEnforcer>(std::move(*backend), settings);
    const std::vector<LocalEndpoint> endpoints{{EndpointId{41}, rig_->pod(0).ifindex, {"x", "pod"}},
                                               {EndpointId{42}, rig_->pod(1).ifindex, {"y", "pod"}},
                                               {EndpointId{43}, rig_->pod(2).ifindex, {"z", "pod"}}};
    const auto done = enforcer_->reconcile(cluster(), endpoints, {});
    ASSERT_TRUE(done) << done.error().to_string();
    std::memcpy(&node_, enforcer_->tables().array(TableId::node).data(), sizeof node_);
    sweep_ = std::make_unique<ConnectionSweep>(*enforcer_->backend().connection_table());
    reader_ = agent::make_node_conntrack();
  }

  PodRig::Pair pair(std::size_t pod, std::uint16_t port, const PodRig::End& peer) {
    auto made = rig_->udp_pair(pod, port, peer);
    EXPECT_TRUE(made) << made.error().to_string();
    return made ? *made : PodRig::Pair{};
  }
  PodRig::Pair service_pair(std::uint16_t port, std::uint16_t service_port) {
    const auto backend_port = static_cast<std::uint16_t>(5300 + service_port);
    auto made = rig_->udp_pair({0, port, {"10.96.0.10", service_port}, {"10.0.0.10", backend_port}, 1});
    EXPECT_TRUE(made) << made.error().to_string();
    return made ? *made : PodRig::Pair{};
  }
  static bool arrives(int from, int to, int wait_ms) {
    char word = 'x';
    if (send(from, &word, 1, 0) != 1) return false;
    pollfd ready{to, POLLIN, 0};
    return poll(&ready, 1, wait_ms) == 1 && recv(to, &word, 1, MSG_DONTWAIT) == 1;
  }
  static bool opens(const PodRig::Pair& flow) { return arrives(flow.pod, flow.peer, 5000); }
  static bool answers(const PodRig::Pair& flow) { return arrives(flow.peer, flow.pod, 5000); }
  static bool is_silent(const PodRig::Pair& flow) { return !arrives(flow.peer, flow.pod, 200); }

  // As CleanupLoop does it.
  Result<void> cross_check() {
    const auto now = enforcer_->backend().connection_table()->now();
    if (!now) return fail_as(now);
    sweep_->begin({&node_, *now, kLeastIdle});
    auto begun = reader_->begin();
    if (!begun) return begun;
    ListedConnections listed;
    for (;;) {
      const auto done = reader_->step(listed);
      if (!done) return fail_as(done);
      if (*done) break;
    }
    for (;;) {
      const auto done = sweep_->step(&listed);
      if (!done) return fail_as(done);
      if (*done) return {};
    }
  }
  std::size_t noted() {
    std::size_t count = 0;
    const auto entries = enforcer_->backend().conntrack();
    EXPECT_TRUE(entries);
    if (!entries) return 0;
    for (const auto& entry : *entries) count += (entry.value.state & PN_CT_NODE_HAD) != 0 ? 1 : 0;
    return count;
  }

  std::unique_ptr<PodRig> rig_;
  std::unique_ptr<NodeEnforcer> enforcer_;
  pn_node node_{};
  std::unique_ptr<ConnectionSweep> sweep_;
  std::unique_ptr<agent::NodeConntrack> reader_;
};

TEST_F(NodeConntrackTest, OnlyWhatIsIdleHereAndGoneThereIsEnded) {
  const auto rules = run_nft(kRules);
  ASSERT_TRUE(rules) << rules.error().to_string();
  const struct {
    const char* name;
    PodRig::Pair flow;
    bool stays_there;  // in the node's conntrack
    bool in_use;       // here
    std::size_t entries;
    bool noted;
    bool lives;
  } rows[] = {
      {"in use", pair(0, 1001, {kPeer4, 2001}), true, true, 1, true, true},
      {"idle, and still there", pair(0, 1002, {kPeer4, 2002}), true, false, 1, true, true},
      {"idle, and gone", pair(0, 1003, {kPeer4, 2003}), false, false, 1, true, false},
      {"idle, and never there", pair(0, 1004, {kPeer4, 7777}), false, false, 1, false, true},
      {"IPv6, in use", pair(2, 1001, {kPeer6, 2001}), true, true, 1, true, true},
      {"IPv6, idle and still there", pair(2, 1002, {kPeer6, 2002}), true, false, 1, true, true},
      {"IPv6, idle and gone", pair(2, 1003, {kPeer6, 2003}), false, false, 1, true, false},
      // One entry at the client, of the ClusterIP, and one at the backend, of the pods' own addresses.
      {"a Service, idle and still there", service_pair(1005, 53), true, false, 2, true, true},
      {"a Service, idle and gone", service_pair(1006, 54), false, false, 2, true, false},
  };
  std::size_t entries = 0;
  std::size_t noted_entries = 0;
  std::size_t ended = 0;
  for (const auto& row : rows) {
    SCOPED_TRACE(row.name);
    ASSERT_TRUE(opens(row.flow));
    ASSERT_TRUE(answers(row.flow));
    entries += row.entries;
    noted_entries += row.noted ? row.entries : 0;
    ended += row.lives ? 0 : row.entries;
  }
  const auto first = cross_check();
  ASSERT_TRUE(first) << first.error().to_string();
  EXPECT_EQ(sweep_->alive(), entries);
  EXPECT_EQ(noted(), noted_entries);

  ASSERT_TRUE(flush_node_conntrack());
  for (const auto& row : rows) {
    EXPECT_TRUE(!row.stays_there || opens(row.flow)) << row.name;
  }
  ASSERT_TRUE(enforcer_->backend().age_connections(seconds(20)));
  for (const auto& row : rows) {
    EXPECT_TRUE(!row.in_use || opens(row.flow)) << row.name;
  }
  const auto second = cross_check();
  ASSERT_TRUE(second) << second.error().to_string();
  EXPECT_EQ(sweep_->totals().retired, ended);
  EXPECT_EQ(sweep_->totals().freed, 0u);
  EXPECT_EQ(sweep_->totals().spared, 0u);
  EXPECT_EQ(sweep_->alive(), entries - ended);
  for (const auto& row : rows) {
    SCOPED_TRACE(row.name);
    if (row.lives) {
      EXPECT_TRUE(answers(row.flow));
    } else {
      EXPECT_TRUE(is_silent(row.flow));
    }
  }
}

// As the agent runs it: its loop, its reader, real connections, and nothing but time between the steps.
TEST_F(NodeConntrackTest, TheAgentsLoopEndsTheOneThatIsTakenOutOfTheNodesTableAndNoOther) {
  const auto rules = run_nft(kRules);
  ASSERT_TRUE(rules) << rules.error().to_string();
  const auto ip = [](const char* text) { return *IpAddress::parse(text); };
  const struct {
    const char* name;
    PodRig::Pair flow;
    NodeTuple there;
    bool taken_out;
    bool in_use;
    bool lives;
  } rows[] = {
      {"idle, and taken out", pair(0, 1001, {kPeer4, 2001}), {ip("10.0.0.9"), ip(kPeer4), PN_IP_UDP, 1001, 2001}, true, false, false},
      {"idle, and still there", pair(0, 1002, {kPeer4, 2002}), {ip("10.0.0.9"), ip(kPeer4), PN_IP_UDP, 1002, 2002}, false, false, true},
      {"IPv6, idle, and taken out", pair(2, 1001, {kPeer6, 2001}), {ip("fd00::9"), ip(kPeer6), PN_IP_UDP, 1001, 2001}, true, false, false},
      {"IPv6, idle, and still there", pair(2, 1002, {kPeer6, 2002}), {ip("fd00::9"), ip(kPeer6), PN_IP_UDP, 1002, 2002}, false, false, true},
      {"taken out, and in use", pair(0, 1003, {kPeer4, 2003}), {ip("10.0.0.9"), ip(kPeer4), PN_IP_UDP, 1003, 2003}, true, true, true},
  };
  for (const auto& row : rows) {
    ASSERT_TRUE(opens(row.flow)) << row.name;
    ASSERT_TRUE(answers(row.flow)) << row.name;
  }
  auto loop = agent::EventLoop::make();
  ASSERT_TRUE(loop);
  agent::CleanupOptions options;
  options.period = milliseconds(100);
  options.least_idle = seconds(60);  // the agent's 300 s are more than a UDP connection lives
  options.tick_ns = enforcer_->backend().clock().tick_ns;
  options.node = [&] { return std::optional(node_); };
  agent::CleanupLoop cleanup(**loop, *enforcer_->backend().connection_table(), options, agent::make_node_conntrack());
  const auto cross_checks = [&](std::uint64_t count) {
    const std::uint64_t wanted = cleanup.numbers().cross_checks + count;
    const std::uint64_t sweeps = cleanup.numbers().sweeps + 2 * count;
    std::function<void()> look = [&] {
      if (cleanup.numbers().cross_checks >= wanted && cleanup.numbers().sweeps >= sweeps) return (*loop)->stop();
      (*loop)->after(milliseconds(5), look);
    };
    look();
    ASSERT_TRUE((*loop)->run());
  };
  cross_checks(2);
  EXPECT_EQ(noted(), std::size(rows)) << "known to both";
  EXPECT_EQ(cleanup.numbers().totals, ConnectionSweep::Totals{});

  for (const auto& row : rows) {
    if (row.taken_out) {
      const auto done = take_out_of_node_conntrack(row.there);
      ASSERT_TRUE(done) << row.name << ": " << done.error().to_string();
    }
  }
  cross_checks(2);
  EXPECT_EQ(cleanup.numbers().totals, ConnectionSweep::Totals{}) << "gone there, and not idle for so long here";
  EXPECT_EQ(cleanup.numbers().entries, std::size(rows));

  ASSERT_TRUE(enforcer_->backend().age_connections(seconds(90)));
  for (const auto& row : rows) {
    EXPECT_TRUE(!row.in_use || answers(row.flow)) << row.name;
  }
  cross_checks(2);
  EXPECT_EQ(cleanup.numbers().totals.retired, 2u);
  EXPECT_EQ(cleanup.numbers().totals.freed, 0u);
  EXPECT_EQ(cleanup.numbers().entries, std::size(rows) - 2);
  for (const auto& row : rows) {
    SCOPED_TRACE(row.name);
    if (row.lives) {
      EXPECT_TRUE(answers(row.flow));
    } else {
      EXPECT_TRUE(is_silent(row.flow));
    }
  }
}

// What a policy takes over (R40), however the kernel is asked for it.
TEST_F(NodeConntrackTest, AskedForEachAddressByItselfItSaysTheSameAsWhole) {
  const auto rules = run_nft(kRules);
  ASSERT_TRUE(rules) << rules.error().to_string();
  for (const auto& flow : {pair(0, 1001, {kPeer4, 2001}), pair(0, 1002, {kPeer4, 7777}), pair(2, 1001, {kPeer6, 2001}),
                           service_pair(1005, 53)}) {
    ASSERT_TRUE(opens(flow) && answers(flow));
  }
  auto writer = ConntrackWriter::open();
  ASSERT_TRUE(writer);
  const auto ip = [](const char* text) { return *IpAddress::parse(text); };
  for (const auto& [from, to] : {std::pair("10.9.0.1", "10.9.0.2"), std::pair("10.9.0.1", "10.0.0.9"),
                                 std::pair("10.0.0.10", "10.9.0.2"), std::pair("fd00::8", "fd00::9")}) {
    const auto added = add_to_node_conntrack(*writer, {ip(from), ip(to), PN_IP_UDP, 5000, 6000});
    ASSERT_TRUE(added) << added.error().to_string();
  }
  const std::vector<NodeConnectionsOf> pods{
      {EndpointId{41}, {ip("10.0.0.9")}}, {EndpointId{42}, {ip("10.0.0.10")}}, {EndpointId{43}, {ip("fd00::9")}}};
  const auto said_of = [&](std::uint64_t worth_a_walk) {
    const auto live = tc::NodeConntrack(worth_a_walk).live(pods);
    EXPECT_TRUE(live) << live.error().to_string();
    std::multiset<std::string> said;
    for (const auto& one : live.value_or(std::vector<NodeConnection>{})) {
      const auto text = [](const pn_address& address) {
        return std::to_string(address.high) + "-" + std::to_string(address.low);
      };
      said.insert(std::to_string(one.endpoint.value) + (one.opened_by_pod ? " opened " : " got ") +
                  text(one.tuple.source) + " " + text(one.tuple.destination) + " " +
                  std::to_string(one.tuple.source_port) + " " + std::to_string(one.tuple.destination_port) + " " +
                  std::to_string(one.tuple.protocol) + " " + std::to_string(one.state));
    }
    return said;
  };
  const auto whole = said_of(1'000'000);
  EXPECT_EQ(said_of(0), whole);
  // One of each pod's own peers, both faces of the Service, and those that were added at a pod: not what is untracked.
  EXPECT_EQ(whole.size(), 7u);
}

TEST_F(NodeConntrackTest, ANodeThatTracksNothingEndsNothing) {
  const auto flow = pair(0, 1001, {kPeer4, 2001});
  ASSERT_TRUE(opens(flow));
  const auto refused = reader_->begin();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::not_found);
  EXPECT_EQ(refused.error().message, "the node's conntrack is empty");

  // In use, and then flushed: idle and gone, but a table that is empty is no witness.
  ASSERT_TRUE(run_nft(kRules));
  ASSERT_TRUE(opens(flow));
  ASSERT_TRUE(cross_check());
  ASSERT_EQ(noted(), 1u);
  ASSERT_TRUE(enforcer_->backend().age_connections(seconds(20)));
  ASSERT_TRUE(flush_node_conntrack());
  EXPECT_FALSE(cross_check());
  EXPECT_TRUE(answers(flow));
}

TEST_F(NodeConntrackTest, TheAgentsCapabilitiesAreEnough) {
  ASSERT_TRUE(run_nft(kRules));
  ASSERT_TRUE(opens(pair(0, 1001, {kPeer4, 2001})));
  ASSERT_TRUE(enforcer_->backend().age_connections(seconds(1000)));
  const auto process = EnforcingProcess::start([&]() -> Result<void> {
    if (auto dropped = drop_capabilities(); !dropped) return dropped;
    sweep_ = std::make_unique<ConnectionSweep>(*enforcer_->backend().connection_table());
    if (auto prepared = enforcer_->backend().connection_table()->prepare(); !prepared) return prepared;
    if (auto checked = cross_check(); !checked) return checked;
    if (sweep_->totals().freed != 1) return fail(ErrorCode::internal, "nothing was taken out");
    return {};
  });
  EXPECT_TRUE(process) << process.error().to_string();
}

// What this thread computed, which a busy machine does not stretch.
double thread_time_ms() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e3 + static_cast<double>(time.tv_nsec) / 1e6;
}

// 20,000 connections, or 200,000 with POSTERN_TEST_SCALE=10.
TEST_F(NodeConntrackTest, ADumpIsTakenInPieceByPiece) {
  ASSERT_TRUE(run_nft(kRules));
  auto writer = ConntrackWriter::open();
  ASSERT_TRUE(writer) << writer.error().to_string();
  const auto ip = [](const std::string& text) { return *IpAddress::parse(text); };
  std::vector<NodeTuple> tuples{
      {ip("10.3.0.1"), ip("10.4.0.1"), PN_IP_UDP, 1000, 53},
      {ip("10.3.0.1"), ip("10.4.0.1"), PN_IP_SCTP, 1001, 80},
      {ip("10.3.0.1"), ip("10.4.0.1"), PN_IP_ICMP, 4711, 4711},
      {ip("fd00:3::1"), ip("fd00:4::1"), PN_IP_TCP, 1000, 443},
      {ip("fd00:3::1"), ip("fd00:4::1"), PN_IP_UDP, 1000, 53},
      {ip("fd00:3::1"), ip("fd00:4::1"), PN_IP_SCTP, 1001, 80},
      {ip("fd00:3::1"), ip("fd00:4::1"), PN_IP_ICMPV6, 4711, 4711},
  };
  const auto many = static_cast<std::uint32_t>(scaled(20'000));
  for (std::uint32_t i = 0; i < many; ++i) {
    tuples.push_back({IpAddress::v4(0x0a050000 + i / 50'000), ip("10.4.0.2"), PN_IP_TCP,
                      static_cast<std::uint16_t>(1000 + i % 50'000), 443});
  }
  for (const auto& tuple : tuples) {
    const auto added = add_to_node_conntrack(*writer, tuple);
    ASSERT_TRUE(added) << added.error().to_string();
  }
  ASSERT_TRUE(reader_->begin());
  ListedConnections listed;
  std::size_t steps = 1;
  double longest_ms = 0;
  for (bool done = false; !done; ++steps) {
    const double before_ms = thread_time_ms();
    const auto step = reader_->step(listed);
    longest_ms = std::max(longest_ms, thread_time_ms() - before_ms);
    ASSERT_TRUE(step) << step.error().to_string();
    done = *step;
  }
  std::printf("%zu connections in %zu steps, the longest %.2f ms\n", tuples.size(), steps, longest_ms);
  EXPECT_LT(longest_ms, 25) << "it is 1 to 3 ms";
  EXPECT_GT(steps, tuples.size() / 2000);
  EXPECT_GE(listed.size(), 2 * tuples.size()) << "both tuples of each";
  for (const auto& tuple : tuples) {
    EXPECT_TRUE(listed.contains(key_of(tuple)));
    EXPECT_TRUE(listed.contains(key_of(turned(tuple))));
    NodeTuple other = tuple;
    other.protocol = tuple.protocol == PN_IP_TCP ? PN_IP_UDP : PN_IP_TCP;
    other.destination_port = 9;
    EXPECT_FALSE(listed.contains(key_of(other)));
  }
}

}  // namespace
}  // namespace postern::test
