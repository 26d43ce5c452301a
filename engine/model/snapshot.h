// SPDX-License-Identifier: Apache-2.0
// Everything policy depends on, at one moment. Ordered containers: the order of documents never
// reaches a table.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "engine/model/cluster_network_policy.h"
#include "engine/model/objects.h"

namespace postern {

struct ClusterSnapshot {
  std::map<std::string, Namespace> namespaces;
  std::map<std::string, Node> nodes;
  std::map<NamespacedName, Pod> pods;
  std::map<NamespacedName, Service> services;
  std::map<NamespacedName, EndpointSlice> endpoint_slices;
  std::map<NamespacedName, NetworkPolicy> network_policies;
  std::map<std::string, ClusterNetworkPolicy> cluster_network_policies;
  std::map<NamespacedName, PolicyEndpoint> policy_endpoints;  // by their own names

  // Labels of a namespace; one that is used but was never applied has its name label alone (R34).
  [[nodiscard]] Labels namespace_labels(const std::string& name) const;
};

inline constexpr const char* kNamespaceNameLabel = "kubernetes.io/metadata.name";

}  // namespace postern
