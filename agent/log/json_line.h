// SPDX-License-Identifier: Apache-2.0
// One message as a line of JSON:
//   {"level":"info","ts":"2026-01-02T03:04:05.678Z","caller":"node/node.cpp:12","msg":"..."}
// Whatever the message holds, the line stays one line and valid JSON.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "agent/log/log_level.h"

namespace postern::agent {

// ISO 8601 with milliseconds and the zone of this process: "Z", "+0200", "-0330".
// `milliseconds` counts from 1970 in UTC.
std::string log_time(std::int64_t milliseconds);

// The source's folder and name, "node/node.cpp", of a path however long.
std::string_view short_source(std::string_view path);

// With quotation marks. Bytes that are no UTF-8 become U+FFFD.
std::string json_string(std::string_view text);

struct LogLine {
  LogLevel level = LogLevel::info;
  std::int64_t time_ms = 0;
  std::string_view source;  // path; empty: no caller
  int source_line = 0;
  std::string_view message;
};
std::string json_line(const LogLine& line);  // without the end of the line

}  // namespace postern::agent
