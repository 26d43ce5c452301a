// SPDX-License-Identifier: Apache-2.0
// The delivery by hand: what is asked next after each kind of answer, and how long it waits.
#include "agent/cloudwatch/log_delivery.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace postern::agent::cloudwatch {
namespace {

using State = LogDelivery::Condition::State;

constexpr Instant kStart{1'000'000'000};

class LogDeliveryTest : public ::testing::Test {
 protected:
  // What is to be done now: "put 0,1", "make stream", "make group", "wait 5000 ms", "nothing".
  std::string wanted() const {
    const auto& want = delivery.want();
    if (want.request == 0) {
      if (want.wake == LogDelivery::kNever) return "nothing";
      return "wait " + std::to_string((want.wake - now).ns / 1'000'000) + " ms";
    }
    const std::string anew = want.new_credentials ? " with new credentials" : "";
    if (want.operation == Operation::create_stream) return "make stream" + anew;
    if (want.operation == Operation::create_group) return "make group" + anew;
    std::string text = "put ";
    const auto body = nlohmann::json::parse(delivery.body());
    for (const auto& event : body["logEvents"]) {
      if (text != "put ") text += ',';
      text += event["message"].get<std::string>();
    }
    return text + anew;
  }
  void add(const std::string& message) { delivery.add(1000, message, now); }
  void answer(int status, const std::string& body = "{}") {
    delivery.on_answer({status, retry_after, body}, now);
  }
  void refuse(const std::string& type) { answer(400, R"({"__type":")" + type + R"(","message":"m"})"); }
  void later(Duration duration) {
    now = now + duration;
    delivery.on_time(now);
  }
  // Until the wake that was asked for, which has to lie between the two.
  void sleep_between(std::int64_t least_ms, std::int64_t most_ms) {
    ASSERT_EQ(delivery.want().request, 0u) << wanted();
    const std::int64_t wait_ms = (delivery.want().wake - now).ns / 1'000'000;
    EXPECT_GE(wait_ms, least_ms);
    EXPECT_LE(wait_ms, most_ms);
    now = delivery.want().wake;
    delivery.on_time(now);
  }
  void started() {
    delivery.start({"g", "s"}, now);
    answer(200);
  }
  // A line under way.
  void putting(const std::string& message = "0") {
    started();
    add(message);
    later(seconds(5));
    ASSERT_EQ(wanted(), "put " + message);
  }

  Instant now = kStart;
  std::optional<Duration> retry_after;
  LogDelivery delivery{{}, 1};
};

TEST_F(LogDeliveryTest, makes_the_stream_first_and_the_group_only_where_it_is_missing) {
  EXPECT_EQ(wanted(), "nothing");
  delivery.start({"g", "s"}, now);
  EXPECT_EQ(wanted(), "make stream");
  EXPECT_EQ(delivery.body(), R"({"logGroupName":"g","logStreamName":"s"})");
  refuse("ResourceNotFoundException");
  EXPECT_EQ(wanted(), "make group");
  EXPECT_EQ(delivery.body(), R"({"logGroupName":"g"})");
  refuse("ResourceAlreadyExistsException");  // another node was faster
  EXPECT_EQ(wanted(), "make stream");
  refuse("ResourceAlreadyExistsException");
  EXPECT_EQ(wanted(), "nothing");
  EXPECT_EQ(delivery.condition().state, State::delivering);
}

TEST_F(LogDeliveryTest, waits_for_company_and_sends_all_of_it) {
  started();
  add("0");
  EXPECT_EQ(wanted(), "wait 5000 ms");
  later(milliseconds(3000));
  add("1");
  EXPECT_EQ(wanted(), "wait 2000 ms");  // the oldest one decides
  later(milliseconds(2000));
  EXPECT_EQ(wanted(), "put 0,1");
  add("2");
  later(seconds(60));
  EXPECT_EQ(wanted(), "put 0,1");  // one at a time
  answer(200);
  EXPECT_EQ(wanted(), "put 2");
  answer(200);
  EXPECT_EQ(wanted(), "nothing");
  EXPECT_EQ(delivery.counters().sent, 3u);
  EXPECT_TRUE(delivery.empty());
}

TEST_F(LogDeliveryTest, a_full_batch_waits_for_nothing) {
  started();
  for (std::size_t i = 0; i < kMaxBatchEvents - 1; ++i) add("x");
  EXPECT_EQ(wanted(), "wait 5000 ms");
  add("x");
  EXPECT_EQ(wanted().substr(0, 3), "put");
  answer(200);
  const std::string large(100'000, 'x');
  for (int i = 0; i < 10; ++i) add(large);
  EXPECT_EQ(wanted(), "wait 5000 ms");
  add(large);
  EXPECT_EQ(wanted().substr(0, 3), "put");
}

TEST_F(LogDeliveryTest, takes_lines_before_it_knows_where_they_go) {
  add("0");
  later(seconds(100));
  EXPECT_EQ(wanted(), "nothing");
  started();
  EXPECT_EQ(wanted(), "put 0");
}

TEST_F(LogDeliveryTest, what_may_pass_is_tried_again_after_a_growing_wait) {
  putting();
  std::int64_t least_ms = 500;
  for (int i = 0; i < 12; ++i) {
    refuse(i % 2 == 0 ? "ThrottlingException" : "ServiceUnavailableException");
    sleep_between(least_ms, 2 * least_ms);
    EXPECT_EQ(wanted(), "put 0");
    least_ms = std::min<std::int64_t>(2 * least_ms, 30'000);
  }
  answer(200);
  EXPECT_EQ(delivery.counters().throttled, 6u);
  EXPECT_EQ(delivery.counters().failures, 12u);
  // The next failure begins small again.
  add("1");
  later(seconds(5));
  delivery.on_no_answer("no answer", "connection refused", now);
  sleep_between(500, 1000);
  EXPECT_EQ(wanted(), "put 1");
}

TEST_F(LogDeliveryTest, the_service_may_ask_for_a_longer_wait_within_reason) {
  putting();
  retry_after = seconds(7);
  answer(503);
  sleep_between(7000, 7000);
  retry_after = seconds(100'000);
  answer(429);
  sleep_between(120'000, 120'000);
  EXPECT_EQ(wanted(), "put 0");
}

TEST_F(LogDeliveryTest, waits_differ_between_nodes) {
  std::set<std::int64_t> waits;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    LogDelivery one({}, seed);
    one.start({"g", "s"}, now);
    one.on_answer({503, std::nullopt, ""}, now);
    waits.insert(one.want().wake.ns);
  }
  EXPECT_GT(waits.size(), 15u);
}

TEST_F(LogDeliveryTest, a_stream_that_vanished_is_made_again_for_the_same_batch) {
  putting("before");
  answer(200);
  add("0");
  later(seconds(5));
  EXPECT_EQ(wanted(), "put 0");
  refuse("ResourceNotFoundException");
  EXPECT_EQ(wanted(), "make stream");
  refuse("ResourceNotFoundException");
  EXPECT_EQ(wanted(), "make group");
  answer(200);
  EXPECT_EQ(wanted(), "make stream");
  answer(200);
  EXPECT_EQ(wanted(), "put 0");
  // It was made, and still it is not there: no storm.
  std::int64_t least_ms = 500;
  for (int i = 0; i < 5; ++i) {
    refuse("ResourceNotFoundException");
    sleep_between(least_ms, 2 * least_ms);
    EXPECT_EQ(wanted(), "make stream");
    answer(200);
    EXPECT_EQ(wanted(), "put 0");
    least_ms *= 2;
  }
  answer(200);
  EXPECT_EQ(wanted(), "nothing");
  EXPECT_EQ(delivery.counters().sent, 2u);
}

TEST_F(LogDeliveryTest, a_group_that_is_made_in_vain_is_no_storm_either) {
  delivery.start({"g", "s"}, now);
  refuse("ResourceNotFoundException");
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(wanted(), "make group");
    refuse("ResourceAlreadyExistsException");
    EXPECT_EQ(wanted(), "make stream");
    refuse("ResourceNotFoundException");
    sleep_between(500 << i, 1000 << i);
  }
}

TEST_F(LogDeliveryTest, a_malformed_batch_is_halved_in_order_down_to_the_line) {
  started();
  for (const char* message : {"0", "1", "2", "3", "4"}) add(message);
  later(seconds(5));
  std::string asked;
  for (int i = 0; i < 20 && delivery.want().request != 0; ++i) {
    asked += wanted().substr(4) + " ";
    if (wanted().find('3') == std::string::npos) {
      answer(200);
    } else {
      refuse("InvalidParameterException");
    }
  }
  EXPECT_EQ(asked, "0,1,2,3,4 0,1 2,3,4 2 3,4 3 4 ");
  EXPECT_EQ(delivery.counters().sent, 4u);
  EXPECT_EQ(delivery.counters().lost_refused, 1u);
  EXPECT_TRUE(delivery.empty());
}

TEST_F(LogDeliveryTest, a_batch_of_which_nothing_is_taken_is_given_up_before_long) {
  started();
  for (int i = 0; i < 10'000; ++i) add("x");
  int requests = 0;
  for (; delivery.want().request != 0; ++requests) {
    ASSERT_LT(requests, 200);
    refuse("InvalidParameterException");
  }
  EXPECT_EQ(delivery.counters().lost_refused, 10'000u);
  EXPECT_TRUE(delivery.empty());
}

TEST_F(LogDeliveryTest, refused_credentials_are_replaced_once_and_then_tried_slowly) {
  putting();
  refuse("ExpiredTokenException");
  EXPECT_EQ(wanted(), "put 0 with new credentials");
  EXPECT_EQ(delivery.condition().state, State::delivering);  // no word yet
  refuse("AccessDeniedException");
  EXPECT_EQ(delivery.condition().state, State::refused);
  EXPECT_EQ(delivery.condition().detail, "AccessDeniedException: m");
  for (int i = 0; i < 3; ++i) {
    sleep_between(60'000, 90'000);
    EXPECT_EQ(wanted(), "put 0 with new credentials");
    refuse("AccessDeniedException");
  }
  sleep_between(60'000, 90'000);
  answer(200);
  EXPECT_EQ(delivery.condition().state, State::delivering);
  EXPECT_EQ(delivery.counters().sent, 1u);
  // And once more from the start.
  add("1");
  later(seconds(5));
  refuse("ExpiredTokenException");
  EXPECT_EQ(wanted(), "put 1 with new credentials");
}

TEST_F(LogDeliveryTest, whoever_may_not_make_the_group_asks_for_the_stream_next_time) {
  delivery.start({"g", "s"}, now);
  refuse("ResourceNotFoundException");
  EXPECT_EQ(wanted(), "make group");
  refuse("AccessDeniedException");
  EXPECT_EQ(wanted(), "make group with new credentials");
  refuse("AccessDeniedException");
  sleep_between(60'000, 90'000);
  EXPECT_EQ(wanted(), "make stream with new credentials");
}

TEST_F(LogDeliveryTest, trouble_is_worth_a_word_once_it_lasts) {
  putting();
  delivery.on_no_answer("no answer", "connection refused", now);
  EXPECT_EQ(delivery.condition().state, State::delivering);
  later(seconds(11));
  delivery.on_no_answer("no answer", "connection refused", now);
  EXPECT_EQ(delivery.condition().state, State::troubled);
  EXPECT_EQ(delivery.condition().code, "no answer");
  later(seconds(11));
  answer(200);
  EXPECT_EQ(delivery.condition().state, State::delivering);
}

TEST_F(LogDeliveryTest, anything_else_is_tried_slowly_and_loses_nothing) {
  putting();
  refuse("LimitExceededException");
  EXPECT_EQ(delivery.condition().state, State::refused);
  sleep_between(60'000, 90'000);
  EXPECT_EQ(wanted(), "put 0");
}

TEST_F(LogDeliveryTest, both_bounds_count_what_is_under_way_and_refuse_what_comes) {
  DeliveryOptions options;
  options.most_events = 3;
  options.most_bytes = 100;
  LogDelivery small(options, 1);
  small.start({"g", "s"}, now);
  small.on_answer({200, std::nullopt, ""}, now);
  for (const char* message : {"0", "1", "2", "3"}) small.add(1000, message, now);
  EXPECT_EQ(small.counters().lost_queue_full, 1u);
  EXPECT_EQ(small.counters().held_bytes, 3 * 27u);
  small.on_time(now + seconds(5));
  small.add(1000, "4", now);  // the three are under way
  EXPECT_EQ(small.counters().lost_queue_full, 2u);
  small.on_answer({200, std::nullopt, ""}, now);
  EXPECT_EQ(small.counters().held_bytes, 0u);
  small.add(1000, std::string(75, 'x'), now);  // 101 bytes
  EXPECT_EQ(small.counters().lost_queue_full, 3u);
  small.add(1000, std::string(74, 'x'), now);
  EXPECT_EQ(small.counters().held_bytes, 100u);
  // Two bytes that are none of UTF-8 count as the six that they become.
  LogDelivery bytes(options, 1);
  bytes.add(1000, std::string(71, 'x') + "\xff\xff", now);
  EXPECT_EQ(bytes.counters().lost_queue_full, 1u);
}

TEST_F(LogDeliveryTest, what_is_no_event_is_counted_apart) {
  delivery.add(1000, "", now);
  delivery.add(-1, "x", now);
  EXPECT_EQ(delivery.counters().lost_invalid, 2u);
  EXPECT_EQ(delivery.counters().lost(), 2u);
  EXPECT_TRUE(delivery.empty());
}

TEST_F(LogDeliveryTest, at_the_end_nothing_waits_long_and_what_is_left_is_counted) {
  started();
  add("0");
  delivery.hurry(now);
  EXPECT_EQ(wanted(), "put 0");
  for (int i = 0; i < 6; ++i) {
    answer(503);
    sleep_between(500, 500);
  }
  add("1");
  delivery.give_up();
  EXPECT_EQ(delivery.counters().lost_at_end, 2u);
  EXPECT_TRUE(delivery.empty());
  EXPECT_EQ(wanted(), "nothing");
  answer(200);  // of the request that was under way: too late
  EXPECT_EQ(delivery.counters().sent, 0u);
  add("2");
  EXPECT_EQ(delivery.counters().lost_at_end, 3u);
}

TEST_F(LogDeliveryTest, the_end_does_not_wait_for_a_wait) {
  putting();
  refuse("LimitExceededException");
  delivery.hurry(now);
  EXPECT_EQ(wanted(), "put 0");
}

}  // namespace
}  // namespace postern::agent::cloudwatch
