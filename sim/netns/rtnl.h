// SPDX-License-Identifier: Apache-2.0
// The little of rtnetlink that the cluster needs. A socket belongs to the namespace it was opened
// in, whatever namespace the thread enters later. Every call waits for the kernel's answer.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "engine/base/ip.h"
#include "engine/base/result.h"
#include "net/netlink.h"

namespace postern::sim {

// A veth pair: one end here, its peer in another namespace.
struct VethSpec {
  std::string name;
  Mac mac{};
  std::string peer_name;
  Mac peer_mac{};
  int peer_netns = -1;  // descriptor
};

struct RouteSpec {
  Cidr destination;  // a prefix length of 0 is the default route
  std::uint32_t ifindex = 0;  // 0: what goes there is dropped in silence
  // Taken to be reachable on the interface without asking (onlink); absent: the destination itself is.
  std::optional<IpAddress> gateway;
};

class Rtnl {
 public:
  // In the current namespace.
  static Result<Rtnl> open();

  Result<void> add_veth(const VethSpec& spec);
  Result<void> set_up(std::uint32_t ifindex);
  // Waits until an interface sends: an end that came up before its peer drops everything until the
  // kernel has got round to noticing the carrier. Errors: io, after some seconds.
  Result<void> wait_until_up(std::uint32_t ifindex);
  // As a host address (/32, /128), in force when it returns. Adding one that is there is no error, nor
  // is deleting one that is not.
  Result<void> add_address(std::uint32_t ifindex, const IpAddress& address);
  Result<void> delete_address(std::uint32_t ifindex, const IpAddress& address);
  // Replaces a route to the same destination.
  Result<void> set_route(const RouteSpec& route);
  Result<void> delete_route(const Cidr& destination);
  Result<void> set_permanent_neighbour(std::uint32_t ifindex, const IpAddress& address, const Mac& mac);

 private:
  explicit Rtnl(NetlinkSocket socket) : socket_(std::move(socket)) {}
  // Operational state, RFC 2863, as IF_OPER_*.
  Result<std::uint8_t> state_of(std::uint32_t ifindex);
  // The kernel takes up a new IPv6 address some time after it was added; only then packets to it stay
  // here, and neighbours that look for it are answered. Errors: io, after some seconds.
  Result<void> wait_until_local(std::uint32_t ifindex, const IpAddress& address);
  Result<bool> is_local(std::uint32_t ifindex, const IpAddress& address);

  NetlinkSocket socket_;
};

// Index of an interface of the current namespace.
Result<std::uint32_t> interface_index(const std::string& name);

// Hardware address of an interface of the current namespace.
Result<Mac> mac_of(const std::string& name);

// Makes the kernel fill in transport checksums of what an interface of the current namespace sends,
// so that a frame seen on the wire is the frame a real network would carry.
Result<void> disable_checksum_offload(const std::string& name);

}  // namespace postern::sim
