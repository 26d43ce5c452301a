// SPDX-License-Identifier: Apache-2.0
// Pictures of hosts, built one line at a time.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "agent/interfaces/locate.h"

namespace postern::agent::testing_support {

inline IpAddress ip(std::string_view text) { return IpAddress::parse(text).value(); }

class SmallHost {
 public:
  // The far end is interface `peer` of another namespace; kNoNetns: it is in the host's.
  static constexpr NetnsId kNoNetns = -1;
  SmallHost& veth(std::uint32_t ifindex, const std::string& name, NetnsId netns_id, std::uint32_t peer = 2) {
    Link& link = add(ifindex, name, "veth");
    link.peer = peer;
    if (netns_id != kNoNetns) link.netns_id = netns_id;
    return *this;
  }
  SmallHost& link(std::uint32_t ifindex, const std::string& name, const std::string& kind) {
    add(ifindex, name, kind);
    return *this;
  }
  SmallHost& route(std::string_view destination, std::uint32_t ifindex, std::uint32_t table = 254) {
    picture.routes[Cidr::parse(destination).value()].insert({ifindex, table, 0, std::nullopt});
    return *this;
  }
  SmallHost& neighbour(std::string_view address, std::uint32_t ifindex, std::uint8_t mac) {
    picture.neighbours[ip(address)][ifindex] = mac_of(mac);
    return *this;
  }
  SmallHost& heard(std::uint8_t mac, std::uint32_t bridge, std::uint32_t port, std::uint16_t vlan = 0) {
    picture.forwarding[mac_of(mac)][{bridge, vlan}] = port;
    return *this;
  }
  SmallHost& far(NetnsId netns_id, std::uint32_t ifindex, std::string_view address) {
    picture.far_addresses[{netns_id, ifindex}].insert(ip(address));
    return *this;
  }

  NetworkPicture picture;

 private:
  static Mac mac_of(std::uint8_t last) { return {2, 0, 0, 0, 0, last}; }
  Link& add(std::uint32_t ifindex, const std::string& name, const std::string& kind) {
    Link& made = picture.links[ifindex];
    made.ifindex = ifindex;
    made.name = name;
    made.kind = kind;
    made.up = true;
    made.incarnation = ++incarnations_;
    return made;
  }
  std::uint64_t incarnations_ = 0;
};

inline PodAddresses pod(const std::string& name, const std::vector<std::string_view>& addresses,
                        std::optional<NetnsId> netns_id = std::nullopt) {
  PodAddresses made{{"shop", name}, {}, netns_id};
  for (const auto address : addresses) made.addresses.push_back(ip(address));
  return made;
}

}  // namespace postern::agent::testing_support
