// SPDX-License-Identifier: Apache-2.0
// When clean-up walks the table, when it asks the node's conntrack, and what it does where nobody answers.
#include "agent/conntrack/cleanup_loop.h"

#include <gtest/gtest.h>

#include "test/unit/agent_conntrack/fake_table.h"

namespace postern::agent {
namespace {

class FakeConntrack final : public NodeConntrack {
 public:
  struct Script {
    std::vector<std::uint16_t> ports;  // what it has
    bool used = true;
    bool breaks = false;
    int begun = 0;
  };
  explicit FakeConntrack(Script& script) : script_(script) {}
  Result<void> begin() override {
    ++script_.begun;
    steps_ = 0;
    if (!script_.used) return fail(ErrorCode::not_found, "nf_conntrack is not loaded");
    return {};
  }
  Result<bool> step(ListedConnections& into) override {
    if (script_.breaks) return fail(ErrorCode::io, "a part of it was lost");
    if (steps_ == 0) {
      for (const auto port : script_.ports) into.add(tuple_of(port));
    }
    return ++steps_ == 3;
  }

 private:
  Script& script_;
  int steps_ = 0;
};

class CleanupOnTheLoop : public testing::Test {
 protected:
  void SetUp() override {
    auto loop = EventLoop::make();
    ASSERT_TRUE(loop);
    loop_ = std::move(*loop);
    for (auto& timeout : node_.timeouts) timeout = 1000;
    CleanupOptions options;
    options.period = milliseconds(2);
    options.tick_ns = seconds(1).ns;
    options.node = [this]() -> std::optional<pn_node> {
      ++asked_;
      if (!in_force_) return std::nullopt;
      return node_;
    };
    cleanup_ = std::make_unique<CleanupLoop>(*loop_, table_, options, std::make_unique<FakeConntrack>(script_));
  }
  void run_until(const std::function<bool()>& done) {
    const Instant limit = EventLoop::now() + seconds(20);
    std::function<void()> look = [&] {
      if (done() || EventLoop::now() > limit) return loop_->stop();
      loop_->after(milliseconds(1), look);
    };
    look();
    ASSERT_TRUE(loop_->run());
    ASSERT_TRUE(done());
  }
  void sweep_times(std::uint64_t count) {
    const auto until = cleanup_->numbers().sweeps + count;
    run_until([&] { return cleanup_->numbers().sweeps >= until; });
  }

  std::unique_ptr<EventLoop> loop_;
  FakeTable table_;
  FakeConntrack::Script script_;
  pn_node node_{};
  bool in_force_ = true;
  int asked_ = 0;
  std::unique_ptr<CleanupLoop> cleanup_;
};

TEST_F(CleanupOnTheLoop, NothingIsTouchedBeforeAPolicyIsInForce) {
  in_force_ = false;
  table_.add(5, 1, 5000);
  run_until([&] { return asked_ >= 3; });
  EXPECT_EQ(table_.entries.size(), 1u);
  EXPECT_EQ(cleanup_->numbers().sweeps, 0u);
  in_force_ = true;
  sweep_times(1);
  EXPECT_TRUE(table_.entries.empty());
}

TEST_F(CleanupOnTheLoop, EveryBucketIsLookedAt) {
  for (const std::uint32_t bucket : {0u, 255u, 256u, 257u, 998u, FakeTable::kBuckets - 1}) {
    table_.add(bucket, static_cast<std::uint16_t>(bucket), 5000);
  }
  table_.add(300, 9, 10);
  sweep_times(1);
  EXPECT_EQ(table_.entries.size(), 1u);
  EXPECT_EQ(cleanup_->numbers().totals.freed, 6u);
  EXPECT_EQ(cleanup_->numbers().entries, 1u);
}

TEST_F(CleanupOnTheLoop, EverySecondTimeTheNodesConntrackIsAsked) {
  sweep_times(6);
  const auto& numbers = cleanup_->numbers();
  EXPECT_EQ(numbers.cross_checks, numbers.sweeps / 2);
}

TEST_F(CleanupOnTheLoop, WhatWasThereAndIsGoneIsEndedOnceItIsIdle) {
  script_.ports = {1, 2, 3};
  table_.add(1, 1, 400);  // idle, and stays there
  table_.add(2, 2, 400);  // idle, and goes
  table_.add(3, 3, 100);  // in use, and goes
  table_.add(4, 4, 400);  // never there
  sweep_times(2);
  EXPECT_EQ(cleanup_->numbers().totals.retired, 0u);
  script_.ports = {1};
  sweep_times(2);
  EXPECT_EQ(cleanup_->numbers().totals.retired, 1u);
  EXPECT_EQ(table_.entries[1].value.seen, kTick - PN_CT_RETIRED_IDLE);
  sweep_times(1);
  EXPECT_EQ(cleanup_->numbers().entries, 3u);
}

TEST_F(CleanupOnTheLoop, WithoutTheNodesConntrackTimeoutsAloneDecide) {
  script_.ports = {1, 2};
  table_.add(1, 1, 400);
  sweep_times(2);
  for (const bool breaks : {false, true}) {
    SCOPED_TRACE(breaks ? "a dump that breaks off" : "not in use");
    script_.used = breaks;
    script_.breaks = breaks;
    script_.ports.clear();
    table_.add(2, 2, 5000);
    const int begun = script_.begun;
    run_until([&] { return script_.begun >= begun + 3; });
    ASSERT_EQ(table_.entries.size(), 1u);
    EXPECT_EQ(table_.entries[0].value.seen, kTick - 400);
  }
  EXPECT_EQ(cleanup_->numbers().totals.retired, 0u);
  EXPECT_EQ(cleanup_->numbers().totals.freed, 2u);
}

TEST_F(CleanupOnTheLoop, AfterAnErrorTheNextTimeTriesAgain) {
  table_.broken = true;
  table_.add(2, 2, 5000);
  run_until([&] { return asked_ >= 3; });
  EXPECT_EQ(table_.entries.size(), 1u);
  table_.broken = false;
  sweep_times(1);
  EXPECT_TRUE(table_.entries.empty());
}

}  // namespace
}  // namespace postern::agent
