// SPDX-License-Identifier: Apache-2.0
// What one direction of a policy has to say in PolicyEndpoints: entries for all of its subjects, and
// parts with what only some of them need.
#pragma once

#include <vector>

#include "engine/policy/plain_rules.h"
#include "engine/policy/reachable_services.h"

namespace postern {

// Entries for these pods alone.
struct EndpointPart {
  std::vector<EndpointInfo> infos;  // sorted, unique; never empty
  std::vector<const Pod*> pods;     // by name
};

struct EndpointPlan {
  std::vector<EndpointInfo> infos;  // sorted, unique
  std::vector<EndpointPart> parts;  // by their entries
};

EndpointPlan plan_ingress(const PlainPolicy& policy);
// `share`: of this policy.
EndpointPlan plan_egress(const PlainPolicy& policy, const ReachableServices& services,
                         const ReachableServices::Share& share, ServiceIpBlocks service_ip_blocks);

}  // namespace postern
