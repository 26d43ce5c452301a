// SPDX-License-Identifier: Apache-2.0
#include "agent/http/health_state.h"

#include <gtest/gtest.h>

namespace postern::agent {
namespace {

constexpr Instant kNow{1'000'000'000'000};

TEST(HealthState, starts_alive_and_not_ready) {
  const HealthState state;
  EXPECT_TRUE(state.alive(kNow).good);
  EXPECT_FALSE(state.ready(kNow).good);
  EXPECT_EQ(state.ready(kNow).reason, "the agent is starting");
}

TEST(HealthState, says_what_it_was_told_last) {
  HealthState state;
  state.set_ready();
  EXPECT_TRUE(state.ready(kNow).good);
  EXPECT_EQ(state.ready(kNow).reason, "");
  state.set_not_ready("bpffs is gone");
  EXPECT_EQ(state.ready(kNow).reason, "bpffs is gone");
  EXPECT_TRUE(state.alive(kNow).good);
}

TEST(HealthState, is_not_ready_while_it_is_not_alive) {
  HealthState state;
  state.set_ready();
  state.set_not_alive("the gRPC socket is gone");
  EXPECT_EQ(state.alive(kNow).reason, "the gRPC socket is gone");
  EXPECT_EQ(state.ready(kNow).reason, "the gRPC socket is gone");
  state.set_alive();
  EXPECT_TRUE(state.ready(kNow).good);
}

TEST(HealthState, a_loop_that_stands_still_is_not_alive) {
  HealthState state;
  state.set_ready();
  state.beat(kNow);
  EXPECT_TRUE(state.alive(kNow + HealthState::kBeatLimit).good);
  const Instant late = kNow + HealthState::kBeatLimit + seconds(1);
  EXPECT_FALSE(state.alive(late).good);
  EXPECT_EQ(state.alive(late).reason, "the agent's loop has not moved for 61 s");
  EXPECT_FALSE(state.ready(late).good);
  state.beat(late);
  EXPECT_TRUE(state.ready(late).good);
}

}  // namespace
}  // namespace postern::agent
