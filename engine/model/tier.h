// SPDX-License-Identifier: Apache-2.0
// The words in which every kind of policy speaks: which way a packet goes, which tier is asked, what a
// rule in it says. Values are those of the event and table layouts.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "engine/abi/verdict.h"

namespace postern {

enum class Direction : std::uint8_t { ingress = PN_INGRESS, egress = PN_EGRESS };
inline constexpr std::array<Direction, 2> kDirections{Direction::ingress, Direction::egress};
constexpr std::size_t index_of(Direction direction) { return static_cast<std::size_t>(direction); }
constexpr Direction opposite(Direction direction) {
  return direction == Direction::ingress ? Direction::egress : Direction::ingress;
}
constexpr const char* to_string(Direction direction) {
  return direction == Direction::ingress ? "ingress" : "egress";
}

enum class Tier : std::uint8_t {
  admin = PN_TIER_ADMIN,
  network_policy = PN_TIER_NETWORK_POLICY,
  baseline = PN_TIER_BASELINE,
};

enum class Action : std::uint8_t { deny = PN_ACTION_DENY, accept = PN_ACTION_ACCEPT, pass = PN_ACTION_PASS };

}  // namespace postern
