// SPDX-License-Identifier: Apache-2.0
#include "sim/virtual/port_allocator.h"

#include <algorithm>

namespace postern::sim {

std::uint16_t PortAllocator::next(const IpAddress& from, const IpAddress& to, std::uint8_t protocol,
                                  std::uint16_t destination_port) {
  if (destination_port >= kFirst) destinations_.insert(destination_port);
  auto& port =
      next_.try_emplace(Pair{std::min(from, to), std::max(from, to), protocol}, kFirst).first->second;
  const auto step = [&] { port = port == kLast ? kFirst : static_cast<std::uint16_t>(port + 1); };
  // A scenario would have to probe the whole range for this not to end at a free port.
  for (int tries = kFirst; tries <= kLast && destinations_.contains(port); ++tries) step();
  const std::uint16_t result = port;
  step();
  return result;
}

std::uint16_t PortAllocator::next_on_both(const Side& near, const Side& far, std::uint8_t protocol) {
  const auto next_of = [&](const Side& side) {
    return next(side.from, side.to, protocol, side.destination_port);
  };
  std::uint16_t a = next_of(near);
  if (std::minmax(near.from, near.to) == std::minmax(far.from, far.to)) return a;
  std::uint16_t b = next_of(far);
  // Both run through the same ports in the same order, so the lower one gets to the higher one.
  while (a != b) {
    if (a < b) a = next_of(near);
    else b = next_of(far);
  }
  return a;
}

void PortAllocator::clear() {
  next_.clear();
  destinations_.clear();
}

}  // namespace postern::sim
