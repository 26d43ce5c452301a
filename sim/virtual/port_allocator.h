// SPDX-License-Identifier: Apache-2.0
// Source ports of probes: never the same connection twice, so that no probe meets the tracked state
// of an earlier one. Tracking does not tell the two directions of a connection apart, so a port is
// fresh for an unordered pair of addresses, and is never a port that some probe had as destination.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <tuple>

#include "engine/base/ip.h"

namespace postern::sim {

class PortAllocator {
 public:
  // The dynamic range (RFC 6335): away from the ports that packet lines of scenarios like to use.
  static constexpr std::uint16_t kFirst = 49152;
  static constexpr std::uint16_t kLast = 65535;

  // Wraps around after 16,384 probes of one pair and protocol.
  std::uint16_t next(const IpAddress& from, const IpAddress& to, std::uint8_t protocol,
                     std::uint16_t destination_port);
  // For a probe that a node translates: a port that is fresh on both sides of the node.
  struct Side {
    IpAddress from;
    IpAddress to;
    std::uint16_t destination_port = 0;
  };
  std::uint16_t next_on_both(const Side& near, const Side& far, std::uint8_t protocol);
  void clear();

 private:
  using Pair = std::tuple<IpAddress, IpAddress, std::uint8_t>;
  std::map<Pair, std::uint16_t> next_;
  std::set<std::uint16_t> destinations_;  // those within the range
};

}  // namespace postern::sim
