// SPDX-License-Identifier: Apache-2.0
// All pods of a node at once: no interface is two pods'.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "test/unit/interfaces/small_host.h"

namespace postern::agent {
namespace {

using testing::HasSubstr;
using testing_support::pod;
using testing_support::SmallHost;

TEST(LocateAllTest, pods_with_interfaces_of_their_own_are_found_as_each_alone) {
  const SmallHost host =
      SmallHost().veth(7, "veth7", 4).veth(8, "veth8", 5).route("10.1.0.5/32", 7).route("10.1.0.6/32", 8);
  const std::vector pods{pod("web", {"10.1.0.5"}), pod("db", {"10.1.0.6"}), pod("late", {"10.1.0.7"})};
  const auto all = locate_all(host.picture, pods, {});
  ASSERT_EQ(all.size(), 3u);
  for (const auto& one : pods) {
    const auto alone = locate(host.picture, one, {});
    EXPECT_EQ(all.at(one.key).outcome, alone.outcome);
    EXPECT_EQ(all.at(one.key).interface, alone.interface);
    EXPECT_EQ(all.at(one.key).words, alone.words);
  }
}

TEST(LocateAllTest, two_pods_at_one_interface_are_a_disagreement_of_both) {
  // As when a pod answers for another's address on a bridge.
  SmallHost host;
  host.link(3, "cni0", "bridge").route("10.1.0.0/24", 3).veth(7, "veth7", 4).veth(8, "veth8", 5);
  host.neighbour("10.1.0.5", 3, 0x55).neighbour("10.1.0.6", 3, 0x55).heard(0x55, 3, 7);
  host.neighbour("10.1.0.7", 3, 0x66).heard(0x66, 3, 8);
  const std::vector pods{pod("web", {"10.1.0.5"}), pod("db", {"10.1.0.6"}), pod("cache", {"10.1.0.7"})};
  const auto all = locate_all(host.picture, pods, {});
  for (const auto& [name, other] : {std::pair{"web", "shop/db"}, std::pair{"db", "shop/web"}}) {
    const auto& match = all.at({"shop", name});
    EXPECT_EQ(match.outcome, LocateOutcome::disagreement) << name;
    EXPECT_FALSE(match.interface) << name;
    EXPECT_FALSE(match.confirmed()) << name;
    EXPECT_THAT(match.words, HasSubstr(std::string("which is also where ") + other + " is found"));
  }
  EXPECT_EQ(all.at({"shop", "cache"}).outcome, LocateOutcome::found);
}

}  // namespace
}  // namespace postern::agent
