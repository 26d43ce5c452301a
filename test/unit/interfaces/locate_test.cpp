// SPDX-License-Identifier: Apache-2.0
// Which interface is a pod's, as a table: what the host looks like, what is known of the pod, and what
// comes out. The pod is always shop/web, whose Amazon name is eni551b05c3e54.
#include "agent/interfaces/locate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "test/unit/interfaces/small_host.h"

namespace postern::agent::locate_test {
namespace {

using testing::HasSubstr;
using testing_support::pod;
using testing_support::SmallHost;
using enum LocateOutcome;
using enum Way;
using Ways = std::vector<Way>;

constexpr std::uint32_t kNone = 0;

struct Row {
  const char* name;
  SmallHost host;
  PodAddresses asked;
  LocateOutcome outcome;
  std::uint32_t ifindex;
  Ways ways;
  std::vector<const char*> words;      // parts of the sentence
  std::vector<const char*> unheard = {};
  std::vector<std::uint32_t> further = {};
};

SmallHost bridged() {
  SmallHost host;
  host.link(1, "lo", "").link(3, "cni0", "bridge").route("10.1.0.0/24", 3).route("fd01::/64", 3);
  return host.veth(7, "veth7", 0).veth(8, "veth8", 1);
}

void check(const std::vector<Row>& rows) {
  for (const auto& row : rows) {
    SCOPED_TRACE(row.name);
    const auto match = locate(row.host.picture, row.asked, {});
    EXPECT_EQ(match.outcome, row.outcome) << match.words;
    EXPECT_EQ(match.interface ? match.interface->ifindex : kNone, row.ifindex) << match.words;
    EXPECT_EQ(match.ways(), row.ways) << match.words;
    EXPECT_EQ(match.confirmed(), row.outcome == found && row.ways.size() > 1);
    EXPECT_EQ(match.further, row.further);
    for (const char* const part : row.words) EXPECT_THAT(match.words, HasSubstr(part));
    std::vector<IpAddress> unheard;
    for (const char* const address : row.unheard) unheard.push_back(testing_support::ip(address));
    EXPECT_EQ(match.unheard, unheard);
  }
}

TEST(LocateTest, each_way_finds_a_pod_by_itself) {
  check({
      {"its netns id", SmallHost().veth(7, "veth7", 4).veth(8, "veth8", 5), pod("web", {}, 5), found, 8,
       {netns_id}, {"veth8 (8) by netns id"}},
      {"its address on the far end", SmallHost().veth(7, "veth7", 4).veth(8, "veth8", 5).far(5, 2, "10.1.0.5"),
       pod("web", {"10.1.0.5"}), found, 8, {far_address}, {"veth8 (8) by address"}},
      {"its address elsewhere in a namespace with one veth",
       SmallHost().veth(8, "veth8", 5).far(5, 9, "10.1.0.5"), pod("web", {"10.1.0.5"}), found, 8, {far_address},
       {"by address"}},
      {"a host route", SmallHost().veth(7, "veth7", 4).route("10.1.0.5/32", 7), pod("web", {"10.1.0.5"}), found, 7,
       {route}, {"veth7 (7) by route"}},
      {"a host route of IPv6", SmallHost().veth(7, "veth7", 4).route("fd01::5/128", 7), pod("web", {"fd01::5"}),
       found, 7, {route}, {}},
      {"a host route in another table, as of Amazon's branch interfaces",
       SmallHost().veth(7, "veth7", 4).route("10.1.0.5/32", 7, 101), pod("web", {"10.1.0.5"}), found, 7,
       {route}, {}},
      {"a host route although the network is a bridge's", bridged().route("10.1.0.5/32", 7),
       pod("web", {"10.1.0.5"}), found, 7, {route}, {}},
      {"the bridge port behind which its MAC was heard", bridged().neighbour("10.1.0.5", 3, 0x55).heard(0x55, 3, 8),
       pod("web", {"10.1.0.5"}), found, 8, {bridge_port}, {"veth8 (8) by bridge port"}},
      {"the bridge port, by IPv6", bridged().neighbour("fd01::5", 3, 0x55).heard(0x55, 3, 8),
       pod("web", {"fd01::5"}), found, 8, {bridge_port}, {}},
      {"a host route to the bridge",
       bridged().route("10.9.0.5/32", 3).neighbour("10.9.0.5", 3, 0x55).heard(0x55, 3, 8),
       pod("web", {"10.9.0.5"}), found, 8, {bridge_port}, {}},
      {"Amazon's name", SmallHost().veth(7, "eni551b05c3e54", 4), pod("web", {"10.1.0.5"}), found, 7, {name},
       {"eni551b05c3e54 (7) by name"}},
      {"Amazon's name of a branch interface", SmallHost().veth(7, "vlan551b05c3e54", 4), pod("web", {}), found, 7,
       {name}, {}},
      {"Calico's name", SmallHost().veth(7, "cali551b05c3e54", 4), pod("web", {}), found, 7, {name}, {}},
  });
}

TEST(LocateTest, ways_that_agree_confirm_each_other) {
  check({
      {"netns id and address", SmallHost().veth(7, "veth7", 4).far(4, 2, "10.1.0.5"), pod("web", {"10.1.0.5"}, 4),
       found, 7, {netns_id, far_address}, {"by netns id, address"}},
      {"address, route and name of a pod on Amazon",
       SmallHost().veth(7, "eni551b05c3e54", 4).route("10.1.0.5/32", 7).far(4, 2, "10.1.0.5"),
       pod("web", {"10.1.0.5"}), found, 7, {far_address, route, name}, {"by address, route, name"}},
      {"both families by one way are one way",
       SmallHost().veth(7, "veth7", 4).route("10.1.0.5/32", 7).route("fd01::5/128", 7),
       pod("web", {"10.1.0.5", "fd01::5"}), found, 7, {route}, {}},
      {"one family by route, the other by bridge port",
       bridged().route("10.9.0.5/32", 8).neighbour("fd01::5", 3, 0x55).heard(0x55, 3, 8),
       pod("web", {"10.9.0.5", "fd01::5"}), found, 8, {route, bridge_port}, {}},
      {"one family is not there yet", SmallHost().veth(7, "veth7", 4).route("10.1.0.5/32", 7).far(4, 2, "10.1.0.5"),
       pod("web", {"10.1.0.5", "fd01::5"}), found, 7, {far_address, route}, {}},
      {"everything on a bridge",
       bridged().neighbour("10.1.0.5", 3, 0x55).heard(0x55, 3, 8).far(1, 2, "10.1.0.5"),
       pod("web", {"10.1.0.5"}, 1), found, 8, {netns_id, far_address, bridge_port}, {}},
  });
}

TEST(LocateTest, what_is_missing_is_said) {
  check({
      {"nothing is known", SmallHost(), pod("web", {}), not_found, kNone, {},
       {"no interface found yet", "no veth is named eni551b05c3e54, vlan551b05c3e54, cali551b05c3e54",
        "it has no address yet"}},
      {"no route", SmallHost().veth(7, "veth7", 4), pod("web", {"10.1.0.5"}), not_found, kNone, {},
       {"no route to 10.1.0.5 leads to a veth or a bridge"}},
      {"the route leads out", SmallHost().link(2, "eth0", "").route("10.1.0.0/16", 2), pod("web", {"10.1.0.5"}),
       not_found, kNone, {}, {"route 10.1.0.0/16 leads to eth0 (2)"}},
      {"a route to an interface that is gone", SmallHost().route("10.1.0.5/32", 99), pod("web", {"10.1.0.5"}),
       not_found, kNone, {}, {"no route to 10.1.0.5"}},
      {"no veth has the netns id", SmallHost().veth(7, "veth7", 4), pod("web", {}, 9), not_found, kNone, {},
       {"no veth leads to netns id 9"}},
      {"the bridge does not know the neighbour", bridged(), pod("web", {"10.1.0.5"}), not_found, kNone, {},
       {"10.1.0.5 is on bridge cni0 (3), which does not know its MAC"}, {"10.1.0.5"}},
      {"neither of two families", bridged(), pod("web", {"10.1.0.5", "fd01::5"}), not_found, kNone, {}, {},
       {"10.1.0.5", "fd01::5"}},
      {"the bridge has forgotten the MAC", bridged().neighbour("10.1.0.5", 3, 0x55), pod("web", {"10.1.0.5"}),
       not_found, kNone, {}, {"which has not heard its MAC 02:00:00:00:00:55"}, {"10.1.0.5"}},
      {"another bridge has heard the MAC",
       bridged().link(4, "br1", "bridge").neighbour("10.1.0.5", 3, 0x55).heard(0x55, 4, 8),
       pod("web", {"10.1.0.5"}), not_found, kNone, {}, {"has not heard"}, {"10.1.0.5"}},
      {"the neighbour is one of another bridge", bridged().link(4, "br1", "bridge").neighbour("10.1.0.5", 4, 0x55),
       pod("web", {"10.1.0.5"}), not_found, kNone, {}, {"does not know its MAC"}, {"10.1.0.5"}},
      {"found by another way, the bridge is still to be asked", bridged().far(1, 2, "10.1.0.5"),
       pod("web", {"10.1.0.5"}), found, 8, {far_address}, {}, {"10.1.0.5"}},
  });
}

TEST(LocateTest, only_veths_count) {
  check({
      {"a host route to a device of another kind", SmallHost().link(7, "ipvl7", "ipvlan").route("10.1.0.5/32", 7),
       pod("web", {"10.1.0.5"}), not_found, kNone, {}, {"leads to ipvl7 (7)"}},
      {"netkit has a peer but another hook",
       SmallHost().link(7, "eni551b05c3e54", "netkit").route("10.1.0.5/32", 7),
       pod("web", {"10.1.0.5"}), not_found, kNone, {}, {"no veth is named"}},
      {"a port that is no veth", bridged().link(9, "eth1", "").neighbour("10.1.0.5", 3, 0x55).heard(0x55, 3, 9),
       pod("web", {"10.1.0.5"}), not_found, kNone, {}, {"heard behind eth1 (9), which is no veth"}},
      {"a network behind a veth is another node", SmallHost().veth(7, "eth0", 4).route("10.1.0.0/24", 7),
       pod("web", {"10.1.0.5"}), not_found, kNone, {}, {"route 10.1.0.0/24 leads to eth0 (7)"}},
      {"a name of a device of another kind", SmallHost().link(7, "eni551b05c3e54", ""), pod("web", {}), not_found,
       kNone, {}, {}},
  });
}

TEST(LocateTest, a_disagreement_is_never_a_choice) {
  check({
      {"route and name", SmallHost().veth(7, "veth7", 4).veth(8, "eni551b05c3e54", 5).route("10.1.0.5/32", 7),
       pod("web", {"10.1.0.5"}), disagreement, kNone, {route, name},
       {"ways to find its interface disagree", "route 10.1.0.5/32 leads to veth7 (7)",
        "its name makes eni551b05c3e54 (8)"}},
      {"netns id and route", SmallHost().veth(7, "veth7", 4).veth(8, "veth8", 5).route("10.1.0.5/32", 7),
       pod("web", {"10.1.0.5"}, 5), disagreement, kNone, {netns_id, route}, {"netns id 5 is behind veth8 (8)"}},
      {"two agree and a third does not",
       SmallHost().veth(7, "eni551b05c3e54", 4).veth(8, "veth8", 5).route("10.1.0.5/32", 7).far(5, 2, "10.1.0.5"),
       pod("web", {"10.1.0.5"}), disagreement, kNone, {far_address, route, name},
       {"10.1.0.5 is on the far end of veth8 (8)"}},
      {"the routes of both families",
       SmallHost().veth(7, "veth7", 4).veth(8, "veth8", 5).route("10.1.0.5/32", 7).route("fd01::5/128", 8),
       pod("web", {"10.1.0.5", "fd01::5"}), disagreement, kNone, {route}, {"fd01::5/128 leads to veth8 (8)"}},
      {"bridge port and address",
       bridged().neighbour("10.1.0.5", 3, 0x55).heard(0x55, 3, 7).far(1, 2, "10.1.0.5"), pod("web", {"10.1.0.5"}),
       disagreement, kNone, {far_address, bridge_port}, {"heard behind veth7 (7) of cni0 (3)"}},
      {"the far end has another address: a name that was left over",
       SmallHost().veth(7, "eni551b05c3e54", 4).far(4, 2, "10.1.0.9"), pod("web", {"10.1.0.5"}), disagreement,
       kNone, {name}, {"the far end of eni551b05c3e54 (7) has 10.1.0.9"}},
      {"the far end has another address: a route that was left over",
       SmallHost().veth(7, "veth7", 4).route("10.1.0.5/32", 7).far(4, 2, "10.1.0.9"), pod("web", {"10.1.0.5"}),
       disagreement, kNone, {route}, {"has 10.1.0.9"}},
      {"the far end has an address of the other family only: no contradiction",
       SmallHost().veth(7, "veth7", 4).route("10.1.0.5/32", 7).far(4, 2, "fd01::9"), pod("web", {"10.1.0.5"}),
       found, 7, {route}, {}},
      {"another interface of the namespace has other addresses: no contradiction",
       SmallHost().veth(7, "veth7", 4).route("10.1.0.5/32", 7).far(4, 6, "192.168.1.9"), pod("web", {"10.1.0.5"}),
       found, 7, {route}, {}},
  });
}

TEST(LocateTest, what_may_be_several_is_settled_by_another_way_or_said) {
  const SmallHost two = SmallHost().veth(7, "veth7", 4, 2).veth(8, "veth8", 4, 3);
  check({
      {"two veths into the namespace", two, pod("web", {}, 4), ambiguous, kNone, {netns_id},
       {"its interface may be any of veth7 (7), veth8 (8)"}},
      {"of two veths the one with its address", SmallHost(two).far(4, 3, "10.1.0.5").far(4, 2, "192.168.0.5"),
       pod("web", {"10.1.0.5"}, 4), found, 8, {netns_id, far_address}, {}, {}, {7}},
      {"of two veths the one with its route", SmallHost(two).route("10.1.0.5/32", 7), pod("web", {"10.1.0.5"}, 4),
       found, 7, {netns_id, route}, {}, {}, {8}},
      {"the address is on neither of two veths", SmallHost(two).far(4, 9, "10.1.0.5"), pod("web", {"10.1.0.5"}),
       ambiguous, kNone, {far_address}, {"10.1.0.5 is in the namespace behind veth7 (7), veth8 (8)"}},
      {"two pods claim the address",
       SmallHost().veth(7, "veth7", 4).veth(8, "veth8", 5).far(4, 2, "10.1.0.5").far(5, 2, "10.1.0.5"),
       pod("web", {"10.1.0.5"}), ambiguous, kNone, {far_address}, {"veth7 (7), veth8 (8)"}},
      {"two pods claim the address, and one has the route",
       SmallHost().veth(7, "veth7", 4).veth(8, "veth8", 5).far(4, 2, "10.1.0.5").far(5, 2, "10.1.0.5").route(
           "10.1.0.5/32", 7),
       pod("web", {"10.1.0.5"}), found, 7, {far_address, route}, {}},
      {"an address on a loopback does not outweigh the one on a far end",
       SmallHost().veth(7, "veth7", 4).veth(8, "veth8", 5).far(4, 1, "10.1.0.5").far(5, 2, "10.1.0.5"),
       pod("web", {"10.1.0.5"}), found, 8, {far_address}, {}},
      {"two tables lead to two veths",
       SmallHost().veth(7, "veth7", 4).veth(8, "veth8", 5).route("10.1.0.5/32", 7).route("10.1.0.5/32", 8, 101),
       pod("web", {"10.1.0.5"}), ambiguous, kNone, {route}, {"leads to veth7 (7), veth8 (8)"}},
      {"a MAC was heard in two VLANs",
       bridged().neighbour("10.1.0.5", 3, 0x55).heard(0x55, 3, 7, 10).heard(0x55, 3, 8, 20),
       pod("web", {"10.1.0.5"}), ambiguous, kNone, {bridge_port}, {}},
      {"both of Amazon's names are there", SmallHost().veth(7, "eni551b05c3e54", 4).veth(8, "vlan551b05c3e54", 5),
       pod("web", {}), ambiguous, kNone, {name}, {}},
  });
}

TEST(LocateTest, the_most_specific_route_decides) {
  SmallHost host = bridged();
  host.link(4, "br1", "bridge").route("10.1.0.0/28", 4);
  host.neighbour("10.1.0.5", 3, 0x55).heard(0x55, 3, 7).neighbour("10.1.0.5", 4, 0x66).heard(0x66, 4, 8);
  const auto match = locate(host.picture, pod("web", {"10.1.0.5"}), {});
  ASSERT_TRUE(match.interface) << match.words;
  EXPECT_EQ(match.interface->ifindex, 8u);
}

TEST(LocateTest, a_template_of_the_user_replaces_the_known_names) {
  const SmallHost host = SmallHost().veth(7, "eni551b05c3e54", 4).veth(8, "lan-web", 5);
  LocateOptions options;
  options.names = {NameTemplate::parse("lan-{pod}").value()};
  const auto match = locate(host.picture, pod("web", {}), options);
  ASSERT_TRUE(match.interface) << match.words;
  EXPECT_EQ(match.interface->ifindex, 8u);
  options.names.clear();
  EXPECT_EQ(locate(host.picture, pod("web", {}), options).outcome, not_found);
}

TEST(LocateTest, an_index_that_another_device_came_to_have_is_another_interface) {
  SmallHost host = SmallHost().veth(7, "veth7", 4).route("10.1.0.5/32", 7);
  const auto before = locate(host.picture, pod("web", {"10.1.0.5"}), {});
  host.veth(7, "veth7", 4);  // the same in everything that can be seen of it
  const auto after = locate(host.picture, pod("web", {"10.1.0.5"}), {});
  ASSERT_TRUE(before.interface && after.interface);
  EXPECT_NE(*before.interface, *after.interface);
  EXPECT_EQ(after.interface->ifindex, 7u);
  EXPECT_EQ(after.interface->peer, 2u);
  EXPECT_EQ(after.interface->netns_id, 4);

  host.picture.links.at(7).name = "renamed";
  host.picture.links.at(7).up = false;
  const auto renamed = locate(host.picture, pod("web", {"10.1.0.5"}), {});
  EXPECT_EQ(*renamed.interface, *after.interface) << "it is the same device";
}

}  // namespace
}  // namespace postern::agent::locate_test
