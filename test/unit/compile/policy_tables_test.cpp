// SPDX-License-Identifier: Apache-2.0
#include "engine/compile/policy_tables.h"

#include <gtest/gtest.h>

#include "engine/compile/delta_writer.h"

namespace postern {
namespace {

TEST(PolicyTables, EveryElementIsAWholeNumberOfWords) {
  for (std::size_t i = 0; i < kTableCount; ++i) {
    const auto shape = shape_of(static_cast<TableId>(i), {});
    EXPECT_FALSE(shape.name.empty());
    EXPECT_EQ(shape.is_hash, shape.key_size != 0) << shape.name;
    // The kernel pads elements of arrays to 8 bytes; a layout that needs padding would shift.
    EXPECT_TRUE(shape.is_hash || shape.value_size % 8 == 0) << shape.name;
  }
}

TEST(PolicyTables, AWriteOutsideOfItsElementIsRefusedAndNotMade) {
  const std::vector<std::byte> word(8, std::byte{1});
  const std::vector<TableWrite> writes{
      {TableId::slots, PN_SLOTS, 0, {}, word}, {TableId::slots, 0, 4, {}, word},
      {TableId::seg, 0, 20, {}, word},         {TableId::slots, 0, 0, word, word},
      {TableId::slots_far, 0, 0, word, word},  {TableId::hosts_far, 0, 0, std::vector<std::byte>(16), word},
  };
  PolicyTables tables;
  const PolicyTables empty;
  for (const auto& write : writes) {
    EXPECT_FALSE(tables.apply(write)) << name_of(write.table) << " " << write.index << " " << write.offset;
  }
  EXPECT_TRUE(tables == empty);
}

TEST(PolicyTables, AFullHashTakesChangesButNoMore) {
  TableSizes sizes;
  sizes.entries[static_cast<std::size_t>(TableId::hosts_far)] = 2;
  PolicyTables tables(sizes);
  const auto set = [&](std::uint32_t key, std::uint32_t value) {
    return tables.apply(TableWrite{TableId::hosts_far, 0, 0, bytes_of(pn_address_v4(key)), bytes_of(value)});
  };
  EXPECT_TRUE(set(1, 10));
  EXPECT_TRUE(set(2, 20));
  EXPECT_TRUE(set(2, 21));
  const auto full = set(3, 30);
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().code, ErrorCode::table_full);
  EXPECT_NE(full.error().message.find("hosts_far"), std::string::npos);
  EXPECT_TRUE(tables.apply(TableWrite{TableId::hosts_far, 0, 0, bytes_of(pn_address_v4(1)), {}}));
  EXPECT_TRUE(set(3, 30));
}

TEST(PolicyTables, CopiesAreEqualAndApart) {
  PolicyTables tables;
  const auto write = [](std::uint32_t index) {
    return TableWrite{TableId::seg, index, 0, {}, bytes_of(std::uint64_t{7})};
  };
  ASSERT_TRUE(tables.apply(write(200000)));
  PolicyTables copy = tables;
  EXPECT_TRUE(copy == tables);
  ASSERT_TRUE(copy.apply(write(3)));
  EXPECT_FALSE(copy == tables);
  EXPECT_EQ(diff(tables, copy).writes.size(), 1u);
  tables = copy;
  EXPECT_TRUE(copy == tables);
}

TEST(PolicyTables, ADifferenceOfFullHashesErasesFirst) {
  TableSizes sizes;
  sizes.entries[static_cast<std::size_t>(TableId::hosts_far)] = 1;
  PolicyTables from(sizes);
  PolicyTables to(sizes);
  ASSERT_TRUE(from.apply(TableWrite{TableId::hosts_far, 0, 0, bytes_of(pn_address_v4(9)), bytes_of(1u)}));
  ASSERT_TRUE(to.apply(TableWrite{TableId::hosts_far, 0, 0, bytes_of(pn_address_v4(1)), bytes_of(1u)}));
  ASSERT_TRUE(from.apply(diff(from, to)));
  EXPECT_TRUE(from == to);
}

}  // namespace
}  // namespace postern
