// SPDX-License-Identifier: Apache-2.0
// What a stamp tells apart, and how a view stands to tables by it.
#include "agent/view/table_stamp.h"

#include <gtest/gtest.h>

#include <cstring>
#include <functional>

#include "engine/abi/tables.h"

namespace postern::agent {
namespace {

pn_node& node_of(PolicyTables& tables) { return *reinterpret_cast<pn_node*>(tables.array(TableId::node).data()); }

PolicyTables some_tables() {
  PolicyTables tables;
  node_of(tables).epoch = 5;
  node_of(tables).hash_secret = 77;
  tables.array(TableId::slots)[800] = std::byte{1};
  return tables;
}

TEST(TableStamp, tells_tables_apart_by_what_names_hang_on_and_by_nothing_else) {
  const TableStamp stamp = stamp_of(some_tables());
  EXPECT_EQ(stamp, stamp_of(some_tables()));
  const struct {
    const char* name;
    std::function<void(PolicyTables&)> change;
    ViewFit fit;
  } rows[] = {
      {"nothing", [](PolicyTables&) {}, ViewFit::current},
      {"a monitor", [](PolicyTables& t) { node_of(t).monitor_until = 9, node_of(t).monitor_ifindex = 3; }, ViewFit::current},
      {"what hosts are", [](PolicyTables& t) { t.array(TableId::hosts)[64] = std::byte{1}; }, ViewFit::current},
      {"a slot", [](PolicyTables& t) { t.array(TableId::slots)[808] = std::byte{1}; }, ViewFit::changed},
      {"the same slot elsewhere", [](PolicyTables& t) {
         t.array(TableId::slots)[800] = std::byte{0};
         t.array(TableId::slots)[808] = std::byte{1};
       }, ViewFit::changed},
      {"a pod", [](PolicyTables& t) { t.array(TableId::pods)[64] = std::byte{1}; }, ViewFit::changed},
      {"a rule", [](PolicyTables& t) { node_of(t).last_rule = 12; }, ViewFit::changed},
      {"a later epoch", [](PolicyTables& t) { node_of(t).epoch = 6; }, ViewFit::older},
      {"an earlier epoch", [](PolicyTables& t) { node_of(t).epoch = 4; }, ViewFit::newer},
      {"an epoch before the numbers went round", [](PolicyTables& t) { node_of(t).epoch = 0xfffffff0; }, ViewFit::newer},
      {"another secret", [](PolicyTables& t) { node_of(t).hash_secret = 78; }, ViewFit::other},
      {"another secret and epoch", [](PolicyTables& t) { node_of(t).hash_secret = 78, node_of(t).epoch = 9; }, ViewFit::other},
  };
  for (const auto& row : rows) {
    PolicyTables tables = some_tables();
    row.change(tables);
    EXPECT_EQ(fit_of(stamp, stamp_of(tables)), row.fit) << row.name;
  }
}

}  // namespace
}  // namespace postern::agent
