// SPDX-License-Identifier: Apache-2.0
// Every limit of PutLogEvents, one below it and one beyond.
#include "agent/cloudwatch/log_events.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace postern::agent::cloudwatch {
namespace {

std::deque<LogEvent> events(std::size_t count, std::size_t bytes, std::int64_t step_ms = 0) {
  std::deque<LogEvent> queue;
  for (std::size_t i = 0; i < count; ++i)
    queue.push_back({static_cast<std::int64_t>(i) * step_ms, std::string(bytes - kEventOverhead, 'x')});
  return queue;
}

TEST(TakeBatch, keeps_to_each_limit_exactly) {
  constexpr std::int64_t kHour_ms = 3'600'000;
  const struct {
    const char* name;
    std::deque<LogEvent> queue;
    std::size_t taken;
  } rows[] = {
      {"nothing", {}, 0},
      {"one", events(1, 100), 1},
      {"as many as may be", events(10'000, 27), 10'000},
      {"one more", events(10'001, 27), 10'000},
      {"as many bytes as may be", events(1024, 1024), 1024},
      {"an event more", events(1025, 1024), 1024},
      {"a byte more",
       [] {
         auto queue = events(1024, 1024);
         queue.back().message += 'x';
         return queue;
       }(),
       1023},
      {"just short of a day",
       [] {
         auto queue = events(2, 30);
         queue[1].unix_ms = 24 * kHour_ms - 1;
         return queue;
       }(),
       2},
      {"a day", events(2, 30, 24 * kHour_ms), 1},
      {"a day backwards", events(2, 30, -24 * kHour_ms), 1},
      {"hours on end", events(60, 30, kHour_ms), 24},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.name);
    auto queue = row.queue;
    EXPECT_EQ(take_batch(queue).size(), row.taken);
    EXPECT_EQ(queue.size(), row.queue.size() - row.taken);
  }
}

TEST(TakeBatch, sorts_by_time_and_leaves_equals_as_they_came) {
  std::deque<LogEvent> queue = {{30, "c"}, {10, "a"}, {20, "b1"}, {20, "b2"}, {10, "a2"}};
  std::string order;
  for (const auto& event : take_batch(queue)) order += event.message + " ";
  EXPECT_EQ(order, "a a2 b1 b2 c ");
}

TEST(FitMessage, cuts_at_the_limit_and_never_through_a_character) {
  const std::string a(kMaxMessageBytes, 'a');
  const std::string two = "\xc3\xa4";           // of two bytes
  const std::string four = "\xf0\x9f\x8e\x89";  // of four
  const struct {
    const char* name;
    std::string given;
    std::size_t bytes;
    bool truncated;
  } rows[] = {
      {"short", "a", 1, false},
      {"as long as may be", a, kMaxMessageBytes, false},
      {"a byte more", a + "a", kMaxMessageBytes, true},
      {"through two bytes", a.substr(1) + two, kMaxMessageBytes - 1, true},
      {"before two bytes", a + two, kMaxMessageBytes, true},
      {"after two bytes", a.substr(2) + two, kMaxMessageBytes, false},
      {"through four bytes, after the first", a.substr(1) + four, kMaxMessageBytes - 1, true},
      {"through four bytes, after the third", a.substr(3) + four, kMaxMessageBytes - 3, true},
      {"bytes without a beginning", std::string(kMaxMessageBytes + 5, '\x80'), kMaxMessageBytes / 3 * 3,
       true},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.name);
    const auto fit = fit_message(row.given);
    EXPECT_EQ(fit.text.size(), row.bytes);
    EXPECT_EQ(fit.truncated, row.truncated);
    EXPECT_NO_THROW((void)nlohmann::json(fit.text).dump());  // it is UTF-8
  }
}

TEST(FitMessage, what_is_no_utf_8_is_replaced_so_that_its_size_is_known) {
  EXPECT_EQ(fit_message("a\xff"
                        "b\xc3\xa4")
                .text,
            "a\xef\xbf\xbd"
            "b\xc3\xa4");
  EXPECT_EQ(fit_message("\xed\xa0\x80").text.size() % 3, 0u);  // a surrogate
}

TEST(Bodies, are_json_of_the_api) {
  const LogStreamName to{"/aws/eks/c/cluster", "s"};
  const auto body = nlohmann::json::parse(put_events_body(to, {{1, "a\"\\\n\x01"}, {-2, "\xc3\xa4"}}));
  EXPECT_EQ(body, (nlohmann::json{{"logGroupName", "/aws/eks/c/cluster"},
                                  {"logStreamName", "s"},
                                  {"logEvents",
                                   {{{"timestamp", 1}, {"message", "a\"\\\n\x01"}},
                                    {{"timestamp", -2}, {"message", "\xc3\xa4"}}}}}));
  EXPECT_EQ(create_stream_body(to), R"({"logGroupName":"/aws/eks/c/cluster","logStreamName":"s"})");
  EXPECT_EQ(create_group_body(to), R"({"logGroupName":"/aws/eks/c/cluster"})");
}

}  // namespace
}  // namespace postern::agent::cloudwatch
