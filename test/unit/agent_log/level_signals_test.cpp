// SPDX-License-Identifier: Apache-2.0
#include "agent/log/level_signals.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>

#include "agent/log/log.h"

namespace postern::agent {
namespace {

class LevelSignalsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto made = EventLoop::make();
    ASSERT_TRUE(made) << made.error().to_string();
    loop = std::move(*made);
    auto watching = LevelSignals::watch(*loop, [this] { return settings; });
    ASSERT_TRUE(watching) << watching.error().to_string();
    signals = std::move(*watching);
    ASSERT_TRUE(set_up_log({.level = LogLevel::info}));
    ::testing::internal::CaptureStderr();
  }
  void TearDown() override { said = ::testing::internal::GetCapturedStderr(); }

  // The level after the loop has seen the signal.
  LogLevel after(int signal) {
    kill(getpid(), signal);
    loop->after(milliseconds(50), [this] { loop->stop(); });
    EXPECT_TRUE(loop->run());
    return log_level();
  }
  std::string taken() {
    std::string text = ::testing::internal::GetCapturedStderr();
    ::testing::internal::CaptureStderr();
    return text;
  }

  std::unique_ptr<EventLoop> loop;
  std::unique_ptr<LevelSignals> signals;
  Result<LogLevel> settings = LogLevel::info;
  std::string said;
};

TEST_F(LevelSignalsTest, usr1_makes_it_talk_more_and_usr2_less_to_the_ends_of_the_scale) {
  EXPECT_EQ(after(SIGUSR1), LogLevel::debug);
  EXPECT_EQ(after(SIGUSR1), LogLevel::debug);
  EXPECT_EQ(after(SIGUSR2), LogLevel::info);
  EXPECT_EQ(after(SIGUSR2), LogLevel::warn);
  EXPECT_EQ(after(SIGUSR2), LogLevel::error);
  EXPECT_EQ(after(SIGUSR2), LogLevel::fatal);
  EXPECT_EQ(after(SIGUSR2), LogLevel::fatal);
  // Also a log that is all but silent says that its level has changed.
  EXPECT_NE(taken().find("SIGUSR2: log level fatal, was error"), std::string::npos);
}

TEST_F(LevelSignalsTest, hup_takes_what_the_settings_say_now) {
  settings = LogLevel::error;
  EXPECT_EQ(after(SIGHUP), LogLevel::error);
  EXPECT_NE(taken().find("SIGHUP: log level error, was info"), std::string::npos);
  EXPECT_EQ(after(SIGUSR1), LogLevel::warn);
  EXPECT_EQ(after(SIGHUP), LogLevel::error);
}

TEST_F(LevelSignalsTest, hup_with_wrong_settings_changes_nothing_and_says_why) {
  settings = fail(ErrorCode::invalid_input, "log-level is wrong", {"a.yaml", 3, 1});
  EXPECT_EQ(after(SIGHUP), LogLevel::info);
  EXPECT_NE(
      taken().find("SIGHUP: the settings are wrong, nothing is changed: a.yaml:3:1: log-level is wrong"),
      std::string::npos);
}

TEST_F(LevelSignalsTest, afterwards_the_signals_are_no_longer_taken) {
  signals.reset();
  EXPECT_EQ(after(SIGUSR1), LogLevel::info);
  // It is still pending in this process, which the next test must not see.
  sigset_t pending;
  sigemptyset(&pending);
  sigaddset(&pending, SIGUSR1);
  int got = 0;
  EXPECT_EQ(sigwait(&pending, &got), 0);
  EXPECT_EQ(got, SIGUSR1);
}

}  // namespace
}  // namespace postern::agent
