// SPDX-License-Identifier: Apache-2.0
#include "engine/base/nearest_names.h"

#include <gtest/gtest.h>

namespace postern {
namespace {

TEST(NearestNames, DistanceCountsLettersToChange) {
  EXPECT_EQ(edit_distance("web", "web"), 0u);
  EXPECT_EQ(edit_distance("web", "wep"), 1u);
  EXPECT_EQ(edit_distance("web", "webs"), 1u);
  EXPECT_EQ(edit_distance("", "abc"), 3u);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3u);
  EXPECT_EQ(edit_distance("a", "abcdefgh", 4), 4u);
}

TEST(NearestNames, OffersTheNearestFirstAndNothingFarOff) {
  const std::vector<std::string> names{"shop/api-0", "shop/frontend-0", "y/zzzzzz"};
  EXPECT_EQ(nearest_names("shop/frontent-0", names), (std::vector<std::string>{"shop/frontend-0"}));
  EXPECT_EQ(nearest_names("shop/apo-0", names).front(), "shop/api-0");
  EXPECT_TRUE(nearest_names("nothing-like-it", names).empty());
}

TEST(NearestNames, ASentenceForMessages) {
  EXPECT_EQ(did_you_mean("x/a1", {"x/a2", "x/a3"}), "; did you mean x/a2 or x/a3?");
  EXPECT_EQ(did_you_mean("qqq", {"x/a2"}), "");
  EXPECT_EQ(did_you_mean("lof", {"log", "x"}, "--"), "; did you mean --log?");
}

}  // namespace
}  // namespace postern
