// SPDX-License-Identifier: Apache-2.0
// ClusterNetworkPolicies as policy.networking.k8s.io/v1alpha2 writes them.
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

const char* word_of(Action action) {
  switch (action) {
    case Action::deny: return "Deny";
    case Action::accept: return "Accept";
    case Action::pass: return "Pass";
  }
  return "";
}

json rules_json(const std::vector<ClusterRule>& rules, const char* peers) {
  json made = json::array();
  for (const auto& rule : rules) {
    json one{{"action", word_of(rule.action)}};
    if (!rule.name.empty()) one["name"] = rule.name;
    for (const auto& peer : rule.peers) one[peers].push_back(std::visit(PeerJson{}, peer));
    for (const auto& port : rule.protocols) one["protocols"].push_back(std::visit(PortJson{}, port));
    made.push_back(std::move(one));
  }
  return made;
}

}  // namespace

json object_json(const ClusterNetworkPolicy& policy) {
  json object = object_head({"policy.networking.k8s.io/v1alpha2", "ClusterNetworkPolicy", {"", policy.name}});
  annotate_audit(policy.audit, object);
  json& spec = object["spec"];
  spec["tier"] = policy.tier == Tier::baseline ? "Baseline" : "Admin";
  spec["priority"] = policy.priority;
  spec["subject"] = pods_json(policy.subject);
  if (!policy.ingress.empty()) spec["ingress"] = rules_json(policy.ingress, "from");
  if (!policy.egress.empty()) spec["egress"] = rules_json(policy.egress, "to");
  return object;
}

}  // namespace postern::sim
