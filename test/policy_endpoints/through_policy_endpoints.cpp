// SPDX-License-Identifier: Apache-2.0
#include "test/policy_endpoints/through_policy_endpoints.h"

#include "cli/commands/policy_endpoint_text.h"
#include "engine/manifest/reader.h"

namespace postern::sim {

namespace {

Result<std::vector<PolicyEndpoint>> read_back(const std::vector<PolicyEndpoint>& slices, bool json) {
  const std::string text = json ? cli::to_json(slices) : cli::to_yaml(slices);
  const auto manifest = manifest::read_manifest(text, json ? "slices.json" : "slices.yaml");
  if (!manifest) return tl::unexpected<Error>(manifest.error().front());
  std::vector<PolicyEndpoint> out;
  for (const auto& object : manifest->objects) out.push_back(std::get<PolicyEndpoint>(object.value));
  if (out.size() == slices.size()) return out;
  return fail(ErrorCode::internal, "not every PolicyEndpoint came back");
}

}  // namespace

Result<void> ThroughPolicyEndpoints::begin(const ClusterSettings& settings) {
  ClusterSettings other = settings;
  const auto written = settings.enforcer.service_ip_blocks;
  options_.endpoints.service_ip_blocks = written.value_or(ServiceIpBlocks::meaning);
  if (!written) other.enforcer.service_ip_blocks = options_.service_ip_blocks;
  return cluster_.begin(other);
}

Result<void> ThroughPolicyEndpoints::place(const Placement& placement) {
  auto slices = to_policy_endpoints(placement.cluster, options_.endpoints);
  if (!slices) return fail_as(slices);
  if (options_.way != Way::values) slices = read_back(*slices, options_.way == Way::json);
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
