// SPDX-License-Identifier: Apache-2.0
// How much of what the agent says is wanted. The words are those of --log-level and of the log's lines.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string_view>

namespace postern::agent {

// From the most talkative to the least.
enum class LogLevel : std::uint8_t { debug, info, warn, error, fatal };

constexpr std::string_view to_string(LogLevel level) {
  switch (level) {
    case LogLevel::debug:
      return "debug";
    case LogLevel::info:
      return "info";
    case LogLevel::warn:
      return "warn";
    case LogLevel::error:
      return "error";
    case LogLevel::fatal:
      return "fatal";
  }
  return "debug";
}

// In any case of letters; nothing for another word.
constexpr std::optional<LogLevel> parse_log_level(std::string_view text) {
  const auto equal = [](char given, char wanted) {
    return given == wanted || (given >= 'A' && given <= 'Z' && given - 'A' + 'a' == wanted);
  };
  for (const LogLevel level :
       {LogLevel::debug, LogLevel::info, LogLevel::warn, LogLevel::error, LogLevel::fatal}) {
    const std::string_view word = to_string(level);
    if (std::equal(text.begin(), text.end(), word.begin(), word.end(), equal)) return level;
  }
  return std::nullopt;
}

}  // namespace postern::agent
