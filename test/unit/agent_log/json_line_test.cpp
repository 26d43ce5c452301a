// SPDX-License-Identifier: Apache-2.0
#include "agent/log/json_line.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <ctime>

#include <nlohmann/json.hpp>

namespace postern::agent {
namespace {

constexpr std::int64_t kMoment_ms = 1'767'323'045'678;  // 2026-01-02T03:04:05.678Z

// This process in another zone, for as long as the object lives.
class Zone {
 public:
  explicit Zone(const char* zone) {
    setenv("TZ", zone, 1);
    tzset();
  }
  ~Zone() {
    unsetenv("TZ");
    tzset();
  }
  Zone(const Zone&) = delete;
  Zone& operator=(const Zone&) = delete;
};

TEST(LogTime, is_iso_8601_with_milliseconds_and_zone) {
  const struct {
    const char* name;
    const char* zone;
    std::int64_t time_ms;
    const char* text;
  } rows[] = {
      {"UTC", "UTC0", kMoment_ms, "2026-01-02T03:04:05.678Z"},
      {"east", "XXX-2", kMoment_ms, "2026-01-02T05:04:05.678+0200"},
      {"west by a half", "XXX3:30", kMoment_ms, "2026-01-01T23:34:05.678-0330"},
      {"a whole second", "UTC0", kMoment_ms - 678, "2026-01-02T03:04:05.000Z"},
      {"a few milliseconds", "UTC0", kMoment_ms - 671, "2026-01-02T03:04:05.007Z"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.name);
    const Zone zone(row.zone);
    EXPECT_EQ(log_time(row.time_ms), row.text);
  }
}

TEST(LogSource, is_the_last_folder_and_the_name) {
  EXPECT_EQ(short_source("/src/agent/node/node.cpp"), "node/node.cpp");
  EXPECT_EQ(short_source("../../agent/node/node.cpp"), "node/node.cpp");
  EXPECT_EQ(short_source("node/node.cpp"), "node/node.cpp");
  EXPECT_EQ(short_source("node.cpp"), "node.cpp");
  EXPECT_EQ(short_source("/node.cpp"), "/node.cpp");
}

TEST(LogLines, have_the_keys_of_the_amazon_agents_log_in_its_order) {
  const Zone zone("UTC0");
  EXPECT_EQ(
      json_line({.level = LogLevel::warn,
                 .time_ms = kMoment_ms,
                 .source = "/src/agent/node/node.cpp",
                 .source_line = 12,
                 .message = "a pod came"}),
      R"({"level":"warn","ts":"2026-01-02T03:04:05.678Z","caller":"node/node.cpp:12","msg":"a pod came"})");
  EXPECT_EQ(
      json_line(
          {.level = LogLevel::fatal, .time_ms = kMoment_ms, .source = "", .source_line = 0, .message = ""}),
      R"({"level":"fatal","ts":"2026-01-02T03:04:05.678Z","msg":""})");
}

TEST(LogLines, stay_one_line_of_json_whatever_the_message_holds) {
  const struct {
    const char* name;
    std::string message;
    std::string read;  // as a JSON reader sees it
  } rows[] = {
      {"quotes and backslashes", R"(a "b" \n c)", R"(a "b" \n c)"},
      {"ends of lines", "a\nb\r\nc", "a\nb\r\nc"},
      {"control characters", std::string("a\x01\x1b[31m\0b", 10), std::string("a\x01\x1b[31m\0b", 10)},
      {"braces are no format", "{} {0} {{", "{} {0} {{"},
      {"percent signs", "%s %v", "%s %v"},
      {"UTF-8", "Grüße", "Grüße"},
      {"bytes that are no UTF-8", "a\xff\xc3", "a\xEF\xBF\xBD\xEF\xBF\xBD"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.name);
    const std::string line = json_line(
        {.level = LogLevel::info, .time_ms = 0, .source = "a.cpp", .source_line = 1, .message = row.message});
    EXPECT_EQ(line.find_first_of(std::string("\n\r\0", 3)), std::string::npos);
    const auto parsed = nlohmann::json::parse(line, nullptr, false);
    ASSERT_TRUE(parsed.is_object()) << line;
    EXPECT_EQ(parsed["msg"].get<std::string>(), row.read);
  }
}

}  // namespace
}  // namespace postern::agent
