// SPDX-License-Identifier: Apache-2.0
// The kernel's own connection tracking (nf_conntrack), read by ctnetlink: a dump of both families and all
// zones in the network namespace of the calling thread, taken in piece by piece. It is never made to start
// tracking: where the module is not loaded nothing is asked, since asking would load it.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "engine/base/ip.h"
#include "engine/base/result.h"
#include "net/netlink.h"

namespace postern {

// As a packet has it. Ports in network order; ICMP has its id for both.
struct TrackedTuple {
  IpAddress source;
  IpAddress destination;
  std::uint16_t source_port = 0;
  std::uint16_t destination_port = 0;
  std::uint8_t protocol = 0;  // TCP, UDP, SCTP, ICMP or ICMPv6
  friend auto operator<=>(const TrackedTuple&, const TrackedTuple&) = default;
};

// The reply's tuple need not be the other turned round: what is translated has both.
struct TrackedConnection {
  std::optional<TrackedTuple> original;
  std::optional<TrackedTuple> reply;
  bool replied = false;
  std::uint8_t tcp_state = 0;  // enum tcp_conntrack of the kernel; 0: none
  friend bool operator==(const TrackedConnection&, const TrackedConnection&) = default;
};

// Connections of a family, or those of them one of whose tuples has this source. A kernel before 5.8 knows no
// filter and gives all of the family. Of IPv4 alone: asked for an IPv6 source, Linux 6.18 leaves out those that
// have it.
struct TrackedFilter {
  IpFamily family = IpFamily::v4;
  std::optional<IpAddress> source{};
  bool of_reply = false;  // of the reply's tuple; else of the original one
};

class ConntrackDump {
 public:
  using Take = std::function<void(const TrackedConnection& connection)>;

  // A dump before it is given up. Errors: not_found: nf_conntrack is not loaded, or knows no connection;
  // io, permission.
  Result<void> begin(const std::optional<TrackedFilter>& only = {});
  // Takes in some of it. True: that was all. Errors: io, where a part is missing; permission.
  Result<bool> step(const Take& take);

 private:
  Result<bool> read_some(const Take& take);

  std::unique_ptr<NetlinkSocket> socket_;
  std::uint32_t sequence_ = 0;
  int empty_steps_ = 0;
};

// nf_conntrack_max or nf_conntrack_count of this namespace; nullopt: nf_conntrack is not loaded.
std::optional<std::uint64_t> nf_conntrack_number(const std::string& name);

}  // namespace postern
