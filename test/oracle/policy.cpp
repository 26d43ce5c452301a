// SPDX-License-Identifier: Apache-2.0
#include "test/oracle/sight.h"

namespace postern::oracle {

namespace {

// ---- Pods ---------------------------------------------------------------------------------------

const Pod* find_pod(const ClusterSnapshot& objects, const NamespacedName& key) {
  const auto found = objects.pods.find(key);
  return found == objects.pods.end() ? nullptr : &found->second;
}

// R3: hostNetwork pods are never subject.
const Pod* subject(const Cluster& cluster, const NamespacedName& key) {
  const Pod* pod = find_pod(cluster.objects, key);
  return pod != nullptr && is_live(*pod) && !pod->host_network ? pod : nullptr;
}

// R2: every address of the host namespace of the node the pod runs on. R2b: no other node's.
bool is_own_node(const Cluster& cluster, const Pod& pod, const IpAddress& address) {
  const auto node = cluster.objects.nodes.find(pod.node_name);
  if (node != cluster.objects.nodes.end()) {
    for (const auto& entry : node->second.addresses) {
      if (entry.address == address) return true;
    }
  }
  const auto beyond = cluster.host_addresses.find(pod.node_name);
  return beyond != cluster.host_addresses.end() && beyond->second.contains(address);
}

// ---- Rules --------------------------------------------------------------------------------------

// networking/v1 NetworkPolicyPeer.
bool is_peer(const Sight& sight, const NetworkPolicy& policy, const PolicyPeer& peer) {
  if (sight.nobody) return false;
  if (const auto* block = std::get_if<IpBlock>(&peer))
    return in_block(*block, sight.peer);  // R4: pods included
  const auto& selectors = std::get<PodPeer>(peer);
  if (sight.pod == nullptr) return false;
  // "If NamespaceSelector is also set, then the NetworkPolicyPeer as a whole selects the pods matching
  // PodSelector in the namespaces selected by NamespaceSelector. Otherwise it selects the pods matching
  // PodSelector in the policy's own namespace." R27: by labels, never by name.
  if (selectors.namespaces) {
    if (!selects(*selectors.namespaces, labels_of_namespace(sight.cluster.objects, sight.pod->key.ns)))
      return false;
  } else if (sight.pod->key.ns != policy.key.ns) {
    return false;
  }
  // "If PodSelector is not set, selects all pods in the namespaces selected by NamespaceSelector."
  return !selectors.pods || selects(*selectors.pods, sight.pod->labels);
}

// R35: policy matches any port of the name. R9: with the entry's protocol.
bool names_port(const Pod& pod, const std::string& name, const Sight& sight) {
  for (const auto& port : pod.ports) {
    if (port.name == name && port.protocol == sight.protocol && port.port == sight.port) return true;
  }
  return false;
}

// networking/v1 NetworkPolicyPort.
bool is_port(const Sight& sight, const PolicyPort& entry) {
  if (entry.protocol != sight.protocol) return false;
  if (!entry.port) return true;  // "If this field is not provided, this matches all port names and numbers."
  if (const auto* range = std::get_if<PortRange>(&*entry.port)) {
    return range->lo <= sight.port && sight.port <= range->hi;  // "from port to endPort if set, inclusive"
  }
  const auto& name = std::get<std::string>(*entry.port);
  if (sight.direction == Direction::ingress) return names_port(sight.subject, name, sight);  // R9
  return sight.pod != nullptr && names_port(*sight.pod, name, sight);                        // R10
}

// R11: no peers or no ports restrict nothing; so a rule without ports admits every protocol (R17, R18).
bool admits(const Sight& sight, const NetworkPolicy& policy, const PolicyRule& rule) {
  bool peer = rule.peers.empty();
  for (const auto& candidate : rule.peers) peer = peer || is_peer(sight, policy, candidate);
  bool port = rule.ports.empty();
  for (const auto& entry : rule.ports) port = port || is_port(sight, entry);
  return peer && port;
}

// R44: a policy or its namespace in audit.
bool in_force(const Cluster& cluster, const NetworkPolicy& policy) {
  if (cluster.audits_in_force) return true;
  const auto ns = cluster.objects.namespaces.find(policy.key.ns);
  return !policy.audit && (ns == cluster.objects.namespaces.end() || !ns->second.audit);
}

// R28: a policy counts in the directions it isolates and in no other.
bool isolates(const Cluster& cluster, const NetworkPolicy& policy, const Pod& pod, Direction direction) {
  const bool this_way = direction == Direction::ingress ? policy.isolates_ingress : policy.isolates_egress;
  return this_way && in_force(cluster, policy) && policy.key.ns == pod.key.ns &&
         selects(policy.pod_selector, pod.labels);
}

// R25, R45: "The pod's namespace decides, the direction's annotation over the general one, both over the
// cluster's setting". R44: "A namespace in audit puts ... its strictness in audit", wherever it has it from.
bool is_strict(const Cluster& cluster, const Pod& pod, Direction direction) {
  const auto found = cluster.objects.namespaces.find(pod.key.ns);
  if (found == cluster.objects.namespaces.end()) return cluster.strict;
  const Namespace& ns = found->second;
  if (ns.audit && !cluster.audits_in_force) return false;
  const auto& said = ns.enforcement[static_cast<std::size_t>(direction)];
  return said ? *said == Enforcement::strict : cluster.strict;
}

bool is_known(Protocol protocol, IpFamily family) {
  switch (protocol) {
    case Protocol::tcp:
    case Protocol::udp:
    case Protocol::sctp: return true;
    case Protocol::icmp: return family == IpFamily::v4;
    case Protocol::icmpv6: return family == IpFamily::v6;
  }
  return false;
}

// A tier of ClusterNetworkPolicies, where it decides. "Accept and Deny are final for this end" (R42).
std::optional<Verdict> by_cluster_tier(const Sight& sight, Tier tier, std::set<RuleName>& passed) {
  const auto said = says(sight, tier);
  if (!said) return std::nullopt;
  if (said->action == Action::pass) {
    passed.insert(said->rules.begin(), said->rules.end());
    return std::nullopt;
  }
  Verdict verdict;
  verdict.allow = said->action == Action::accept;
  verdict.reasons = {verdict.allow ? Reason::rule : Reason::denied};
  verdict.rules = said->rules;
  verdict.tier = tier;
  return verdict;
}

// "Network policies do not conflict; they are additive": the union of the rules of every policy that isolates
// decides, and where none does the tier says nothing. R42: "A direction isolated by a NetworkPolicy ends in
// that tier".
std::optional<Verdict> by_network_policies(const Sight& sight, const std::set<NamespacedName>& isolating) {
  if (isolating.empty()) return std::nullopt;
  Verdict verdict;
  verdict.tier = Tier::network_policy;
  for (const auto& key : isolating) {
    const NetworkPolicy& policy = sight.cluster.objects.network_policies.at(key);
    const auto& rules = sight.direction == Direction::ingress ? policy.ingress : policy.egress;
    for (std::size_t i = 0; i < rules.size(); ++i) {
      if (admits(sight, policy, rules[i])) verdict.rules.insert({key, sight.direction, i});
    }
  }
  verdict.allow = !verdict.rules.empty();
  // R18: other protocols than those with ports, and ICMP.
  const bool known = is_known(sight.protocol, sight.peer.family());
  verdict.reasons = {verdict.allow ? Reason::rule : known ? Reason::isolated : Reason::protocol};
  return verdict;
}

// R25: where no tier decides.
Verdict by_default(const Sight& sight) {
  Verdict verdict;
  verdict.allow = !is_strict(sight.cluster, sight.subject, sight.direction);
  verdict.reasons = {verdict.allow ? Reason::not_isolated : Reason::strict};
  return verdict;
}

// What the policies alone say. R42: "Admin, then NetworkPolicy, then Baseline, then the default". R28:
// "Baseline is asked for the direction no NetworkPolicy isolates". R30: a Pass there leaves it for the
// default.
Verdict by_policies(const Sight& sight) {
  std::set<NamespacedName> isolating;
  for (const auto& [key, policy] : sight.cluster.objects.network_policies) {
    if (isolates(sight.cluster, policy, sight.subject, sight.direction)) isolating.insert(key);
  }
  std::set<RuleName> passed;
  auto decided = by_cluster_tier(sight, Tier::admin, passed);
  if (!decided) decided = by_network_policies(sight, isolating);
  if (!decided) decided = by_cluster_tier(sight, Tier::baseline, passed);
  Verdict verdict = decided ? *decided : by_default(sight);
  verdict.isolating = isolating;
  verdict.passed = passed;
  return verdict;
}

// A packet to or from an address that is on no Service's account. R1 and, at ingress, R2 stand above every
// tier; at egress the own node is out of reach of NetworkPolicies and of the default alone. The policies' own
// reasons are true as well (R41).
Verdict direct(const Sight& sight) {
  Verdict verdict = by_policies(sight);
  const bool own_node = is_own_node(sight.cluster, sight.subject, sight.peer);
  if (own_node && sight.direction == Direction::egress && verdict.tier == Tier::network_policy) {
    // R2: no NetworkPolicy has a say there, "but Admin and Baseline rules of a ClusterNetworkPolicy apply".
    if (auto baseline = by_cluster_tier(sight, Tier::baseline, verdict.passed)) {
      baseline->isolating = verdict.isolating;
      baseline->passed = verdict.passed;
      verdict = *baseline;
    }
  }
  std::set<Reason> above;
  if (has_address(sight.subject, sight.peer)) above.insert(Reason::self);
  const bool by_cluster_rule = verdict.tier == Tier::admin || verdict.tier == Tier::baseline;
  if (own_node && (sight.direction == Direction::ingress || !by_cluster_rule)) {
    above.insert(Reason::own_node);
  }
  if (above.empty()) return verdict;
  if (!verdict.allow) {
    verdict.reasons.clear();
    verdict.rules.clear();
    verdict.tier.reset();
  }
  verdict.allow = true;
  verdict.reasons.insert(above.begin(), above.end());
  return verdict;
}

Sight sight_of(const Cluster& cluster, const Pod& pod, const Question& question) {
  return {cluster,
          pod,
          question.direction,
          question.peer,
          pod_at(cluster.objects, question.peer),
          false,
          question.protocol,
          question.port};
}

// R7: judged on each backend at its target port. R1: the subject's own pod is an allowed backend. "If backends
// disagree for the client's egress: a plain deny, with a reason that says so": also where all deny, each for
// another reason, and then any of these is true too.
Verdict through_service(const Cluster& cluster, const Pod& pod, const Question& question,
                        const std::set<Backend>& behind) {
  Verdict allowed{.allow = true};
  Verdict denied;
  std::set<std::pair<Reason, std::set<RuleName>>> denials;
  for (const auto& backend : behind) {
    Question inner = question;
    inner.peer = backend.address;
    inner.port = backend.port;
    const Verdict one = direct(sight_of(cluster, pod, inner));
    Verdict& like_it = one.allow ? allowed : denied;
    if (like_it.reasons.empty()) like_it.tier = one.tier;
    if (like_it.tier != one.tier) like_it.tier.reset();
    like_it.reasons.insert(one.reasons.begin(), one.reasons.end());
    like_it.rules.insert(one.rules.begin(), one.rules.end());
    like_it.isolating = one.isolating;
    if (!one.allow) denials.insert({*one.reasons.begin(), one.rules});
  }
  if (denials.empty()) return allowed;
  if (denials.size() > 1) denied.reasons.insert(Reason::backends_differ);
  if (allowed.reasons.empty()) return denied;
  return {.allow = false, .reasons = {Reason::backends_differ}, .rules = {}, .isolating = denied.isolating};
}

}  // namespace

std::string to_string(Reason reason) {
  switch (reason) {
    case Reason::not_isolated: return "not-isolated";
    case Reason::rule: return "rule";
    case Reason::established: return "established";
    case Reason::related: return "related";
    case Reason::self: return "self";
    case Reason::own_node: return "own-node";
    case Reason::always: return "always";
    case Reason::isolated: return "isolated";
    case Reason::denied: return "denied";
    case Reason::strict: return "strict";
    case Reason::backends_differ: return "backends-differ";
    case Reason::no_backend: return "no-backend";
    case Reason::spoofed_source: return "spoofed-source";
    case Reason::protocol: return "protocol";
  }
  return "unknown";
}

const Pod* pod_at(const ClusterSnapshot& objects, const IpAddress& address) {
  for (const auto& [key, pod] : objects.pods) {
    if (is_live(pod) && !pod.host_network && has_address(pod, address)) return &pod;
  }
  return nullptr;
}

bool judged(const Cluster& cluster, const NamespacedName& key, Direction direction) {
  const Pod* pod = subject(cluster, key);
  if (pod == nullptr) return false;
  if (is_strict(cluster, *pod, direction) || has_cluster_rules(cluster, *pod, direction)) return true;
  for (const auto& [name, policy] : cluster.objects.network_policies) {
    if (isolates(cluster, policy, *pod, direction)) return true;
  }
  return false;
}

namespace {

Verdict in_force_verdict(const Cluster& cluster, const Question& question) {
  const Pod* pod = subject(cluster, question.pod);
  if (pod == nullptr) return {.allow = true, .reasons = {Reason::not_isolated}};
  Sight sight = sight_of(cluster, *pod, question);
  // At ingress a ClusterIP is an address as any other (R8), and the own node's addresses stay the own node's
  // (a node-local DNS has the ClusterIP it stands in for, R2).
  const bool translated = question.direction == Direction::egress && sight.pod == nullptr &&
                          !is_own_node(cluster, *pod, question.peer) &&
                          service_at(cluster.objects, question.peer) != nullptr;
  if (!translated) return direct(sight);
  sight.nobody = true;
  if (!judged(cluster, question.pod, question.direction)) return by_policies(sight);
  const auto behind = backends(cluster.objects, question.peer, question.protocol, question.port);
  if (!behind) return by_policies(sight);  // a port the Service does not have
  if (!behind->empty()) return through_service(cluster, *pod, question, *behind);
  Verdict nobody = by_policies(sight);
  return {.allow = false, .reasons = {Reason::no_backend}, .rules = {}, .isolating = nobody.isolating};
}

}  // namespace

// R44: "would_deny is what the verdict would be if it were enforced with the others": all that is in audit,
// and all that is in force.
Verdict verdict(const Cluster& cluster, const Question& question) {
  Verdict verdict = in_force_verdict(cluster, question);
  Cluster enforced = cluster;
  enforced.audits_in_force = true;
  verdict.would_deny = verdict.allow && !in_force_verdict(enforced, question).allow;
  return verdict;
}

// ---- Both ends ----------------------------------------------------------------------------------

namespace {

Verdict at_end(const Cluster& cluster, const Pod* pod, Direction direction, const Ends& ends) {
  if (pod == nullptr) return {.allow = true, .reasons = {Reason::not_isolated}};
  const IpAddress& peer = direction == Direction::egress ? ends.to : ends.from;
  return verdict(cluster, {pod->key, direction, peer, ends.protocol, ends.port});
}

Verdict arriving_at(const Cluster& cluster, const Ends& ends, const Backend& backend) {
  const Pod* pod = pod_at(cluster.objects, backend.address);
  // A pod that reaches itself through a Service comes from its node, which masquerades it (R2).
  if (pod != nullptr && has_address(*pod, ends.from)) {
    return {.allow = true, .reasons = {Reason::own_node}};
  }
  return at_end(cluster, pod, Direction::ingress, {ends.from, backend.address, ends.protocol, backend.port});
}

}  // namespace

Connection connection(const Cluster& cluster, const Ends& ends) {
  Connection result;
  result.leaving = at_end(cluster, pod_at(cluster.objects, ends.from), Direction::egress, ends);
  if (service_at(cluster.objects, ends.to) == nullptr) {
    const Pod* pod = pod_at(cluster.objects, ends.to);
    result.ways.push_back({{ends.to, ends.port}, at_end(cluster, pod, Direction::ingress, ends)});
  } else if (const auto behind = backends(cluster.objects, ends.to, ends.protocol, ends.port)) {
    for (const auto& backend : *behind) result.ways.push_back({backend, arriving_at(cluster, ends, backend)});
  }
  std::size_t allowed = 0;
  for (const auto& way : result.ways) allowed += result.leaving.allow && way.arriving.allow ? 1 : 0;
  if (allowed == 0) {
    result.outcome = Outcome::deny;
  } else {
    result.outcome = allowed == result.ways.size() ? Outcome::allow : Outcome::differ;
  }
  return result;
}

}  // namespace postern::oracle
