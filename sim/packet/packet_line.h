// SPDX-License-Identifier: Apache-2.0
// A packet line of a scenario as the frame that goes over the wire: the same bytes on every cluster.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "engine/base/ip.h"
#include "engine/base/result.h"
#include "sim/packet/packet.h"
#include "sim/scenario/scenario.h"

namespace postern::packet {

// The ends that a packet names; ports where they are not what its line says, translated by a node.
struct LineEnds {
  IpAddress source;  // of the sending party, or the line's `source`
  IpAddress destination;
  std::optional<std::uint16_t> source_port{};
  std::optional<std::uint16_t> destination_port{};
};

struct LineAddresses {
  LineEnds ends;
  MacAddress source_mac{0x02, 0, 0, 0, 0, 1};
  MacAddress destination_mac{0x02, 0, 0, 0, 0, 2};
  std::optional<LineEnds> quoted{};  // of the packet that an ICMP error quotes
};

// A line that gives a whole frame yields exactly that; `icmp` of an IPv6 packet is ICMPv6. Errors
// (invalid_input): ends of two families, IPv4 options on IPv6 and extension headers on IPv4, and
// what the reader should have refused.
Result<std::vector<std::uint8_t>> frame_of(const sim::PacketLine& line, const LineAddresses& addresses);

// The ports of what a line carries; an ICMP echo has its id twice. Absent: it has none.
struct LinePorts {
  std::uint8_t protocol = 0;  // of IP, in the family of the packet
  std::uint16_t source = 0;
  std::uint16_t destination = 0;
};
std::optional<LinePorts> ports_of(const sim::PacketPart& part, IpFamily family);

}  // namespace postern::packet
