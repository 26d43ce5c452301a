// SPDX-License-Identifier: Apache-2.0
// How many connections the table holds, for whoever reads metrics. Reading a large table whole would hold the
// loop up for tens of milliseconds, so a count is a walk in slices, one a turn of the loop, into one buffer
// that stays. It is begun when somebody asks and the last one is a while ago: what is told is the last count
// that was finished, so with a page every minute the number of the page before. Nobody asks: nothing is read.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "agent/loop/event_loop.h"
#include "engine/enforce/connection_table.h"

namespace postern::agent {

class ConnectionCount {
 public:
  // Loop and table outlive it. The first count begins at once.
  ConnectionCount(EventLoop& loop, ConnectionTable& table, Duration every = seconds(5));
  ~ConnectionCount() { loop_.cancel(timer_); }
  ConnectionCount(const ConnectionCount&) = delete;
  ConnectionCount& operator=(const ConnectionCount&) = delete;

  // Begins a count, unless one is going on or the last is younger than `every`.
  void ask();
  // Entries of the last count that was finished, those included that have expired and were not swept;
  // nullopt: none was yet. A count that cannot be read to its end changes nothing.
  [[nodiscard]] std::optional<std::uint64_t> entries() const { return entries_; }
  [[nodiscard]] std::uint64_t counts() const { return counts_; }

 private:
  void begin();
  void turn();

  EventLoop& loop_;
  ConnectionTable& table_;
  Duration every_;
  EventLoop::TimerId timer_ = 0;  // 0: no count is going on
  std::optional<std::uint64_t> entries_;
  std::uint64_t counts_ = 0;
  Instant ended_{};
  std::uint32_t next_ = 0;  // bucket
  std::uint64_t so_far_ = 0;
  std::vector<PlacedConnection> read_;
};

}  // namespace postern::agent
