// SPDX-License-Identifier: Apache-2.0
#include "sim/runner/selection.h"

#include <gtest/gtest.h>

#include <vector>

namespace postern::sim {
namespace {

TEST(Selection, AnyFilterAndEveryLabelMustHold) {
  const auto selection = make_selection({"web-*", "db"}, {"suite=s", "kind=a=b"}, "");
  ASSERT_TRUE(selection);
  EXPECT_TRUE(selects(*selection, "web-1", {{"suite", "s"}, {"kind", "a=b"}}));
  EXPECT_TRUE(selects(*selection, "db", {{"suite", "s"}, {"kind", "a=b"}, {"more", "x"}}));
  EXPECT_FALSE(selects(*selection, "db2", {{"suite", "s"}, {"kind", "a=b"}}));
  EXPECT_FALSE(selects(*selection, "db", {{"suite", "s"}}));
  EXPECT_FALSE(selects(*selection, "db", {{"suite", "t"}, {"kind", "a=b"}}));
}

TEST(Selection, ShardsTakeEveryScenarioExactlyOnce) {
  std::vector<int> taken(10);
  for (const char* shard : {"1/3", "2/3", "3/3"}) {
    const auto selection = make_selection({}, {}, shard);
    ASSERT_TRUE(selection);
    for (std::size_t i = 0; i < taken.size(); ++i) taken[i] += in_shard(*selection, i) ? 1 : 0;
  }
  EXPECT_EQ(taken, std::vector<int>(10, 1));
}

TEST(Selection, WhatCannotBeReadIsRefused) {
  for (const char* shard : {"0/3", "4/3", "1", "/", "1/0", "a/b", "1/3x", "-1/3"}) {
    EXPECT_FALSE(make_selection({}, {}, shard)) << shard;
  }
  for (const char* label : {"novalue", "=x"}) EXPECT_FALSE(make_selection({}, {label}, "")) << label;
}

}  // namespace
}  // namespace postern::sim
