// SPDX-License-Identifier: Apache-2.0
// Turns what the kernel says by netlink, in a dump or an announcement, into a NetworkPicture. Bytes in,
// picture out: sockets are HostNetwork's. It knows where the kernel changes something without a word, and
// says then what has to be read again.
#pragma once

#include <cstdint>
#include <set>

#include "agent/interfaces/network_picture.h"
#include "net/netlink.h"

namespace postern::agent {

// What is not as it was.
struct NetworkChanges {
  bool links = false;
  bool addresses = false;   // of the host
  bool routes = false;
  bool neighbours = false;  // and what bridges have heard
  bool far_addresses = false;
  bool resynced = false;    // announcements were lost, and everything was read again

  [[nodiscard]] bool any() const {
    return links || addresses || routes || neighbours || far_addresses || resynced;
  }
  NetworkChanges& operator|=(const NetworkChanges& other);
};

// By FarEnd, all of one namespace.
using FarAddresses = std::map<FarEnd, std::set<IpAddress>>;

class PictureKeeper {
 public:
  [[nodiscard]] const NetworkPicture& picture() const { return picture_; }

  // RTM_NEW* and RTM_DEL* of LINK, ADDR, ROUTE and NEIGH; others, and what is malformed, change nothing.
  void apply(const nlmsghdr& message);
  // The addresses that the namespace has now; an empty set also when it is gone.
  void set_far_addresses(NetnsId netns_id, FarAddresses now);
  // Takes over routes, or everything but the far addresses, as a fresh dump has them. Links that are
  // still the same devices keep their incarnation.
  void take_routes_of(const PictureKeeper& fresh);
  void take_all_of(const PictureKeeper& fresh);

  // Since the last call.
  NetworkChanges take_changes();
  // Namespaces whose addresses may have changed, since the last call.
  std::set<NetnsId> take_touched();
  // Routes may have gone or changed in a way that was not announced in full; until take_routes_of.
  [[nodiscard]] bool routes_doubtful() const { return routes_doubtful_; }

 private:
  void apply_link(const nlmsghdr& message);
  void apply_address(const nlmsghdr& message);
  void apply_route(const nlmsghdr& message);
  void apply_neighbour(const nlmsghdr& message);
  void apply_forwarding(const nlmsghdr& message);
  void remove_link(std::uint32_t ifindex);
  void touch(std::uint32_t ifindex);
  [[nodiscard]] bool has_route_through(std::uint32_t ifindex) const;
  [[nodiscard]] bool has_route_tied_to(const IpAddress& source) const;

  NetworkPicture picture_;
  NetworkChanges changes_;
  std::set<NetnsId> touched_;
  bool routes_doubtful_ = false;
  std::uint64_t last_incarnation_ = 0;
};

// The addresses of one namespace out of RTM_NEWADDR messages: usable ones, neither loopback nor
// link-local.
void read_far_address(const nlmsghdr& message, NetnsId netns_id, FarAddresses& found);

}  // namespace postern::agent
