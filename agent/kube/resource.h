// SPDX-License-Identifier: Apache-2.0
// What the agent can watch: one row a resource of the Kubernetes API, with its path, its kind and the
// fields of its objects that are kept (agent/kube/field_mask.h).
//
// A new resource is an enumerator here, a row and a mask in resource.cpp. A kind that the manifest
// reader does not know is handed on as a tree (as_tree).
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
  policy_endpoints,
};
inline constexpr std::size_t kResourceKinds = 7;

struct Resource {
  ResourceKind id;
  std::string_view group;    // "" is the core group
  std::string_view version;  // "v1"
  std::string_view plural;   // "networkpolicies", as in paths and ClusterRoles
  std::string_view kind;     // "NetworkPolicy"
  bool namespaced;
  bool as_tree;  // WatchedObject::content is the tree, since the manifest reader has no such kind

  [[nodiscard]] std::string api_version() const;  // "v1", "networking.k8s.io/v1"
  // Of all namespaces: "/api/v1/pods", "/apis/networking.k8s.io/v1/networkpolicies".
  [[nodiscard]] std::string path() const;
};

const Resource& resource_of(ResourceKind kind);
std::span<const Resource> all_resources();

}  // namespace postern::agent::kube
