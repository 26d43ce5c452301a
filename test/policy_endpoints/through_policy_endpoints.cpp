// SPDX-License-Identifier: Apache-2.0
#include "test/policy_endpoints/through_policy_endpoints.h"

namespace postern::sim {

Result<void> ThroughPolicyEndpoints::begin(const ClusterSettings& settings) {
  ClusterSettings other = settings;
  other.enforcer.service_ip_blocks = options_.service_ip_blocks;
  return cluster_.begin(other);
}

Result<void> ThroughPolicyEndpoints::place(const Placement& placement) {
  auto slices = to_policy_endpoints(placement.cluster, options_.endpoints);
  if (!slices) return fail_as(slices);
  Placement other = placement;
  other.cluster.network_policies.clear();
  if (!options_.keep_services) {
    other.cluster.services.clear();
    other.cluster.endpoint_slices.clear();
  }
  for (auto& slice : *slices) {
    const NamespacedName key = slice.key;
    if (!other.cluster.policy_endpoints.emplace(key, std::move(slice)).second) {
      return fail(ErrorCode::internal, "two PolicyEndpoints are called " + key.to_string());
    }
  }
  return cluster_.place(other);
}

}  // namespace postern::sim
