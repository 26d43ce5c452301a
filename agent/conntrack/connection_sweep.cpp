// SPDX-License-Identifier: Apache-2.0
#include "agent/conntrack/connection_sweep.h"

#include "engine/datapath/lifetime.h"

namespace postern::agent {
namespace {
constexpr std::uint32_t kBucketsAtATime = 256;  // 120 KB to read, at most 2048 entries
}

void ConnectionSweep::begin(const CleanupClock& clock) {
  clock_ = clock;
  next_ = 0;
  alive_so_far_ = 0;
}

void ConnectionSweep::judge(const PlacedConnection& entry, ListedConnections* listed) {
  auto view = NodeConntrackView::not_asked;
  if (listed != nullptr) {
    view = listed->contains(entry.key) ? NodeConntrackView::has_it : NodeConntrackView::lacks_it;
  }
  const std::uint32_t protocol = entry.key.endpoint_protocol & 0xffu;
  if (pn_ct_live(clock_.node, &entry.value, protocol, clock_.now) != 0) ++alive_so_far_;
  switch (fate_of(entry.key, entry.value, clock_, view)) {
    case ConnectionFate::keep: return;
    case ConnectionFate::note: changes_.push_back({entry, ConnectionChangeKind::note}); return;
    case ConnectionFate::retire: changes_.push_back({entry, ConnectionChangeKind::retire}); return;
    case ConnectionFate::free: changes_.push_back({entry, ConnectionChangeKind::free}); return;
  }
}

void ConnectionSweep::count(const ConnectionChange& change) {
  switch (change.kind) {
    case ConnectionChangeKind::note: return;
    case ConnectionChangeKind::retire:
      if (!change.made) break;
      ++totals_.retired;
      --alive_so_far_;
      return;
    case ConnectionChangeKind::free:
      if (!change.made) break;
      // What was retired has been counted.
      if (pn_ct_idle(&change.read.value, clock_.now) < PN_CT_RETIRED_IDLE) ++totals_.freed;
      return;
  }
  ++totals_.spared;
}

Result<bool> ConnectionSweep::step(ListedConnections* listed) {
  read_.clear();
  changes_.clear();
  if (auto read = table_.read(next_, kBucketsAtATime, read_); !read) return fail_as(read);
  next_ += kBucketsAtATime;
  for (const auto& entry : read_) judge(entry, listed);
  if (auto changed = table_.change(changes_, clock_.now); !changed) return fail_as(changed);
  for (const auto& change : changes_) count(change);
  if (next_ < table_.buckets()) return false;
  alive_ = alive_so_far_;
  return true;
}

}  // namespace postern::agent
