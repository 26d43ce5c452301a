// SPDX-License-Identifier: Apache-2.0
// What a node's host namespace looks like at one moment, as plain data: its links, addresses, the routes
// and neighbours that can lead to a pod, and what is known of the far ends of its veths. HostNetwork
// keeps one current; locate() reads it and nothing else.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "engine/base/ip.h"
#include "net/netlink.h"

namespace postern::agent {

// The kernel's number for another network namespace, as seen from the host's. It is free for another
// namespace as soon as its own is gone.
using NetnsId = std::int32_t;

struct Link {
  std::uint32_t ifindex = 0;
  std::string name;
  std::string kind;           // "veth", "bridge"…; empty: a device without one, such as a physical one
  Mac mac{};                  // zero: it has none of six bytes
  std::uint32_t master = 0;   // ifindex of the bridge it is a port of; 0: of none
  std::uint32_t peer = 0;     // ifindex of a veth's other end, in that end's namespace
  std::optional<NetnsId> netns_id;  // where the other end is; absent: here
  bool up = false;
  // Counts the links that have been seen, so that two which had one ifindex one after the other differ.
  // Means nothing to another process.
  std::uint64_t incarnation = 0;

  friend auto operator<=>(const Link&, const Link&) = default;
};

// An interface of another namespace.
struct FarEnd {
  NetnsId netns_id = 0;
  std::uint32_t ifindex = 0;
  friend auto operator<=>(const FarEnd&, const FarEnd&) = default;
};

// A unicast route that leads to one interface without a gateway.
struct DirectRoute {
  std::uint32_t ifindex = 0;
  std::uint32_t table = 0;
  std::uint32_t metric = 0;
  std::optional<IpAddress> source;  // the local address it is tied to: the kernel drops both together (IPv4)
  friend auto operator<=>(const DirectRoute&, const DirectRoute&) = default;
};

struct Vlan {
  std::uint32_t bridge = 0;  // ifindex
  std::uint16_t id = 0;      // 0: the bridge does not tell VLANs apart
  friend auto operator<=>(const Vlan&, const Vlan&) = default;
};

struct NetworkPicture {
  std::map<std::uint32_t, Link> links;
  // By interface; every address of both families, link-local ones too. Not those that another host was
  // found to have.
  std::map<std::uint32_t, std::set<IpAddress>> addresses;
  // Of every table. An address may be in the blocks of several.
  std::map<Cidr, std::set<DirectRoute>> routes;
  // Resolved neighbours: address, interface, MAC.
  std::map<IpAddress, std::map<std::uint32_t, Mac>> neighbours;
  // The port of a bridge that a MAC was heard behind. The ports' own MACs are left out.
  std::map<Mac, std::map<Vlan, std::uint32_t>> forwarding;
  // Addresses in the namespaces behind veths, except loopback and link-local ones.
  std::map<FarEnd, std::set<IpAddress>> far_addresses;

  // What policy calls the own node (R2).
  [[nodiscard]] std::set<IpAddress> own_addresses() const;
};

}  // namespace postern::agent
