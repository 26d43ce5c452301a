// SPDX-License-Identifier: Apache-2.0
// What the agent can watch: one row a resource of the Kubernetes API, with its path, its kind and the
// fields of its objects that are kept (agent/kube/field_mask.h).
//
// A new resource is an enumerator here, a row in resource.cpp and a mask in resource_mask.cpp; its kind
// is one that the reader of manifests knows.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace postern::agent::kube {

enum class ResourceKind : std::uint8_t {
  namespaces,
  nodes,
  pods,
  services,
  endpoint_slices,
  network_policies,
  cluster_network_policies,
  admin_network_policies,
  baseline_admin_network_policies,
  amazon_cluster_network_policies,
  policy_endpoints,
  cluster_policy_endpoints,
};
inline constexpr std::size_t kResourceKinds = 12;

struct Resource {
  ResourceKind id;
  std::string_view group;    // "" is the core group
  std::string_view version;  // "v1"
  std::string_view plural;   // "networkpolicies", as in paths and ClusterRoles
  std::string_view kind;     // "NetworkPolicy"
  bool namespaced;
  bool custom;  // comes with a CustomResourceDefinition, so a server need not have it
  std::string_view full_name = {};  // PLURAL.GROUP, where another group's resource has the plural already

  // Tells resources apart, in logs and metrics.
  [[nodiscard]] std::string_view name() const { return full_name.empty() ? plural : full_name; }

  [[nodiscard]] std::string api_version() const;  // "v1", "networking.k8s.io/v1"
  // Of all namespaces: "/api/v1/pods", "/apis/networking.k8s.io/v1/networkpolicies".
  [[nodiscard]] std::string path() const;
  // Of one object of a kind without namespaces: "/api/v1/nodes/node-1".
  [[nodiscard]] std::string path_of(std::string_view name) const;
};

// A part of a path, or a value in a query. Names, versions and tokens are opaque, so everything but the
// plainest is escaped.
std::string url_escaped(std::string_view text);

const Resource& resource_of(ResourceKind kind);
std::span<const Resource> all_resources();

}  // namespace postern::agent::kube
