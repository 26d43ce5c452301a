// SPDX-License-Identifier: Apache-2.0
// Messages as the kernel sends them, and what the picture is afterwards. That the kernel sends them so is
// held by the kernel test, which compares a followed picture with a fresh one.
#include "agent/interfaces/picture_keeper.h"

#include <gtest/gtest.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

#include <cstring>
#include <memory>

#include "test/unit/interfaces/small_host.h"

namespace postern::agent {
namespace {

using testing_support::ip;

const Mac kMac{2, 0, 0, 0, 0, 0x55};

struct LinkMessage {
  std::uint32_t ifindex = 7;
  const char* name = "veth7";
  const char* kind = "veth";
  std::uint32_t peer = 2;
  std::optional<NetnsId> netns_id = 4;
  std::uint32_t master = 0;
  bool up = true;
  int family = AF_UNSPEC;
};

class PictureKeeperTest : public testing::Test {
 protected:
  void link(std::uint16_t type, const LinkMessage& of) {
    NetlinkRequest message(type, 0);
    auto& info = message.fixed<ifinfomsg>();
    info.ifi_family = static_cast<unsigned char>(of.family);
    info.ifi_index = static_cast<int>(of.ifindex);
    info.ifi_flags = of.up ? IFF_UP : 0;
    message.put(IFLA_IFNAME, std::string(of.name));
    message.put(IFLA_ADDRESS, kMac);
    if (of.peer != 0) message.put(IFLA_LINK, of.peer);
    if (of.master != 0) message.put(IFLA_MASTER, of.master);
    if (of.netns_id) message.put(IFLA_LINK_NETNSID, static_cast<std::uint32_t>(*of.netns_id));
    nlattr* const more = mnl_attr_nest_start(message.header(), IFLA_LINKINFO);
    message.put(IFLA_INFO_KIND, std::string(of.kind));
    mnl_attr_nest_end(message.header(), more);
    keeper.apply(*message.header());
  }
  void bridge(std::uint32_t ifindex) { link(RTM_NEWLINK, {ifindex, "cni0", "bridge", 0, std::nullopt}); }

  void address(std::uint16_t type, std::uint32_t ifindex, const char* text, std::uint32_t flags = 0) {
    NetlinkRequest message(type, 0);
    auto& info = message.fixed<ifaddrmsg>();
    info.ifa_family = netlink_family(ip(text));
    info.ifa_index = ifindex;
    message.put(IFA_ADDRESS, ip(text));
    message.put(IFA_FLAGS, flags);
    keeper.apply(*message.header());
  }

  struct Route {
    const char* destination;
    std::uint32_t ifindex = 7;
    const char* gateway = nullptr;
    const char* source = nullptr;
    int flags = 0;
    std::uint8_t kind = RTN_UNICAST;
    bool several = false;  // ways
  };
  void route(std::uint16_t type, const Route& of) {
    const Cidr destination = Cidr::parse(of.destination).value();
    NetlinkRequest message(type, of.flags);
    auto& info = message.fixed<rtmsg>();
    info.rtm_family = netlink_family(destination.network());
    info.rtm_dst_len = static_cast<unsigned char>(destination.prefix_length());
    info.rtm_type = of.kind;
    info.rtm_table = RT_TABLE_MAIN;
    message.put(RTA_DST, destination.network());
    if (of.several) mnl_attr_put(message.header(), RTA_MULTIPATH, 0, nullptr);
    else message.put(RTA_OIF, of.ifindex);
    if (of.gateway != nullptr) message.put(RTA_GATEWAY, ip(of.gateway));
    if (of.source != nullptr) message.put(RTA_PREFSRC, ip(of.source));
    keeper.apply(*message.header());
  }

  void neighbour(std::uint16_t type, std::uint32_t ifindex, const char* text, int state) {
    NetlinkRequest message(type, 0);
    auto& info = message.fixed<ndmsg>();
    info.ndm_family = netlink_family(ip(text));
    info.ndm_ifindex = static_cast<int>(ifindex);
    info.ndm_state = static_cast<std::uint16_t>(state);
    message.put(NDA_DST, ip(text));
    message.put(NDA_LLADDR, kMac);
    keeper.apply(*message.header());
  }
  void forwarding(std::uint16_t type, std::uint32_t port, int state, int flags = 0, std::uint32_t master = 3) {
    NetlinkRequest message(type, 0);
    auto& info = message.fixed<ndmsg>();
    info.ndm_family = AF_BRIDGE;
    info.ndm_ifindex = static_cast<int>(port);
    info.ndm_state = static_cast<std::uint16_t>(state);
    info.ndm_flags = static_cast<std::uint8_t>(flags);
    message.put(NDA_LLADDR, kMac);
    if (master != 0) message.put(NDA_MASTER, master);
    keeper.apply(*message.header());
  }

  const NetworkPicture& picture() const { return keeper.picture(); }
  PictureKeeper keeper;
};

TEST_F(PictureKeeperTest, a_veth_is_known_with_its_far_end) {
  link(RTM_NEWLINK, {.master = 3});
  const Link& known = picture().links.at(7);
  EXPECT_EQ(known.name, "veth7");
  EXPECT_EQ(known.kind, "veth");
  EXPECT_EQ(known.mac, kMac);
  EXPECT_EQ(known.peer, 2u);
  EXPECT_EQ(known.netns_id, 4);
  EXPECT_EQ(known.master, 3u);
  EXPECT_TRUE(known.up);
  EXPECT_TRUE(keeper.take_changes().links);
  link(RTM_NEWLINK, {.master = 3});
  EXPECT_FALSE(keeper.take_changes().any()) << "nothing is as it was not";
}

TEST_F(PictureKeeperTest, a_far_end_of_the_same_index_need_not_be_said) {
  link(RTM_NEWLINK, {.peer = 0});
  EXPECT_EQ(picture().links.at(7).peer, 7u);
  link(RTM_NEWLINK, {.ifindex = 8, .kind = "dummy", .peer = 0, .netns_id = std::nullopt});
  EXPECT_EQ(picture().links.at(8).peer, 0u);
}

TEST_F(PictureKeeperTest, what_a_bridge_says_of_its_ports_is_not_about_the_links) {
  link(RTM_NEWLINK, {.master = 3});
  link(RTM_NEWLINK, {.kind = "", .peer = 0, .netns_id = std::nullopt, .family = AF_BRIDGE});
  link(RTM_DELLINK, {.family = AF_BRIDGE});
  EXPECT_EQ(picture().links.at(7).kind, "veth");
  EXPECT_EQ(picture().links.at(7).netns_id, 4);
}

TEST_F(PictureKeeperTest, with_a_link_goes_everything_that_leads_through_it) {
  bridge(3);
  link(RTM_NEWLINK, {});
  address(RTM_NEWADDR, 7, "10.0.0.1");
  route(RTM_NEWROUTE, {"10.1.0.5/32"});
  route(RTM_NEWROUTE, {"10.1.0.0/24", 3});
  neighbour(RTM_NEWNEIGH, 7, "10.1.0.5", NUD_REACHABLE);
  forwarding(RTM_NEWNEIGH, 7, NUD_REACHABLE);
  keeper.take_changes();
  link(RTM_DELLINK, {});
  EXPECT_EQ(picture().links.size(), 1u);
  EXPECT_TRUE(picture().addresses.empty());
  EXPECT_EQ(picture().routes.size(), 1u);
  EXPECT_TRUE(picture().neighbours.empty());
  EXPECT_TRUE(picture().forwarding.empty());
  const auto changes = keeper.take_changes();
  EXPECT_TRUE(changes.links && changes.addresses && changes.routes && changes.neighbours);
}

TEST_F(PictureKeeperTest, a_link_that_comes_back_under_its_index_is_another) {
  link(RTM_NEWLINK, {});
  const auto first = picture().links.at(7).incarnation;
  link(RTM_NEWLINK, {.up = false});
  EXPECT_EQ(picture().links.at(7).incarnation, first);
  link(RTM_DELLINK, {});
  link(RTM_NEWLINK, {});
  EXPECT_NE(picture().links.at(7).incarnation, first);
}

TEST_F(PictureKeeperTest, own_addresses_are_those_of_every_interface_once) {
  address(RTM_NEWADDR, 1, "127.0.0.1");
  address(RTM_NEWADDR, 2, "192.168.0.4");
  address(RTM_NEWADDR, 7, "10.1.0.1");
  address(RTM_NEWADDR, 8, "10.1.0.1");
  address(RTM_NEWADDR, 8, "fe80::1");
  EXPECT_EQ(picture().own_addresses(),
            (std::set{ip("127.0.0.1"), ip("192.168.0.4"), ip("10.1.0.1"), ip("fe80::1")}));
  address(RTM_DELADDR, 7, "10.1.0.1");
  EXPECT_TRUE(picture().own_addresses().contains(ip("10.1.0.1"))) << "another interface has it still";
  address(RTM_DELADDR, 8, "10.1.0.1");
  EXPECT_FALSE(picture().own_addresses().contains(ip("10.1.0.1")));
}

TEST_F(PictureKeeperTest, an_address_that_another_host_was_found_to_have_is_not_the_nodes) {
  address(RTM_NEWADDR, 2, "fd01::1", IFA_F_TENTATIVE);
  EXPECT_TRUE(picture().own_addresses().contains(ip("fd01::1"))) << "nobody has objected so far";
  address(RTM_NEWADDR, 2, "fd01::1", IFA_F_TENTATIVE | IFA_F_DADFAILED);
  EXPECT_TRUE(picture().own_addresses().empty());
}

TEST_F(PictureKeeperTest, only_unicast_routes_without_a_gateway_are_kept) {
  struct Row {
    const char* name;
    Route route;
    bool kept;
  };
  const std::vector<Row> rows{
      {"a host route", {"10.1.0.1/32"}, true},
      {"a host route of IPv6", {"fd01::1/128"}, true},
      {"a network", {"10.2.0.0/16"}, true},
      {"through a gateway", {"10.1.0.2/32", 7, "10.9.0.1"}, false},
      {"a local address", {"10.1.0.3/32", 7, nullptr, nullptr, 0, RTN_LOCAL}, false},
      {"a black hole", {"10.1.0.4/32", 7, nullptr, nullptr, 0, RTN_BLACKHOLE}, false},
  };
  for (const auto& row : rows) {
    route(RTM_NEWROUTE, row.route);
    EXPECT_EQ(picture().routes.contains(Cidr::parse(row.route.destination).value()), row.kept) << row.name;
    route(RTM_DELROUTE, row.route);
    EXPECT_TRUE(picture().routes.empty()) << row.name;
  }
}

TEST_F(PictureKeeperTest, routes_are_doubtful_where_the_kernel_does_not_say_all) {
  struct Row {
    const char* name;
    std::function<void()> happens;
    bool doubtful;
  };
  const std::vector<Row> rows{
      {"a new route", [&] { route(RTM_NEWROUTE, {"10.1.0.6/32"}); }, false},
      {"a host route is replaced",
       [&] { route(RTM_NEWROUTE, {.destination = "10.1.0.5/32", .flags = NLM_F_REPLACE}); }, true},
      {"a host route is replaced by one through a gateway",
       [&] { route(RTM_NEWROUTE, {"10.1.0.5/32", 7, "10.9.0.1", nullptr, NLM_F_REPLACE}); }, true},
      {"a far network is replaced",
       [&] { route(RTM_NEWROUTE, {"10.200.0.0/16", 7, "10.9.0.1", nullptr, NLM_F_REPLACE}); }, false},
      {"a host route gets a second way",
       [&] { route(RTM_NEWROUTE, {.destination = "10.1.0.5/32", .several = true}); }, true},
      {"a host route loses one of two ways",
       [&] { route(RTM_DELROUTE, {.destination = "10.1.0.5/32", .several = true}); }, true},
      {"a network has several ways",
       [&] { route(RTM_NEWROUTE, {.destination = "10.200.0.0/16", .several = true}); }, false},
      {"a route is tied to an address that goes elsewhere", [&] { address(RTM_DELADDR, 9, "10.0.0.1"); }, true},
      {"an address of its interface goes, perhaps the last", [&] { address(RTM_DELADDR, 7, "10.0.0.2"); }, true},
      {"an address of another interface goes", [&] { address(RTM_DELADDR, 8, "10.0.0.3"); }, false},
      {"its link goes down", [&] { link(RTM_NEWLINK, {.up = false}); }, true},
      {"another link goes down", [&] { link(RTM_NEWLINK, {.ifindex = 8, .up = false}); }, false},
  };
  for (const auto& row : rows) {
    keeper = {};
    link(RTM_NEWLINK, {});
    link(RTM_NEWLINK, {.ifindex = 8});
    address(RTM_NEWADDR, 9, "10.0.0.1");
    address(RTM_NEWADDR, 7, "10.0.0.2");
    address(RTM_NEWADDR, 8, "10.0.0.3");
    route(RTM_NEWROUTE, {"10.1.0.5/32", 7, nullptr, "10.0.0.1"});
    ASSERT_FALSE(keeper.routes_doubtful());
    row.happens();
    EXPECT_EQ(keeper.routes_doubtful(), row.doubtful) << row.name;
    keeper.take_routes_of(PictureKeeper());
    EXPECT_FALSE(keeper.routes_doubtful()) << row.name;
    EXPECT_TRUE(picture().routes.empty()) << row.name;
  }
}

TEST_F(PictureKeeperTest, a_neighbour_counts_while_its_mac_is_known) {
  for (const int state : {NUD_REACHABLE, NUD_STALE, NUD_DELAY, NUD_PROBE, NUD_PERMANENT}) {
    neighbour(RTM_NEWNEIGH, 3, "10.1.0.5", state);
    EXPECT_EQ(picture().neighbours.at(ip("10.1.0.5")).at(3), kMac) << state;
  }
  keeper.take_changes();
  neighbour(RTM_NEWNEIGH, 3, "10.1.0.5", NUD_STALE);
  EXPECT_FALSE(keeper.take_changes().any()) << "a state that comes and goes is no change";
  for (const int state : {NUD_INCOMPLETE, NUD_FAILED, NUD_NONE}) {
    neighbour(RTM_NEWNEIGH, 3, "10.1.0.5", NUD_REACHABLE);
    neighbour(RTM_NEWNEIGH, 3, "10.1.0.5", state);
    EXPECT_TRUE(picture().neighbours.empty()) << state;
  }
  neighbour(RTM_NEWNEIGH, 3, "10.1.0.5", NUD_REACHABLE);
  neighbour(RTM_DELNEIGH, 3, "10.1.0.5", NUD_REACHABLE);
  EXPECT_TRUE(picture().neighbours.empty());
}

TEST_F(PictureKeeperTest, a_mac_is_behind_the_port_that_it_was_heard_at_last) {
  forwarding(RTM_NEWNEIGH, 7, NUD_REACHABLE);
  EXPECT_EQ(picture().forwarding.at(kMac), (std::map<Vlan, std::uint32_t>{{{3, 0}, 7}}));
  forwarding(RTM_NEWNEIGH, 8, NUD_REACHABLE);
  EXPECT_EQ(picture().forwarding.at(kMac), (std::map<Vlan, std::uint32_t>{{{3, 0}, 8}}));
  forwarding(RTM_DELNEIGH, 8, NUD_STALE);
  EXPECT_TRUE(picture().forwarding.empty());

  forwarding(RTM_NEWNEIGH, 7, NUD_NOARP);
  EXPECT_FALSE(picture().forwarding.empty()) << "what was set by hand counts";
  forwarding(RTM_NEWNEIGH, 7, NUD_PERMANENT);
  EXPECT_TRUE(picture().forwarding.empty()) << "a port's own MAC was heard behind nothing";
  forwarding(RTM_NEWNEIGH, 7, NUD_REACHABLE, NTF_SELF);
  forwarding(RTM_NEWNEIGH, 7, NUD_REACHABLE, 0, 0);
  EXPECT_TRUE(picture().forwarding.empty()) << "a device's own filter is no bridge";
}

TEST_F(PictureKeeperTest, what_may_have_changed_addresses_behind_a_veth_touches_its_namespace) {
  const std::set<NetnsId> four{4};
  link(RTM_NEWLINK, {});
  EXPECT_EQ(keeper.take_touched(), four);
  link(RTM_NEWLINK, {});
  EXPECT_EQ(keeper.take_touched(), four) << "its carrier may have come";
  route(RTM_NEWROUTE, {"10.1.0.5/32"});
  EXPECT_EQ(keeper.take_touched(), four);
  forwarding(RTM_NEWNEIGH, 7, NUD_REACHABLE);
  EXPECT_EQ(keeper.take_touched(), four);
  link(RTM_NEWLINK, {.netns_id = 5});
  EXPECT_EQ(keeper.take_touched(), (std::set<NetnsId>{4, 5}));
  link(RTM_DELLINK, {.netns_id = 5});
  EXPECT_EQ(keeper.take_touched(), (std::set<NetnsId>{5}));
}

TEST_F(PictureKeeperTest, addresses_of_one_namespace_leave_those_of_others) {
  keeper.set_far_addresses(4, {{{4, 2}, {ip("10.1.0.5")}}, {{4, 3}, {ip("10.2.0.5")}}});
  keeper.set_far_addresses(5, {{{5, 2}, {ip("10.1.0.6")}}});
  EXPECT_TRUE(keeper.take_changes().far_addresses);
  keeper.set_far_addresses(5, {{{5, 2}, {ip("10.1.0.6")}}});
  EXPECT_FALSE(keeper.take_changes().any());
  keeper.set_far_addresses(4, {{{4, 2}, {ip("10.1.0.7")}}});
  EXPECT_EQ(picture().far_addresses, (FarAddresses{{{4, 2}, {ip("10.1.0.7")}}, {{5, 2}, {ip("10.1.0.6")}}}));
  keeper.set_far_addresses(4, {});
  EXPECT_EQ(picture().far_addresses, (FarAddresses{{{5, 2}, {ip("10.1.0.6")}}}));
}

TEST_F(PictureKeeperTest, a_fresh_picture_keeps_devices_that_are_the_same_and_no_others) {
  link(RTM_NEWLINK, {});
  link(RTM_NEWLINK, {.ifindex = 8, .name = "veth8"});
  link(RTM_NEWLINK, {.ifindex = 9, .name = "veth9"});
  const auto before = picture().links;
  keeper.set_far_addresses(4, {{{4, 2}, {ip("10.1.0.5")}}});
  keeper.take_changes();

  const PictureKeeper old = keeper;
  keeper = {};
  link(RTM_NEWLINK, {.master = 3, .up = false});
  link(RTM_NEWLINK, {.ifindex = 8, .name = "veth8b"});
  const PictureKeeper fresh = keeper;
  keeper = old;
  keeper.take_all_of(fresh);
  EXPECT_EQ(picture().links.size(), 2u);
  EXPECT_EQ(picture().links.at(7).incarnation, before.at(7).incarnation);
  EXPECT_EQ(picture().links.at(7).master, 3u);
  EXPECT_NE(picture().links.at(8).incarnation, before.at(8).incarnation);
  EXPECT_NE(picture().links.at(8).incarnation, before.at(9).incarnation);
  EXPECT_FALSE(picture().far_addresses.empty());
  EXPECT_TRUE(keeper.take_changes().links);
  keeper.take_all_of(fresh);
  EXPECT_FALSE(keeper.take_changes().any());
}

TEST_F(PictureKeeperTest, messages_that_are_cut_off_change_nothing_and_read_nothing_behind_them) {
  NetlinkRequest message(RTM_NEWLINK, 0);
  for (const std::uint16_t type : {RTM_NEWLINK, RTM_NEWADDR, RTM_NEWROUTE, RTM_NEWNEIGH, RTM_NEWRULE}) {
    for (std::size_t length = sizeof(nlmsghdr); length < sizeof(nlmsghdr) + 8; ++length) {
      const std::unique_ptr<char[]> bytes(new char[length]);
      std::memcpy(bytes.get(), message.header(), sizeof(nlmsghdr));
      std::memset(bytes.get() + sizeof(nlmsghdr), 0xff, length - sizeof(nlmsghdr));
      auto* const cut = reinterpret_cast<nlmsghdr*>(bytes.get());
      cut->nlmsg_type = type;
      cut->nlmsg_len = static_cast<std::uint32_t>(length);
      keeper.apply(*cut);
    }
  }
  EXPECT_FALSE(keeper.take_changes().any());
}

TEST(FarAddressTest, loopback_and_link_local_addresses_are_every_namespaces_and_tell_nothing) {
  FarAddresses found;
  for (const char* const text :
       {"127.0.0.1", "::1", "fe80::5", "169.254.1.1", "10.1.0.5", "fd01::5", "2001:db8::5"}) {
    NetlinkRequest message(RTM_NEWADDR, 0);
    auto& info = message.fixed<ifaddrmsg>();
    info.ifa_family = netlink_family(ip(text));
    info.ifa_index = 2;
    message.put(IFA_ADDRESS, ip(text));
    read_far_address(*message.header(), 4, found);
  }
  EXPECT_EQ(found, (FarAddresses{{{4, 2}, {ip("10.1.0.5"), ip("fd01::5"), ip("2001:db8::5")}}}));
}

}  // namespace
}  // namespace postern::agent
