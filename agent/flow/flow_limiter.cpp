// SPDX-License-Identifier: Apache-2.0
#include "agent/flow/flow_limiter.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "engine/abi/verdict.h"

namespace postern::agent {

FlowLimiter::Key FlowLimiter::key_of(const pn_event& event) {
  Key key{};
  std::memcpy(&key.words[0], event.source, sizeof event.source);
  std::memcpy(&key.words[2], event.destination, sizeof event.destination);
  const std::uint64_t kind = std::uint64_t{event.protocol} | std::uint64_t{event.direction} << 8 |
                             std::uint64_t{event.family} << 16 |
                             std::uint64_t{pn_step_allows(event.step) != 0} << 24;
  key.words[4] = std::uint64_t{event.source_port} << 48 | std::uint64_t{event.destination_port} << 32 | kind;
  key.words[5] = event.ifindex;
  return key;
}

std::size_t FlowLimiter::Hash::operator()(const Key& key) const {
  std::uint64_t hash = 0;
  for (const std::uint64_t word : key.words) {
    hash = (hash ^ word) * 0x9e3779b97f4a7c15ull;
    hash ^= hash >> 32;
  }
  return static_cast<std::size_t>(hash);
}

bool FlowLimiter::may_speak(std::uint64_t now_ns) {
  constexpr double kSecond = 1e9;
  const double most = limits_.per_second;
  if (now_ns > now_ns_) {
    if (now_ns_ != 0) allowance_ = std::min(most, allowance_ + most * static_cast<double>(now_ns - now_ns_) / kSecond);
    now_ns_ = now_ns;
  }
  if (allowance_ < 1) return false;
  allowance_ -= 1;
  return true;
}

void FlowLimiter::make_room() {
  const auto interval = static_cast<std::uint64_t>(limits_.interval.ns);
  while (!order_.empty()) {
    const Flow& oldest = order_.front();
    const bool done = oldest.suppressed == 0 && oldest.spoke_ns + interval <= now_ns_;
    if (!done && flows_.size() < limits_.flows) return;
    if (!done) ++evicted_;
    if (oldest.suppressed != 0 && may_speak(now_ns_)) of_evicted_.push_back({oldest.last, oldest.suppressed - 1});
    flows_.erase(oldest.key);
    order_.pop_front();
  }
}

void FlowLimiter::hold_back(Flow& flow, const pn_event& event) {
  ++flow.suppressed;
  flow.last = event;
}

std::vector<FlowLimiter::Summary> FlowLimiter::take_summaries(std::uint64_t now_ns) {
  std::vector<Summary> summaries = std::exchange(of_evicted_, {});
  const auto interval = static_cast<std::uint64_t>(limits_.interval.ns);
  while (!order_.empty() && order_.front().spoke_ns + interval <= now_ns) {
    Flow& flow = order_.front();
    if (flow.suppressed == 0) {
      flows_.erase(flow.key);
      order_.pop_front();
      continue;
    }
    if (!may_speak(now_ns)) break;  // it waits
    summaries.push_back({flow.last, flow.suppressed - 1});
    flow.suppressed = 0;
    flow.spoke_ns = now_ns;
    order_.splice(order_.end(), order_, order_.begin());
  }
  return summaries;
}

std::optional<std::uint64_t> FlowLimiter::next_summary_ns() const {
  if (!of_evicted_.empty()) return now_ns_;
  if (order_.empty()) return std::nullopt;
  return order_.front().spoke_ns + static_cast<std::uint64_t>(limits_.interval.ns);
}

// A flow that may not speak because of the others is not remembered: its next event asks again.
FlowLimiter::Decision FlowLimiter::take(const pn_event& event) {
  const Key key = key_of(event);
  const auto found = flows_.find(key);
  if (found == flows_.end()) {
    if (!may_speak(event.time_ns)) return {Answer::over_limit};
    if (limits_.interval.ns > 0) {
      make_room();
      flows_.emplace(key, order_.insert(order_.end(), Flow{key, event.time_ns, 0, {}}));
    }
    return {Answer::record, 0};
  }
  Flow& flow = *found->second;
  const auto interval = static_cast<std::uint64_t>(limits_.interval.ns);
  if (event.time_ns < flow.spoke_ns + interval) {
    hold_back(flow, event);
    return {Answer::suppressed};
  }
  if (!may_speak(event.time_ns)) {
    hold_back(flow, event);
    return {Answer::over_limit};
  }
  const Decision decision{Answer::record, flow.suppressed};
  flow.suppressed = 0;
  flow.spoke_ns = event.time_ns;
  order_.splice(order_.end(), order_, found->second);
  return decision;
}

}  // namespace postern::agent
