// SPDX-License-Identifier: Apache-2.0
#include "engine/compile/policy_tables.h"

#include <algorithm>
#include <cstring>

namespace postern {

namespace {

struct Layout {
  std::string_view name;
  bool is_hash;
  std::uint32_t key_size;
  std::uint32_t value_size;
  std::uint32_t entries;  // default
};

// In the order of enum pn_table.
constexpr std::array<Layout, kTableCount> kLayouts{{
    {"node", false, 0, sizeof(pn_node), 1},
    {"slots", false, 0, sizeof(pn_u64), PN_SLOTS},
    {"slots_far", true, sizeof(pn_u32), sizeof(pn_u64), 1024},
    {"pods", false, 0, sizeof(pn_pod), 4096},
    {"hosts", false, 0, sizeof(pn_hosts_bucket), 32768},
    {"hosts_far", true, sizeof(pn_address), sizeof(pn_u32), 16384},
    {"idx", false, 0, sizeof(pn_u64), PN_IDX_ENTRIES},
    {"seg", false, 0, sizeof(pn_segment), 262144},
    {"rows", false, 0, sizeof(pn_row_chunk), 65536},
    {"bodies", false, 0, sizeof(pn_body), 16384},
    {"portdirs", false, 0, sizeof(pn_port_steps), 1024},
    {"portpages", false, 0, sizeof(pn_port_steps), 4096},
}};

const Layout& layout_of(TableId table) { return kLayouts[static_cast<std::size_t>(table)]; }

std::string at_entry(TableId table, std::uint32_t index) {
  return std::string(name_of(table)) + "[" + std::to_string(index) + "]";
}

}  // namespace

TableSizes::TableSizes() {
  for (std::size_t i = 0; i < kTableCount; ++i) entries[i] = kLayouts[i].entries;
}

std::string_view name_of(TableId table) { return layout_of(table).name; }

TableShape shape_of(TableId table, const TableSizes& sizes) {
  const Layout& layout = layout_of(table);
  return {layout.name, layout.is_hash, layout.key_size, layout.value_size, sizes.of(table)};
}

PolicyTables::PolicyTables(const TableSizes& sizes) : sizes_(sizes) {
  for (std::size_t i = 0; i < kTableCount; ++i) {
    if (!kLayouts[i].is_hash)
      arrays_[i] = ZeroedBytes(std::size_t{sizes.entries[i]} * kLayouts[i].value_size);
  }
}

std::span<const std::byte> PolicyTables::array(TableId table) const {
  return arrays_[static_cast<std::size_t>(table)].bytes();
}

std::span<std::byte> PolicyTables::array(TableId table) {
  return arrays_[static_cast<std::size_t>(table)].bytes();
}

Result<void> PolicyTables::apply(const TableWrite& write) {
  const Layout& layout = layout_of(write.table);
  if (layout.is_hash) return apply_to_hash(write);
  if (write.index >= sizes_.of(write.table)) {
    return fail(ErrorCode::internal, "write to " + at_entry(write.table, write.index) + ", which has " +
                                         std::to_string(sizes_.of(write.table)) + " entries");
  }
  if (!write.key.empty() || write.offset + write.bytes.size() > layout.value_size) {
    return fail(ErrorCode::internal, "write of " + std::to_string(write.bytes.size()) + " bytes at offset " +
                                         std::to_string(write.offset) + " of " +
                                         at_entry(write.table, write.index) + ", whose entries have " +
                                         std::to_string(layout.value_size) + " bytes");
  }
  std::byte* target = array(write.table).data() + std::size_t{write.index} * layout.value_size + write.offset;
  std::copy(write.bytes.begin(), write.bytes.end(), target);
  return {};
}

Result<void> PolicyTables::apply_to_hash(const TableWrite& write) {
  const Layout& layout = layout_of(write.table);
  Hash& hash = hashes_[static_cast<std::size_t>(write.table)];
  if (write.key.size() != layout.key_size ||
      (!write.bytes.empty() && write.bytes.size() != layout.value_size)) {
    return fail(ErrorCode::internal, "write to " + std::string(layout.name) + " with a key of " +
                                         std::to_string(write.key.size()) + " and a value of " +
                                         std::to_string(write.bytes.size()) + " bytes; expected " +
                                         std::to_string(layout.key_size) + " and " +
                                         std::to_string(layout.value_size));
  }
  if (write.bytes.empty()) {
    hash.erase(write.key);
    return {};
  }
  if (hash.size() >= sizes_.of(write.table) && !hash.contains(write.key)) {
    return fail(ErrorCode::table_full, "table " + std::string(layout.name) + " is full: it has " +
                                           std::to_string(sizes_.of(write.table)) +
                                           " entries, one more is needed");
  }
  hash[write.key] = write.bytes;
  return {};
}

Result<void> PolicyTables::apply(const TableDelta& delta) {
  for (const auto& write : delta.writes) {
    if (auto done = apply(write); !done) return done;
  }
  return {};
}

bool operator==(const PolicyTables& a, const PolicyTables& b) {
  return a.sizes_ == b.sizes_ && a.arrays_ == b.arrays_ && a.hashes_ == b.hashes_;
}

namespace {

void diff_array(TableId table, const PolicyTables& from, const PolicyTables& to, TableDelta& delta) {
  const std::size_t size = layout_of(table).value_size;
  const auto before = from.array(table);
  const auto after = to.array(table);
  // Most pages are equal: compare many elements at a time, then the elements of those that differ.
  const std::size_t batch = std::max<std::size_t>(1, 4096 / size) * size;
  for (std::size_t start = 0; start < after.size(); start += batch) {
    const std::size_t end = std::min(start + batch, after.size());
    if (std::memcmp(before.data() + start, after.data() + start, end - start) == 0) continue;
    for (std::size_t at = start; at < end; at += size) {
      if (std::memcmp(before.data() + at, after.data() + at, size) == 0) continue;
      TableWrite write;
      write.table = table;
      write.index = static_cast<std::uint32_t>(at / size);
      write.bytes.assign(after.data() + at, after.data() + at + size);
      delta.writes.push_back(std::move(write));
    }
  }
}

void diff_hash(TableId table, const PolicyTables& from, const PolicyTables& to, TableDelta& delta) {
  const auto& before = from.hash(table);
  const auto& after = to.hash(table);
  // Erasures first, so that a full table has room for what comes.
  for (const auto& [key, value] : before) {
    if (!after.contains(key)) delta.writes.push_back({table, 0, 0, key, {}});
  }
  for (const auto& [key, value] : after) {
    const auto found = before.find(key);
    if (found == before.end() || found->second != value) delta.writes.push_back({table, 0, 0, key, value});
  }
}

}  // namespace

TableDelta diff(const PolicyTables& from, const PolicyTables& to) {
  TableDelta delta;
  for (std::size_t i = 0; i < kTableCount; ++i) {
    const auto table = static_cast<TableId>(i);
    if (kLayouts[i].is_hash) {
      diff_hash(table, from, to, delta);
    } else {
      diff_array(table, from, to, delta);
    }
  }
  delta.reuses_freed = !delta.empty();
  return delta;
}

}  // namespace postern
