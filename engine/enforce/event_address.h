// SPDX-License-Identifier: Apache-2.0
// An address of an event of the datapath (engine/abi/event.h), whose bytes are in network order.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <iterator>

#include "engine/base/ip.h"

namespace postern {

// `family`: the event's, 4 or 6; 0, of what is no IP packet, has no address and gives 0.0.0.0.
inline IpAddress event_address(const std::uint8_t (&bytes)[16], std::uint8_t family) {
  if (family == 6) {
    std::array<std::uint8_t, 16> copy{};
    std::copy(std::begin(bytes), std::end(bytes), copy.begin());
    return IpAddress::v6(copy);
  }
  return IpAddress::v4(std::uint32_t{bytes[0]} << 24 | std::uint32_t{bytes[1]} << 16 | std::uint32_t{bytes[2]} << 8 |
                       bytes[3]);
}

}  // namespace postern
