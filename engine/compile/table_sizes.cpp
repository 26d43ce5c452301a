// SPDX-License-Identifier: Apache-2.0
#include "engine/compile/table_sizes.h"

#include <algorithm>
#include <array>
#include <bit>

#include "engine/abi/conntrack.h"
#include "engine/abi/fragments.h"

namespace postern {
namespace {

// node, slots and idx have an entry for each value of their index.
constexpr std::array<TableId, 9> kSized{TableId::pods,   TableId::slots_far, TableId::hosts,
                                        TableId::hosts_far, TableId::seg,    TableId::rows,
                                        TableId::bodies, TableId::portdirs,  TableId::portpages};

std::uint32_t buckets_for(std::uint32_t entries, std::uint32_t ways) {
  return std::bit_ceil(std::max(1u, entries / ways + (entries % ways == 0 ? 0u : 1u)));
}

}  // namespace

bool set_entries(TableSizes& sizes, std::string_view name, std::uint32_t entries) {
  if (name == kConntrackTable) {
    sizes.conntrack_buckets = buckets_for(entries, PN_CT_WAYS);
    return true;
  }
  if (name == kFragmentTable) {
    sizes.fragment_buckets = buckets_for(entries, PN_FRAGMENT_WAYS);
    return true;
  }
  const auto* const table = std::find_if(kSized.begin(), kSized.end(), [&](TableId id) { return name_of(id) == name; });
  if (table == kSized.end()) return false;
  sizes.entries[static_cast<std::size_t>(*table)] =
      *table == TableId::hosts ? buckets_for(entries, PN_HOSTS_WAYS) : std::max(1u, entries);
  return true;
}

std::map<std::string, std::uint32_t> unusual_entries(const TableSizes& sizes) {
  const TableSizes usual;
  std::map<std::string, std::uint32_t> entries;
  for (const TableId id : kSized) {
    if (sizes.of(id) == usual.of(id)) continue;
    entries[std::string(name_of(id))] = sizes.of(id) * (id == TableId::hosts ? PN_HOSTS_WAYS : 1u);
  }
  if (sizes.conntrack_buckets != usual.conntrack_buckets) {
    entries[std::string(kConntrackTable)] = sizes.conntrack_buckets * PN_CT_WAYS;
  }
  if (sizes.fragment_buckets != usual.fragment_buckets) {
    entries[std::string(kFragmentTable)] = sizes.fragment_buckets * PN_FRAGMENT_WAYS;
  }
  return entries;
}

std::string names_of_sized_tables() {
  std::string names;
  for (const TableId id : kSized) names += std::string(name_of(id)) + ", ";
  return names + std::string(kFragmentTable) + " and " + std::string(kConntrackTable);
}

}  // namespace postern
