// SPDX-License-Identifier: Apache-2.0
#include "engine/compile/space.h"

#include <gtest/gtest.h>

namespace postern {
namespace {

TEST(Space, HandsOutWhatWasNeverUsedFirst) {
  Space space(4, 1);
  EXPECT_EQ(space.take(1), 1u);
  space.give_back(1, 1);
  space.begin_update();
  EXPECT_EQ(space.take(2), 2u);
  EXPECT_FALSE(space.reused());
  EXPECT_EQ(space.take(1), 1u);
  EXPECT_TRUE(space.reused());
  EXPECT_FALSE(space.overflowed());
}

TEST(Space, HoldsBackWhatTheSameUpdateFreed) {
  Space space(2);
  EXPECT_EQ(space.take(2), 0u);
  space.give_back(0, 2);
  EXPECT_EQ(space.available(), 0u);
  space.begin_update();
  EXPECT_EQ(space.available(), 2u);
  EXPECT_EQ(space.take(2), 0u);
}

TEST(Space, JoinsNeighboursWhateverTheOrder) {
  Space space(6);
  for (int i = 0; i < 6; ++i) space.take(1);
  for (const std::uint32_t index : {4u, 1u, 3u, 2u}) space.give_back(index, 1);
  space.begin_update();
  EXPECT_EQ(space.take(4), 1u);
  EXPECT_FALSE(space.overflowed());
}

TEST(Space, CountsWhatWouldHaveBeenNeeded) {
  Space space(3);
  space.take(2);
  space.take(4);
  space.take(2);
  EXPECT_TRUE(space.overflowed());
  EXPECT_EQ(space.needed(), 9u);
}

TEST(Space, GrowsAtTheEnd) {
  Space space(1);
  EXPECT_EQ(space.take(1), 0u);
  space.grow(16);
  EXPECT_EQ(space.take(1), 1u);
  EXPECT_EQ(space.available(), 14u);
}

}  // namespace
}  // namespace postern
