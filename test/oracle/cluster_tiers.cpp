// SPDX-License-Identifier: Apache-2.0
// The tiers of ClusterNetworkPolicies, from the text of policy.networking.k8s.io/v1alpha2 and R29 to R33, R42
// and R43. A tier is read from its rules as they are written: priority by priority, policy by policy, rule by
// rule.
#include <map>

#include "test/oracle/sight.h"

namespace postern::oracle {

namespace {

// R44.
bool in_force(const Cluster& cluster, const ClusterNetworkPolicy& policy) {
  return !policy.audit || cluster.audits_in_force;
}

// By labels alone (R27). An empty selector, and so a null one (R33), selects everything.
bool are_pods(const ClusterPods& pods, const ClusterSnapshot& objects, const Pod& pod) {
  return selects(pods.namespaces, labels_of_namespace(objects, pod.key.ns)) && selects(pods.pods, pod.labels);
}

// By its selectors, or by name and address where somebody else has resolved them.
bool is_subject(const ClusterNetworkPolicy& policy, const ClusterSnapshot& objects, const Pod& pod) {
  if (!policy.listed) return are_pods(policy.subject, objects, pod);
  for (const auto& entry : *policy.listed) {
    if (entry.pod != pod.key) continue;
    if (!entry.address) return true;
    for (const auto& address : pod.addresses) {
      if (address == *entry.address) return true;
    }
  }
  return false;
}

// R43: "nodes match every IP in a node's status.addresses".
bool are_nodes(const ClusterNodes& nodes, const ClusterSnapshot& objects, const IpAddress& address) {
  for (const auto& [name, node] : objects.nodes) {
    if (!selects(nodes.nodes, node.labels)) continue;
    for (const auto& entry : node.addresses) {
      if (entry.address == address) return true;
    }
  }
  return false;
}

bool is_unknown(const ClusterPeer& peer) { return std::holds_alternative<UnknownPeer>(peer); }

// A peer of the fields that the API has. Names of domains match nothing: nobody here resolves them.
bool is_peer(const Sight& sight, const ClusterPeer& peer) {
  if (const auto* pods = std::get_if<ClusterPods>(&peer)) {
    return sight.pod != nullptr && are_pods(*pods, sight.cluster.objects, *sight.pod);
  }
  if (sight.nobody) return false;
  if (const auto* nodes = std::get_if<ClusterNodes>(&peer)) {
    return are_nodes(*nodes, sight.cluster.objects, sight.peer);
  }
  if (const auto* blocks = std::get_if<ClusterNetworks>(&peer)) {
    // R43: "networks match any address, pods and ICMP included".
    for (const auto& block : blocks->networks) {
      if (in_block(block, sight.peer)) return true;
    }
  }
  return false;
}

// R43: "it takes number and protocol from every container port of that name": at ingress of the subject, at
// egress of the destination pod.
bool names_port(const Pod* pod, const NamedPort& named, const Sight& sight) {
  if (pod == nullptr) return false;
  for (const auto& port : pod->ports) {
    if (port.name == named.name && port.protocol == sight.protocol && port.port == sight.port) return true;
  }
  return false;
}

bool is_port(const Sight& sight, const ClusterPort& entry) {
  if (const auto* named = std::get_if<NamedPort>(&entry)) {
    return names_port(sight.direction == Direction::ingress ? &sight.subject : sight.pod, *named, sight);
  }
  const auto& of = std::get<ProtocolPorts>(entry);
  if (of.protocol != sight.protocol) return false;
  return !of.ports || (of.ports->lo <= sight.port && sight.port <= of.ports->hi);
}

// What one rule says of the packet; absent: it does not match.
std::optional<Action> action_of(const Sight& sight, const ClusterRule& rule) {
  bool port = rule.protocols.empty();  // "absent = every protocol"
  for (const auto& entry : rule.protocols) port = port || is_port(sight, entry);
  if (!port) return std::nullopt;
  bool peer = false;
  for (const auto& candidate : rule.peers) {
    // R31: "one unknown peer makes its whole rule so: Accept matches nothing, Deny and Pass become Deny for
    // every peer".
    if (is_unknown(candidate))
      return rule.action == Action::accept ? std::nullopt : std::optional(Action::deny);
  }
  for (const auto& candidate : rule.peers) peer = peer || is_peer(sight, candidate);
  return peer ? std::optional(rule.action) : std::nullopt;
}

const std::vector<ClusterRule>& rules_of(const ClusterNetworkPolicy& policy, Direction direction) {
  return direction == Direction::ingress ? policy.ingress : policy.egress;
}

// Smaller comes first: "among these Deny before Accept before Pass" (R29).
int rank(Action action) {
  switch (action) {
    case Action::deny:
      return 0;
    case Action::accept:
      return 1;
    case Action::pass:
      return 2;
  }
  return 0;
}

}  // namespace

std::optional<Said> says(const Sight& sight, Tier tier) {
  // What each policy comes to by its first rule that matches, by priority.
  std::map<std::uint32_t, Said> first;
  for (const auto& [name, policy] : sight.cluster.objects.cluster_network_policies) {
    if (policy.tier != tier || !in_force(sight.cluster, policy)) continue;
    if (!is_subject(policy, sight.cluster.objects, sight.subject)) continue;
    const auto& rules = rules_of(policy, sight.direction);
    for (std::size_t i = 0; i < rules.size(); ++i) {
      const auto action = action_of(sight, rules[i]);
      if (!action) continue;
      const RuleName rule{{"", name}, sight.direction, i, tier};
      const auto [at, is_new] = first.insert({policy.priority, Said{*action, {rule}}});
      if (!is_new && rank(*action) < rank(at->second.action)) at->second = Said{*action, {rule}};
      if (!is_new && *action == at->second.action) at->second.rules.insert(rule);
      break;
    }
  }
  if (first.empty()) return std::nullopt;
  return first.begin()->second;  // "lower number first"
}

bool has_cluster_rules(const Cluster& cluster, const Pod& pod, Direction direction) {
  for (const auto& [name, policy] : cluster.objects.cluster_network_policies) {
    if (in_force(cluster, policy) && is_subject(policy, cluster.objects, pod) &&
        !rules_of(policy, direction).empty()) {
      return true;
    }
  }
  return false;
}

}  // namespace postern::oracle
