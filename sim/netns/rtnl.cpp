// SPDX-License-Identifier: Apache-2.0
#include "sim/netns/rtnl.h"

#include <linux/ethtool.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

#include "net/fd.h"
#include "net/system_error.h"

namespace postern::sim {
namespace {

constexpr std::uint8_t kOperationalUp = 6;  // IF_OPER_UP; <linux/if.h> and <net/if.h> do not mix
constexpr int kChange = NLM_F_ACK;
constexpr int kCreate = kChange | NLM_F_CREATE | NLM_F_EXCL;
constexpr int kReplace = kChange | NLM_F_CREATE | NLM_F_REPLACE;

std::string on(std::uint32_t ifindex) { return " on interface " + std::to_string(ifindex); }

}  // namespace

Result<Rtnl> Rtnl::open() {
  auto socket = NetlinkSocket::open();
  if (!socket) return fail_as(socket);
  return Rtnl(std::move(*socket));
}

Result<void> Rtnl::add_veth(const VethSpec& spec) {
  NetlinkRequest request(RTM_NEWLINK, kCreate);
  nlmsghdr* const header = request.header();
  request.fixed<ifinfomsg>();
  request.put(IFLA_IFNAME, spec.name);
  request.put(IFLA_ADDRESS, spec.mac);
  nlattr* link = mnl_attr_nest_start(header, IFLA_LINKINFO);
  request.put(IFLA_INFO_KIND, "veth");
  nlattr* data = mnl_attr_nest_start(header, IFLA_INFO_DATA);
  nlattr* peer = mnl_attr_nest_start(header, VETH_INFO_PEER);
  request.fixed<ifinfomsg>();
  request.put(IFLA_IFNAME, spec.peer_name);
  request.put(IFLA_ADDRESS, spec.peer_mac);
  request.put(IFLA_NET_NS_FD, static_cast<std::uint32_t>(spec.peer_netns));
  mnl_attr_nest_end(header, peer);
  mnl_attr_nest_end(header, data);
  mnl_attr_nest_end(header, link);
  return socket_.change(request, "cannot make the veth pair " + spec.name);
}

Result<void> Rtnl::set_up(std::uint32_t ifindex) {
  NetlinkRequest request(RTM_NEWLINK, kChange);
  auto& info = request.fixed<ifinfomsg>();
  info.ifi_index = static_cast<int>(ifindex);
  info.ifi_flags = IFF_UP;
  info.ifi_change = IFF_UP;
  return socket_.change(request, "cannot set up" + on(ifindex));
}

Result<std::uint8_t> Rtnl::state_of(std::uint32_t ifindex) {
  NetlinkRequest request(RTM_GETLINK, 0);
  request.fixed<ifinfomsg>().ifi_index = static_cast<int>(ifindex);
  std::optional<std::uint8_t> state;
  const auto answer = socket_.exchange(request, [&state](const nlmsghdr& link) {
    state = NetlinkAttributes(link, sizeof(ifinfomsg)).byte(IFLA_OPERSTATE);
  });
  if (!answer) return fail_as(answer);
  if (*answer != 0) return tl::unexpected(system_error("cannot read the state" + on(ifindex), *answer));
  if (!state) return fail(ErrorCode::io, "the kernel does not tell the state" + on(ifindex));
  return *state;
}

Result<void> Rtnl::wait_until_up(std::uint32_t ifindex) {
  using Clock = std::chrono::steady_clock;
  for (const auto limit = Clock::now() + std::chrono::seconds(10); Clock::now() < limit;) {
    const auto state = state_of(ifindex);
    if (!state) return fail_as(state);
    // Not the flag IFF_RUNNING, which also stands for a state that is unknown. The state comes a
    // moment before the queue; both change under one lock, which any change of the link waits for.
    if (*state == kOperationalUp) return set_up(ifindex);
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
  return fail(ErrorCode::io, "an interface did not start within 10 s:" + on(ifindex));
}

namespace {

void fill_address(NetlinkRequest& request, std::uint32_t ifindex, const IpAddress& address) {
  auto& info = request.fixed<ifaddrmsg>();
  info.ifa_family = netlink_family(address);
  info.ifa_prefixlen = static_cast<unsigned char>(address.bits());
  info.ifa_index = ifindex;
  if (!address.is_v4()) info.ifa_flags = IFA_F_NODAD;  // usable at once
  request.put(IFA_LOCAL, address);
  request.put(IFA_ADDRESS, address);
}

}  // namespace

Result<void> Rtnl::add_address(std::uint32_t ifindex, const IpAddress& address) {
  NetlinkRequest request(RTM_NEWADDR, kCreate);
  fill_address(request, ifindex, address);
  auto done = socket_.change(request, "cannot add address " + address.to_string() + on(ifindex), EEXIST);
  return done && !address.is_v4() ? wait_until_local(ifindex, address) : done;
}

Result<bool> Rtnl::is_local(std::uint32_t ifindex, const IpAddress& address) {
  NetlinkRequest request(RTM_GETROUTE, 0);
  auto& info = request.fixed<rtmsg>();
  info.rtm_family = netlink_family(address);
  info.rtm_dst_len = static_cast<unsigned char>(address.bits());
  request.put(RTA_DST, address);
  request.put(RTA_OIF, ifindex);
  bool local = false;
  const auto answer = socket_.exchange(request, [&local](const nlmsghdr& message) {
    const auto* route = netlink_fixed<rtmsg>(message);
    local = route != nullptr && route->rtm_type == RTN_LOCAL;
  });
  if (!answer) return fail_as(answer);
  return local;  // a refusal says that there is no route yet
}

Result<void> Rtnl::wait_until_local(std::uint32_t ifindex, const IpAddress& address) {
  using Clock = std::chrono::steady_clock;
  for (const auto limit = Clock::now() + std::chrono::seconds(10); Clock::now() < limit;) {
    const auto local = is_local(ifindex, address);
    if (!local) return fail_as(local);
    if (*local) return {};
    std::this_thread::sleep_for(std::chrono::microseconds(50));
  }
  return fail(ErrorCode::io,
              "address " + address.to_string() + on(ifindex) + " was not taken up within 10 s");
}

Result<void> Rtnl::delete_address(std::uint32_t ifindex, const IpAddress& address) {
  NetlinkRequest request(RTM_DELADDR, kChange);
  fill_address(request, ifindex, address);
  return socket_.change(request, "cannot delete address " + address.to_string() + on(ifindex), EADDRNOTAVAIL);
}

Result<void> Rtnl::set_route(const RouteSpec& route) {
  NetlinkRequest request(RTM_NEWROUTE, kReplace);
  auto& info = request.fixed<rtmsg>();
  info.rtm_family = netlink_family(route.destination.network());
  info.rtm_dst_len = static_cast<unsigned char>(route.destination.prefix_length());
  info.rtm_table = RT_TABLE_MAIN;
  info.rtm_protocol = RTPROT_STATIC;
  info.rtm_type = route.ifindex == 0 ? RTN_BLACKHOLE : RTN_UNICAST;
  info.rtm_scope = route.gateway ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK;
  if (route.destination.prefix_length() > 0) request.put(RTA_DST, route.destination.network());
  if (route.ifindex != 0) request.put(RTA_OIF, route.ifindex);
  if (route.gateway) {
    info.rtm_flags = RTNH_F_ONLINK;
    request.put(RTA_GATEWAY, *route.gateway);
  }
  return socket_.change(request, "cannot set the route to " + route.destination.to_string() + on(route.ifindex));
}

Result<void> Rtnl::delete_route(const Cidr& destination) {
  NetlinkRequest request(RTM_DELROUTE, kChange);
  auto& info = request.fixed<rtmsg>();
  info.rtm_family = netlink_family(destination.network());
  info.rtm_dst_len = static_cast<unsigned char>(destination.prefix_length());
  info.rtm_table = RT_TABLE_MAIN;
  info.rtm_scope = RT_SCOPE_NOWHERE;
  request.put(RTA_DST, destination.network());
  return socket_.change(request, "cannot delete the route to " + destination.to_string(), ESRCH);
}

Result<void> Rtnl::set_permanent_neighbour(std::uint32_t ifindex, const IpAddress& address, const Mac& mac) {
  NetlinkRequest request(RTM_NEWNEIGH, kReplace);
  auto& info = request.fixed<ndmsg>();
  info.ndm_family = netlink_family(address);
  info.ndm_ifindex = static_cast<int>(ifindex);
  info.ndm_state = NUD_PERMANENT;
  request.put(NDA_DST, address);
  request.put(NDA_LLADDR, mac);
  return socket_.change(request, "cannot set neighbour " + address.to_string() + on(ifindex));
}

Result<std::uint32_t> interface_index(const std::string& name) {
  const unsigned index = ::if_nametoindex(name.c_str());
  if (index == 0) return tl::unexpected(system_error("no interface " + name));
  return index;
}

Result<Mac> mac_of(const std::string& name) {
  const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  struct ifreq request {};
  std::strncpy(request.ifr_name, name.c_str(), IFNAMSIZ - 1);
  if (!socket.valid() || ::ioctl(socket.get(), SIOCGIFHWADDR, &request) != 0) {
    return tl::unexpected(system_error("cannot read the hardware address of " + name));
  }
  Mac mac{};
  std::memcpy(mac.data(), request.ifr_hwaddr.sa_data, mac.size());
  return mac;
}

Result<void> disable_checksum_offload(const std::string& name) {
  const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ethtool_value off{};
  off.cmd = ETHTOOL_STXCSUM;
  struct ifreq request {};
  std::strncpy(request.ifr_name, name.c_str(), IFNAMSIZ - 1);
  request.ifr_data = reinterpret_cast<char*>(&off);
  if (!socket.valid() || ::ioctl(socket.get(), SIOCETHTOOL, &request) != 0) {
    return tl::unexpected(system_error("cannot switch off checksum offload of " + name));
  }
  return {};
}

}  // namespace postern::sim
