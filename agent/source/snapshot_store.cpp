// SPDX-License-Identifier: Apache-2.0
#include "agent/source/snapshot_store.h"

#include <utility>
#include <variant>

namespace postern::agent {
namespace {

constexpr std::string_view kPolicyEndpoint = "PolicyEndpoint";

// A visitor, so that a new kind does not compile until it has a place.
struct Put {
  ClusterSnapshot& cluster;

  void operator()(const Namespace& ns) const { cluster.namespaces[ns.name] = ns; }
  void operator()(const Node& node) const { cluster.nodes[node.name] = node; }
  void operator()(const manifest::PodObject& object) const { cluster.pods[object.pod.key] = object.pod; }
  void operator()(const manifest::Workload&) const {}
  void operator()(const manifest::ServiceObject& object) const {
    cluster.services[object.service.key] = object.service;
  }
  void operator()(const EndpointSlice& slice) const { cluster.endpoint_slices[slice.key] = slice; }
  void operator()(const NetworkPolicy& policy) const { cluster.network_policies[policy.key] = policy; }
  void operator()(const ClusterNetworkPolicy& policy) const { cluster.cluster_network_policies[policy.name] = policy; }
  void operator()(const PolicyEndpoint&) const {}  // AgreeingSlices has them
};

struct KeyOf {
  NamespacedName operator()(const Namespace& ns) const { return {"", ns.name}; }
  NamespacedName operator()(const Node& node) const { return {"", node.name}; }
  NamespacedName operator()(const ClusterNetworkPolicy& policy) const { return {"", policy.name}; }
  NamespacedName operator()(const manifest::PodObject& object) const { return object.pod.key; }
  NamespacedName operator()(const manifest::ServiceObject& object) const { return object.service.key; }
  template <typename Other>
  NamespacedName operator()(const Other& object) const {
    return object.key;
  }
};

// Calls `use` with the map that holds a kind, and says whether there is one.
template <typename Use>
void with_map(ClusterSnapshot& cluster, std::string_view kind, Use use) {
  if (kind == "Namespace") use(cluster.namespaces);
  if (kind == "Node") use(cluster.nodes);
  if (kind == "Pod") use(cluster.pods);
  if (kind == "Service") use(cluster.services);
  if (kind == "EndpointSlice") use(cluster.endpoint_slices);
  if (kind == "NetworkPolicy") use(cluster.network_policies);
  if (kind == "ClusterNetworkPolicy") use(cluster.cluster_network_policies);
}

}  // namespace

NamespacedName key_of(const manifest::Object& object) { return std::visit(KeyOf{}, object.value); }

void SnapshotStore::put(const manifest::Object& object) {
  if (const auto* slice = std::get_if<PolicyEndpoint>(&object.value)) {
    slices_.put(std::make_shared<const PolicyEndpoint>(*slice));
  }
  std::visit(Put{cluster_}, object.value);
}

void SnapshotStore::put(const std::shared_ptr<const manifest::Object>& object) {
  if (const auto* slice = std::get_if<PolicyEndpoint>(&object->value)) return slices_.put({object, slice});
  put(*object);
}

void SnapshotStore::remove(std::string_view kind, const NamespacedName& key) {
  if (kind == kPolicyEndpoint) slices_.remove(key);
  with_map(cluster_, kind, [&](auto& map) {
    if constexpr (std::is_same_v<typename std::decay_t<decltype(map)>::key_type, std::string>) {
      map.erase(key.name);
    } else {
      map.erase(key);
    }
  });
}

void SnapshotStore::clear() {
  auto enforced = std::move(cluster_.policy_endpoints);
  cluster_ = {};
  cluster_.policy_endpoints = std::move(enforced);
  slices_.clear();
}

void SnapshotStore::replace(std::string_view kind, const std::vector<manifest::Object>& objects) {
  if (kind == kPolicyEndpoint) slices_.clear();
  with_map(cluster_, kind, [](auto& map) { map.clear(); });
  for (const auto& object : objects) {
    if (object.kind == kind) put(object);
  }
}

}  // namespace postern::agent
