// SPDX-License-Identifier: Apache-2.0
// What a verdict of a node's datapath means in the names of the policies that the node has in force.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "engine/enforce/node_enforcer.h"

namespace postern {

struct VerdictNames {
  std::optional<RuleOrigin> rule;    // absent: by default, or nobody knows it any more
  std::vector<PolicyRef> isolating;  // of an isolated denial, or of an allow that would be one
};

// What was said of a packet at the interface of a pod.
struct SaidOfPod {
  NamespacedName pod;
  pn_direction direction = PN_INGRESS;
  std::uint32_t step = 0;  // final (engine/abi/verdict.h)
};

VerdictNames names_of(const NodeEnforcer& enforcer, const SaidOfPod& said);

}  // namespace postern
