// SPDX-License-Identifier: Apache-2.0
// The bytes of every policy table (engine/abi/tables.h), and the ordered writes that lead from one
// state to another. Every backend applies the same writes and so holds the same bytes.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string_view>
#include <vector>

#include "engine/abi/conntrack.h"
#include "engine/abi/tables.h"
#include "engine/base/result.h"
#include "engine/compile/zeroed_bytes.h"

namespace postern {

enum class TableId : std::uint8_t {
  node = PN_TABLE_NODE,
  slots = PN_TABLE_SLOTS,
  slots_far = PN_TABLE_SLOTS_FAR,
  pods = PN_TABLE_PODS,
  hosts = PN_TABLE_HOSTS,
  hosts_far = PN_TABLE_HOSTS_FAR,
  idx = PN_TABLE_IDX,
  seg = PN_TABLE_SEG,
  rows = PN_TABLE_ROWS,
  bodies = PN_TABLE_BODIES,
  portdirs = PN_TABLE_PORTDIRS,
  portpages = PN_TABLE_PORTPAGES,
};
inline constexpr std::size_t kTableCount = PN_TABLE_COUNT;

// Shape of a table. Arrays: entries of value_size bytes, index = key. Hashes: key_size > 0.
struct TableShape {
  std::string_view name;  // also the map's name in the BPF object, with the prefix "pn_"
  bool is_hash = false;
  std::uint32_t key_size = 0;    // bytes; arrays: 0
  std::uint32_t value_size = 0;  // bytes
  std::uint32_t entries = 0;     // default capacity
};

// Numbers of entries; what a scenario's `limits` or an agent's flags change. Powers of two where a
// mask selects (hosts, conntrack and fragment buckets).
struct TableSizes {
  std::array<std::uint32_t, kTableCount> entries;  // by TableId
  std::uint32_t conntrack_buckets = 32768;         // x 8 ways = 262,144 connections
  std::uint32_t fragment_buckets = 1024;           // x 4 ways = 4,096 datagrams
  TableSizes();                                    // the defaults of docs/architecture.md
  [[nodiscard]] std::uint32_t of(TableId table) const { return entries[static_cast<std::size_t>(table)]; }
  friend bool operator==(const TableSizes&, const TableSizes&) = default;
};

TableShape shape_of(TableId table, const TableSizes& sizes);
std::string_view name_of(TableId table);

// One store. Array tables: `bytes` replace what stands at `offset` of element `index`; one of 4 or 8
// bytes at an aligned offset is a word and must be one store. Hash tables: `key` set to `bytes`,
// or erased when `bytes` is empty.
struct TableWrite {
  TableId table = TableId::node;
  std::uint32_t index = 0;
  std::uint32_t offset = 0;
  std::vector<std::byte> key;
  std::vector<std::byte> bytes;
  friend bool operator==(const TableWrite&, const TableWrite&) = default;
};

// Writes in the order in which they must become visible. If `reuses_freed`, the backend waits until
// no packet still reads what an earlier delta freed before it makes the first write.
// `pauses` are positions in `writes`, ascending: before each of them the backend waits in the same
// way, because a packet under way may hold a word that the writes before it replaced. A backend
// whose packets never overlap a delta has nothing to wait for.
struct TableDelta {
  std::vector<TableWrite> writes;
  bool reuses_freed = false;
  std::vector<std::size_t> pauses{};
  [[nodiscard]] bool empty() const { return writes.empty(); }
};

// All tables of a node, as bytes.
class PolicyTables {
 public:
  explicit PolicyTables(const TableSizes& sizes = {});

  [[nodiscard]] const TableSizes& sizes() const { return sizes_; }
  // Arrays: entries x value_size bytes.
  [[nodiscard]] std::span<const std::byte> array(TableId table) const;
  [[nodiscard]] std::span<std::byte> array(TableId table);
  // Hashes: by key bytes, in order.
  using Hash = std::map<std::vector<std::byte>, std::vector<std::byte>>;
  [[nodiscard]] const Hash& hash(TableId table) const { return hashes_[static_cast<std::size_t>(table)]; }

  // Errors: a write outside the table, a hash over its capacity (table_full). On error the write is
  // not made.
  Result<void> apply(const TableWrite& write);
  Result<void> apply(const TableDelta& delta);

  friend bool operator==(const PolicyTables&, const PolicyTables&);

 private:
  Result<void> apply_to_hash(const TableWrite& write);

  TableSizes sizes_;
  std::array<ZeroedBytes, kTableCount> arrays_;  // empty for hashes
  std::array<Hash, kTableCount> hashes_;
};

// The writes that turn `from` into `to` (same sizes), in no particular order of visibility: for
// comparing and for start-up, not for a live switch. Law: apply(from, diff(from, to)) == to.
TableDelta diff(const PolicyTables& from, const PolicyTables& to);

}  // namespace postern
