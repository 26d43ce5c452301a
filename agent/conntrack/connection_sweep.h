// SPDX-License-Identifier: Apache-2.0
// One walk over the table of tracked connections, in slices: read some buckets, judge what is in them, make
// the changes where nothing was used in between. It owns no clock and no loop, so a test can let packets in
// between any two steps.
//
//   sweep.begin(clock);
//   while (!*sweep.step(listed)) {}
#pragma once

#include <cstdint>
#include <vector>

#include "agent/conntrack/listed_connections.h"
#include "engine/conntrack/cleanup.h"
#include "engine/enforce/connection_table.h"

namespace postern::agent {

class ConnectionSweep {
 public:
  // The table outlives it.
  explicit ConnectionSweep(ConnectionTable& table) : table_(table) {}

  // From the first bucket on. clock.node outlives the walk.
  void begin(const CleanupClock& clock);
  // The next slice; `listed` is the node's conntrack as dumped after clock.now, null: nothing that counts.
  // True: that was the last. Errors: the table's; the walk is over then.
  Result<bool> step(ListedConnections* listed);

  // Of the last walk that was finished: entries that are alive.
  [[nodiscard]] std::uint64_t alive() const { return alive_; }
  // Since the beginning.
  struct Totals {
    std::uint64_t freed = 0;    // ended by their own timeout
    std::uint64_t retired = 0;  // idle here, gone there
    std::uint64_t spared = 0;   // of both kinds, left alone: used between read and change
    friend bool operator==(const Totals&, const Totals&) = default;
  };
  [[nodiscard]] const Totals& totals() const { return totals_; }

 private:
  void judge(const PlacedConnection& entry, ListedConnections* listed);
  void count(const ConnectionChange& change);

  ConnectionTable& table_;
  CleanupClock clock_;
  std::uint32_t next_ = 0;  // bucket
  std::uint64_t alive_so_far_ = 0;
  std::uint64_t alive_ = 0;
  Totals totals_;
  std::vector<PlacedConnection> read_;
  std::vector<ConnectionChange> changes_;
};

}  // namespace postern::agent
