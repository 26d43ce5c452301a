// SPDX-License-Identifier: Apache-2.0
// Connections are counted in slices, when somebody asks, and what is told is the last whole count.
#include "agent/conntrack/connection_count.h"

#include <gtest/gtest.h>

#include <functional>

#include "test/unit/agent_conntrack/fake_table.h"

namespace postern::agent {
namespace {

class ConnectionCountTest : public testing::Test {
 protected:
  void SetUp() override {
    auto loop = EventLoop::make();
    ASSERT_TRUE(loop);
    loop_ = std::move(*loop);
    for (const std::uint32_t bucket : {0u, 255u, 256u, 998u, FakeTable::kBuckets - 1}) table_.add(bucket, 1, 5000);
  }
  void run_for(Duration duration) {
    loop_->after(duration, [this] { loop_->stop(); });
    ASSERT_TRUE(loop_->run());
  }
  void run_until(const std::function<bool()>& done) {
    for (int i = 0; i < 2000 && !done(); ++i) run_for(milliseconds(5));
    ASSERT_TRUE(done());
  }

  std::unique_ptr<EventLoop> loop_;
  FakeTable table_;
};

TEST_F(ConnectionCountTest, every_bucket_is_looked_at_in_slices_with_others_in_between) {
  ConnectionCount count(*loop_, table_);
  EXPECT_FALSE(count.entries());
  int turns_of_others = 0;
  std::function<void()> other = [&] {
    if (count.entries()) return;
    turns_of_others += table_.reads > turns_of_others ? 1 : 0;
    loop_->after(Duration{100'000}, other);
  };
  other();
  run_until([&] { return count.entries().has_value(); });
  EXPECT_EQ(count.entries(), 5u);
  EXPECT_EQ(table_.reads, 4);
  EXPECT_EQ(table_.most_buckets_at_once, 256u);
  EXPECT_GE(turns_of_others, 3) << "the loop was never held up for more than a slice";
}

TEST_F(ConnectionCountTest, nobody_asks_so_nothing_is_read_and_who_asks_often_gets_the_last_one) {
  ConnectionCount count(*loop_, table_, seconds(1));
  run_until([&] { return count.counts() == 1; });
  run_for(milliseconds(50));
  EXPECT_EQ(table_.reads, 4);
  table_.add(300, 9, 10);
  for (int i = 0; i < 10; ++i) {
    count.ask();
    run_for(milliseconds(5));
  }
  EXPECT_EQ(table_.reads, 4) << "the last count is younger than a second";
  EXPECT_EQ(count.entries(), 5u);
  run_for(seconds(1));
  EXPECT_EQ(table_.reads, 4);
  count.ask();
  EXPECT_EQ(count.entries(), 5u) << "the one before, until this one is whole";
  run_until([&] { return count.counts() == 2; });
  EXPECT_EQ(count.entries(), 6u);
}

TEST_F(ConnectionCountTest, a_count_that_breaks_off_tells_nothing) {
  table_.breaks_at_read = 3;
  ConnectionCount count(*loop_, table_, milliseconds(30));
  run_until([&] { return table_.reads == 3; });
  run_for(milliseconds(40));
  EXPECT_EQ(table_.reads, 3);
  EXPECT_FALSE(count.entries());
  count.ask();
  run_until([&] { return count.counts() == 1; });
  EXPECT_EQ(count.entries(), 5u);
}

TEST_F(ConnectionCountTest, one_that_goes_in_the_middle_of_a_count_leaves_nothing_on_the_loop) {
  {
    ConnectionCount count(*loop_, table_);
    run_until([&] { return table_.reads >= 1; });
  }
  const int before = table_.reads;
  run_for(milliseconds(20));
  EXPECT_EQ(table_.reads, before);
}

}  // namespace
}  // namespace postern::agent
