// SPDX-License-Identifier: Apache-2.0
// What a process finds of the one before it, and when it lets go of what was in force.
#include <bpf/bpf.h>

#include <cstring>
#include <thread>

#include "engine/conntrack/conntrack_view.h"
#include "test/kernel/takeover_fixture.h"

namespace postern::test {
namespace {

class Inherited : public TakeoverTest {
 protected:
  // Whether a fresh packet of a stranger reaches the pod, and whether a friend's does.
  bool stranger_passes(std::size_t pod = 0) { return passes(pod, kStranger); }
  bool friend_passes(std::size_t pod = 0) { return passes(pod, kFriend); }

  bool passes(std::size_t pod, const char* peer) {
    auto pair = rig_->udp_pair(pod, 80, {peer, next_port_++});
    EXPECT_TRUE(pair) << pair.error().to_string();
    if (!pair) return false;
    for (int attempt = 0; attempt < 20; ++attempt) {
      (void)send(pair->peer, "x", 1, 0);
      char byte = 0;
      if (recv(pair->pod, &byte, 1, MSG_DONTWAIT) == 1) {
        rig_->close_sockets();
        return true;
      }
      std::this_thread::sleep_for(2ms);
    }
    rig_->close_sockets();
    return false;
  }

  std::uint16_t next_port_ = 20000;
};

class InheritedHooks : public Inherited {};

TEST_P(Inherited, EndpointsAddressesEpochAndRulesAreReadBack) {
  ASSERT_TRUE(add_pods(1));
  cluster_ = cluster_of(2);
  auto& policy = cluster_.network_policies.begin()->second;
  policy.isolates_egress = false;
  cluster_.pods.at({"x", "pod0"}).labels = {{"judged", "yes"}};
  policy.pod_selector.match_labels = {{"judged", "yes"}};
  pn_node left{};
  auto first = EnforcingProcess::start([&] { return enforce(options()); });
  ASSERT_TRUE(first) << first.error().to_string();
  ASSERT_TRUE(friend_passes());
  const std::uint64_t secret = secret_of(first->id());
  first->kill();

  std::unique_ptr<NodeEnforcer> next;
  ASSERT_TRUE(make(options(), next));
  const Inheritance& inherited = next->backend().inheritance();
  ASSERT_EQ(inherited.interfaces.size(), 2u);
  const InheritedInterface& judged = inherited.interfaces[0];
  EXPECT_EQ(judged.ifindex, rig_->pod(0).ifindex);
  EXPECT_EQ(judged.endpoint, endpoints_[0].endpoint);
  EXPECT_EQ(judged.addresses, std::vector<IpAddress>{*IpAddress::parse("10.0.0.9")});
  EXPECT_EQ(judged.judged, (std::array<bool, 2>{true, false}));
  EXPECT_EQ(inherited.interfaces[1].ifindex, rig_->pod(1).ifindex);
  EXPECT_EQ(inherited.interfaces[1].endpoint, EndpointId{}) << "nobody judged it";
  EXPECT_TRUE(inherited.connections);
  EXPECT_GE(inherited.epoch, 1u);
  EXPECT_EQ(inherited.hash_secret, secret);
  EXPECT_EQ(inherited.last_rule, RuleId{1});
  EXPECT_EQ(inherited.last_endpoint, endpoints_[0].endpoint);

  const std::uint32_t epoch = inherited.epoch;
  ASSERT_TRUE(next->reconcile(cluster_, endpoints_, {}));
  std::memcpy(&left, next->tables().array(TableId::node).data(), sizeof left);
  EXPECT_GT(left.epoch, epoch);
}

// Six numbers of endpoints are in the pinned connections, one of them of a pod that stays.
TEST_P(Inherited, ConnectionsOfEndpointsThatAreGoneAreForgottenAndCountersGoOn) {
  ASSERT_TRUE(enforce(options()));
  ASSERT_TRUE(friend_passes());
  ASSERT_FALSE(stranger_passes());
  auto* backend = static_cast<TcBackend*>(&enforcer_->backend());
  const auto counters = backend->counters();
  ASSERT_TRUE(counters);
  for (std::uint32_t endpoint = 90; endpoint < 95; ++endpoint) {
    pn_ct_bucket bucket{};
    bucket.fingerprints[0] = 1;
    bucket.ways[0].key.endpoint_protocol = endpoint << 8 | 17;
    bucket.ways[0].value = {1, 1, PN_CT_LIVE, PN_STEP_ALLOW};
    ASSERT_EQ(bpf_map_update_elem(backend->map_fd("pn_ct"), &endpoint, &bucket, 0), 0);
  }
  std::unique_ptr<NodeEnforcer> next;
  EXPECT_FALSE(make(options(), next)) << "not while the first is there";
  enforcer_.reset();
  ASSERT_TRUE(make(options(), next));
  EXPECT_EQ(next->backend().inheritance().last_endpoint, EndpointId{94});
  ASSERT_TRUE(next->reconcile(cluster_, endpoints_, {}));
  const auto connections = next->backend().conntrack();
  ASSERT_TRUE(connections);
  ASSERT_FALSE(connections->empty());
  for (const auto& entry : *connections) EXPECT_EQ(endpoint_of(entry.key), endpoints_[0].endpoint);
  const auto later = next->backend().counters();
  ASSERT_TRUE(later);
  const std::size_t denied = pn_counter_index(PN_INGRESS, PN_REASON_ISOLATED);
  EXPECT_GT((*counters)[denied].packets, 0u);
  EXPECT_GE((*later)[denied].packets, (*counters)[denied].packets);
}

TEST_P(Inherited, EventsThatNobodyReadAreReadByTheNextProcess) {
  ASSERT_TRUE(enforce(options()));
  enforcer_.reset();
  ASSERT_FALSE(stranger_passes());
  struct Sink final : EventSink {
    void on_event(const pn_event& event) override { denied += event.step == PN_REASON_ISOLATED << 24 ? 1 : 0; }
    int denied = 0;
  } sink;
  std::unique_ptr<NodeEnforcer> next;
  ASSERT_TRUE(make(options(), next));
  ASSERT_TRUE(next->backend().drain_events(sink));
  EXPECT_GT(sink.denied, 0);
}

// Who watches goes on reading the same ring, and switches the monitor on in the new tables.
TEST_P(Inherited, TheMonitorsRingIsTheSameInEachGenerationAndTheMonitorOff) {
  const auto ring_of = [](const NodeEnforcer& enforcer) {
    const auto& backend = static_cast<const TcBackend&>(enforcer.backend());
    bpf_map_info info{};
    std::uint32_t size = sizeof info;
    EXPECT_EQ(bpf_obj_get_info_by_fd(backend.map_fd("pn_monitor"), &info, &size), 0);
    return info.id;
  };
  ASSERT_TRUE(enforce(options()));
  const std::uint32_t ring = ring_of(*enforcer_);
  const std::uint32_t far = 0x7fffffff;
  TableDelta on;
  on.writes.push_back({TableId::node, 0, offsetof(pn_node, monitor_until), {}, std::vector<std::byte>(4)});
  std::memcpy(on.writes[0].bytes.data(), &far, sizeof far);
  ASSERT_TRUE(enforcer_->backend().apply(on));
  enforcer_.reset();
  std::unique_ptr<NodeEnforcer> next;
  ASSERT_TRUE(make(options(), next));
  ASSERT_TRUE(next->reconcile(cluster_, endpoints_, {}));
  EXPECT_EQ(ring_of(*next), ring);
  const auto tables = next->backend().dump();
  ASSERT_TRUE(tables);
  pn_node node{};
  std::memcpy(&node, tables->array(TableId::node).data(), sizeof node);
  EXPECT_EQ(node.monitor_until, 0u);
}

TEST_P(Inherited, APolicyThatIsRefusedLeavesTheOldOneInForce) {
  ASSERT_TRUE(enforce(options()));
  enforcer_.reset();
  TableSizes sizes;
  sizes.entries[static_cast<std::size_t>(TableId::pods)] = 1;
  std::unique_ptr<NodeEnforcer> next;
  ASSERT_TRUE(make(options(), next, sizes));
  const auto refused = next->reconcile(cluster_, endpoints_, {});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::table_full);
  EXPECT_TRUE(friend_passes());
  EXPECT_FALSE(stranger_passes());
  next.reset();
  EXPECT_FALSE(stranger_passes());
  EXPECT_EQ(generations_in(version()), std::vector<std::string>{"generation-1"});
}

TEST_P(Inherited, OtherSizesAreTakenButTheTableOfConnectionsKeepsIts) {
  TableSizes sizes;
  sizes.conntrack_buckets = 4096;
  std::unique_ptr<NodeEnforcer> first;
  ASSERT_TRUE(make(options(), first, sizes));
  ASSERT_TRUE(first->reconcile(cluster_, endpoints_, {}));
  first.reset();
  sizes.conntrack_buckets = 8192;
  sizes.entries[static_cast<std::size_t>(TableId::rows)] = 128;
  sizes.entries[static_cast<std::size_t>(TableId::hosts)] = 1024;
  std::unique_ptr<NodeEnforcer> second;
  ASSERT_TRUE(make(options(), second, sizes));
  EXPECT_EQ(second->backend().sizes().conntrack_buckets, 4096u);
  EXPECT_EQ(second->backend().sizes().of(TableId::rows), 128u);
  EXPECT_NE(joined(second->backend().take_notes()).find("room for 32768 and stays; 65536 were asked for"),
            std::string::npos);
  ASSERT_TRUE(second->reconcile(cluster_, endpoints_, {}));
  EXPECT_TRUE(friend_passes());
  EXPECT_FALSE(stranger_passes());
  pn_node node{};
  std::memcpy(&node, second->tables().array(TableId::node).data(), sizeof node);
  EXPECT_EQ(node.ct_mask, 4095u);
}

TEST_P(InheritedHooks, AnInterfaceThatIsNotWantedAnyMoreIsOpenedAndUnpinned) {
  ASSERT_TRUE(add_pods(1));
  cluster_ = cluster_of(2);
  ASSERT_TRUE(enforce(options()));
  enforcer_.reset();
  const std::vector<LocalEndpoint> both = endpoints_;
  endpoints_ = {both[1]};
  std::unique_ptr<NodeEnforcer> next;
  ASSERT_TRUE(make(options(), next));
  EXPECT_FALSE(stranger_passes(0)) << "not before there is a policy";
  ASSERT_TRUE(next->reconcile(cluster_, endpoints_, {}));
  EXPECT_TRUE(stranger_passes(0));
  EXPECT_FALSE(is_pinned(0));
  EXPECT_FALSE(stranger_passes(1));
  EXPECT_TRUE(is_pinned(1));
}

TEST_P(InheritedHooks, AnInterfaceThatIsGoneIsNotInheritedAndItsPinsAreRemoved) {
  ASSERT_TRUE(add_pods(1));
  cluster_ = cluster_of(2);
  ASSERT_TRUE(enforce(options()));
  enforcer_.reset();
  ASSERT_TRUE(rig_->delete_pod(0));
  std::unique_ptr<NodeEnforcer> next;
  ASSERT_TRUE(make(options(), next));
  ASSERT_EQ(next->backend().inheritance().interfaces.size(), 1u);
  EXPECT_EQ(next->backend().inheritance().interfaces[0].ifindex, rig_->pod(1).ifindex);
  EXPECT_FALSE(is_pinned(0));
  endpoints_.erase(endpoints_.begin());
  ASSERT_TRUE(next->reconcile(cluster_, endpoints_, {}));

  // The other one goes under the eyes of the process.
  ASSERT_TRUE(rig_->delete_pod(1));
  endpoints_.clear();
  ASSERT_TRUE(next->reconcile(cluster_, endpoints_, {}));
  EXPECT_FALSE(is_pinned(1));
}

TEST_P(Inherited, ANodeWithoutInterfacesKeepsItsConnectionsForTheNextProcess) {
  ASSERT_TRUE(enforce(options()));
  const std::vector<LocalEndpoint> all = endpoints_;
  endpoints_.clear();
  ASSERT_TRUE(enforcer_->reconcile(cluster_, endpoints_, {}));
  for (int restart = 0; restart < 2; ++restart) {
    std::unique_ptr<NodeEnforcer> next;
    enforcer_.reset();
    ASSERT_TRUE(make(options(), next));
    EXPECT_TRUE(next->backend().inheritance().connections);
    EXPECT_TRUE(next->backend().inheritance().interfaces.empty());
    ASSERT_TRUE(next->reconcile(cluster_, endpoints_, {}));
    EXPECT_EQ(generations_in(version()).size(), 1u);
  }
}

// What is the same whichever way programs are attached.
INSTANTIATE_TEST_SUITE_P(, Inherited, testing::Values(false));
INSTANTIATE_TEST_SUITE_P(, InheritedHooks, testing::Values(false, true),
                         [](const auto& way) { return way.param ? "clsact" : "best"; });

}  // namespace
}  // namespace postern::test
