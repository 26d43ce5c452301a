// SPDX-License-Identifier: Apache-2.0
// Sizes of tables by the names and in the units that people see: the names are those of the metric of
// table fill, and an entry is a pod, an address, a connection, a datagram, not a bucket of them.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "engine/compile/policy_tables.h"

namespace postern {

inline constexpr std::string_view kConntrackTable = "conntrack";
inline constexpr std::string_view kFragmentTable = "fragments";

// Gives a table room for so many entries, at least one; what is kept in buckets is rounded up to a power of
// two of them. False: there is no such table, or its size is fixed.
bool set_entries(TableSizes& sizes, std::string_view name, std::uint32_t entries);

// What set_entries() has to be told to get these sizes from the usual ones.
std::map<std::string, std::uint32_t> unusual_entries(const TableSizes& sizes);

// Those that set_entries() knows, for messages: "pods, hosts and seg".
std::string names_of_sized_tables();

}  // namespace postern
