// SPDX-License-Identifier: Apache-2.0
#include "sim/netns/rtnl.h"

#include <libmnl/libmnl.h>
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

#include "sim/netns/netns.h"

namespace postern::sim {
namespace {

struct alignas(nlmsghdr) Buffer {
  std::array<char, 2048> bytes{};
};

constexpr std::uint8_t kOperationalUp = 6;  // IF_OPER_UP; <linux/if.h> and <net/if.h> do not mix
constexpr auto kChange = static_cast<std::uint16_t>(NLM_F_REQUEST | NLM_F_ACK);
constexpr auto kCreate = static_cast<std::uint16_t>(kChange | NLM_F_CREATE | NLM_F_EXCL);
constexpr auto kReplace = static_cast<std::uint16_t>(kChange | NLM_F_CREATE | NLM_F_REPLACE);

nlmsghdr* start(Buffer& buffer, std::uint16_t type, std::uint16_t flags) {
  nlmsghdr* header = mnl_nlmsg_put_header(buffer.bytes.data());
  header->nlmsg_type = type;
  header->nlmsg_flags = flags;
  return header;
}

template <typename T>
T* extra(nlmsghdr* header) {
  return static_cast<T*>(mnl_nlmsg_put_extra_header(header, sizeof(T)));
}

unsigned char family_of(const IpAddress& address) { return address.is_v4() ? AF_INET : AF_INET6; }

void put_address(nlmsghdr* header, std::uint16_t attribute, const IpAddress& address) {
  mnl_attr_put(header, attribute, address.is_v4() ? 4 : 16, address.bytes().data());
}

std::string on(std::uint32_t ifindex) { return " on interface " + std::to_string(ifindex); }

}  // namespace

void Rtnl::Close::operator()(mnl_socket* socket) const { mnl_socket_close(socket); }

Result<Rtnl> Rtnl::open() {
  Rtnl rtnl;
  rtnl.socket_.reset(mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC));
  if (!rtnl.socket_) return tl::unexpected(system_error("cannot open a netlink socket"));
  if (mnl_socket_bind(rtnl.socket_.get(), 0, MNL_SOCKET_AUTOPID) != 0) {
    return tl::unexpected(system_error("cannot bind a netlink socket"));
  }
  return rtnl;
}

Result<void> Rtnl::ask(nlmsghdr* request, const std::string& what, int tolerated) {
  request->nlmsg_seq = ++sequence_;
  if (mnl_socket_sendto(socket_.get(), request, request->nlmsg_len) < 0) {
    return tl::unexpected(system_error(what));
  }
  alignas(nlmsghdr) std::array<char, 8192> answer{};
  const auto length = mnl_socket_recvfrom(socket_.get(), answer.data(), answer.size());
  if (length < 0) return tl::unexpected(system_error(what));
  const auto done = mnl_cb_run(answer.data(), static_cast<std::size_t>(length), sequence_,
                               mnl_socket_get_portid(socket_.get()), nullptr, nullptr);
  if (done < 0 && errno != tolerated) return tl::unexpected(system_error(what));
  return {};
}

Result<void> Rtnl::add_veth(const VethSpec& spec) {
  Buffer buffer;
  nlmsghdr* header = start(buffer, RTM_NEWLINK, kCreate);
  extra<ifinfomsg>(header);
  mnl_attr_put_strz(header, IFLA_IFNAME, spec.name.c_str());
  mnl_attr_put(header, IFLA_ADDRESS, spec.mac.size(), spec.mac.data());
  nlattr* link = mnl_attr_nest_start(header, IFLA_LINKINFO);
  mnl_attr_put_strz(header, IFLA_INFO_KIND, "veth");
  nlattr* data = mnl_attr_nest_start(header, IFLA_INFO_DATA);
  nlattr* peer = mnl_attr_nest_start(header, VETH_INFO_PEER);
  extra<ifinfomsg>(header);
  mnl_attr_put_strz(header, IFLA_IFNAME, spec.peer_name.c_str());
  mnl_attr_put(header, IFLA_ADDRESS, spec.peer_mac.size(), spec.peer_mac.data());
  mnl_attr_put_u32(header, IFLA_NET_NS_FD, static_cast<std::uint32_t>(spec.peer_netns));
  mnl_attr_nest_end(header, peer);
  mnl_attr_nest_end(header, data);
  mnl_attr_nest_end(header, link);
  return ask(header, "cannot make the veth pair " + spec.name);
}

Result<void> Rtnl::set_up(std::uint32_t ifindex) {
  Buffer buffer;
  nlmsghdr* header = start(buffer, RTM_NEWLINK, kChange);
  auto* info = extra<ifinfomsg>(header);
  info->ifi_index = static_cast<int>(ifindex);
  info->ifi_flags = IFF_UP;
  info->ifi_change = IFF_UP;
  return ask(header, "cannot set up" + on(ifindex));
}

Result<std::uint8_t> Rtnl::state_of(std::uint32_t ifindex) {
  Buffer buffer;
  nlmsghdr* header = start(buffer, RTM_GETLINK, NLM_F_REQUEST);
  extra<ifinfomsg>(header)->ifi_index = static_cast<int>(ifindex);
  header->nlmsg_seq = ++sequence_;
  alignas(nlmsghdr) std::array<char, 16384> answer{};
  if (mnl_socket_sendto(socket_.get(), header, header->nlmsg_len) < 0) {
    return tl::unexpected(system_error("cannot ask for the state" + on(ifindex)));
  }
  const auto length = mnl_socket_recvfrom(socket_.get(), answer.data(), answer.size());
  const auto* link = reinterpret_cast<const nlmsghdr*>(answer.data());
  if (length < 0 || !mnl_nlmsg_ok(link, static_cast<int>(length)) || link->nlmsg_type != RTM_NEWLINK) {
    return tl::unexpected(system_error("cannot read the state" + on(ifindex)));
  }
  const auto* attribute = static_cast<const nlattr*>(mnl_nlmsg_get_payload_offset(link, sizeof(ifinfomsg)));
  const auto* end = static_cast<const char*>(mnl_nlmsg_get_payload_tail(link));
  while (mnl_attr_ok(attribute, static_cast<int>(end - reinterpret_cast<const char*>(attribute)))) {
    if (mnl_attr_get_type(attribute) == IFLA_OPERSTATE) return mnl_attr_get_u8(attribute);
    attribute = mnl_attr_next(attribute);
  }
  return fail(ErrorCode::io, "the kernel does not tell the state" + on(ifindex));
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

nlmsghdr* address_message(Buffer& buffer, std::uint16_t type, std::uint32_t ifindex,
                          const IpAddress& address) {
  nlmsghdr* header = start(buffer, type, type == RTM_NEWADDR ? kCreate : kChange);
  auto* info = extra<ifaddrmsg>(header);
  info->ifa_family = family_of(address);
  info->ifa_prefixlen = static_cast<unsigned char>(address.bits());
  info->ifa_index = ifindex;
  if (!address.is_v4()) info->ifa_flags = IFA_F_NODAD;  // usable at once
  put_address(header, IFA_LOCAL, address);
  put_address(header, IFA_ADDRESS, address);
  return header;
}

}  // namespace

Result<void> Rtnl::add_address(std::uint32_t ifindex, const IpAddress& address) {
  Buffer buffer;
  auto done = ask(address_message(buffer, RTM_NEWADDR, ifindex, address),
                  "cannot add address " + address.to_string() + on(ifindex), EEXIST);
  return done && !address.is_v4() ? wait_until_local(ifindex, address) : done;
}

Result<bool> Rtnl::is_local(std::uint32_t ifindex, const IpAddress& address) {
  Buffer buffer;
  nlmsghdr* header = start(buffer, RTM_GETROUTE, NLM_F_REQUEST);
  auto* info = extra<rtmsg>(header);
  info->rtm_family = family_of(address);
  info->rtm_dst_len = static_cast<unsigned char>(address.bits());
  put_address(header, RTA_DST, address);
  mnl_attr_put_u32(header, RTA_OIF, ifindex);
  header->nlmsg_seq = ++sequence_;
  alignas(nlmsghdr) std::array<char, 8192> answer{};
  ssize_t length = -1;
  if (mnl_socket_sendto(socket_.get(), header, header->nlmsg_len) >= 0) {
    length = mnl_socket_recvfrom(socket_.get(), answer.data(), answer.size());
  }
  const auto* route = reinterpret_cast<const nlmsghdr*>(answer.data());
  if (length < 0 || !mnl_nlmsg_ok(route, static_cast<int>(length))) {
    return tl::unexpected(system_error("cannot ask for the route to " + address.to_string()));
  }
  // An answer of another type says that there is no route yet.
  if (route->nlmsg_type != RTM_NEWROUTE) return false;
  return static_cast<const rtmsg*>(mnl_nlmsg_get_payload(route))->rtm_type == RTN_LOCAL;
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
  Buffer buffer;
  return ask(address_message(buffer, RTM_DELADDR, ifindex, address),
             "cannot delete address " + address.to_string() + on(ifindex), EADDRNOTAVAIL);
}

Result<void> Rtnl::set_route(const RouteSpec& route) {
  Buffer buffer;
  nlmsghdr* header = start(buffer, RTM_NEWROUTE, kReplace);
  auto* info = extra<rtmsg>(header);
  info->rtm_family = family_of(route.destination.network());
  info->rtm_dst_len = static_cast<unsigned char>(route.destination.prefix_length());
  info->rtm_table = RT_TABLE_MAIN;
  info->rtm_protocol = RTPROT_STATIC;
  info->rtm_type = route.ifindex == 0 ? RTN_BLACKHOLE : RTN_UNICAST;
  info->rtm_scope = route.gateway ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK;
  if (route.destination.prefix_length() > 0) put_address(header, RTA_DST, route.destination.network());
  if (route.ifindex != 0) mnl_attr_put_u32(header, RTA_OIF, route.ifindex);
  if (route.gateway) {
    info->rtm_flags = RTNH_F_ONLINK;
    put_address(header, RTA_GATEWAY, *route.gateway);
  }
  return ask(header, "cannot set the route to " + route.destination.to_string() + on(route.ifindex));
}

Result<void> Rtnl::delete_route(const Cidr& destination) {
  Buffer buffer;
  nlmsghdr* header = start(buffer, RTM_DELROUTE, kChange);
  auto* info = extra<rtmsg>(header);
  info->rtm_family = family_of(destination.network());
  info->rtm_dst_len = static_cast<unsigned char>(destination.prefix_length());
  info->rtm_table = RT_TABLE_MAIN;
  info->rtm_scope = RT_SCOPE_NOWHERE;
  put_address(header, RTA_DST, destination.network());
  return ask(header, "cannot delete the route to " + destination.to_string(), ESRCH);
}

Result<void> Rtnl::set_permanent_neighbour(std::uint32_t ifindex, const IpAddress& address, const Mac& mac) {
  Buffer buffer;
  nlmsghdr* header = start(buffer, RTM_NEWNEIGH, kReplace);
  auto* info = extra<ndmsg>(header);
  info->ndm_family = family_of(address);
  info->ndm_ifindex = static_cast<int>(ifindex);
  info->ndm_state = NUD_PERMANENT;
  put_address(header, NDA_DST, address);
  mnl_attr_put(header, NDA_LLADDR, mac.size(), mac.data());
  return ask(header, "cannot set neighbour " + address.to_string() + on(ifindex));
}

Result<std::uint32_t> interface_index(const std::string& name) {
  const unsigned index = ::if_nametoindex(name.c_str());
  if (index == 0) return tl::unexpected(system_error("no interface " + name));
  return index;
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
