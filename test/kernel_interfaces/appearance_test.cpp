// SPDX-License-Identifier: Apache-2.0
// Interfaces that come late, go away, or whose index another pod's comes to have, and pods whose address
// nobody announces.
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>

#include "test/kernel_interfaces/private_host.h"

namespace postern::agent {
namespace {

using sim::CniPlugin;
using testing_support::run;

class AppearanceTest : public testing_support::PrivateHost {
 protected:
  InterfaceMatch find(const PodAddresses& pod) {
    auto match = locate(host->picture(), pod, {});
    unheard = match.unheard;
    return match;
  }
  bool found(const PodAddresses& pod) {
    return eventually([&] { return find(pod).outcome == LocateOutcome::found; });
  }
  bool lost(const PodAddresses& pod) {
    return eventually([&] { return find(pod).outcome == LocateOutcome::not_found; });
  }
  // By hand, as the pod's address and with a route; always under one index, and the far end too.
  void add_by_hand(const std::string& name, std::uint32_t ifindex, const std::string& interface,
                   const std::string& address) {
    const std::string file = make_pod_namespace(name);
    run("ip link add " + interface + " index " + std::to_string(ifindex) +
        " type veth peer name eth0 index 2 netns " + file);
    in_pod(name, "ip addr add " + address + "/32 dev eth0 && ip link set eth0 up");
    run("ip link set " + interface + " up && ip route add " + address + "/32 dev " + interface);
  }
  void remove_by_hand(const std::string& name, const std::string& interface) {
    run("ip link delete " + interface);
    remove_pod_namespace(name);
  }
};

PodAddresses pod_at(const std::string& name, const char* address) {
  return {{"shop", name}, {*IpAddress::parse(address)}, std::nullopt};
}

TEST_F(AppearanceTest, an_interface_that_comes_after_the_pod_is_announced_and_found) {
  const auto network = network_of(CniPlugin::ptp, {"10.31.0.0/24"});
  open();
  const auto asked = pod_at("a", "10.31.0.2");  // the first that is given out
  EXPECT_EQ(find(asked).outcome, LocateOutcome::not_found);
  const auto pod = add_pod(network, "a");
  ASSERT_EQ(pod.addresses, asked.addresses);
  pollfd ready{host->fd(), POLLIN, 0};
  EXPECT_EQ(::poll(&ready, 1, 1000), 1);
  const auto changes = host->drain();
  ASSERT_TRUE(changes) << changes.error().message;
  EXPECT_TRUE(changes->links && changes->addresses && changes->routes && changes->far_addresses);
  EXPECT_FALSE(changes->resynced);
  EXPECT_TRUE(found(asked));
}

TEST_F(AppearanceTest, an_interface_that_goes_is_announced_and_no_longer_found) {
  const auto network = network_of(CniPlugin::bridge, {"10.31.0.0/24"});
  const auto pod = add_pod(network, "a");
  open();
  ASSERT_TRUE(found(known_of(pod)));
  delete_pod(network, pod);
  EXPECT_TRUE(lost(known_of(pod)));
  const auto again = add_pod(network, "b");
  EXPECT_TRUE(found(known_of(again)));
}

TEST_F(AppearanceTest, a_namespace_that_dies_without_any_call_takes_its_interface_along) {
  const auto network = network_of(CniPlugin::ptp, {"10.31.0.0/24"});
  open();
  const auto pod = add_pod(network, "a");
  ASSERT_TRUE(found(known_of(pod)));
  remove_pod_namespace("a");
  EXPECT_TRUE(lost(known_of(pod)));
  EXPECT_TRUE(host->picture().far_addresses.empty()) << testing_support::text_of(host->picture());
}

TEST_F(AppearanceTest, an_index_that_another_pod_comes_to_have_is_another_interface) {
  open();
  add_by_hand("a", 100, "vetha", "10.31.0.5");
  const auto a = pod_at("a", "10.31.0.5");
  const auto b = pod_at("b", "10.31.0.6");
  ASSERT_TRUE(found(a));
  const auto before = find(a).interface;
  // Both within what one drain sees.
  remove_by_hand("a", "vetha");
  add_by_hand("b", 100, "vethb", "10.31.0.6");
  ASSERT_TRUE(found(b));
  const auto after = find(b).interface;
  EXPECT_EQ(find(a).outcome, LocateOutcome::not_found);
  EXPECT_EQ(after->ifindex, 100u);
  EXPECT_EQ(after->peer, before->peer);
  EXPECT_NE(*after, *before) << "netns ids " << *before->netns_id << " and " << *after->netns_id;
  run("ip link set vethb down && ip link set vethb up && ip route add 10.31.0.6/32 dev vethb");
  ASSERT_TRUE(found(b));
  EXPECT_EQ(*find(b).interface, *after) << "it is the same device";
}

TEST_F(AppearanceTest, an_index_that_changed_hands_while_announcements_were_lost_is_another_interface) {
  open({.receive_buffer_bytes = 1});
  add_by_hand("a", 100, "veth0", "10.31.0.5");
  add_by_hand("c", 101, "veth1", "10.31.0.7");
  ASSERT_TRUE(found(pod_at("a", "10.31.0.5")));
  const auto before = find(pod_at("a", "10.31.0.5")).interface;
  const auto untouched = find(pod_at("c", "10.31.0.7")).interface;
  remove_by_hand("a", "veth0");
  std::string storm;
  for (int i = 0; i < 50; ++i) storm += "link add x type veth peer name y\nlink delete x\n";
  run("ip -batch - <<'END'\n" + storm + "END");
  add_by_hand("a", 100, "veth0", "10.31.0.5");
  const auto changes = host->drain();
  ASSERT_TRUE(changes) << changes.error().message;
  EXPECT_TRUE(changes->resynced);
  ASSERT_TRUE(found(pod_at("a", "10.31.0.5")));
  EXPECT_EQ(find(pod_at("a", "10.31.0.5")).interface->ifindex, 100u);
  EXPECT_NE(*find(pod_at("a", "10.31.0.5")).interface, *before);
  EXPECT_EQ(*find(pod_at("c", "10.31.0.7")).interface, *untouched);
}

TEST_F(AppearanceTest, an_address_that_comes_to_a_pod_unannounced_is_seen_by_looking_again) {
  open();
  const std::string file = make_pod_namespace("a");
  run("ip link add vetha type veth peer name eth0 netns " + file + " && ip link set vetha up");
  in_pod("a", "ip link set eth0 up");
  ASSERT_TRUE(eventually([&] { return host->picture().links.contains(::if_nametoindex("vetha")); }));
  // That it has a carrier is announced up to a second later, and the pod would be looked at for that.
  run("until ip -o link show vetha | grep -q 'state UP'; do sleep 0.02; done");
  ASSERT_TRUE(host->drain());
  in_pod("a", "ip addr add 10.31.0.5/32 dev eth0");
  ASSERT_TRUE(host->drain());
  const auto looked = host->look_again({});
  ASSERT_TRUE(looked) << looked.error().message;
  EXPECT_TRUE(looked->far_addresses);
  EXPECT_EQ(find(pod_at("a", "10.31.0.5")).ways(), std::vector{Way::far_address});
  in_pod("a", "ip addr flush dev eth0 scope global");
  ASSERT_TRUE(host->look_again({}));
  EXPECT_EQ(find(pod_at("a", "10.31.0.5")).outcome, LocateOutcome::not_found);
}

TEST_F(AppearanceTest, a_bridge_that_has_forgotten_a_pod_hears_of_it_again_when_asked) {
  for (const char* const range : {"10.31.0.0/24", "fd31::/64"}) {
    SCOPED_TRACE(range);
    const auto network = network_of(CniPlugin::bridge, {range});
    open();
    const auto pod = add_pod(network, "a");
    // A pod without IPv6 says nothing unless it is asked, so that only the question brings it back.
    if (pod.addresses.at(0).is_v4()) in_pod("a", "echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6");
    const std::string address = pod.addresses.at(0).to_string();
    const std::vector both{Way::far_address, Way::bridge_port};
    const auto heard = [&] { return find(known_of(pod)).ways() == both; };
    const std::string neighbours = "ip neigh flush dev cni0";
    // Not all at once: that would take the bridge's own MAC from it.
    const std::string macs = "for m in $(bridge fdb show br cni0 | grep " + pod.host_interface +
                             " | grep -v permanent | cut -d' ' -f1); do bridge fdb del $m dev " +
                             pod.host_interface + " master; done";
    for (const auto& forget : {neighbours, macs, neighbours + "; " + macs}) {
      SCOPED_TRACE(forget);
      ASSERT_TRUE(host->drain());
      ASSERT_TRUE(host->provoke_neighbour(pod.addresses[0]));
      ASSERT_TRUE(eventually(heard));
      // While the kernel believes a neighbour it would not ask by itself.
      run("ip neigh change " + address + " dev cni0 nud reachable");
      run(forget);
      ASSERT_TRUE(eventually([&] { return !heard(); }));
      ASSERT_EQ(find(known_of(pod)).unheard, pod.addresses);
      const auto provoked = host->provoke_neighbour(pod.addresses[0]);
      ASSERT_TRUE(provoked) << provoked.error().message;
      unheard.clear();  // eventually() does not ask again
      EXPECT_TRUE(eventually([&] {
        const bool now = heard();
        unheard.clear();
        return now;
      })) << testing_support::text_of(host->picture());
    }
    delete_pod(network, pod);
    run("ip link delete cni0");
  }
  const auto astray = host->provoke_neighbour(*IpAddress::parse("203.0.113.9"));
  ASSERT_FALSE(astray);
  EXPECT_EQ(astray.error().code, ErrorCode::not_found);
}

TEST_F(AppearanceTest, files_that_name_no_pods_namespace_are_refused_with_the_reason) {
  open();
  run("touch /mnt/cni/file && touch /mnt/cni/own && mount --bind /proc/self/ns/net /mnt/cni/own");
  struct Row {
    const char* path;
    ErrorCode code;
    const char* reason;
  };
  for (const auto& row : {Row{"/mnt/cni/nobody", ErrorCode::not_found, "cannot open"},
                          Row{"/mnt/cni/file", ErrorCode::invalid_input, "has no netns id"},
                          Row{"/mnt/cni/own", ErrorCode::invalid_input, "the host's own network namespace"}}) {
    const auto refused = host->netns_id(row.path);
    ASSERT_FALSE(refused) << row.path;
    EXPECT_EQ(refused.error().code, row.code) << refused.error().message;
    EXPECT_NE(refused.error().message.find(row.reason), std::string::npos) << refused.error().message;
  }
  run("umount /mnt/cni/own");
  const std::string file = make_pod_namespace("a");
  const auto given = host->netns_id(file);
  ASSERT_TRUE(given) << given.error().message;
  EXPECT_EQ(*host->netns_id(file), *given);
}

}  // namespace
}  // namespace postern::agent
