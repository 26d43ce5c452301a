// SPDX-License-Identifier: Apache-2.0
#include "sim/agent/api_object.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "engine/manifest/cluster_state.h"
#include "engine/model/cluster_policy_id.h"
#include "engine/policy/to_policy_endpoints.h"
#include "sim/agent/endpoint_slices.h"
#include "sim/objects/object_json.h"

namespace postern::sim {
namespace {

using nlohmann::json;
using Kind = ApiKey::Kind;

struct KindRow {
  std::string_view api_version;
  std::string_view kind;
  std::string_view plural;
  std::string_view full_name = {};  // where another group has the plural already
};

// In the order of the enumerators.
constexpr std::array<KindRow, 12> kKinds{{
    {"v1", "Namespace", "namespaces"},
    {"v1", "Node", "nodes"},
    {"v1", "Pod", "pods"},
    {"v1", "Service", "services"},
    {"discovery.k8s.io/v1", "EndpointSlice", "endpointslices"},
    {"networking.k8s.io/v1", "NetworkPolicy", "networkpolicies"},
    {"policy.networking.k8s.io/v1alpha2", "ClusterNetworkPolicy", "clusternetworkpolicies"},
    {"policy.networking.k8s.io/v1alpha1", "AdminNetworkPolicy", "adminnetworkpolicies"},
    {"policy.networking.k8s.io/v1alpha1", "BaselineAdminNetworkPolicy", "baselineadminnetworkpolicies"},
    {"networking.k8s.aws/v1alpha1", "ClusterNetworkPolicy", "clusternetworkpolicies",
     "clusternetworkpolicies.networking.k8s.aws"},
    {"networking.k8s.aws/v1alpha1", "PolicyEndpoint", "policyendpoints"},
    {"networking.k8s.aws/v1alpha1", "ClusterPolicyEndpoint", "clusterpolicyendpoints"},
}};

const KindRow& row_of(Kind kind) { return kKinds[static_cast<std::size_t>(kind)]; }

json head_of(const ApiKey& key, const Labels& labels = {}) {
  return object_head({row_of(key.kind).api_version, row_of(key.kind).kind, key.name}, labels);
}

ApiObject finished(const ApiKey& key, json object, const json& status = {}) {
  ApiObject made{key, object.dump(), {}};
  if (status.is_null()) return made;
  object["status"] = status;
  made.status = object.dump();
  return made;
}

std::string_view word_of(PodPhase phase) {
  switch (phase) {
    case PodPhase::pending: return "Pending";
    case PodPhase::running: return "Running";
    case PodPhase::succeeded: return "Succeeded";
    case PodPhase::failed: return "Failed";
    case PodPhase::unknown: return "Unknown";
  }
  return "";
}

json address_list(const std::vector<IpAddress>& addresses) {
  json made = json::array();
  for (const auto& address : addresses) made.push_back({{"ip", address.to_string()}});
  return made;
}

ApiObject pod_object(const Pod& pod, const ClusterSnapshot& cluster) {
  const ApiKey key{Kind::pod, pod.key};
  json object = head_of(key, pod.labels);
  if (!pod.annotations.empty()) object["metadata"]["annotations"] = pod.annotations;
  json& spec = object["spec"];
  spec["containers"] = containers_json(pod.ports);
  if (!pod.node_name.empty()) spec["nodeName"] = api_node_name(pod.node_name);
  if (pod.host_network) spec["hostNetwork"] = true;

  json status{{"phase", word_of(pod.phase)},
              {"conditions", json::array({{{"type", "Ready"}, {"status", pod.ready ? "True" : "False"}}})}};
  if (!pod.addresses.empty()) {
    status["podIP"] = pod.addresses.front().to_string();
    status["podIPs"] = address_list(pod.addresses);
    const auto node = cluster.nodes.find(pod.node_name);
    if (node != cluster.nodes.end()) {
      const auto host = node->second.internal_ip(pod.addresses.front().family());
      if (host) status["hostIP"] = host->to_string();
    }
  }
  return finished(key, std::move(object), status);
}

ApiObject node_object(const Node& node) {
  const ApiKey key{Kind::node, {"", api_node_name(node.name)}};
  json status{{"addresses", json::array()}};
  for (const auto& entry : node.addresses) {
    status["addresses"].push_back({{"type", entry.type}, {"address", entry.address.to_string()}});
  }
  return finished(key, head_of(key, node.labels), status);
}

ApiObject namespace_object(const std::string& name, const Labels& labels,
                           const std::map<std::string, std::string>& annotations) {
  const ApiKey key{Kind::namespace_, {"", name}};
  json object = head_of(key, labels);
  if (!annotations.empty()) object["metadata"]["annotations"] = annotations;
  return finished(key, std::move(object));
}

// Those that were applied, and those that are only used (R34).
std::set<std::string> namespaces_of(const ClusterSnapshot& cluster) {
  std::set<std::string> names;
  for (const auto& [name, unused] : cluster.namespaces) names.insert(name);
  for (const auto& [key, unused] : cluster.pods) names.insert(key.ns);
  for (const auto& [key, unused] : cluster.services) names.insert(key.ns);
  for (const auto& [key, unused] : cluster.endpoint_slices) names.insert(key.ns);
  for (const auto& [key, unused] : cluster.network_policies) names.insert(key.ns);
  return names;
}

// As a controller may pack them: the pods in one slice, the entries of each direction in one of their own.
void add_slices(const ClusterNetworkPolicy& policy, std::vector<ApiObject>& objects) {
  const json whole = object_json(policy);
  constexpr std::array<std::array<const char*, 2>, 3> kParts{
      {{"podSelectorEndpoints", "pods"}, {"ingress", "in"}, {"egress", "out"}}};
  for (const auto& [field, ending] : kParts) {
    if (!whole["spec"].contains(field)) continue;
    json slice = whole;
    for (const auto& [other, unused] : kParts) {
      if (std::string_view(other) != field) slice["spec"].erase(other);
    }
    const std::string name = whole["metadata"]["name"].get<std::string>() + "-" + ending;
    slice["metadata"]["name"] = name;
    objects.push_back(finished({Kind::cluster_policy_endpoint, {"", name}}, std::move(slice)));
  }
}

ApiObject cluster_policy_object(const ClusterNetworkPolicy& policy) {
  const std::string name(split_cluster_policy_id(policy.name).name);
  return finished({kind_of(policy), {"", name}}, object_json(policy));
}

// Sorted by kind.
void add_cluster_policies(const ClusterSnapshot& cluster, ServedPolicies policies, std::vector<ApiObject>& objects) {
  std::map<ApiKey, ApiObject> sorted;
  for (const auto& [id, policy] : cluster.cluster_network_policies) {
    if (policy.listed && policies == ServedPolicies::network_policies) continue;
    ApiObject object = cluster_policy_object(policy);
    sorted.emplace(object.key, std::move(object));
  }
  for (auto& [key, object] : sorted) objects.push_back(std::move(object));
}

// Of one of the forms that select by labels: it selects nobody, whom a number names.
ClusterNetworkPolicy nobodys_policy(std::string_view kind, const std::string& name, std::uint64_t number) {
  ClusterNetworkPolicy policy;
  policy.name = cluster_policy_id(kind, name);
  policy.tier = kind == cluster_policy_kind::kAdmin ? Tier::admin : Tier::baseline;
  policy.subject.pods.match_labels = {{"postern.dev/nobody", std::to_string(number)}};
  return policy;
}

}  // namespace

std::string_view plural_of(Kind kind) { return row_of(kind).plural; }

std::string_view resource_name_of(Kind kind) {
  const KindRow& row = row_of(kind);
  return row.full_name.empty() ? row.plural : row.full_name;
}

bool is_custom(Kind kind) { return kind >= Kind::cluster_network_policy; }

std::optional<Kind> custom_kind(std::string_view group, std::string_view kind) {
  for (std::size_t i = 0; i < kKinds.size(); ++i) {
    const std::string_view its_group = kKinds[i].api_version.substr(0, kKinds[i].api_version.find('/'));
    if (kKinds[i].kind == kind && its_group == group && is_custom(static_cast<Kind>(i))) return static_cast<Kind>(i);
  }
  return std::nullopt;
}

Kind kind_of(const ClusterNetworkPolicy& policy) {
  const std::string_view kind = split_cluster_policy_id(policy.name).kind;
  if (policy.listed) return Kind::cluster_policy_endpoint;
  if (kind == cluster_policy_kind::kAdmin) return Kind::admin_network_policy;
  if (kind == cluster_policy_kind::kBaselineAdmin) return Kind::baseline_admin_network_policy;
  if (kind == cluster_policy_kind::kAmazon) return Kind::amazon_cluster_network_policy;
  return Kind::cluster_network_policy;
}

std::string many_of(Kind kind) {
  std::string one(row_of(kind).kind);
  if (one.back() == 'y') one.replace(one.size() - 1, 1, "ie");
  one += 's';
  return kind == Kind::amazon_cluster_network_policy ? one + " of networking.k8s.aws" : one;
}

std::string collection_path(const ApiKey& key) {
  const KindRow& row = row_of(key.kind);
  const bool core = row.api_version.find('/') == std::string_view::npos;
  std::string path = (core ? "/api/" : "/apis/") + std::string(row.api_version) + "/";
  if (!key.name.ns.empty()) path += "namespaces/" + key.name.ns + "/";
  return path + std::string(row.plural);
}

std::string api_node_name(const std::string& node) {
  return node == manifest::kDefaultNodeName ? "postern-unnamed-node" : node;
}

Result<std::vector<ApiObject>> api_objects(const ClusterSnapshot& cluster, ServedPolicies policies) {
  std::vector<ApiObject> objects;
  for (const auto& name : namespaces_of(cluster)) {
    const auto applied = cluster.namespaces.find(name);
    const bool known = applied != cluster.namespaces.end();
    objects.push_back(namespace_object(name, cluster.namespace_labels(name),
                                       known ? applied->second.annotations
                                             : std::map<std::string, std::string>{}));
  }
  for (const auto& [name, node] : cluster.nodes) objects.push_back(node_object(node));
  for (const auto& [key, pod] : cluster.pods) objects.push_back(pod_object(pod, cluster));
  for (const auto& [key, service] : cluster.services) {
    objects.push_back(finished({Kind::service, service.key}, object_json(service)));
  }
  for (const auto& [key, slice] : cluster.endpoint_slices) {
    objects.push_back(finished({Kind::endpoint_slice, slice.key}, object_json(slice)));
  }
  if (policies == ServedPolicies::policy_endpoints) {
    for (const auto& slice : controller_slices(cluster)) {
      objects.push_back(finished({Kind::endpoint_slice, slice.key}, object_json(slice)));
    }
  }
  if (policies != ServedPolicies::policy_endpoints) {
    for (const auto& [key, policy] : cluster.network_policies) {
      objects.push_back(finished({Kind::network_policy, policy.key}, object_json(policy)));
    }
    add_cluster_policies(cluster, policies, objects);
    if (policies == ServedPolicies::network_policies) return objects;
  } else {
    const auto slices = to_policy_endpoints(cluster);
    if (!slices) return fail_as(slices);
    for (const auto& slice : *slices) objects.push_back(finished({Kind::policy_endpoint, slice.key}, object_json(slice)));
  }
  for (const auto& [key, slice] : cluster.policy_endpoints) {
    objects.push_back(finished({Kind::policy_endpoint, slice.key}, object_json(slice)));
  }
  if (policies == ServedPolicies::as_they_are) return objects;
  for (const auto& [id, policy] : cluster.cluster_network_policies) {
    if (policy.listed) add_slices(policy, objects);
  }
  return objects;
}

// What changes with the number is something that no agent leaves out of what it keeps.
std::vector<ApiObject> barrier_objects(std::uint64_t number, ServedPolicies policies,
                                       const std::map<std::string, Node>& nodes) {
  const std::string ns = "postern-barrier";
  const NamespacedName name{ns, "barrier"};
  const Labels labels{{"postern.dev/barrier", std::to_string(number)}};
  const ServicePort port{"", Protocol::tcp, static_cast<std::uint16_t>(1 + number % 60000),
                         static_cast<std::uint16_t>(1)};
  std::vector<ApiObject> objects;
  objects.push_back(namespace_object(ns, labels, {}));
  objects.push_back(node_object({ns, labels, {}}));
  Pod pod;
  pod.key = name;
  pod.labels = labels;
  pod.phase = PodPhase::pending;
  if (policies != ServedPolicies::policy_endpoints || nodes.empty()) objects.push_back(pod_object(pod, {}));
  if (policies == ServedPolicies::policy_endpoints) {
    for (const auto& [node, unused] : nodes) {
      pod.key.name = name.name + "-" + api_node_name(node);
      pod.node_name = node;
      objects.push_back(pod_object(pod, {}));
    }
  }
  objects.push_back(finished({Kind::service, name}, object_json(Service{name, std::nullopt, {}, {port}})));
  objects.push_back(finished({Kind::endpoint_slice, name}, object_json(EndpointSlice{name, name.name, {}, {port}})));
  if (policies == ServedPolicies::network_policies) {
    NetworkPolicy policy;
    policy.key = name;
    policy.pod_selector.match_labels = {{"postern.dev/nobody", std::to_string(number)}};
    objects.push_back(finished({Kind::network_policy, policy.key}, object_json(policy)));
    for (const auto kind :
         {cluster_policy_kind::kClusterNetworkPolicy, cluster_policy_kind::kAdmin, cluster_policy_kind::kAmazon}) {
      objects.push_back(cluster_policy_object(nobodys_policy(kind, name.name, number)));
    }
  } else {
    PolicyEndpoint slice;
    slice.key = name;
    slice.policy = name;
    slice.pod_selector = LabelSelector{labels, {}};
    objects.push_back(finished({Kind::policy_endpoint, slice.key}, object_json(slice)));
    ClusterPolicyEndpoint cluster_slice;
    cluster_slice.name = name.name;
    cluster_slice.policy = name.name;
    cluster_slice.priority = static_cast<std::uint32_t>(number % kHighestPriority);
    objects.push_back(finished({Kind::cluster_policy_endpoint, {"", name.name}}, object_json(cluster_slice)));
  }
  return objects;
}

ApiKey stamp_baseline(std::vector<ApiObject>& objects, std::uint64_t number) {
  const ApiKey key{Kind::baseline_admin_network_policy, {"", "default"}};
  auto found = std::find_if(objects.begin(), objects.end(), [&](const ApiObject& object) { return object.key == key; });
  if (found == objects.end()) {
    objects.push_back(cluster_policy_object(nobodys_policy(cluster_policy_kind::kBaselineAdmin, key.name.name, number)));
    return key;
  }
  json object = json::parse(found->body);
  object["metadata"]["labels"]["postern.dev/barrier"] = std::to_string(number);
  found->body = object.dump();
  return key;
}

}  // namespace postern::sim
