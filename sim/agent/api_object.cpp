// SPDX-License-Identifier: Apache-2.0
#include "sim/agent/api_object.h"

#include <nlohmann/json.hpp>

#include <array>
#include <set>

#include "engine/manifest/cluster_state.h"
#include "engine/policy/to_policy_endpoints.h"

namespace postern::sim {
namespace {

using nlohmann::json;
using Kind = ApiKey::Kind;

struct KindRow {
  std::string_view api_version;
  std::string_view kind;
  std::string_view plural;
};

// In the order of the enumerators.
constexpr std::array<KindRow, 7> kKinds{{
    {"v1", "Namespace", "namespaces"},
    {"v1", "Node", "nodes"},
    {"v1", "Pod", "pods"},
    {"v1", "Service", "services"},
    {"discovery.k8s.io/v1", "EndpointSlice", "endpointslices"},
    {"networking.k8s.io/v1", "NetworkPolicy", "networkpolicies"},
    {"networking.k8s.aws/v1alpha1", "PolicyEndpoint", "policyendpoints"},
}};

const KindRow& row_of(Kind kind) { return kKinds[static_cast<std::size_t>(kind)]; }

json head_of(const ApiKey& key, const Labels& labels = {}) {
  json metadata{{"name", key.name.name}};
  if (!key.name.ns.empty()) metadata["namespace"] = key.name.ns;
  if (!labels.empty()) metadata["labels"] = labels;
  return {{"apiVersion", row_of(key.kind).api_version}, {"kind", row_of(key.kind).kind}, {"metadata", metadata}};
}

ApiObject finished(const ApiKey& key, json object, const json& status = {}) {
  ApiObject made{key, object.dump(), {}};
  if (status.is_null()) return made;
  object["status"] = status;
  made.status = object.dump();
  return made;
}

std::string_view word_of(SelectorOperator op) {
  switch (op) {
    case SelectorOperator::in: return "In";
    case SelectorOperator::not_in: return "NotIn";
    case SelectorOperator::exists: return "Exists";
    case SelectorOperator::does_not_exist: return "DoesNotExist";
  }
  return "";
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

json selector_json(const LabelSelector& selector) {
  json made = json::object();
  if (!selector.match_labels.empty()) made["matchLabels"] = selector.match_labels;
  for (const auto& requirement : selector.match_expressions) {
    json one{{"key", requirement.key}, {"operator", word_of(requirement.op)}};
    if (!requirement.values.empty()) one["values"] = requirement.values;
    made["matchExpressions"].push_back(std::move(one));
  }
  return made;
}

json block_json(const IpBlock& block) {
  json made{{"cidr", block.cidr.to_string()}};
  for (const auto& except : block.excepts) made["except"].push_back(except.to_string());
  return made;
}

json port_json(const PolicyPort& port) {
  json made{{"protocol", to_string(port.protocol)}};
  if (!port.port) return made;
  if (const auto* name = std::get_if<std::string>(&*port.port)) {
    made["port"] = *name;
    return made;
  }
  const PortRange& range = std::get<PortRange>(*port.port);
  made["port"] = range.lo;
  if (range.hi != range.lo) made["endPort"] = range.hi;
  return made;
}

json ports_json(const std::vector<PolicyPort>& ports) {
  json made = json::array();
  for (const auto& port : ports) made.push_back(port_json(port));
  return made;
}

json peer_json(const PolicyPeer& peer) {
  if (const auto* block = std::get_if<IpBlock>(&peer)) return {{"ipBlock", block_json(*block)}};
  const auto& pods = std::get<PodPeer>(peer);
  json made = json::object();
  if (pods.namespaces) made["namespaceSelector"] = selector_json(*pods.namespaces);
  if (pods.pods) made["podSelector"] = selector_json(*pods.pods);
  return made;
}

json rules_json(const std::vector<PolicyRule>& rules, const char* peers) {
  json made = json::array();
  for (const auto& rule : rules) {
    json one = json::object();
    for (const auto& peer : rule.peers) one[peers].push_back(peer_json(peer));
    if (!rule.ports.empty()) one["ports"] = ports_json(rule.ports);
    made.push_back(std::move(one));
  }
  return made;
}

json isolation_json(bool ingress, bool egress) {
  json made = json::array();
  if (ingress) made.push_back("Ingress");
  if (egress) made.push_back("Egress");
  return made;
}

ApiObject policy_object(const NetworkPolicy& policy) {
  const ApiKey key{Kind::network_policy, policy.key};
  json object = head_of(key);
  json& spec = object["spec"];
  spec["podSelector"] = selector_json(policy.pod_selector);
  spec["policyTypes"] = isolation_json(policy.isolates_ingress, policy.isolates_egress);
  if (!policy.ingress.empty()) spec["ingress"] = rules_json(policy.ingress, "from");
  if (!policy.egress.empty()) spec["egress"] = rules_json(policy.egress, "to");
  return finished(key, std::move(object));
}

json infos_json(const std::vector<EndpointInfo>& infos) {
  json made = json::array();
  for (const auto& info : infos) {
    json one = info.block ? block_json(*info.block) : json{{"cidr", ""}};
    if (!info.domain_name.empty()) one["domainName"] = info.domain_name;
    if (!info.ports.empty()) one["ports"] = ports_json(info.ports);
    made.push_back(std::move(one));
  }
  return made;
}

ApiObject policy_endpoint_object(const PolicyEndpoint& slice) {
  const ApiKey key{Kind::policy_endpoint, slice.key};
  json object = head_of(key);
  if (!slice.last_change_trigger_time.empty()) {
    object["metadata"]["annotations"][kLastChangeTriggerTime] = slice.last_change_trigger_time;
  }
  json& spec = object["spec"];
  spec["policyRef"] = {{"name", slice.policy.name}, {"namespace", slice.policy.ns}};
  if (slice.pod_selector) spec["podSelector"] = selector_json(*slice.pod_selector);
  spec["podIsolation"] = isolation_json(slice.isolates_ingress, slice.isolates_egress);
  spec["podSelectorEndpoints"] = json::array();
  for (const auto& pod : slice.pods) {
    spec["podSelectorEndpoints"].push_back({{"name", pod.pod.name},
                                            {"namespace", pod.pod.ns},
                                            {"podIP", pod.address ? pod.address->to_string() : ""},
                                            {"hostIP", pod.host_address ? pod.host_address->to_string() : ""}});
  }
  if (!slice.ingress.empty()) spec["ingress"] = infos_json(slice.ingress);
  if (!slice.egress.empty()) spec["egress"] = infos_json(slice.egress);
  return finished(key, std::move(object));
}

json address_list(const std::vector<IpAddress>& addresses) {
  json made = json::array();
  for (const auto& address : addresses) made.push_back({{"ip", address.to_string()}});
  return made;
}

// Each port in a container of its own, so that no two of them can have one name in one container.
json containers_json(const std::vector<ContainerPort>& ports) {
  json made = json::array();
  const auto add = [&](const json& container_ports) {
    json one{{"name", "c" + std::to_string(made.size())}, {"image", "postern.dev/none"}};
    if (!container_ports.empty()) one["ports"] = container_ports;
    made.push_back(std::move(one));
  };
  for (const auto& port : ports) {
    json one{{"containerPort", port.port}, {"protocol", to_string(port.protocol)}};
    if (!port.name.empty()) one["name"] = port.name;
    add(json::array({one}));
  }
  if (made.empty()) add(json::array());
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

json service_port_json(const ServicePort& port) {
  json made{{"port", port.port}, {"protocol", to_string(port.protocol)}};
  if (!port.name.empty()) made["name"] = port.name;
  return made;
}

ApiObject service_object(const Service& service) {
  const ApiKey key{Kind::service, service.key};
  json object = head_of(key);
  json& spec = object["spec"];
  spec["clusterIP"] = service.cluster_ips.empty() ? "None" : service.cluster_ips.front().to_string();
  for (const auto& address : service.cluster_ips) spec["clusterIPs"].push_back(address.to_string());
  // A server that is asked for two addresses and not for both families refuses.
  if (service.cluster_ips.size() > 1) spec["ipFamilyPolicy"] = "PreferDualStack";
  if (service.selector) spec["selector"] = *service.selector;
  for (const auto& port : service.ports) {
    json one = service_port_json(port);
    std::visit([&](const auto& target) { one["targetPort"] = target; }, port.target_port);
    spec["ports"].push_back(std::move(one));
  }
  return finished(key, std::move(object));
}

ApiObject slice_object(const EndpointSlice& slice) {
  const ApiKey key{Kind::endpoint_slice, slice.key};
  Labels labels;
  if (!slice.service.empty()) labels["kubernetes.io/service-name"] = slice.service;
  json object = head_of(key, labels);
  object["addressType"] = "IPv4";
  object["endpoints"] = json::array();
  for (const auto& endpoint : slice.endpoints) {
    json one{{"addresses", json::array()}, {"conditions", {{"ready", endpoint.ready}}}};
    for (const auto& address : endpoint.addresses) {
      if (!address.is_v4()) object["addressType"] = "IPv6";
      one["addresses"].push_back(address.to_string());
    }
    object["endpoints"].push_back(std::move(one));
  }
  object["ports"] = json::array();
  for (const auto& port : slice.ports) object["ports"].push_back(service_port_json(port));
  return finished(key, std::move(object));
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

}  // namespace

std::string_view plural_of(Kind kind) { return row_of(kind).plural; }

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
  for (const auto& [key, service] : cluster.services) objects.push_back(service_object(service));
  for (const auto& [key, slice] : cluster.endpoint_slices) objects.push_back(slice_object(slice));
  if (policies == ServedPolicies::network_policies) {
    for (const auto& [key, policy] : cluster.network_policies) objects.push_back(policy_object(policy));
    return objects;
  }
  const auto slices = to_policy_endpoints(cluster);
  if (!slices) return fail_as(slices);
  for (const auto& slice : *slices) objects.push_back(policy_endpoint_object(slice));
  return objects;
}

// What changes with the number is something that no agent leaves out of what it keeps.
std::vector<ApiObject> barrier_objects(std::uint64_t number, ServedPolicies policies) {
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
  objects.push_back(pod_object(pod, {}));
  objects.push_back(service_object({name, std::nullopt, {}, {port}}));
  objects.push_back(slice_object({name, name.name, {}, {port}}));
  if (policies == ServedPolicies::network_policies) {
    NetworkPolicy policy;
    policy.key = name;
    policy.pod_selector.match_labels = {{"postern.dev/nobody", std::to_string(number)}};
    objects.push_back(policy_object(policy));
  } else {
    PolicyEndpoint slice;
    slice.key = name;
    slice.policy = name;
    slice.pod_selector = LabelSelector{labels, {}};
    objects.push_back(policy_endpoint_object(slice));
  }
  return objects;
}

}  // namespace postern::sim
