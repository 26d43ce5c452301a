// SPDX-License-Identifier: Apache-2.0
// Sizes of tables as people give them, and back.
#include "engine/compile/table_sizes.h"

#include <gtest/gtest.h>

namespace postern::table_sizes_test {
namespace {

struct Row {
  const char* name;
  std::uint32_t entries;
  std::uint32_t buckets;  // or entries, where there are none
};

std::uint32_t size_of(const TableSizes& sizes, const std::string& name) {
  if (name == kConntrackTable) return sizes.conntrack_buckets;
  if (name == kFragmentTable) return sizes.fragment_buckets;
  for (std::size_t i = 0; i < kTableCount; ++i) {
    if (name_of(static_cast<TableId>(i)) == name) return sizes.entries[i];
  }
  return 0;
}

TEST(TableSizes, are_given_in_entries_and_rounded_up_where_there_are_buckets) {
  constexpr Row kRows[] = {
      {"conntrack", 1, 1},   {"conntrack", 8, 1},      {"conntrack", 9, 2},     {"conntrack", 262144, 32768},
      {"fragments", 4, 1},   {"fragments", 13, 4},     {"hosts", 5, 1},         {"hosts", 6, 2},
      {"hosts", 163840, 32768}, {"hosts_far", 7, 7},   {"pods", 10000, 10000},  {"seg", 0, 1},
      {"rows", 3, 3},        {"bodies", 3, 3},         {"portdirs", 3, 3},      {"portpages", 3, 3},
      {"slots_far", 3, 3},   {"conntrack", 4194304, 524288},
  };
  for (const auto& row : kRows) {
    SCOPED_TRACE(std::string(row.name) + "=" + std::to_string(row.entries));
    TableSizes sizes;
    ASSERT_TRUE(set_entries(sizes, row.name, row.entries));
    EXPECT_EQ(size_of(sizes, row.name), row.buckets);
    // Told again by what differs from the usual, they are the same.
    TableSizes again;
    for (const auto& [name, entries] : unusual_entries(sizes)) ASSERT_TRUE(set_entries(again, name, entries));
    EXPECT_EQ(again, sizes);
  }
  EXPECT_TRUE(unusual_entries(TableSizes{}).empty());
}

TEST(TableSizes, those_of_an_entry_for_each_index_are_fixed) {
  TableSizes sizes;
  for (const char* name : {"node", "slots", "idx", "", "nothing"}) EXPECT_FALSE(set_entries(sizes, name, 5)) << name;
  EXPECT_EQ(sizes, TableSizes{});
}

}  // namespace
}  // namespace postern::table_sizes_test
