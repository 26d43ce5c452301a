// SPDX-License-Identifier: Apache-2.0
#include "agent/kube/resource.h"

#include <array>

namespace postern::agent::kube {

namespace {

using enum ResourceKind;

// In the order of the enumerators.
constexpr std::array<Resource, kResourceKinds> kResources{{
    {namespaces, "", "v1", "namespaces", "Namespace", false, false},
    {nodes, "", "v1", "nodes", "Node", false, false},
    {pods, "", "v1", "pods", "Pod", true, false},
    {services, "", "v1", "services", "Service", true, false},
    {endpoint_slices, "discovery.k8s.io", "v1", "endpointslices", "EndpointSlice", true, false},
    {network_policies, "networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy", true, false},
    {policy_endpoints, "networking.k8s.aws", "v1alpha1", "policyendpoints", "PolicyEndpoint", true, true},
}};

constexpr bool in_order() {
  for (std::size_t i = 0; i < kResources.size(); ++i) {
    if (kResources[i].id != static_cast<ResourceKind>(i)) return false;
  }
  return true;
}
static_assert(in_order());

}  // namespace

std::string Resource::api_version() const {
  return group.empty() ? std::string(version) : std::string(group) + "/" + std::string(version);
}

std::string Resource::path() const {
  return (group.empty() ? "/api/" : "/apis/") + api_version() + "/" + std::string(plural);
}

const Resource& resource_of(ResourceKind kind) { return kResources[static_cast<std::size_t>(kind)]; }

std::span<const Resource> all_resources() { return kResources; }

}  // namespace postern::agent::kube
