// SPDX-License-Identifier: Apache-2.0
// A table of connections in memory, for those that walk over it: a thousand buckets, a tick that stands still,
// and changes that always meet what was read.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "engine/enforce/connection_table.h"
#include "engine/datapath/parse.h"

namespace postern::agent {

inline constexpr std::uint32_t kTick = 10'000;

inline pn_tuple tuple_of(std::uint16_t port) { return {{0, 1}, {0, 2}, port, 443, PN_IP_TCP}; }

class FakeTable final : public ConnectionTable {
 public:
  static constexpr std::uint32_t kBuckets = 1000;
  [[nodiscard]] std::uint32_t buckets() const override { return kBuckets; }
  Result<std::uint32_t> now() override {
    if (broken) return fail(ErrorCode::io, "no clock");
    return kTick;
  }
  Result<void> read(std::uint32_t first, std::uint32_t count, std::vector<PlacedConnection>& into) override {
    ++reads;
    most_buckets_at_once = std::max(most_buckets_at_once, count);
    if (reads == breaks_at_read) return fail(ErrorCode::io, "no such map");
    for (const auto& entry : entries) {
      if (entry.bucket >= first && entry.bucket < first + count) into.push_back(entry);
    }
    return {};
  }
  Result<void> change(std::span<ConnectionChange> changes, std::uint32_t) override {
    for (auto& change : changes) {
      change.made = true;
      for (auto entry = entries.begin(); entry != entries.end(); ++entry) {
        if (entry->bucket != change.read.bucket) continue;
        if (change.kind == ConnectionChangeKind::note) entry->value.state |= PN_CT_NODE_HAD;
        if (change.kind == ConnectionChangeKind::retire) entry->value.seen = kTick - PN_CT_RETIRED_IDLE;
        if (change.kind == ConnectionChangeKind::free) entries.erase(entry);
        break;
      }
    }
    return {};
  }
  void add(std::uint32_t bucket, std::uint16_t port, std::uint32_t idle) {
    const pn_tuple tuple = tuple_of(port);
    const pn_ct_key key{tuple.source, tuple.destination, tuple.source_port, tuple.destination_port,
                        7u << 8 | tuple.protocol};
    entries.push_back({bucket, 0, key, {1, kTick - idle, PN_CT_LIVE | PN_CT_REPLIED, 1}});
  }

  bool broken = false;
  int breaks_at_read = 0;  // counted from 1
  int reads = 0;
  std::uint32_t most_buckets_at_once = 0;
  std::vector<PlacedConnection> entries;
};

}  // namespace postern::agent
