// SPDX-License-Identifier: Apache-2.0
// All tiers of a content, for one class of peers, as one function of protocol and port (R42).
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/compile/content.h"

namespace postern {

// From port `lo` up to the next entry's the answer is `step`. A list starts at 0 and covers 0-65535;
// neighbours differ.
struct PortStep {
  std::uint16_t lo = 0;
  std::uint32_t step = 0;
  friend bool operator==(const PortStep&, const PortStep&) = default;
};

inline constexpr std::array<Protocol, 3> kPortProtocols{Protocol::tcp, Protocol::udp, Protocol::sctp};

struct Folded {
  std::uint32_t other = 0;  // protocols without ports
  std::array<std::vector<PortStep>, kPortProtocols.size()> ports;
};

// `rules`: places in content.rules of those that concern the class.
Folded fold(const Content& content, std::span<const std::uint32_t> rules, bool own_node);

// The same step for every protocol and port.
Folded everywhere(std::uint32_t step);

// What is enforced, with a would-deny wherever it allows and `if_enforced` denies (R44).
Folded with_audit(const Folded& enforced, const Folded& if_enforced);

// The same list with another answer for one port.
void set_port(std::vector<PortStep>& ports, std::uint16_t port, std::uint32_t step);
// What a list says to one port.
std::uint32_t step_at(const std::vector<PortStep>& ports, std::uint16_t port);

}  // namespace postern
