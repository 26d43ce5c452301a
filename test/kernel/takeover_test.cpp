// SPDX-License-Identifier: Apache-2.0
// One process after another enforces on the same interfaces: what the first left behind when it was
// killed stays in force, and the second takes it over without a packet that is lost or let through.
// The same is tried without pins, where it must fail: so these tests can tell.
#include <algorithm>

#include "engine/conntrack/conntrack_view.h"
#include "test/kernel/takeover_fixture.h"

namespace postern::test {
namespace {

class Takeover : public TakeoverTest {};

TEST_P(Takeover, NothingIsLostAndNothingPassesWhenTheProcessIsKilledAndComesBack) {
  const auto wrong = kill_and_restart(options());
  EXPECT_TRUE(wrong.empty()) << joined(wrong);
}

TEST_P(Takeover, TheSameFailsWithoutPins) {
  TcOptions unpinned = options();
  unpinned.pin_path.clear();
  const auto wrong = kill_and_restart(unpinned);
  // A link goes with its process, and everything passes; a filter stays, but its connections are lost.
  const std::string text = joined(wrong);
  EXPECT_NE(text.find(GetParam() ? "late answer in: " : "stranger in: "), std::string::npos) << text;
}


// A policy that changes while nobody is there, several times under the same traffic.
TEST_P(Takeover, APolicyChangedWhileNobodyEnforcesIsInForceAfterTheStart) {
  NumberedTraffic traffic(1ms);
  std::vector<EnforcingProcess> running;
  const auto restart = [&] {
    auto process = first_process(options());
    ASSERT_TRUE(process) << process.error().to_string();
    running.push_back(std::move(*process));
  };
  restart();
  add_flows(traffic);
  traffic.start();
  settle(traffic);
  bool open = true;
  for (int round = 0; round < 4; ++round) {
    traffic.wait(100);
    running.back().kill();
    traffic.wait(100);
    open = !open;
    cluster_.network_policies.begin()->second.egress = {
        to_or_from(std::string(kFriend) + "/32", {open ? std::uint16_t{7001} : std::uint16_t{7002}, 7099})};
    for (const char* flow : {"out", "answer in"}) traffic.expect(flow, Expected::either);
    restart();
    EXPECT_TRUE(traffic.wait_until("out", open, kPatience)) << "round " << round;
    EXPECT_TRUE(traffic.wait_until("answer in", open, kPatience)) << "round " << round;
    for (const char* flow : {"out", "answer in"}) {
      traffic.expect(flow, open ? Expected::passes : Expected::is_dropped);
    }
    EXPECT_EQ(generations_in(version()).size(), 1u) << "round " << round;
  }
  traffic.wait(100);
  const auto wrong = traffic.stop();
  EXPECT_TRUE(wrong.empty()) << joined(wrong);
}

// Pods 0, 1 and 2; the second process is killed when it has switched 0 and not yet 2.
TEST_P(Takeover, AProcessKilledWhileItSwitchesLeavesEveryInterfaceWithAWholePolicy) {
  ASSERT_TRUE(add_pods(2));
  cluster_ = cluster_of(3);
  auto first = first_process(options());
  ASSERT_TRUE(first) << first.error().to_string();
  NumberedTraffic traffic(1ms);
  add_flows(traffic, 0);
  add_flows(traffic, 2);
  traffic.start();
  settle(traffic);
  ASSERT_TRUE(traffic.wait_until("2 late answer in", true, kPatience));
  ASSERT_TRUE(traffic.wait_until("2 answer out", true, kPatience));
  for (const char* flow : kAllowed) traffic.expect(std::string("2 ") + flow, Expected::passes);
  first->kill();
  ASSERT_TRUE(rig_->delete_pod(1));

  // It does not come to pod 2: it is told of 0 and 1, and stands still at 1, before what it was not told of.
  auto second = EnforcingProcess::start([&]() -> Result<void> {
    endpoints_.pop_back();
    auto done = enforce(options());
    if (done || done.error().code != ErrorCode::not_found) {
      return fail(ErrorCode::internal, "expected to stop at the interface that is gone");
    }
    return {};
  });
  ASSERT_TRUE(second) << second.error().to_string();
  traffic.wait(100);
  second->kill();
  EXPECT_EQ(generations_in(version()).size(), 2u) << "both are in use";
  traffic.wait(100);

  endpoints_.erase(endpoints_.begin() + 1);
  ASSERT_TRUE(enforce(options()));
  traffic.wait(200);
  const auto wrong = traffic.stop();
  EXPECT_TRUE(wrong.empty()) << joined(wrong);
  EXPECT_EQ(generations_in(version()).size(), 1u);
  EXPECT_TRUE(is_pinned(0));
  EXPECT_FALSE(is_pinned(1)) << "its interface is gone";
  EXPECT_TRUE(is_pinned(2));
}

// A qdisc that comes or goes stops the interface's queue for a moment, and what is sent to the pod
// meanwhile is lost; but nothing passes that should not, and connections live on.
TEST_P(Takeover, OneKindOfAttachmentReplacesTheOther) {
  auto first = first_process(options());
  ASSERT_TRUE(first) << first.error().to_string();
  NumberedTraffic traffic(1ms);
  add_flows(traffic);
  traffic.start();
  settle(traffic);
  first->kill();
  TcOptions other = options();
  other.force_clsact = !other.force_clsact;
  for (const TcOptions& next : {other, options()}) {
    enforcer_.reset();
    for (const char* flow : kAllowed) traffic.expect(flow, Expected::either);
    ASSERT_TRUE(enforce(next));
    for (const char* flow : kAllowed) EXPECT_TRUE(traffic.wait_until(flow, true, kPatience)) << flow;
    for (const char* flow : kAllowed) traffic.expect(flow, Expected::passes);
    traffic.wait(100);
  }
  const auto wrong = traffic.stop();
  EXPECT_TRUE(wrong.empty()) << joined(wrong);
}

TEST_P(Takeover, OfAnotherVersionTheInterfacesAreTakenOverAndNeverOpen) {
  auto first = first_process(options());
  ASSERT_TRUE(first) << first.error().to_string();
  NumberedTraffic traffic(1ms);
  add_flows(traffic);
  traffic.start();
  settle(traffic);
  first->kill();
  const std::string old_version = path_ + "/v1";
  ASSERT_TRUE(tc::rename_folder(version(), old_version));
  // What has no rule of its own lives by its connection, and those are lost.
  for (const char* flow : {"answer in", "answer out", "late answer in"}) traffic.expect(flow, Expected::either);
  ASSERT_TRUE(enforce(options()));
  EXPECT_TRUE(traffic.wait_until("late answer in", false, kPatience));
  EXPECT_TRUE(traffic.wait_until("answer in", true, kPatience)) << "its opener has been heard again";
  const auto wrong = traffic.stop();
  EXPECT_TRUE(wrong.empty()) << joined(wrong);
  EXPECT_FALSE(tc::folder_exists(old_version));
  EXPECT_TRUE(is_pinned(0));

  const Inheritance& inherited = enforcer_->backend().inheritance();
  ASSERT_EQ(inherited.interfaces.size(), 1u);
  EXPECT_EQ(inherited.interfaces[0].ifindex, rig_->pod(0).ifindex);
  EXPECT_EQ(inherited.interfaces[0].endpoint, EndpointId{});
  EXPECT_FALSE(inherited.connections);
  EXPECT_NE(joined(enforcer_->backend().take_notes()).find("connections of the version before"),
            std::string::npos);
}

TEST_P(Takeover, ThreeCapabilitiesAreEnough) {
  with_few([&] { return enforce(options()); });
  NumberedTraffic traffic(1ms);
  add_flows(traffic);
  traffic.start();
  settle(traffic);
  with_few([&] { return enforce(options()); });
  traffic.wait(100);
  const auto wrong = traffic.stop();
  EXPECT_TRUE(wrong.empty()) << joined(wrong);
  with_few([&]() -> Result<void> {
    const auto removed = tc::uninstall(path_);
    if (!removed) return fail_as(removed);
    if (removed->removed.size() < 4 || !removed->left.empty()) return fail(ErrorCode::internal, "too little");
    return {};
  });
  EXPECT_FALSE(tc::folder_exists(path_));
}

INSTANTIATE_TEST_SUITE_P(, Takeover, testing::Values(false, true),
                         [](const auto& way) { return way.param ? "clsact" : "best"; });

}  // namespace
}  // namespace postern::test
