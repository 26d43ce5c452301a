// SPDX-License-Identifier: Apache-2.0
// What may happen to an entry between the moment clean-up reads it and the moment it changes it, one case
// after another; and each case again without the guard, where it must go wrong.
#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "test/kernel_conntrack/tracked_pod.h"

namespace postern::test::guard_test {
namespace {

using agent::ConnectionSweep;
using agent::ListedConnections;

constexpr Socket kHere{TrackedPod::kPodAddress, 50000};
constexpr Socket kThere{ip4(10, 0, 2, 2), 443};
constexpr std::uint32_t kLeastIdle = 150;

// Lets packets in before every change.
class Interposed final : public ConnectionTable {
 public:
  explicit Interposed(ConnectionTable& table) : table_(table) {}
  std::function<void()> before_change = [] {};

  [[nodiscard]] std::uint32_t buckets() const override { return table_.buckets(); }
  Result<std::uint32_t> now() override { return table_.now(); }
  Result<void> read(std::uint32_t first, std::uint32_t count, std::vector<PlacedConnection>& into) override {
    return table_.read(first, count, into);
  }
  Result<void> change(std::span<ConnectionChange> changes, std::uint32_t now) override {
    if (!changes.empty()) before_change();
    return table_.change(changes, now);
  }

 private:
  ConnectionTable& table_;
};

class CleanupGuard : public testing::TestWithParam<bool> {  // false: without the guard
 protected:
  void SetUp() override {
    auto made = TrackedPod::make(64, GetParam());
    ASSERT_TRUE(made) << made.error().to_string();
    pod_ = std::move(*made);
    table_ = std::make_unique<Interposed>(pod_->table());
    sweep_ = std::make_unique<ConnectionSweep>(*table_);
    listed_.add(tuple_of(PN_IP_TCP, kHere, kThere));
  }

  void walk_with(ListedConnections* listed) {
    const auto done = walk(*sweep_, pod_->cleanup_clock(kLeastIdle), listed);
    ASSERT_TRUE(done) << done.error().to_string();
  }

  // A connection of TCP that the node's conntrack has had, idle for long.
  void open_noted_and_idle() {
    ASSERT_TRUE(pod_->out(tcp(kHere, kThere, kSyn)));
    ASSERT_TRUE(answered());
    walk_with(&listed_);
    pod_->wait_ticks(200);
  }
  bool answered() { return pod_->in(tcp(kThere, kHere, kAck)); }

  [[nodiscard]] static bool guarded() { return GetParam(); }

  std::unique_ptr<TrackedPod> pod_;
  std::unique_ptr<Interposed> table_;
  std::unique_ptr<ConnectionSweep> sweep_;
  ListedConnections listed_;
  ListedConnections nothing_;
};

TEST_P(CleanupGuard, WhatHasEndedIsTakenOut) {
  ASSERT_TRUE(pod_->out(udp(kHere, kThere)));
  ASSERT_TRUE(pod_->in(udp(kThere, kHere)));
  walk_with(nullptr);
  EXPECT_EQ(sweep_->alive(), 1u);
  pod_->wait_ticks(TrackedPod::kShort + kTicksAfterTheEnd - 1);
  walk_with(nullptr);
  EXPECT_EQ(sweep_->alive(), 0u) << "it has ended";
  EXPECT_EQ(pod_->tracked(), 1u) << "but a packet may still be writing";
  pod_->wait_ticks(1);
  walk_with(nullptr);
  EXPECT_EQ(pod_->tracked(), 0u);
  EXPECT_EQ(sweep_->totals(), (ConnectionSweep::Totals{.freed = 1, .retired = 0, .spared = 0}));
}

TEST_P(CleanupGuard, APortThatIsUsedAgainKeepsItsNewConnection) {
  ASSERT_TRUE(pod_->out(udp(kHere, kThere)));
  pod_->wait_ticks(200);
  table_->before_change = [&] { ASSERT_TRUE(pod_->out(udp(kHere, kThere))); };
  walk_with(nullptr);
  EXPECT_EQ(pod_->in(udp(kThere, kHere)), guarded()) << "the answer to a connection just opened";
  EXPECT_EQ(sweep_->totals().spared, guarded() ? 1u : 0u);
}

TEST_P(CleanupGuard, IdleHereAndGoneThereIsEnded) {
  open_noted_and_idle();
  walk_with(&listed_);
  ASSERT_EQ(sweep_->alive(), 1u) << "the node still has it";
  walk_with(nullptr);
  ASSERT_EQ(sweep_->alive(), 1u) << "nobody was asked";
  walk_with(&nothing_);
  EXPECT_EQ(sweep_->alive(), 0u);
  EXPECT_FALSE(answered());
  EXPECT_EQ(pod_->tracked(), 1u);
  pod_->wait_ticks(kTicksAfterTheEnd);
  walk_with(nullptr);
  EXPECT_EQ(pod_->tracked(), 0u);
  EXPECT_EQ(sweep_->totals(), (ConnectionSweep::Totals{.freed = 0, .retired = 1, .spared = 0})) << "counted once";
}

TEST_P(CleanupGuard, WhatTheNodesConntrackNeverHadIsLeftToItsTimeout) {
  ASSERT_TRUE(pod_->out(tcp(kHere, kThere, kSyn)));
  ASSERT_TRUE(answered());
  pod_->wait_ticks(5000);
  walk_with(&nothing_);
  EXPECT_TRUE(answered());
}

TEST_P(CleanupGuard, AConnectionThatIsUsedMeanwhileIsNotEnded) {
  open_noted_and_idle();
  table_->before_change = [&] { ASSERT_TRUE(answered()); };
  walk_with(&nothing_);
  table_->before_change = [] {};
  EXPECT_EQ(answered(), guarded());
  EXPECT_EQ(sweep_->totals().spared, guarded() ? 1u : 0u);
}

// The new one has not been seen by the node's conntrack.
TEST_P(CleanupGuard, APortThatIsUsedAgainInheritsNoNote) {
  ASSERT_TRUE(pod_->out(tcp(kHere, kThere, kSyn)));
  ASSERT_TRUE(answered());
  table_->before_change = [&] {
    pod_->wait_ticks(1);
    ASSERT_TRUE(pod_->out(tcp(kHere, kThere, kSyn)));
    ASSERT_TRUE(answered());
  };
  walk_with(&listed_);
  table_->before_change = [] {};
  pod_->wait_ticks(200);
  walk_with(&nothing_);
  EXPECT_EQ(answered(), guarded());
}

std::string name_of(const testing::TestParamInfo<bool>& info) { return info.param ? "Guarded" : "Unguarded"; }
INSTANTIATE_TEST_SUITE_P(Sweep, CleanupGuard, testing::Bool(), name_of);

}  // namespace
}  // namespace postern::test::guard_test
