// SPDX-License-Identifier: Apache-2.0
#include "sim/objects/object_json.h"

namespace postern::sim {

using nlohmann::json;

std::string_view word_of(SelectorOperator op) {
  switch (op) {
    case SelectorOperator::in: return "In";
    case SelectorOperator::not_in: return "NotIn";
    case SelectorOperator::exists: return "Exists";
    case SelectorOperator::does_not_exist: return "DoesNotExist";
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

namespace {

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

json service_port_json(const ServicePort& port) {
  json made{{"port", port.port}, {"protocol", to_string(port.protocol)}};
  if (!port.name.empty()) made["name"] = port.name;
  return made;
}

}  // namespace

json object_head(const ObjectName& name, const Labels& labels) {
  json metadata{{"name", name.key.name}};
  if (!name.key.ns.empty()) metadata["namespace"] = name.key.ns;
  if (!labels.empty()) metadata["labels"] = labels;
  return {{"apiVersion", name.api_version}, {"kind", name.kind}, {"metadata", metadata}};
}

void annotate_audit(bool audit, json& object) {
  if (audit) object["metadata"]["annotations"]["postern.dev/audit"] = "true";
}

json object_json(const NetworkPolicy& policy) {
  json object = object_head({"networking.k8s.io/v1", "NetworkPolicy", policy.key});
  annotate_audit(policy.audit, object);
  json& spec = object["spec"];
  spec["podSelector"] = selector_json(policy.pod_selector);
  spec["policyTypes"] = isolation_json(policy.isolates_ingress, policy.isolates_egress);
  if (!policy.ingress.empty()) spec["ingress"] = rules_json(policy.ingress, "from");
  if (!policy.egress.empty()) spec["egress"] = rules_json(policy.egress, "to");
  return object;
}

json pod_endpoint_json(const PodEndpoint& pod) {
  return {{"name", pod.pod.name},
          {"namespace", pod.pod.ns},
          {"podIP", pod.address ? pod.address->to_string() : ""},
          {"hostIP", pod.host_address ? pod.host_address->to_string() : ""}};
}

json object_json(const PolicyEndpoint& slice) {
  json object = object_head({"networking.k8s.aws/v1alpha1", "PolicyEndpoint", slice.key});
  if (!slice.last_change_trigger_time.empty()) {
    object["metadata"]["annotations"][kLastChangeTriggerTime] = slice.last_change_trigger_time;
  }
  json& spec = object["spec"];
  spec["policyRef"] = {{"name", slice.policy.name}, {"namespace", slice.policy.ns}};
  if (slice.pod_selector) spec["podSelector"] = selector_json(*slice.pod_selector);
  spec["podIsolation"] = isolation_json(slice.isolates_ingress, slice.isolates_egress);
  spec["podSelectorEndpoints"] = json::array();
  for (const auto& pod : slice.pods) spec["podSelectorEndpoints"].push_back(pod_endpoint_json(pod));
  if (!slice.ingress.empty()) spec["ingress"] = infos_json(slice.ingress);
  if (!slice.egress.empty()) spec["egress"] = infos_json(slice.egress);
  return object;
}

json object_json(const Service& service) {
  json object = object_head({"v1", "Service", service.key});
  json& spec = object["spec"];
  spec["clusterIP"] = service.cluster_ips.empty() ? "None" : service.cluster_ips.front().to_string();
  for (const auto& address : service.cluster_ips) spec["clusterIPs"].push_back(address.to_string());
  // An API server that is asked for two addresses and not for both families refuses.
  if (service.cluster_ips.size() > 1) spec["ipFamilyPolicy"] = "PreferDualStack";
  if (service.selector) spec["selector"] = *service.selector;
  for (const auto& port : service.ports) {
    json one = service_port_json(port);
    std::visit([&](const auto& target) { one["targetPort"] = target; }, port.target_port);
    spec["ports"].push_back(std::move(one));
  }
  return object;
}

json object_json(const EndpointSlice& slice) {
  Labels labels;
  if (!slice.service.empty()) labels["kubernetes.io/service-name"] = slice.service;
  json object = object_head({"discovery.k8s.io/v1", "EndpointSlice", slice.key}, labels);
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
  return object;
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

}  // namespace postern::sim
