// SPDX-License-Identifier: Apache-2.0
#include "agent/source/snapshot_store.h"

#include <algorithm>
#include <iterator>
#include <utility>
#include <variant>

#include "engine/model/cluster_policy_id.h"

namespace postern::agent {
namespace {

constexpr std::string_view kPolicyEndpoint = "PolicyEndpoint";
constexpr std::string_view kClusterPolicyEndpoint = "ClusterPolicyEndpoint";

// A visitor, so that a new kind does not compile until it has a place.
struct Put {
  ClusterSnapshot& cluster;
  SnapshotStore::Backends backends;

  void operator()(const Namespace& ns) const { cluster.namespaces[ns.name] = ns; }
  void operator()(const Node& node) const { cluster.nodes[node.name] = node; }
  void operator()(const manifest::PodObject& object) const { cluster.pods[object.pod.key] = object.pod; }
  void operator()(const manifest::Workload&) const {}
  void operator()(const manifest::ServiceObject& object) const {
    Service& service = cluster.services[object.service.key] = object.service;
    if (backends == SnapshotStore::Backends::by_endpoint_slices) service.selector.reset();
  }
  void operator()(const EndpointSlice& slice) const { cluster.endpoint_slices[slice.key] = slice; }
  void operator()(const NetworkPolicy& policy) const { cluster.network_policies[policy.key] = policy; }
  void operator()(const ClusterNetworkPolicy& policy) const { cluster.cluster_network_policies[policy.name] = policy; }
  void operator()(const PolicyEndpoint&) const {}         // AgreeingSlices has them
  void operator()(const ClusterPolicyEndpoint&) const {}  // settle() joins them
};

struct KeyOf {
  NamespacedName operator()(const Namespace& ns) const { return {"", ns.name}; }
  NamespacedName operator()(const Node& node) const { return {"", node.name}; }
  NamespacedName operator()(const ClusterNetworkPolicy& policy) const {
    return {"", std::string(split_cluster_policy_id(policy.name).name)};
  }
  NamespacedName operator()(const ClusterPolicyEndpoint& slice) const { return {"", slice.name}; }
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
}

// Policies of several kinds are in one map.
void erase_cluster_policies(ClusterSnapshot& cluster, std::string_view kind) {
  std::erase_if(cluster.cluster_network_policies,
                [&](const auto& entry) { return split_cluster_policy_id(entry.first).kind == kind; });
}

}  // namespace

NamespacedName key_of(const manifest::Object& object) { return std::visit(KeyOf{}, object.value); }

void SnapshotStore::put(const manifest::Object& object) {
  if (const auto* slice = std::get_if<PolicyEndpoint>(&object.value)) {
    slices_.put(std::make_shared<const PolicyEndpoint>(*slice));
  }
  if (const auto* slice = std::get_if<ClusterPolicyEndpoint>(&object.value)) {
    cluster_slices_[slice->name] = *slice;
    cluster_slices_touched_ = true;
  }
  std::visit(Put{cluster_, backends_}, object.value);
}

void SnapshotStore::put(const std::shared_ptr<const manifest::Object>& object) {
  if (const auto* slice = std::get_if<PolicyEndpoint>(&object->value)) return slices_.put({object, slice});
  put(*object);
}

void SnapshotStore::remove(std::string_view kind, const NamespacedName& key) {
  if (kind == kPolicyEndpoint) slices_.remove(key);
  if (kind == kClusterPolicyEndpoint && cluster_slices_.erase(key.name) != 0) cluster_slices_touched_ = true;
  if (is_cluster_policy_kind(kind)) cluster_.cluster_network_policies.erase(cluster_policy_id(kind, key.name));
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
  auto cluster_policies = std::move(cluster_.cluster_network_policies);
  std::erase_if(cluster_policies, [](const auto& entry) { return !entry.second.listed; });
  cluster_ = {};
  cluster_.policy_endpoints = std::move(enforced);
  cluster_.cluster_network_policies = std::move(cluster_policies);
  slices_.clear();
  forget_cluster_slices();
}

void SnapshotStore::forget_cluster_slices() {
  cluster_slices_touched_ = cluster_slices_touched_ || !cluster_slices_.empty();
  cluster_slices_.clear();
}

void SnapshotStore::refuse_slices(const std::set<NamespacedName>& keys) {
  std::set<NamespacedName> plain;
  std::set<std::string> of_the_cluster;
  for (const auto& key : keys) {
    if (key.ns.empty()) {
      of_the_cluster.insert(key.name);
    } else {
      plain.insert(key);
    }
  }
  slices_.refuse(plain);
  if (of_the_cluster == refused_cluster_slices_) return;
  refused_cluster_slices_ = std::move(of_the_cluster);
  cluster_slices_touched_ = true;
}

// A slice that cannot be read holds its policy's other slices back: never half of a change.
std::set<std::string> SnapshotStore::held_back() const {
  std::set<std::string> policies;
  for (const auto& name : refused_cluster_slices_) {
    const auto slice = cluster_slices_.find(name);
    if (slice != cluster_slices_.end()) policies.insert(slice->second.policy);
  }
  return policies;
}

void SnapshotStore::settle() {
  slices_.settle(cluster_.policy_endpoints);
  if (!std::exchange(cluster_slices_touched_, false)) return;
  auto& policies = cluster_.cluster_network_policies;
  std::map<std::string, ClusterNetworkPolicy> joined;
  cluster_disagreements_.clear();
  const auto held = held_back();
  for (auto& policy : manifest::join(cluster_slices_)) {
    const std::string id = cluster_policy_id(kClusterPolicyEndpoint, policy.policy);
    const auto before = policies.find(id);
    if (held.contains(policy.policy) && before != policies.end()) {
      joined[id] = std::move(before->second);
      continue;
    }
    if (policy.disagreement.empty()) {
      joined[id] = std::move(policy.joined);
      continue;
    }
    // What agreed last stays.
    cluster_disagreements_.push_back(std::move(policy.disagreement));
    if (before != policies.end()) joined[id] = std::move(before->second);
  }
  erase_cluster_policies(cluster_, kClusterPolicyEndpoint);
  policies.merge(joined);
}

std::vector<std::string> SnapshotStore::take_cluster_news() {
  std::set<std::string> now(cluster_disagreements_.begin(), cluster_disagreements_.end());
  std::vector<std::string> news;
  std::set_difference(now.begin(), now.end(), cluster_said_.begin(), cluster_said_.end(), std::back_inserter(news));
  cluster_said_ = std::move(now);
  return news;
}

void SnapshotStore::replace(std::string_view kind, const std::vector<manifest::Object>& objects) {
  if (kind == kPolicyEndpoint) slices_.clear();
  if (kind == kClusterPolicyEndpoint) forget_cluster_slices();
  if (is_cluster_policy_kind(kind)) erase_cluster_policies(cluster_, kind);
  with_map(cluster_, kind, [](auto& map) { map.clear(); });
  for (const auto& object : objects) {
    if (object.kind == kind) put(object);
  }
}

}  // namespace postern::agent
