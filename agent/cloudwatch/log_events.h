// SPDX-License-Identifier: Apache-2.0
// Log events as PutLogEvents takes them: what fits into one event, what fits into one batch, and the batch
// as text. Pure.
//
// Source of the limits: the CloudWatch Logs API reference, PutLogEvents.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

namespace postern::agent::cloudwatch {

constexpr std::size_t kMaxBatchEvents = 10'000;
constexpr std::size_t kMaxBatchBytes = 1'048'576;
constexpr std::size_t kEventOverhead = 26;  // counted for every event
// Newer texts allow 1 MB for an event; 256 KB with the overhead is taken everywhere.
constexpr std::size_t kMaxMessageBytes = 262'144 - kEventOverhead;
// "A batch of log events in a single request cannot span more than 24 hours."
constexpr std::int64_t kMaxSpan_ms = 24LL * 3600 * 1000;

struct LogEvent {
  std::int64_t unix_ms = 0;
  std::string message;
  // As the service counts.
  [[nodiscard]] std::size_t bytes() const { return message.size() + kEventOverhead; }
  friend bool operator==(const LogEvent&, const LogEvent&) = default;
};

// A message as the service takes it: UTF-8 (other bytes become U+FFFD), cut at the end of a character
// where it is too long.
struct FitMessage {
  std::string text;
  bool truncated = false;
};
FitMessage fit_message(std::string_view message);

// Moves as many events from the front as one request may carry, one at least unless there is none, in order
// of time; those of one moment stay in the order in which they came.
std::vector<LogEvent> take_batch(std::deque<LogEvent>& queue);

// The bodies of the three requests.
struct LogStreamName {
  std::string group;
  std::string stream;
};
std::string put_events_body(const LogStreamName& to, const std::vector<LogEvent>& batch);
std::string create_stream_body(const LogStreamName& name);
std::string create_group_body(const LogStreamName& name);

}  // namespace postern::agent::cloudwatch
