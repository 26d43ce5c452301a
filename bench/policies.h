// SPDX-License-Identifier: Apache-2.0
// Policies for one pod, written down as the resolver would: sets of addresses and rules with numbers.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/policy/resolved_policy.h"

namespace postern::bench {

// Addresses 10.16.0.0 and up, one after the other.
inline constexpr std::uint32_t kFriends = 0x0a100000;
// Further ones that only a second rule names.
inline constexpr std::uint32_t kOthers = 0x0a400000;
// Nobody names these.
inline constexpr std::uint32_t kStrangers = 0x0ac00000;

struct Allow {
  std::uint32_t first_peer = kFriends;  // host order
  std::uint32_t peers = 1;
  std::vector<std::uint16_t> ports;  // TCP; empty: everything
};

// The pod on the loopback interface, isolated in the directions that have rules.
struct PodPolicy {
  bool isolate_ingress = true;
  bool isolate_egress = false;
  std::vector<Allow> ingress;
  std::vector<Allow> egress;
};

ResolvedPolicy resolved(const PodPolicy& policy);

// `count` ports that no range can join: every `step`th from `first`.
std::vector<std::uint16_t> scattered_ports(std::size_t count, std::uint16_t first, std::uint16_t step);

}  // namespace postern::bench
