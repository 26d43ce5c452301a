// SPDX-License-Identifier: Apache-2.0
#include "agent/conntrack/cleanup_loop.h"

#include <algorithm>
#include <utility>

#include "agent/log/log.h"
#include "engine/conntrack/conntrack_view.h"

namespace postern::agent {
namespace {
constexpr Duration kRest = milliseconds(1);
}

CleanupLoop::CleanupLoop(EventLoop& loop, ConnectionTable& table, CleanupOptions options,
                         std::unique_ptr<NodeConntrack> node_conntrack)
    : loop_(loop),
      table_(table),
      options_(std::move(options)),
      node_conntrack_(std::move(node_conntrack)),
      sweep_(table) {
  // An error comes back with the first change, and is said then.
  (void)table_.prepare();
  timer_ = loop_.after(Duration{options_.period.ns / 2}, [this] { turn(); });
}

void CleanupLoop::turn() {
  const Instant before = options_.turn_clock();
  const Duration pause = advance();
  numbers_.longest_turn = std::max(numbers_.longest_turn, options_.turn_clock() - before);
  timer_ = loop_.after(pause, [this] { turn(); });
}

Duration CleanupLoop::advance() {
  switch (stage_) {
    case Stage::resting: return begin();
    case Stage::dumping: return take_dump();
    case Stage::sorting:
      if (listed_->sort_some()) stage_ = Stage::sweeping;
      return kRest;
    case Stage::sweeping: return sweep();
    case Stage::tidying: return listed_->clear_some() ? rest() : kRest;
  }
  return rest();
}

Duration CleanupLoop::begin() {
  begun_ = EventLoop::now();
  const auto node = options_.node();
  if (!node) return rest();
  node_ = *node;
  // Before anything is read: whoever is idle now has had no packet since the dump began.
  const auto now = table_.now();
  if (!now) {
    say_once(failure_said_, "cleaning up connections: " + now.error().to_string());
    return rest();
  }
  sweep_.begin({&node_, *now, ticks_of(options_.least_idle, options_.tick_ns)});
  listed_.reset();
  stage_ = Stage::sweeping;
  if (!std::exchange(cross_check_, !cross_check_)) return kRest;
  if (auto begun = node_conntrack_->begin(); !begun) {
    say_once(reason_said_, begun.error().message);
    return kRest;
  }
  listed_ = std::make_unique<ListedConnections>();
  stage_ = Stage::dumping;
  return kRest;
}

Duration CleanupLoop::take_dump() {
  const auto done = node_conntrack_->step(*listed_);
  if (done && !*done) return kRest;
  if (done) {
    stage_ = Stage::sorting;
    ++numbers_.cross_checks;
    reason_said_.clear();
  } else {
    stage_ = Stage::sweeping;
    listed_.reset();
    say_once(reason_said_, done.error().message);
  }
  return kRest;
}

Duration CleanupLoop::sweep() {
  const auto done = sweep_.step(listed_.get());
  numbers_.totals = sweep_.totals();
  if (!done) {
    say_once(failure_said_, "cleaning up connections: " + done.error().to_string());
    return rest();
  }
  if (!*done) return kRest;
  failure_said_.clear();
  ++numbers_.sweeps;
  numbers_.entries = sweep_.alive();
  numbers_.last_sweep = EventLoop::now() - begun_;
  if (!listed_) return rest();
  stage_ = Stage::tidying;
  return kRest;
}

Duration CleanupLoop::rest() {
  stage_ = Stage::resting;
  listed_.reset();
  const Duration taken = EventLoop::now() - begun_;
  return std::max(kRest, Duration{options_.period.ns / 2 - taken.ns});
}

// The same trouble every few minutes is one line.
void CleanupLoop::say_once(std::string& said, const std::string& text) {
  if (said == text) return;
  said = text;
  if (&said == &failure_said_) {
    log_warn("{}", text);
  } else {
    log_info("connections are cleaned up by their own timeouts alone: {}", text);
  }
}

}  // namespace postern::agent
