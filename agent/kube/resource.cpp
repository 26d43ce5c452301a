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
    {cluster_network_policies, "policy.networking.k8s.io", "v1alpha2", "clusternetworkpolicies",
     "ClusterNetworkPolicy", false, true},
    {admin_network_policies, "policy.networking.k8s.io", "v1alpha1", "adminnetworkpolicies",
     "AdminNetworkPolicy", false, true},
    {baseline_admin_network_policies, "policy.networking.k8s.io", "v1alpha1", "baselineadminnetworkpolicies",
     "BaselineAdminNetworkPolicy", false, true},
    {amazon_cluster_network_policies, "networking.k8s.aws", "v1alpha1", "clusternetworkpolicies",
     "ClusterNetworkPolicy", false, true, "clusternetworkpolicies.networking.k8s.aws"},
    {policy_endpoints, "networking.k8s.aws", "v1alpha1", "policyendpoints", "PolicyEndpoint", true, true},
    {cluster_policy_endpoints, "networking.k8s.aws", "v1alpha1", "clusterpolicyendpoints",
     "ClusterPolicyEndpoint", false, true},
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

std::string Resource::path_of(std::string_view name) const { return path() + "/" + url_escaped(name); }

std::string url_escaped(std::string_view text) {
  static constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '.' || c == '_' || c == '~';
    if (plain) {
      out += c;
    } else {
      out += {'%', kDigits[byte >> 4], kDigits[byte & 15]};
    }
  }
  return out;
}

const Resource& resource_of(ResourceKind kind) { return kResources[static_cast<std::size_t>(kind)]; }

std::span<const Resource> all_resources() { return kResources; }

}  // namespace postern::agent::kube
