// SPDX-License-Identifier: Apache-2.0
// Pods that real CNI plug-ins made: each is found at the interface that the plug-in names, by the ways
// that its plug-in leaves open.
#include <net/if.h>

#include "test/kernel_interfaces/private_host.h"

namespace postern::agent {
namespace {

using sim::CniPlugin;
using enum Way;
using Ways = std::vector<Way>;

class PluginsTest : public testing_support::PrivateHost {
 protected:
  void expect_found(const PodAddresses& pod, const std::string& interface, const Ways& ways) {
    InterfaceMatch match;
    EXPECT_TRUE(eventually([&] {
      match = locate(host->picture(), pod, {});
      unheard = match.unheard;
      return match.interface && match.ways() == ways;
    })) << pod.key.to_string() << ": " << match.words;
    if (!match.interface) return;
    EXPECT_EQ(match.interface->name, interface);
    EXPECT_EQ(match.interface->ifindex, ::if_nametoindex(interface.c_str()));
    EXPECT_TRUE(match.confirmed());
    EXPECT_TRUE(match.further.empty());
  }
};

struct Network {
  const char* name;
  CniPlugin plugin;
  std::vector<const char*> ranges;
  Way way;  // besides the address
};

const std::vector<Network> kNetworks{
    {"ptp, IPv4", CniPlugin::ptp, {"10.31.0.0/24"}, route},
    {"ptp, IPv6", CniPlugin::ptp, {"fd31::/64"}, route},
    {"ptp, both", CniPlugin::ptp, {"10.31.0.0/24", "fd31::/64"}, route},
    {"bridge, IPv4", CniPlugin::bridge, {"10.31.0.0/24"}, bridge_port},
    {"bridge, IPv6", CniPlugin::bridge, {"fd31::/64"}, bridge_port},
    {"bridge, both", CniPlugin::bridge, {"10.31.0.0/24", "fd31::/64"}, bridge_port},
};

TEST_F(PluginsTest, pods_of_each_plug_in_and_family_are_found_by_two_ways_and_by_three_with_their_namespace) {
  for (const auto& row : kNetworks) {
    SCOPED_TRACE(row.name);
    const auto network = network_of(row.plugin, row.ranges);
    open();
    std::vector<sim::CniPod> pods;
    for (const char* const name : {"a", "b", "c"}) pods.push_back(add_pod(network, name));
    for (const auto& pod : pods) {
      ASSERT_EQ(pod.addresses.size(), row.ranges.size());
      auto known = known_of(pod);
      expect_found(known, pod.host_interface, {far_address, row.way});
      const auto netns_id = host->netns_id(pod.request.netns_path);
      ASSERT_TRUE(netns_id) << netns_id.error().message;
      known.netns_id = *netns_id;
      expect_found(known, pod.host_interface, {Way::netns_id, far_address, row.way});
    }
    for (const auto& pod : pods) delete_pod(network, pod);
    EXPECT_TRUE(eventually([&] {
      return locate(host->picture(), known_of(pods[0]), {}).outcome == LocateOutcome::not_found;
    }));
    if (row.plugin == CniPlugin::bridge) testing_support::run("ip link delete cni0");
  }
}

TEST_F(PluginsTest, a_pod_gets_the_address_that_was_asked_for) {
  const auto network = network_of(CniPlugin::ptp, {"10.31.0.0/24", "fd31::/64"});
  sim::CniRequest request;
  request.pod = {"shop", "a"};
  request.container_id = "one";
  request.netns_path = make_pod_namespace("a");
  request.addresses = {*IpAddress::parse("10.31.0.77"), *IpAddress::parse("fd31::77")};
  const auto pod = sim::cni_add(network, request);
  ASSERT_TRUE(pod) << pod.error().message;
  EXPECT_EQ(pod->addresses, request.addresses);
  EXPECT_TRUE(sim::cni_del(network, *pod));
  EXPECT_TRUE(sim::cni_del(network, *pod)) << "nothing of it is there";
}

TEST_F(PluginsTest, what_a_plug_in_refuses_is_an_error_in_its_words) {
  const auto network = network_of(CniPlugin::ptp, {"10.31.0.0/24"});
  sim::CniRequest request;
  request.pod = {"shop", "a"};
  request.container_id = "one";
  request.netns_path = "/mnt/netns/nobody";
  const auto pod = sim::cni_add(network, request);
  ASSERT_FALSE(pod);
  EXPECT_NE(pod.error().message.find("CNI ADD of shop/a by /usr/lib/cni/ptp"), std::string::npos)
      << pod.error().message;
  EXPECT_NE(pod.error().message.find("/mnt/netns/nobody"), std::string::npos) << pod.error().message;
}

// What Amazon's plug-in leaves: a veth with a name of its making, and a route for each pod, of a pod with
// a branch interface in another table.
TEST_F(PluginsTest, pods_as_amazons_plug_in_makes_them_are_found_by_address_route_and_name) {
  struct Row {
    const char* pod;
    const char* interface;
    const char* address;
    const char* table;
  };
  const std::vector<Row> rows{{"web", "eni551b05c3e54", "10.31.0.5", "main"},
                              {"web", "vlan551b05c3e54", "10.31.0.6", "101"},
                              {"web", "eni551b05c3e54", "fd31::5", "main"}};
  open();
  for (const auto& row : rows) {
    const std::string file = make_pod_namespace(row.pod);
    const IpAddress address = *IpAddress::parse(row.address);
    const std::string host_address = address.to_string() + (address.is_v4() ? "/32" : "/128");
    testing_support::run(std::string("ip link add ") + row.interface + " type veth peer name eth0 netns " + file);
    in_pod(row.pod, "ip addr add " + host_address + " dev eth0 && ip link set eth0 up");
    testing_support::run(std::string("ip link set ") + row.interface + " up && ip route add " + host_address +
                         " dev " + row.interface + " table " + row.table);
    expect_found({{"shop", row.pod}, {address}, std::nullopt}, row.interface, {far_address, route, name});
    testing_support::run(std::string("ip link delete ") + row.interface);
    remove_pod_namespace(row.pod);
  }
}

TEST_F(PluginsTest, a_second_interface_is_listed_beside_the_one_with_the_address) {
  const auto network = network_of(CniPlugin::ptp, {"10.31.0.0/24"});
  open();
  const auto pod = add_pod(network, "a");
  testing_support::run("ip link add second type veth peer name net1 netns " + pod.request.netns_path);
  InterfaceMatch match;
  EXPECT_TRUE(eventually([&] {
    match = locate(host->picture(), known_of(pod), {});
    return match.interface && !match.further.empty();
  })) << match.words;
  EXPECT_EQ(match.interface->name, pod.host_interface);
  EXPECT_EQ(match.further, (std::vector<std::uint32_t>{::if_nametoindex("second")}));
}

TEST_F(PluginsTest, the_node_has_the_gateways_addresses_of_every_veth_and_bridge) {
  open();
  const auto ptp = network_of(CniPlugin::ptp, {"10.31.0.0/24", "fd31::/64"});
  const auto pod = add_pod(ptp, "a");
  const auto own = [&](const char* text) {
    return host->picture().own_addresses().contains(IpAddress::parse(text).value());
  };
  EXPECT_TRUE(eventually([&] { return own("10.31.0.1") && own("fd31::1"); }));
  EXPECT_TRUE(own("127.0.0.1") && own("::1"));
  EXPECT_FALSE(own(pod.addresses[0].to_string().c_str()));
  delete_pod(ptp, pod);
  EXPECT_TRUE(eventually([&] { return !own("10.31.0.1") && !own("fd31::1"); }));
}

}  // namespace
}  // namespace postern::agent
