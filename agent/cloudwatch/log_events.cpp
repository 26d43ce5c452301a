// SPDX-License-Identifier: Apache-2.0
#include "agent/cloudwatch/log_events.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

namespace postern::agent::cloudwatch {
namespace {

constexpr auto kReplace = nlohmann::json::error_handler_t::replace;

// Quoted and escaped. Flow log lines need no escape, and without a look for one a batch takes twice as
// long, for which the loop stands still.
std::string json_text(const std::string& text) {
  const bool plain = std::all_of(text.begin(), text.end(),
                                 [](char c) { return c >= ' ' && c < 0x7f && c != '"' && c != '\\'; });
  return plain ? '"' + text + '"' : nlohmann::json(text).dump(-1, ' ', false, kReplace);
}

// At most that long, and no character cut through.
std::string_view cut(std::string_view text, std::size_t most) {
  if (text.size() <= most) return text;
  std::size_t end = most;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  // Bytes that are no UTF-8 at all may have no such end.
  return text.substr(0, end == 0 || most - end > 3 ? most : end);
}

}  // namespace

FitMessage fit_message(std::string_view message) {
  FitMessage fit;
  std::string_view kept = cut(message, kMaxMessageBytes);
  fit.truncated = kept.size() < message.size();
  fit.text = kept;
  const bool ascii = std::all_of(kept.begin(), kept.end(), [](char c) { return (c & 0x80) == 0; });
  if (ascii) return fit;
  // What takes the place of a wrong byte is longer than it.
  fit.text = nlohmann::json::parse(json_text(fit.text)).get<std::string>();
  if (fit.text.size() > kMaxMessageBytes) {
    fit.text = std::string(cut(fit.text, kMaxMessageBytes));
    fit.truncated = true;
  }
  return fit;
}

std::vector<LogEvent> take_batch(std::deque<LogEvent>& queue) {
  std::vector<LogEvent> batch;
  std::size_t bytes = 0;
  std::int64_t first_ms = 0;
  std::int64_t last_ms = 0;
  while (!queue.empty() && batch.size() < kMaxBatchEvents) {
    LogEvent& next = queue.front();
    if (batch.empty()) first_ms = last_ms = next.unix_ms;
    const std::int64_t earliest_ms = std::min(first_ms, next.unix_ms);
    const std::int64_t latest_ms = std::max(last_ms, next.unix_ms);
    const bool fits = bytes + next.bytes() <= kMaxBatchBytes && latest_ms - earliest_ms < kMaxSpan_ms;
    if (!fits && !batch.empty()) break;
    bytes += next.bytes();
    first_ms = earliest_ms;
    last_ms = latest_ms;
    batch.push_back(std::move(next));
    queue.pop_front();
  }
  std::stable_sort(batch.begin(), batch.end(),
                   [](const LogEvent& a, const LogEvent& b) { return a.unix_ms < b.unix_ms; });
  return batch;
}

std::string put_events_body(const LogStreamName& to, const std::vector<LogEvent>& batch) {
  std::size_t bytes = 0;
  for (const LogEvent& event : batch) bytes += event.message.size() + 48;
  std::string body;
  body.reserve(bytes + 512);
  body += R"({"logGroupName":)" + json_text(to.group) + R"(,"logStreamName":)" + json_text(to.stream) +
          R"(,"logEvents":[)";
  const char* separator = "";
  for (const LogEvent& event : batch) {
    body += separator;
    body += R"({"timestamp":)";
    body += std::to_string(event.unix_ms);
    body += R"(,"message":)";
    body += json_text(event.message);
    body += '}';
    separator = ",";
  }
  body += "]}";
  return body;
}

std::string create_stream_body(const LogStreamName& name) {
  return R"({"logGroupName":)" + json_text(name.group) + R"(,"logStreamName":)" + json_text(name.stream) +
         "}";
}

std::string create_group_body(const LogStreamName& name) {
  return R"({"logGroupName":)" + json_text(name.group) + "}";
}

}  // namespace postern::agent::cloudwatch
