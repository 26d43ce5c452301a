// SPDX-License-Identifier: Apache-2.0
#include "agent/log/json_line.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include <cstdlib>
#include <ctime>

namespace postern::agent {

std::string log_time(std::int64_t milliseconds) {
  const auto second = static_cast<std::time_t>(milliseconds / 1000);
  std::tm local{};
  localtime_r(&second, &local);
  std::string zone = "Z";
  if (local.tm_gmtoff != 0) {
    const long minutes = std::labs(local.tm_gmtoff) / 60;
    zone = fmt::format("{}{:02}{:02}", local.tm_gmtoff < 0 ? '-' : '+', minutes / 60, minutes % 60);
  }
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}{}", local.tm_year + 1900, local.tm_mon + 1,
                     local.tm_mday, local.tm_hour, local.tm_min, local.tm_sec, milliseconds % 1000, zone);
}

std::string_view short_source(std::string_view path) {
  const auto name = path.rfind('/');
  if (name == std::string_view::npos || name == 0) return path;
  const auto folder = path.rfind('/', name - 1);
  return folder == std::string_view::npos ? path : path.substr(folder + 1);
}

std::string json_string(std::string_view text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string json_line(const LogLine& line) {
  std::string text =
      fmt::format(R"({{"level":"{}","ts":"{}")", to_string(line.level), log_time(line.time_ms));
  if (!line.source.empty()) {
    text += fmt::format(R"(,"caller":{})",
                        json_string(fmt::format("{}:{}", short_source(line.source), line.source_line)));
  }
  return text + ",\"msg\":" + json_string(line.message) + "}";
}

}  // namespace postern::agent
