// SPDX-License-Identifier: Apache-2.0
// Policies of the whole cluster, each in the form it was read from; one whose pods are listed as a
// ClusterPolicyEndpoint, all slices in one.
#include "engine/manifest/cluster_slices.h"
#include "engine/model/cluster_policy_id.h"
#include "sim/objects/object_json.h"

namespace postern::sim {

using nlohmann::json;

namespace {

json pods_json(const ClusterPods& pods) {
  if (pods.pods.empty()) return {{"namespaces", selector_json(pods.namespaces)}};
  return {{"pods",
           {{"namespaceSelector", selector_json(pods.namespaces)}, {"podSelector", selector_json(pods.pods)}}}};
}

// A visitor, so that a new kind of peer does not compile until it has a form.
struct PeerJson {
  json operator()(const ClusterPods& peer) const { return pods_json(peer); }
  json operator()(const ClusterNodes& peer) const { return {{"nodes", selector_json(peer.nodes)}}; }
  json operator()(const ClusterNetworks& peer) const {
    json blocks = json::array();
    for (const auto& block : peer.networks) blocks.push_back(block.to_string());
    return {{"networks", blocks}};
  }
  json operator()(const ClusterDomainNames& peer) const { return {{"domainNames", peer.names}}; }
  json operator()(const UnknownPeer& peer) const {
    json made = json::object();
    for (const auto& field : peer.fields) made[field] = json::object();
    return made;
  }
};

// The API has no word for every port of a protocol but all of them.
json port_json(const std::optional<PortRange>& ports) {
  if (ports && ports->lo == ports->hi) return {{"number", ports->lo}};
  return {{"range", {{"start", ports ? ports->lo : 1}, {"end", ports ? ports->hi : 65535}}}};
}

const char* word_of(Protocol protocol) {
  switch (protocol) {
    case Protocol::udp: return "udp";
    case Protocol::sctp: return "sctp";
    case Protocol::tcp:
    case Protocol::icmp:
    case Protocol::icmpv6: break;  // have no ports
  }
  return "tcp";
}

struct PortJson {
  json operator()(const ProtocolPorts& entry) const {
    return {{word_of(entry.protocol), {{"destinationPort", port_json(entry.ports)}}}};
  }
  json operator()(const NamedPort& entry) const { return {{"destinationNamedPort", entry.name}}; }
};

// An entry of the older `ports`.
struct OlderPortJson {
  json operator()(const ProtocolPorts& entry) const {
    json one{{"protocol", to_string(entry.protocol)}};
    if (entry.ports && entry.ports->lo == entry.ports->hi) {
      one["port"] = entry.ports->lo;
      return {{"portNumber", std::move(one)}};
    }
    one["start"] = entry.ports ? entry.ports->lo : 1;
    one["end"] = entry.ports ? entry.ports->hi : 65535;
    return {{"portRange", std::move(one)}};
  }
  json operator()(const NamedPort& entry) const { return {{"namedPort", entry.name}}; }
};

// How a form writes what the others write too.
struct Form {
  std::string_view kind;  // see cluster_policy_id.h
  const char* written_kind;
  const char* api_version;
  const char* accept;
  bool older_ports;
  bool says_tier;
  bool says_priority;
};

constexpr Form kForms[] = {
    {cluster_policy_kind::kClusterNetworkPolicy, "ClusterNetworkPolicy", "policy.networking.k8s.io/v1alpha2", "Accept",
     false, true, true},
    {cluster_policy_kind::kAmazon, "ClusterNetworkPolicy", "networking.k8s.aws/v1alpha1", "Accept", true, true, true},
    {cluster_policy_kind::kAdmin, "AdminNetworkPolicy", "policy.networking.k8s.io/v1alpha1", "Allow", true, false, true},
    {cluster_policy_kind::kBaselineAdmin, "BaselineAdminNetworkPolicy", "policy.networking.k8s.io/v1alpha1", "Allow",
     true, false, false},
};

const Form& form_of(std::string_view kind) {
  for (const auto& form : kForms) {
    if (form.kind == kind) return form;
  }
  return kForms[0];
}

const char* word_of(Action action, const char* accept) {
  switch (action) {
    case Action::deny: return "Deny";
    case Action::accept: return accept;
    case Action::pass: return "Pass";
  }
  return "";
}

const char* word_of(Tier tier) { return tier == Tier::baseline ? "Baseline" : "Admin"; }

json rules_json(const std::vector<ClusterRule>& rules, const char* peers, const Form& form) {
  json made = json::array();
  for (const auto& rule : rules) {
    json one{{"action", word_of(rule.action, form.accept)}};
    if (!rule.name.empty()) one["name"] = rule.name;
    for (const auto& peer : rule.peers) one[peers].push_back(std::visit(PeerJson{}, peer));
    for (const auto& port : rule.protocols) {
      if (form.older_ports) one["ports"].push_back(std::visit(OlderPortJson{}, port));
      if (!form.older_ports) one["protocols"].push_back(std::visit(PortJson{}, port));
    }
    made.push_back(std::move(one));
  }
  return made;
}

json endpoint_ports_json(const std::vector<ClusterPort>& protocols) {
  json made = json::array();
  for (const auto& entry : protocols) {
    const auto* ports = std::get_if<ProtocolPorts>(&entry);
    if (ports == nullptr) continue;  // names are resolved
    json one{{"protocol", to_string(ports->protocol)}};
    if (ports->ports) one["port"] = ports->ports->lo;
    if (ports->ports && ports->ports->lo != ports->ports->hi) one["endPort"] = ports->ports->hi;
    made.push_back(std::move(one));
  }
  return made;
}

// One entry for each block and name of a rule.
json infos_json(const std::vector<ClusterRule>& rules) {
  json made = json::array();
  for (const auto& rule : rules) {
    json one{{"action", word_of(rule.action, "Accept")}};
    if (!rule.protocols.empty()) one["ports"] = endpoint_ports_json(rule.protocols);
    const auto add = [&](const char* key, json value) {
      json entry = one;
      entry[key] = std::move(value);
      made.push_back(std::move(entry));
    };
    for (const auto& peer : rule.peers) {
      if (const auto* blocks = std::get_if<ClusterNetworks>(&peer)) {
        for (const auto& block : blocks->networks) add("cidr", block.to_string());
      } else if (const auto* domains = std::get_if<ClusterDomainNames>(&peer)) {
        for (const auto& name : domains->names) add("domainName", name);
      } else {
        one.update(std::visit(PeerJson{}, peer));
        made.push_back(one);
      }
    }
  }
  return made;
}

json slice_json(const ClusterNetworkPolicy& policy, std::string_view name) {
  json object = object_head({"networking.k8s.aws/v1alpha1", "ClusterPolicyEndpoint", {"", std::string(name)}});
  json& spec = object["spec"];
  spec["policyRef"] = {{"name", name}};
  spec["tier"] = word_of(policy.tier);
  spec["priority"] = policy.priority;
  spec["subject"] = pods_json(policy.subject);
  spec["podSelectorEndpoints"] = json::array();
  for (const auto& pod : *policy.listed) spec["podSelectorEndpoints"].push_back(pod_endpoint_json(pod));
  if (!policy.ingress.empty()) spec["ingress"] = infos_json(policy.ingress);
  if (!policy.egress.empty()) spec["egress"] = infos_json(policy.egress);
  return object;
}

}  // namespace

json object_json(const ClusterNetworkPolicy& policy) {
  const auto [kind, name] = split_cluster_policy_id(policy.name);
  if (policy.listed) return slice_json(policy, name);
  const Form& form = form_of(kind);
  json object = object_head({form.api_version, form.written_kind, {"", std::string(name)}});
  annotate_audit(policy.audit, object);
  json& spec = object["spec"];
  if (form.says_tier) spec["tier"] = word_of(policy.tier);
  if (form.says_priority) spec["priority"] = policy.priority;
  spec["subject"] = pods_json(policy.subject);
  if (!policy.ingress.empty()) spec["ingress"] = rules_json(policy.ingress, "from", form);
  if (!policy.egress.empty()) spec["egress"] = rules_json(policy.egress, "to", form);
  return object;
}

json object_json(const ClusterPolicyEndpoint& slice) {
  const auto alone = manifest::join({{slice.name, slice}});
  json object = slice_json(alone.front().joined, slice.policy);
  object["metadata"]["name"] = slice.name;
  if (!slice.subject) object["spec"].erase("subject");
  return object;
}

}  // namespace postern::sim
