// SPDX-License-Identifier: Apache-2.0
#include "agent/loop/event_loop.h"

#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <array>
#include <string>
#include <thread>

namespace postern::agent {
namespace {

class EventLoopTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto made = EventLoop::make();
    ASSERT_TRUE(made) << made.error().to_string();
    loop = std::move(*made);
    // No test hangs; one that gets here has failed.
    loop->after(seconds(20), [this] {
      ADD_FAILURE() << "nothing ended the loop";
      loop->stop();
    });
  }
  void run() { ASSERT_TRUE(loop->run()); }

  std::unique_ptr<EventLoop> loop;
  std::string seen;
};

TEST_F(EventLoopTest, TimersRunWhenTheyAreDueAndInOrder) {
  const Instant start = EventLoop::now();
  loop->at(start + milliseconds(20), [&] { seen += "b"; });
  loop->at(start + milliseconds(10), [&] { seen += "a"; });
  loop->at(start + milliseconds(20), [&] { seen += "c"; });
  loop->at(start + milliseconds(30), [&] { loop->stop(); });
  run();
  EXPECT_EQ(seen, "abc");
  EXPECT_GE((EventLoop::now() - start).ns, milliseconds(30).ns);
}

TEST_F(EventLoopTest, ATimerThatIsCancelledDoesNotRunAlsoByAnotherOfTheSameMoment) {
  const Instant start = EventLoop::now();
  EventLoop::TimerId second = 0;
  loop->at(start, [&] { loop->cancel(second); });
  second = loop->at(start, [&] { seen += "cancelled"; });
  loop->cancel(loop->at(start, [&] { seen += "too"; }));
  loop->cancel(0);
  loop->at(start + milliseconds(1), [&] { loop->stop(); });
  run();
  EXPECT_EQ(seen, "");
}

TEST_F(EventLoopTest, ADescriptorIsReportedUntilItIsForgotten) {
  std::array<int, 2> ends{};
  ASSERT_EQ(pipe(ends.data()), 0);
  ASSERT_TRUE(loop->watch(ends[0], EPOLLIN, [&](std::uint32_t events) {
    EXPECT_TRUE(events & EPOLLIN);
    char byte = 0;
    ASSERT_EQ(read(ends[0], &byte, 1), 1);
    seen += byte;
    if (seen.size() == 2) {
      loop->forget(ends[0]);
      loop->after(milliseconds(5), [&] { loop->stop(); });
    }
  }));
  ASSERT_EQ(write(ends[1], "xyz", 3), 3);
  run();
  EXPECT_EQ(seen, "xy");
  close(ends[0]);
  close(ends[1]);
}

TEST_F(EventLoopTest, ADescriptorThatCannotBeWatchedIsAnError) {
  const auto watched = loop->watch(-1, EPOLLIN, [](std::uint32_t) {});
  ASSERT_FALSE(watched);
  EXPECT_EQ(watched.error().code, ErrorCode::io);
}

TEST_F(EventLoopTest, WorkOfOtherThreadsRunsHereInOrder) {
  const auto here = std::this_thread::get_id();
  std::thread other([&] {
    for (char c = 'a'; c <= 'e'; ++c) {
      loop->post([&, c] {
        EXPECT_EQ(std::this_thread::get_id(), here);
        seen += c;
      });
    }
    loop->stop();
  });
  run();
  other.join();
  EXPECT_EQ(seen, "abcde");
}

TEST_F(EventLoopTest, WorkThatPostsItselfDoesNotKeepTimersWaiting) {
  std::function<void()> again = [&] { loop->post(again); };
  loop->post(again);
  loop->after(milliseconds(5), [&] { loop->stop(); });
  run();
}

}  // namespace
}  // namespace postern::agent
