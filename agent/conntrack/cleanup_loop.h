// SPDX-License-Identifier: Apache-2.0
// Clean-up of tracked connections on the agent's loop: twice in a period the table is walked and what has
// ended is taken out; at every second time the node's own conntrack is read first, and what is idle here
// and gone there is ended too. One slice a turn of the loop, with a rest after each, so that nobody waits.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "agent/conntrack/connection_sweep.h"
#include "agent/conntrack/node_conntrack.h"
#include "agent/loop/event_loop.h"
#include "engine/base/time.h"

namespace postern::agent {

struct CleanupOptions {
  Duration period = seconds(300);
  // Who was seen more lately is never ended by the cross-check. Above every timeout but that of an
  // established TCP connection: for the others the node's conntrack knows nothing better.
  Duration least_idle = seconds(300);
  std::int64_t tick_ns = 0;
  // What is in force now, with the timeouts; nullopt: nothing yet, and the table is left alone.
  std::function<std::optional<pn_node>()> node;
  // What turns are measured by; a test takes the thread's own time, which a busy machine does not stretch.
  std::function<Instant()> turn_clock = EventLoop::now;
};

struct CleanupNumbers {
  std::uint64_t entries = 0;  // alive at the last sweep
  ConnectionSweep::Totals totals;
  std::uint64_t sweeps = 0;
  std::uint64_t cross_checks = 0;  // sweeps that had a dump of the node's conntrack
  Duration last_sweep{};           // how long it took, rests and dump included
  Duration longest_turn{};         // of the loop's, for clean-up, ever
};

class CleanupLoop {
 public:
  // Loop and table outlive it.
  CleanupLoop(EventLoop& loop, ConnectionTable& table, CleanupOptions options,
              std::unique_ptr<NodeConntrack> node_conntrack);
  ~CleanupLoop() { loop_.cancel(timer_); }
  CleanupLoop(const CleanupLoop&) = delete;
  CleanupLoop& operator=(const CleanupLoop&) = delete;

  [[nodiscard]] const CleanupNumbers& numbers() const { return numbers_; }

 private:
  void turn();
  // What is left to do: the next turn in so long.
  Duration advance();
  Duration begin();
  Duration take_dump();
  Duration sweep();
  Duration rest();
  void say_once(std::string& said, const std::string& text);

  EventLoop& loop_;
  ConnectionTable& table_;
  CleanupOptions options_;
  std::unique_ptr<NodeConntrack> node_conntrack_;
  ConnectionSweep sweep_;
  EventLoop::TimerId timer_ = 0;
  enum class Stage : std::uint8_t { resting, dumping, sorting, sweeping, tidying };
  Stage stage_ = Stage::resting;
  pn_node node_{};
  std::unique_ptr<ListedConnections> listed_;
  bool cross_check_ = false;  // at the next beginning
  Instant begun_{};
  CleanupNumbers numbers_;
  std::string failure_said_;  // the last that was logged, as the next
  std::string reason_said_;
};

}  // namespace postern::agent
