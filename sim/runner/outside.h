// SPDX-License-Identifier: Apache-2.0
// The outside hosts that a step's lines need.
#pragma once

#include <algorithm>
#include <vector>

#include "sim/cluster.h"

namespace postern::sim {

inline void note_outside(const Party& party, Placement& placement) {
  if (party.kind == Party::Kind::outside) placement.outside.push_back(party.address);
}

inline void sort_outside(Placement& placement) {
  auto& hosts = placement.outside;
  std::sort(hosts.begin(), hosts.end());
  hosts.erase(std::unique(hosts.begin(), hosts.end()), hosts.end());
}

}  // namespace postern::sim
