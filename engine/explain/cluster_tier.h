// SPDX-License-Identifier: Apache-2.0
// What a tier of ClusterNetworkPolicies says at one end, read from the objects in the order of R42 and R29,
// and which rules that would have spoken before come near.
#pragma once

#include <optional>
#include <vector>

#include "engine/explain/end_judge.h"

namespace postern::explain_detail {

struct TierAnswer {
  std::optional<ClusterVerdict> said;  // none: no rule of the tier matches
  std::vector<NearMiss> near_misses;   // of a Deny: what would have gone before it, the nearest first
};

TierAnswer ask_cluster_tier(const Traffic& traffic, Direction direction, Tier tier);

// Whether rules of ClusterNetworkPolicies stand in the tables for this direction of a pod, as the resolver
// decides it: those that can match nothing do not.
bool has_cluster_rules(const Traffic& traffic, const Pod& subject, Direction direction);

}  // namespace postern::explain_detail
