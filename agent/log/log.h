// SPDX-License-Identifier: Apache-2.0
// What the agent says while it runs: one line of JSON for each message, with the keys of the Amazon
// agent's log (level, ts, caller, msg), so that what reads that file reads this one.
//
//   log_info("{} policies, {} pods", policies, pods);
//
// A message below the level in force costs one comparison. From any thread; before set_up_log() the
// lines go to standard error, from info on.
#pragma once

#include <fmt/format.h>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "agent/log/log_level.h"
#include "engine/base/result.h"

namespace postern::agent {

struct LogOptions {
  LogLevel level = LogLevel::info;
  std::string file{};  // "stdout"; empty: standard error
  std::size_t max_size_mb = 200;
  std::size_t max_backups = 8;  // full files kept, compressed, for 30 days at most; 0: 1000
};

// Before any other thread logs. Makes the file's folder where it is missing. Errors: io, naming the file.
Result<void> set_up_log(const LogOptions& options);

// At any time, from any thread.
void set_log_level(LogLevel level);
LogLevel log_level();

// What the functions below stand on: a message as it is, from a line of the source.
struct LogPlace {
  const char* file = nullptr;
  int line = 0;
};
bool is_logged(LogLevel level);
void write_log(LogLevel level, LogPlace place, std::string_view message);

// Lines about single flows, which no level holds back; whoever writes them decides. `unix_ms` is when it
// happened. They may stay in a buffer until flush_flow_lines().
void write_flow_message(LogLevel level, LogPlace place, std::int64_t unix_ms, std::string_view message);
// The same for a line that is whole: a JSON object without the end of the line.
void write_flow_line(std::int64_t unix_ms, std::string_view line);
void flush_flow_lines();

// A format that is checked against its arguments by the compiler and remembers where it stands.
template <typename... Args>
struct LogFormat {
  template <typename Text>
  requires std::convertible_to<const Text&, std::string_view> FMT_CONSTEVAL
  LogFormat(const Text& text,  // NOLINT: meant to convert
            const char* file = __builtin_FILE(), int line = __builtin_LINE())
      : format(text), place{file, line} {}
  fmt::format_string<Args...> format;
  LogPlace place;
};

template <typename... Args>
void log_at(LogLevel level, LogFormat<std::type_identity_t<Args>...> format, Args&&... args) {
  if (is_logged(level))
    write_log(level, format.place, fmt::format(format.format, std::forward<Args>(args)...));
}
template <typename... Args>
void log_debug(LogFormat<std::type_identity_t<Args>...> format, Args&&... args) {
  log_at<Args...>(LogLevel::debug, format, std::forward<Args>(args)...);
}
template <typename... Args>
void log_info(LogFormat<std::type_identity_t<Args>...> format, Args&&... args) {
  log_at<Args...>(LogLevel::info, format, std::forward<Args>(args)...);
}
template <typename... Args>
void log_warn(LogFormat<std::type_identity_t<Args>...> format, Args&&... args) {
  log_at<Args...>(LogLevel::warn, format, std::forward<Args>(args)...);
}
template <typename... Args>
void log_error(LogFormat<std::type_identity_t<Args>...> format, Args&&... args) {
  log_at<Args...>(LogLevel::error, format, std::forward<Args>(args)...);
}

}  // namespace postern::agent
