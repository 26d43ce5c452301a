// SPDX-License-Identifier: Apache-2.0
#include "test/oracle/policy.h"

namespace postern::oracle {

namespace {

// ---- Selectors (meta/v1 LabelSelector) ----------------------------------------------------------

bool contains(const std::vector<std::string>& values, const std::string& value) {
  for (const auto& candidate : values) {
    if (candidate == value) return true;
  }
  return false;
}

// "operator represents a key's relationship to a set of values."
bool holds(const LabelRequirement& requirement, const Labels& labels) {
  const auto label = labels.find(requirement.key);
  switch (requirement.op) {
    case SelectorOperator::in: return label != labels.end() && contains(requirement.values, label->second);
    // "NotIn ... resources without any labels with the key" match too (concept page on labels).
    case SelectorOperator::not_in:
      return label == labels.end() || !contains(requirement.values, label->second);
    case SelectorOperator::exists: return label != labels.end();
    case SelectorOperator::does_not_exist: return label == labels.end();
  }
  return false;
}

// "The result of matchLabels and matchExpressions are ANDed. An empty label selector matches all objects."
bool selects(const LabelSelector& selector, const Labels& labels) {
  for (const auto& [key, value] : selector.match_labels) {
    const auto label = labels.find(key);
    if (label == labels.end() || label->second != value) return false;
  }
  for (const auto& requirement : selector.match_expressions) {
    if (!holds(requirement, labels)) return false;
  }
  return true;
}

// R34: the name label is always there and always the name, also on a namespace nobody applied.
Labels labels_of_namespace(const ClusterSnapshot& objects, const std::string& name) {
  Labels labels;
  const auto found = objects.namespaces.find(name);
  if (found != objects.namespaces.end()) labels = found->second.labels;
  labels["kubernetes.io/metadata.name"] = name;
  return labels;
}

// ---- Blocks -------------------------------------------------------------------------------------

// The first `length` bits agree. R36: families never match each other. R6: host bits do not count.
bool in_block(const Cidr& block, const IpAddress& address) {
  if (block.network().family() != address.family()) return false;
  for (int bit = 0; bit < block.prefix_length(); ++bit) {
    const auto byte = static_cast<std::size_t>(bit / 8);
    const int mask = 0x80 >> (bit % 8);
    if ((block.network().bytes()[byte] & mask) != (address.bytes()[byte] & mask)) return false;
  }
  return true;
}

// "Except is a slice of CIDRs that should not be included within an IP Block." R5: it only narrows its own
// peer.
bool in_block(const IpBlock& block, const IpAddress& address) {
  if (!in_block(block.cidr, address)) return false;
  for (const auto& except : block.excepts) {
    if (in_block(except, address)) return false;
  }
  return true;
}

// ---- Pods ---------------------------------------------------------------------------------------

// R23: a finished pod is neither subject nor peer. R24: nor is one without an address.
bool is_live(const Pod& pod) {
  return pod.phase != PodPhase::succeeded && pod.phase != PodPhase::failed && !pod.addresses.empty();
}

bool has_address(const Pod& pod, const IpAddress& address) {
  for (const auto& own : pod.addresses) {
    if (own == address) return true;
  }
  return false;
}

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

// A packet as the rules of one subject see it. `pod`: the peer, if it is a pod.
struct Sight {
  const Cluster& cluster;
  const Pod& subject;
  Direction direction;
  IpAddress peer;
  const Pod* pod;
  bool nobody;  // an address that no selector and no block matches: a ClusterIP at egress (R7)
  Protocol protocol;
  std::uint16_t port;
};

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

// R28: a policy counts in the directions it isolates and in no other.
bool isolates(const NetworkPolicy& policy, const Pod& pod, Direction direction) {
  const bool this_way = direction == Direction::ingress ? policy.isolates_ingress : policy.isolates_egress;
  return this_way && policy.key.ns == pod.key.ns && selects(policy.pod_selector, pod.labels);
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

// What the policies alone say. "Network policies do not conflict; they are additive": the union of the
// rules of every policy that isolates decides.
Verdict by_policies(const Sight& sight) {
  Verdict verdict;
  for (const auto& [key, policy] : sight.cluster.objects.network_policies) {
    if (!isolates(policy, sight.subject, sight.direction)) continue;
    verdict.isolating.insert(key);
    const auto& rules = sight.direction == Direction::ingress ? policy.ingress : policy.egress;
    for (std::size_t i = 0; i < rules.size(); ++i) {
      if (admits(sight, policy, rules[i])) verdict.rules.insert({key, sight.direction, i});
    }
  }
  if (!verdict.rules.empty()) {
    verdict.reasons.insert(Reason::rule);
  } else if (verdict.isolating.empty() && !sight.cluster.strict) {
    verdict.reasons.insert(Reason::not_isolated);
  }
  verdict.allow = !verdict.reasons.empty();
  if (verdict.allow) return verdict;
  if (verdict.isolating.empty()) {
    verdict.reasons = {Reason::strict};  // R25: the default of a direction where no tier decides
  } else {
    // R42: an isolated direction ends in that tier. R18: other protocols than those with ports, and ICMP.
    const bool known = is_known(sight.protocol, sight.peer.family());
    verdict.reasons = {known ? Reason::isolated : Reason::protocol};
  }
  return verdict;
}

// A packet to or from an address that is on no Service's account. R1 and R2 stand above every policy; the
// policies' own reasons are true as well (R41).
Verdict direct(const Sight& sight) {
  Verdict verdict = by_policies(sight);
  std::set<Reason> above;
  if (has_address(sight.subject, sight.peer)) above.insert(Reason::self);
  if (is_own_node(sight.cluster, sight.subject, sight.peer)) above.insert(Reason::own_node);
  if (above.empty()) return verdict;
  if (!verdict.allow) verdict.reasons.clear();
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

// R7: judged on each backend at its target port. R1: the subject's own pod is an allowed backend.
Verdict through_service(const Cluster& cluster, const Pod& pod, const Question& question,
                        const std::set<Backend>& behind) {
  Verdict all_allow{.allow = true, .reasons = {}, .rules = {}, .isolating = {}};
  Verdict last_deny;
  bool some_deny = false;
  for (const auto& backend : behind) {
    Question inner = question;
    inner.peer = backend.address;
    inner.port = backend.port;
    const Verdict one = direct(sight_of(cluster, pod, inner));
    if (one.allow) {
      all_allow.reasons.insert(one.reasons.begin(), one.reasons.end());
      all_allow.rules.insert(one.rules.begin(), one.rules.end());
      all_allow.isolating = one.isolating;
    } else {
      some_deny = true;
      last_deny = one;
    }
  }
  if (!some_deny) return all_allow;
  if (!all_allow.reasons.empty()) last_deny.reasons = {Reason::backends_differ};
  return last_deny;
}

const Service* service_at(const ClusterSnapshot& objects, const IpAddress& address) {
  for (const auto& [key, service] : objects.services) {
    for (const auto& cluster_ip : service.cluster_ips) {
      if (cluster_ip == address) return &service;
    }
  }
  return nullptr;
}

// ---- Services -----------------------------------------------------------------------------------

// core/v1 ServicePort.targetPort: "If this is a string, it will be looked up as a named port in the target
// Pod's container ports." R35: the first of that name, with the Service port's protocol.
std::optional<std::uint16_t> target_on(const Pod& pod, const ServicePort& port) {
  if (const auto* number = std::get_if<std::uint16_t>(&port.target_port)) return *number;
  for (const auto& candidate : pod.ports) {
    if (candidate.name == std::get<std::string>(port.target_port) && candidate.protocol == port.protocol) {
      return candidate.port;
    }
  }
  return std::nullopt;
}

// "Route service traffic to pods with label keys and values matching this selector." hostNetwork pods are
// backends as any other; a pod that is not ready, finished, or without address is none.
std::set<Backend> selected_backends(const ClusterSnapshot& objects, const Service& service,
                                    const ServicePort& port, IpFamily family) {
  std::set<Backend> found;
  const LabelSelector selector{.match_labels = *service.selector, .match_expressions = {}};
  for (const auto& [key, pod] : objects.pods) {
    if (key.ns != service.key.ns || !is_live(pod) || !pod.ready || !selects(selector, pod.labels)) continue;
    const auto target = target_on(pod, port);
    for (const auto& address : pod.addresses) {
      if (target && address.family() == family) found.insert({address, *target});
    }
  }
  return found;
}

// discovery/v1: a slice's port belongs to the Service port of the same name and protocol. Of an endpoint's
// addresses, "No semantics are defined for additional addresses beyond the first".
std::set<Backend> sliced_backends(const ClusterSnapshot& objects, const Service& service,
                                  const ServicePort& port, IpFamily family) {
  std::set<Backend> found;
  for (const auto& [key, slice] : objects.endpoint_slices) {
    if (key.ns != service.key.ns || slice.service != service.key.name) continue;
    for (const auto& slice_port : slice.ports) {
      if (slice_port.name != port.name || slice_port.protocol != port.protocol) continue;
      for (const auto& endpoint : slice.endpoints) {
        if (!endpoint.ready || endpoint.addresses.empty()) continue;
        if (endpoint.addresses[0].family() == family) found.insert({endpoint.addresses[0], slice_port.port});
      }
    }
  }
  return found;
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

std::optional<std::set<Backend>> backends(const ClusterSnapshot& objects, const IpAddress& cluster_ip,
                                          Protocol protocol, std::uint16_t port) {
  const Service* service = service_at(objects, cluster_ip);
  if (service == nullptr) return std::nullopt;
  for (const auto& candidate : service->ports) {
    if (candidate.protocol != protocol || candidate.port != port) continue;
    // "If empty or not present, the service is assumed to have an external process managing its endpoints".
    const bool selected = service->selector && !service->selector->empty();
    return selected ? selected_backends(objects, *service, candidate, cluster_ip.family())
                    : sliced_backends(objects, *service, candidate, cluster_ip.family());
  }
  return std::nullopt;
}

bool judged(const Cluster& cluster, const NamespacedName& key, Direction direction) {
  const Pod* pod = subject(cluster, key);
  if (pod == nullptr) return false;
  if (cluster.strict) return true;
  for (const auto& [name, policy] : cluster.objects.network_policies) {
    if (isolates(policy, *pod, direction)) return true;
  }
  return false;
}

Verdict verdict(const Cluster& cluster, const Question& question) {
  const Pod* pod = subject(cluster, question.pod);
  if (pod == nullptr) return {.allow = true, .reasons = {Reason::not_isolated}, .rules = {}, .isolating = {}};
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

// ---- Both ends ----------------------------------------------------------------------------------

namespace {

Verdict at_end(const Cluster& cluster, const Pod* pod, Direction direction, const Ends& ends) {
  if (pod == nullptr) return {.allow = true, .reasons = {Reason::not_isolated}, .rules = {}, .isolating = {}};
  const IpAddress& peer = direction == Direction::egress ? ends.to : ends.from;
  return verdict(cluster, {pod->key, direction, peer, ends.protocol, ends.port});
}

Verdict arriving_at(const Cluster& cluster, const Ends& ends, const Backend& backend) {
  const Pod* pod = pod_at(cluster.objects, backend.address);
  // A pod that reaches itself through a Service comes from its node, which masquerades it (R2).
  if (pod != nullptr && has_address(*pod, ends.from)) {
    return {.allow = true, .reasons = {Reason::own_node}, .rules = {}, .isolating = {}};
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
