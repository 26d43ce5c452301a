// SPDX-License-Identifier: Apache-2.0
// A packet line of a scenario as the frame that goes over the wire: the same bytes on every cluster.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/base/ip.h"
#include "engine/base/result.h"
#include "sim/packet/packet.h"
#include "sim/scenario/scenario.h"

namespace postern::packet {

struct LineAddresses {
  IpAddress source;  // of the sending party; the line's `source` replaces it
  IpAddress destination;
  MacAddress source_mac{0x02, 0, 0, 0, 0, 1};
  MacAddress destination_mac{0x02, 0, 0, 0, 0, 2};
};

// A line that gives a whole frame yields exactly that. Errors: unsupported (IPv6), invalid_input
// (flags or chunk the reader should have refused).
Result<std::vector<std::uint8_t>> frame_of(const sim::PacketLine& line, const LineAddresses& addresses);

}  // namespace postern::packet
