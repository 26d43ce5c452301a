// SPDX-License-Identifier: Apache-2.0
#include "agent/flow/flow_log.h"

#include <sys/epoll.h>

#include <algorithm>
#include <ctime>
#include <utility>

#include "agent/flow/flow_text.h"
#include "agent/log/log.h"

namespace postern::agent {
namespace {

constexpr std::int64_t kNsOfMs = 1'000'000;

std::int64_t read_clock_ns(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

}  // namespace

EventMode event_mode_for(bool flow_logs, bool self_check, LogLevel level) {
  if (self_check) return EventMode::new_flows;
  if (!flow_logs) return EventMode::off;
  return level == LogLevel::debug ? EventMode::new_flows : EventMode::denied;
}

FlowLog::FlowLog(EventLoop& loop, Backend& backend, FlowSources sources, const FlowLogOptions& options)
    : loop_(loop),
      backend_(backend),
      names_(std::move(sources)),
      format_(options.format),
      silent_(options.silent),
      limiter_(options.limits) {}

FlowLog::~FlowLog() {
  loop_.cancel(timer_);
  loop_.cancel(summary_timer_);
  if (watching_) loop_.forget(backend_.event_fd());
}

Result<void> FlowLog::start() {
  watching_ = true;
  return loop_.watch(backend_.event_fd(), EPOLLIN, [this](std::uint32_t) {
    pause();
    drain();
  });
}

void FlowLog::forward(std::function<void(std::int64_t unix_ms, std::string_view message)> sink) {
  listen([sink = std::move(sink)](const FlowRecord& record) {
    sink(record.unix_ns / kNsOfMs, cloudwatch_message(record));
  });
}

// Until the next look nobody is woken.
void FlowLog::pause() {
  if (watching_) loop_.forget(backend_.event_fd());
  watching_ = false;
  timer_ = loop_.after(kPause, [this] { look(); });
}

void FlowLog::look() {
  timer_ = 0;
  const std::uint64_t before = counts_.received;
  drain();
  if (counts_.received != before) {
    pause();
  } else if (auto watched = start(); !watched) {
    log_error("flow logs: the ring cannot be watched: {}", watched.error().to_string());
    pause();
  }
}

void FlowLog::drain() {
  level_ = log_level();
  unix_offset_ns_ = read_clock_ns(CLOCK_REALTIME) - read_clock_ns(CLOCK_MONOTONIC);
  const std::uint64_t written = counts_.written;
  const auto drained = backend_.drain_events(*this);
  if (counts_.written != written) flush_flow_lines();
  const std::string text = drained ? std::string() : drained.error().to_string();
  if (text != refusal_ && !text.empty()) log_error("flow logs: {}", text);
  refusal_ = text;
  follow_summaries();
}

// On a quiet node nothing is remembered in the end, and nobody is woken.
void FlowLog::follow_summaries() {
  const auto next = limiter_.next_summary_ns();
  if (!next || summary_timer_ != 0) return;
  const Instant due = std::max(Instant{static_cast<std::int64_t>(*next)}, EventLoop::now() + kSummariesEvery);
  summary_timer_ = loop_.at(due, [this] {
    summary_timer_ = 0;
    summarize();
    follow_summaries();
  });
}

void FlowLog::summarize() {
  level_ = log_level();
  unix_offset_ns_ = read_clock_ns(CLOCK_REALTIME) - read_clock_ns(CLOCK_MONOTONIC);
  const std::uint64_t before = counts_.summaries;
  for (const auto& summary : limiter_.take_summaries(static_cast<std::uint64_t>(EventLoop::now().ns))) {
    if (below_level(summary.last)) continue;
    ++counts_.summaries;
    tell(summary.last, summary.suppressed);
  }
  if (counts_.summaries != before) flush_flow_lines();
}

// What is allowed is of interest for debugging, unless it would be denied (R44).
bool FlowLog::below_level(const pn_event& event) const {
  const bool allowed = pn_step_allows(event.step) != 0 && pn_step_reason(event.step) != PN_REASON_WOULD_DENY;
  return allowed && level_ != LogLevel::debug;
}

void FlowLog::on_event(const pn_event& event) {
  ++counts_.received;
  if (witness_) witness_(event);
  if (silent_ || below_level(event)) {
    ++counts_.below_level;
    return;
  }
  const auto decision = limiter_.take(event);
  switch (decision.answer) {
    case FlowLimiter::Answer::suppressed:
      ++counts_.suppressed;
      return;
    case FlowLimiter::Answer::over_limit:
      ++counts_.over_limit;
      return;
    case FlowLimiter::Answer::record:
      break;
  }
  ++counts_.written;
  tell(event, decision.suppressed);
}

void FlowLog::tell(const pn_event& event, std::uint64_t suppressed) {
  FlowRecord record = names_.name(event, unix_offset_ns_);
  record.suppressed = suppressed;
  write(record);
  for (const auto& listener : listeners_) listener(record);
}

void FlowLog::write(const FlowRecord& record) {
  const std::int64_t unix_ms = record.unix_ns / kNsOfMs;
  if (format_ == FlowLogFormat::json) {
    write_flow_line(unix_ms, json_flow_line(record));
    return;
  }
  write_flow_message(level_of(record), {__FILE__, __LINE__}, unix_ms,
                     compat_message(record));
}

}  // namespace postern::agent
