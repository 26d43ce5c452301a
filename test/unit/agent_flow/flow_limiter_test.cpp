// SPDX-License-Identifier: Apache-2.0
#include "agent/flow/flow_limiter.h"

#include <gtest/gtest.h>

#include "test/unit/agent_flow/events.h"

namespace postern::agent {
namespace {

using Answer = FlowLimiter::Answer;

TEST(FlowLimiter, a_flow_speaks_at_once_and_then_once_an_interval_with_what_was_in_between) {
  FlowLimiter limiter({.interval = seconds(10), .per_second = 1000});
  const struct {
    double at_s;
    Answer answer;
    std::uint64_t suppressed;
  } rows[] = {{1, Answer::record, 0},      {1.5, Answer::suppressed, 0}, {10.999, Answer::suppressed, 0},
              {11, Answer::record, 2},     {12, Answer::suppressed, 0},  {40, Answer::record, 1},
              {41, Answer::suppressed, 0}, {60, Answer::record, 1},      {90, Answer::record, 0}};
  for (const auto& row : rows) {
    const auto decision = limiter.take(denied_event(1, row.at_s));
    EXPECT_EQ(decision.answer, row.answer) << row.at_s;
    EXPECT_EQ(decision.suppressed, row.suppressed) << row.at_s;
  }
}

TEST(FlowLimiter, flows_differ_by_each_part_of_what_they_are) {
  FlowLimiter limiter({});
  ASSERT_EQ(limiter.take(denied_event(1)).answer, Answer::record);
  ASSERT_EQ(limiter.take(denied_event(1)).answer, Answer::suppressed);
  const struct {
    const char* name;
    void (*change)(pn_event&);
  } rows[] = {{"source", [](pn_event& e) { e.source[3] = 6; }},
              {"last byte of an IPv6 source", [](pn_event& e) { e.source[15] = 6; }},
              {"destination", [](pn_event& e) { e.destination[3] = 6; }},
              {"source port", [](pn_event& e) { e.source_port = 2; }},
              {"destination port", [](pn_event& e) { e.destination_port = 2; }},
              {"protocol", [](pn_event& e) { e.protocol = 17; }},
              {"direction", [](pn_event& e) { e.direction = PN_EGRESS; }},
              {"family", [](pn_event& e) { e.family = 6; }},
              {"interface", [](pn_event& e) { e.ifindex = 13; }},
              {"verdict", [](pn_event& e) { e.step = pn_step_allow(PN_REASON_RULE, 1); }}};
  for (const auto& row : rows) {
    pn_event event = denied_event(1);
    row.change(event);
    EXPECT_EQ(limiter.take(event).answer, Answer::record) << row.name;
    EXPECT_EQ(limiter.take(event).answer, Answer::suppressed) << row.name;
  }
  pn_event same = denied_event(1);
  same.step = pn_step_deny(PN_REASON_STRICT, 0);
  same.length = 60;
  same.tcp_flags = 0;
  EXPECT_EQ(limiter.take(same).answer, Answer::suppressed) << "neither reason, size nor flags make another flow";
}

TEST(FlowLimiter, all_flows_together_speak_so_often_a_second) {
  FlowLimiter limiter({.interval = seconds(10), .per_second = 100});
  int records = 0;
  std::uint16_t port = 0;
  const auto send = [&](double at_s, int count) {
    int before = records;
    for (int i = 0; i < count; ++i) records += limiter.take(denied_event(++port, at_s)).answer == Answer::record;
    return records - before;
  };
  EXPECT_EQ(send(1, 150), 100);
  EXPECT_EQ(send(1.1, 150), 10) << "a tenth of a second later";
  EXPECT_EQ(send(1.05, 10), 0) << "time does not go back";
  EXPECT_EQ(send(9, 500), 100) << "nothing is saved up beyond a second";
}

TEST(FlowLimiter, a_flow_that_was_kept_from_speaking_says_how_much_that_was) {
  FlowLimiter limiter({.interval = seconds(1), .per_second = 1});
  EXPECT_EQ(limiter.take(denied_event(1, 1)).answer, Answer::record);
  EXPECT_EQ(limiter.take(denied_event(1, 1.5)).answer, Answer::suppressed);
  pn_event other = denied_event(2, 2.1);
  EXPECT_EQ(limiter.take(other).answer, Answer::record) << "and the first may not speak now";
  EXPECT_EQ(limiter.take(denied_event(1, 2.2)).answer, Answer::over_limit);
  const auto decision = limiter.take(denied_event(1, 4));
  EXPECT_EQ(decision.answer, Answer::record);
  EXPECT_EQ(decision.suppressed, 2u);
}

std::uint64_t ns(double at_s) { return static_cast<std::uint64_t>(at_s * 1e9); }

TEST(FlowLimiter, a_flow_that_ends_while_it_is_held_back_has_its_last_event_and_their_number) {
  FlowLimiter limiter({.interval = seconds(10), .per_second = 1000});
  EXPECT_FALSE(limiter.next_summary_ns());
  (void)limiter.take(denied_event(1, 1));
  for (const double at_s : {2.0, 3.0, 4.0}) (void)limiter.take(denied_event(1, at_s));
  (void)limiter.take(denied_event(2, 1.5));
  EXPECT_EQ(limiter.next_summary_ns(), ns(11));
  EXPECT_TRUE(limiter.take_summaries(ns(10.9)).empty());
  const auto summaries = limiter.take_summaries(ns(12));
  ASSERT_EQ(summaries.size(), 1u) << "the other has said all of its events";
  EXPECT_EQ(summaries[0].last.source_port, 1);
  EXPECT_EQ(summaries[0].last.time_ns, ns(4));
  EXPECT_EQ(summaries[0].suppressed, 2u) << "and the last itself";
  EXPECT_EQ(limiter.remembered(), 1u);

  EXPECT_EQ(limiter.take(denied_event(1, 13)).answer, Answer::suppressed) << "a summary begins an interval";
  EXPECT_EQ(limiter.take(denied_event(1, 22.5)).suppressed, 1u) << "and is said once";
  EXPECT_TRUE(limiter.take_summaries(ns(40)).empty());
  EXPECT_EQ(limiter.remembered(), 0u);
  EXPECT_FALSE(limiter.next_summary_ns()) << "nobody has to be woken";
}

TEST(FlowLimiter, summaries_keep_to_the_limit_and_those_that_may_not_speak_wait) {
  FlowLimiter limiter({.interval = seconds(1), .per_second = 10});
  for (std::uint16_t port = 1; port <= 30; ++port) {
    const double at_s = 1 + port * 0.1;
    EXPECT_EQ(limiter.take(denied_event(port, at_s)).answer, Answer::record);
    (void)limiter.take(denied_event(port, at_s));
  }
  std::size_t said = 0;
  for (const double at_s : {10.0, 10.0, 10.5, 11.0, 12.0, 13.0}) {
    const std::size_t now = limiter.take_summaries(ns(at_s)).size();
    EXPECT_LE(now, 10u) << at_s;
    said += now;
  }
  EXPECT_EQ(said, 30u);
}

TEST(FlowLimiter, who_makes_room_has_its_summary_too) {
  FlowLimiter limiter({.interval = seconds(10), .per_second = 1000, .flows = 2});
  (void)limiter.take(denied_event(1, 1));
  (void)limiter.take(denied_event(1, 1.1));
  (void)limiter.take(denied_event(2, 1.2));
  (void)limiter.take(denied_event(3, 1.3));
  EXPECT_EQ(limiter.evicted(), 1u);
  ASSERT_TRUE(limiter.next_summary_ns());
  EXPECT_LE(*limiter.next_summary_ns(), ns(1.3));
  const auto summaries = limiter.take_summaries(ns(1.4));
  ASSERT_EQ(summaries.size(), 1u);
  EXPECT_EQ(summaries[0].last.source_port, 1);
  EXPECT_EQ(summaries[0].suppressed, 0u);
  EXPECT_TRUE(limiter.take_summaries(ns(1.5)).empty());
}

TEST(FlowLimiter, without_an_interval_every_event_speaks_and_nothing_is_remembered) {
  FlowLimiter limiter({.interval = seconds(0)});
  for (int i = 0; i < 3; ++i) EXPECT_EQ(limiter.take(denied_event(1)).answer, Answer::record);
  EXPECT_EQ(limiter.remembered(), 0u);
}

TEST(FlowLimiter, what_it_remembers_is_bounded_and_the_longest_silent_goes_first) {
  FlowLimiter limiter({.interval = seconds(10), .per_second = 100'000, .flows = 100});
  for (std::uint16_t port = 1; port <= 250; ++port) (void)limiter.take(denied_event(port, 1));
  EXPECT_EQ(limiter.remembered(), 100u);
  EXPECT_EQ(limiter.evicted(), 150u);
  EXPECT_EQ(limiter.take(denied_event(250, 1)).answer, Answer::suppressed);
  EXPECT_EQ(limiter.take(denied_event(151, 1)).answer, Answer::suppressed);
  EXPECT_EQ(limiter.take(denied_event(150, 1)).answer, Answer::record) << "forgotten, so it is new";
  EXPECT_EQ(limiter.evicted(), 151u);
  (void)limiter.take(denied_event(1000, 30));
  EXPECT_LT(limiter.remembered(), 10u) << "those whose interval is over make room by themselves";
  EXPECT_EQ(limiter.evicted(), 151u);
}

}  // namespace
}  // namespace postern::agent
