// SPDX-License-Identifier: Apache-2.0
// What every backend does with table writes: the same bytes everywhere, whole or in parts.
#pragma once

#include "test/contract/backend_fixture.h"

namespace postern::test {

inline std::vector<std::byte> element(const PolicyTables& tables, TableId table, std::uint32_t index) {
  const auto shape = shape_of(table, tables.sizes());
  const auto bytes = tables.array(table).subspan(std::size_t{index} * shape.value_size, shape.value_size);
  return {bytes.begin(), bytes.end()};
}

TEST_P(BackendContract, AFreshBackendHoldsZeroedTables) {
  const auto dumped = backend().dump();
  ASSERT_TRUE(dumped) << dumped.error().to_string();
  EXPECT_TRUE(*dumped == PolicyTables(small_sizes()));
}

TEST_P(BackendContract, WhatWasAppliedIsWhatIsDumped) {
  tables()
      .judge(PN_INGRESS, {denied(), rule(1)})
      .host(kClient.address, 1)
      .body(5, {.other = denied(),
                .tcp = rule(2),
                .udp = 0,
                .sctp = 0,
                .interval_protocol = 6,
                .interval_lo = 1,
                .interval_hi = 2,
                .interval_step = 3,
                .pad = 0});
  const TableDelta delta = tables().take();
  PolicyTables expected(small_sizes());
  ASSERT_TRUE(expected.apply(delta));
  apply(delta);
  const auto dumped = backend().dump();
  ASSERT_TRUE(dumped) << dumped.error().to_string();
  EXPECT_TRUE(*dumped == expected);
}

TEST_P(BackendContract, APartialWriteLeavesTheRestOfAnElementAlone) {
  pn_row_chunk chunk{};
  for (std::uint32_t i = 0; i < PN_ROW_CHUNK; ++i) chunk.steps[i] = 100 + i;
  apply(TableDelta{.writes = {{TableId::rows, 2, 0, {}, bytes_of(chunk)}}, .reuses_freed = false});
  apply(TableDelta{.writes = {{TableId::rows, 2, 20, {}, bytes_of(std::uint32_t{7})}}, .reuses_freed = true});
  chunk.steps[5] = 7;
  const auto dumped = backend().dump();
  ASSERT_TRUE(dumped) << dumped.error().to_string();
  EXPECT_EQ(element(*dumped, TableId::rows, 2), bytes_of(chunk));
  EXPECT_EQ(element(*dumped, TableId::rows, 3), std::vector<std::byte>(sizeof chunk));
}

TEST_P(BackendContract, TheLastElementOfATableCanBeWritten) {
  const auto last = small_sizes().of(TableId::seg) - 1;
  const pn_segment segment{{1, 2}, 42, 0};
  apply(TableDelta{.writes = {{TableId::seg, last, 0, {}, bytes_of(segment)}},
                   .reuses_freed = false});
  const auto dumped = backend().dump();
  ASSERT_TRUE(dumped) << dumped.error().to_string();
  EXPECT_EQ(element(*dumped, TableId::seg, last), bytes_of(segment));
}

TEST_P(BackendContract, AWriteBehindATablesEndIsRefusedAndTheEarlierOnesHold) {
  const auto end = small_sizes().of(TableId::bodies);
  const auto done =
      backend().apply(TableDelta{.writes = {{TableId::idx, 1, 0, {}, bytes_of(std::uint64_t{1})},
                                            {TableId::bodies, end, 0, {}, bytes_of(pn_body{})}},
                                 .reuses_freed = false});
  EXPECT_FALSE(done);
  const auto dumped = backend().dump();
  ASSERT_TRUE(dumped) << dumped.error().to_string();
  EXPECT_EQ(element(*dumped, TableId::idx, 1), bytes_of(std::uint64_t{1}));
}

TEST_P(BackendContract, HashTablesSetReplaceAndErase) {
  tables().hash(TableId::hosts_far, bytes_of(pn_address{0, 1}), bytes_of(11u));
  tables().hash(TableId::hosts_far, bytes_of(pn_address{7, 2}), bytes_of(12u));
  tables().hash(TableId::hosts_far, bytes_of(pn_address{0, 1}), bytes_of(13u));
  tables().hash(TableId::hosts_far, bytes_of(pn_address{7, 2}), {});
  tables().hash(TableId::hosts_far, bytes_of(pn_address{9, 9}), {});
  tables().hash(TableId::slots_far, bytes_of(70000u), bytes_of(std::uint64_t{5}));
  apply(tables().take());
  const auto dumped = backend().dump();
  ASSERT_TRUE(dumped) << dumped.error().to_string();
  EXPECT_EQ(dumped->hash(TableId::hosts_far), (PolicyTables::Hash{{bytes_of(pn_address{0, 1}), bytes_of(13u)}}));
  EXPECT_EQ(dumped->hash(TableId::slots_far),
            (PolicyTables::Hash{{bytes_of(70000u), bytes_of(std::uint64_t{5})}}));
}

TEST_P(BackendContract, AFullHashTableSaysSo) {
  for (std::uint32_t key = 1; key <= small_sizes().of(TableId::hosts_far) + 1; ++key) {
    tables().hash(TableId::hosts_far, bytes_of(pn_address{0, key}), bytes_of(key));
  }
  const auto done = backend().apply(tables().take());
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, ErrorCode::table_full) << done.error().to_string();
}

TEST_P(BackendContract, AFreshBackendInheritsNothing) {
  const Inheritance& inherited = backend().inheritance();
  EXPECT_TRUE(inherited.interfaces.empty());
  EXPECT_FALSE(inherited.connections);
  EXPECT_EQ(inherited.epoch, 0u);
  EXPECT_EQ(inherited.last_rule, RuleId{});
  EXPECT_TRUE(backend().take_notes().empty());
}

TEST_P(BackendContract, AttachingTwiceAndDetachingWhatIsNotAttachedAreNoErrors) {
  EXPECT_TRUE(backend().detach(kIfindex));
  EXPECT_TRUE(backend().attach(kIfindex));
  EXPECT_TRUE(backend().attach(kIfindex));
  EXPECT_TRUE(backend().detach(kIfindex));
  EXPECT_TRUE(backend().detach(kIfindex));
}

TEST_P(BackendContract, AFreshBackendHasNoConnectionsCountersOrEvents) {
  EXPECT_TRUE(connections().empty());
  EXPECT_TRUE(events().empty());
  const auto counters = backend().counters();
  ASSERT_TRUE(counters);
  ASSERT_EQ(counters->size(), static_cast<std::size_t>(PN_COUNTERS));
  for (const auto& one : *counters) EXPECT_EQ(one.packets + one.bytes, 0u);
}

}  // namespace postern::test
