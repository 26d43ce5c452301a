// SPDX-License-Identifier: Apache-2.0
#include "agent/interfaces/picture_keeper.h"

#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

#include <algorithm>
#include <optional>
#include <utility>

namespace postern::agent {
namespace {

constexpr int kHeard = NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT;

// Removes what `gone` says of the inner containers, and outer ones that are empty then.
template <typename Outer, typename Gone>
bool prune(Outer& outer, const Gone& gone) {
  bool changed = false;
  for (auto it = outer.begin(); it != outer.end();) {
    changed = std::erase_if(it->second, gone) > 0 || changed;
    it = it->second.empty() ? outer.erase(it) : std::next(it);
  }
  return changed;
}

struct OwnAddress {
  std::uint32_t ifindex = 0;
  IpAddress address;
  bool usable = true;
};

std::optional<OwnAddress> read_address(const nlmsghdr& message) {
  const auto* info = netlink_fixed<ifaddrmsg>(message);
  if (info == nullptr) return std::nullopt;
  const NetlinkAttributes attributes(message, sizeof *info);
  // With a peer's address beside it, as on a point-to-point link, the own one is IFA_LOCAL.
  auto address = attributes.address(IFA_LOCAL, info->ifa_family);
  if (!address) address = attributes.address(IFA_ADDRESS, info->ifa_family);
  if (!address) return std::nullopt;
  const std::uint32_t flags = attributes.number(IFA_FLAGS).value_or(info->ifa_flags);
  // Another host answered for it: it is that host's.
  return OwnAddress{info->ifa_index, *address, (flags & IFA_F_DADFAILED) == 0};
}

bool same_device(const Link& a, const Link& b) {
  return a.kind == b.kind && a.mac == b.mac && a.name == b.name && a.peer == b.peer && a.netns_id == b.netns_id;
}

Link read_link(const nlmsghdr& message, const ifinfomsg& info) {
  const NetlinkAttributes attributes(message, sizeof info);
  Link link;
  link.ifindex = static_cast<std::uint32_t>(info.ifi_index);
  link.name = attributes.text(IFLA_IFNAME).value_or("");
  link.mac = attributes.mac(IFLA_ADDRESS).value_or(Mac{});
  link.master = attributes.number(IFLA_MASTER).value_or(0);
  link.up = (info.ifi_flags & IFF_UP) != 0;
  if (const nlattr* const more = attributes.find(IFLA_LINKINFO)) {
    link.kind = NetlinkAttributes(*more).text(IFLA_INFO_KIND).value_or("");
  }
  if (const auto netns_id = attributes.number(IFLA_LINK_NETNSID)) {
    link.netns_id = static_cast<NetnsId>(*netns_id);
  }
  // Kernels that leave out an index equal to the link's own mean just that.
  link.peer = attributes.number(IFLA_LINK).value_or(link.netns_id ? link.ifindex : 0);
  return link;
}

}  // namespace

NetworkChanges& NetworkChanges::operator|=(const NetworkChanges& other) {
  links = links || other.links;
  addresses = addresses || other.addresses;
  routes = routes || other.routes;
  neighbours = neighbours || other.neighbours;
  far_addresses = far_addresses || other.far_addresses;
  resynced = resynced || other.resynced;
  return *this;
}

void PictureKeeper::apply(const nlmsghdr& message) {
  switch (message.nlmsg_type) {
    case RTM_NEWLINK:
    case RTM_DELLINK: return apply_link(message);
    case RTM_NEWADDR:
    case RTM_DELADDR: return apply_address(message);
    case RTM_NEWROUTE:
    case RTM_DELROUTE: return apply_route(message);
    case RTM_NEWNEIGH:
    case RTM_DELNEIGH: return apply_neighbour(message);
    default: return;
  }
}

void PictureKeeper::apply_link(const nlmsghdr& message) {
  const auto* info = netlink_fixed<ifinfomsg>(message);
  // A bridge's own announcements tell of its ports, with less in them; a deletion there says that a port
  // has left the bridge.
  if (info == nullptr || info->ifi_family != AF_UNSPEC || info->ifi_index <= 0) return;
  Link link = read_link(message, *info);
  touch(link.ifindex);
  if (message.nlmsg_type == RTM_DELLINK) return remove_link(link.ifindex);

  auto& known = picture_.links[link.ifindex];
  link.incarnation = known.ifindex != 0 ? known.incarnation : ++last_incarnation_;
  // Setting a link down takes its routes without a word, those of IPv4 always.
  if (known.up && !link.up && has_route_through(link.ifindex)) routes_doubtful_ = true;
  if (known != link) {
    known = std::move(link);
    changes_.links = true;
  }
  touch(static_cast<std::uint32_t>(info->ifi_index));
}

// The kernel announces most of what goes with a link, but not all of it.
void PictureKeeper::remove_link(std::uint32_t ifindex) {
  changes_.links = picture_.links.erase(ifindex) > 0 || changes_.links;
  changes_.addresses = picture_.addresses.erase(ifindex) > 0 || changes_.addresses;
  const auto here = [ifindex](const auto& entry) { return entry.first == ifindex; };
  if (prune(picture_.routes, [ifindex](const DirectRoute& route) { return route.ifindex == ifindex; })) {
    changes_.routes = true;
  }
  if (prune(picture_.neighbours, here)) changes_.neighbours = true;
  if (prune(picture_.forwarding, [ifindex](const auto& entry) {
        return entry.first.bridge == ifindex || entry.second == ifindex;
      })) {
    changes_.neighbours = true;
  }
}

void PictureKeeper::apply_address(const nlmsghdr& message) {
  const auto read = read_address(message);
  if (!read) return;
  auto& own = picture_.addresses[read->ifindex];
  const bool there = message.nlmsg_type == RTM_NEWADDR && read->usable;
  const bool changed = there ? own.insert(read->address).second : own.erase(read->address) > 0;
  if (own.empty()) picture_.addresses.erase(read->ifindex);
  changes_.addresses = changes_.addresses || changed;
  // Without a word the kernel drops the routes tied to the address and, with the last address of an
  // interface, all that lead through it (IPv4).
  if (!there && changed && (has_route_tied_to(read->address) || has_route_through(read->ifindex))) {
    routes_doubtful_ = true;
  }
}

void PictureKeeper::apply_route(const nlmsghdr& message) {
  const auto* info = netlink_fixed<rtmsg>(message);
  if (info == nullptr || (info->rtm_family != AF_INET && info->rtm_family != AF_INET6) ||
      (info->rtm_flags & RTM_F_CLONED) != 0) {
    return;
  }
  const NetlinkAttributes attributes(message, sizeof *info);
  const IpAddress any = info->rtm_family == AF_INET ? IpAddress::v4(0) : IpAddress::v6({});
  const IpAddress network = attributes.address(RTA_DST, info->rtm_family).value_or(any);
  if (info->rtm_dst_len > network.bits()) return;
  const Cidr destination(network, info->rtm_dst_len);
  const auto known = picture_.routes.find(destination);

  // The announcement of a replacement does not say what it replaces, nor that of one way among several
  // which are left. Read again, but only where it can matter to a pod.
  const bool several = attributes.find(RTA_MULTIPATH) != nullptr;
  const bool replaces = (message.nlmsg_flags & (NLM_F_REPLACE | NLM_F_APPEND)) != 0;
  const bool follows = known != picture_.routes.end() || info->rtm_dst_len == network.bits();
  if ((several || replaces) && follows) routes_doubtful_ = true;

  const auto out = attributes.number(RTA_OIF);
  if (info->rtm_type != RTN_UNICAST || several || !out || attributes.find(RTA_GATEWAY) != nullptr ||
      attributes.find(RTA_VIA) != nullptr) {
    return;
  }
  DirectRoute route;
  route.ifindex = *out;
  route.table = attributes.number(RTA_TABLE).value_or(info->rtm_table);
  route.metric = attributes.number(RTA_PRIORITY).value_or(0);
  if (info->rtm_family == AF_INET) route.source = attributes.address(RTA_PREFSRC, AF_INET);
  if (message.nlmsg_type == RTM_NEWROUTE) {
    if (picture_.routes[destination].insert(route).second) changes_.routes = true;
    touch(route.ifindex);
  } else if (known != picture_.routes.end()) {
    if (known->second.erase(route) > 0) changes_.routes = true;
    if (known->second.empty()) picture_.routes.erase(known);
  }
}

void PictureKeeper::apply_neighbour(const nlmsghdr& message) {
  const auto* info = netlink_fixed<ndmsg>(message);
  if (info == nullptr || info->ndm_ifindex <= 0) return;
  if (info->ndm_family == AF_BRIDGE) return apply_forwarding(message);
  const NetlinkAttributes attributes(message, sizeof *info);
  const auto address = attributes.address(NDA_DST, info->ndm_family);
  if (!address || (info->ndm_flags & NTF_PROXY) != 0) return;
  const auto ifindex = static_cast<std::uint32_t>(info->ndm_ifindex);
  const auto mac = attributes.mac(NDA_LLADDR);
  if (message.nlmsg_type == RTM_NEWNEIGH && (info->ndm_state & kHeard) != 0 && mac) {
    const auto [entry, added] = picture_.neighbours[*address].try_emplace(ifindex, *mac);
    changes_.neighbours = changes_.neighbours || added || entry->second != *mac;
    entry->second = *mac;
    return;
  }
  const auto known = picture_.neighbours.find(*address);
  if (known == picture_.neighbours.end()) return;
  if (known->second.erase(ifindex) > 0) changes_.neighbours = true;
  if (known->second.empty()) picture_.neighbours.erase(known);
}

void PictureKeeper::apply_forwarding(const nlmsghdr& message) {
  const auto& info = *netlink_fixed<ndmsg>(message);
  const NetlinkAttributes attributes(message, sizeof info);
  const auto mac = attributes.mac(NDA_LLADDR);
  const auto bridge = attributes.number(NDA_MASTER);
  // Without a bridge, or with NTF_SELF, it is a device's own filter.
  if (!mac || !bridge || (info.ndm_flags & NTF_SELF) != 0) return;
  Vlan vlan{*bridge, 0};
  if (const nlattr* const id = attributes.find(NDA_VLAN); id != nullptr && mnl_attr_get_payload_len(id) == 2) {
    vlan.id = mnl_attr_get_u16(id);
  }
  // An entry that is permanent is a port's own MAC.
  if (message.nlmsg_type == RTM_NEWNEIGH && (info.ndm_state & NUD_PERMANENT) == 0) {
    const auto port = static_cast<std::uint32_t>(info.ndm_ifindex);
    const auto [entry, added] = picture_.forwarding[*mac].try_emplace(vlan, port);
    changes_.neighbours = changes_.neighbours || added || entry->second != port;
    entry->second = port;
    touch(port);
    return;
  }
  const auto known = picture_.forwarding.find(*mac);
  if (known == picture_.forwarding.end()) return;
  if (known->second.erase(vlan) > 0) changes_.neighbours = true;
  if (known->second.empty()) picture_.forwarding.erase(known);
}

void PictureKeeper::set_far_addresses(NetnsId netns_id, FarAddresses now) {
  auto& all = picture_.far_addresses;
  const auto first = all.lower_bound({netns_id, 0});
  const auto last = std::find_if(first, all.end(), [=](const auto& e) { return e.first.netns_id != netns_id; });
  if (std::equal(first, last, now.begin(), now.end())) return;
  all.erase(first, last);
  all.merge(now);
  changes_.far_addresses = true;
}

void PictureKeeper::take_routes_of(const PictureKeeper& fresh) {
  changes_.routes = changes_.routes || picture_.routes != fresh.picture_.routes;
  picture_.routes = fresh.picture_.routes;
  routes_doubtful_ = false;
}

void PictureKeeper::take_all_of(const PictureKeeper& fresh) {
  NetworkPicture next = fresh.picture_;
  next.far_addresses = picture_.far_addresses;
  for (auto& [ifindex, link] : next.links) {
    const auto known = picture_.links.find(ifindex);
    const bool same = known != picture_.links.end() && same_device(known->second, link);
    link.incarnation = same ? known->second.incarnation : ++last_incarnation_;
  }
  changes_.links = changes_.links || picture_.links != next.links;
  changes_.addresses = changes_.addresses || picture_.addresses != next.addresses;
  changes_.routes = changes_.routes || picture_.routes != next.routes;
  changes_.neighbours = changes_.neighbours || picture_.neighbours != next.neighbours ||
                        picture_.forwarding != next.forwarding;
  picture_ = std::move(next);
  routes_doubtful_ = false;
}

NetworkChanges PictureKeeper::take_changes() { return std::exchange(changes_, {}); }

std::set<NetnsId> PictureKeeper::take_touched() { return std::exchange(touched_, {}); }

void PictureKeeper::touch(std::uint32_t ifindex) {
  const auto link = picture_.links.find(ifindex);
  if (link != picture_.links.end() && link->second.netns_id) touched_.insert(*link->second.netns_id);
}

bool PictureKeeper::has_route_through(std::uint32_t ifindex) const {
  return std::any_of(picture_.routes.begin(), picture_.routes.end(), [ifindex](const auto& entry) {
    return std::any_of(entry.second.begin(), entry.second.end(),
                       [ifindex](const DirectRoute& route) { return route.ifindex == ifindex; });
  });
}

bool PictureKeeper::has_route_tied_to(const IpAddress& source) const {
  return std::any_of(picture_.routes.begin(), picture_.routes.end(), [&source](const auto& entry) {
    return std::any_of(entry.second.begin(), entry.second.end(),
                       [&source](const DirectRoute& route) { return route.source == source; });
  });
}

void read_far_address(const nlmsghdr& message, NetnsId netns_id, FarAddresses& found) {
  static const Cidr kLoopback4 = *Cidr::parse("127.0.0.0/8");
  static const Cidr kLinkLocal4 = *Cidr::parse("169.254.0.0/16");
  static const Cidr kLinkLocal6 = *Cidr::parse("fe80::/10");
  static const Cidr kLoopback6 = *Cidr::parse("::1/128");
  if (message.nlmsg_type != RTM_NEWADDR) return;
  const auto read = read_address(message);
  if (!read || !read->usable) return;
  for (const auto* block : {&kLoopback4, &kLinkLocal4, &kLinkLocal6, &kLoopback6}) {
    if (block->contains(read->address)) return;
  }
  found[{netns_id, read->ifindex}].insert(read->address);
}

}  // namespace postern::agent
