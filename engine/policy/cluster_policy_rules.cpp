// SPDX-License-Identifier: Apache-2.0
#include "engine/policy/cluster_policy_rules.h"

#include <algorithm>
#include <array>

#include "engine/policy/sort_unique.h"

namespace postern {

namespace {

constexpr std::array<Protocol, 3> kWithPorts{Protocol::tcp, Protocol::udp, Protocol::sctp};

// An absent list of pods is every pod, and so is an empty selector.
PodPeer pod_peer(const ClusterPods& pods) { return {pods.namespaces, pods.pods}; }

// The terms of one peer. Domain names and unknown peers have none. With `hosts_key`, single addresses of
// networks are one term of that name, whatever their number.
struct AddTerms {
  TermTable& terms;
  std::vector<TermIndex>& out;
  std::optional<std::string> hosts_key = {};

  void operator()(const ClusterPods& peer) { out.push_back(terms.term_of(pod_peer(peer), {})); }
  void operator()(const ClusterNodes& peer) { out.push_back(terms.nodes(peer.nodes)); }
  void operator()(const ClusterNetworks& peer) {
    std::vector<IpAddress> hosts;
    for (const auto& block : peer.networks) {
      const bool host = hosts_key && block.prefix_length() == block.network().bits();
      if (host) hosts.push_back(block.network());
      if (!host) out.push_back(terms.term_of(IpBlock{block, {}}, {}));
    }
    if (hosts.empty()) return;
    sort_unique(hosts);
    out.push_back(terms.addresses(*hosts_key, std::move(hosts)));
  }
  void operator()(const ClusterDomainNames&) {}
  void operator()(const UnknownPeer&) {}
};

// Numbers and, of names, one entry for each protocol that can have ports.
struct AddPorts {
  ResolvedRule& rule;
  std::vector<PolicyPort>& named;

  void operator()(const ProtocolPorts& entry) {
    rule.ports.push_back({entry.protocol, entry.ports.value_or(PortRange{})});
  }
  void operator()(const NamedPort& entry) {
    for (const Protocol protocol : kWithPorts) named.push_back({protocol, entry.name});
  }
};

// Of a policy whose pods are listed: what its rule is over time, as pods behind it come and go.
std::string hosts_key(const ClusterNetworkPolicy& policy, Direction direction, const ResolvedRule& rule) {
  std::string key = "cluster-endpoints " + plain_text(policy.name) + " " + to_string(direction) + " " +
                    std::to_string(static_cast<int>(rule.action));
  for (const auto& port : rule.ports) {
    key += " " + std::string(to_string(port.protocol)) + " " + std::to_string(port.range.lo) + "-" +
           std::to_string(port.range.hi);
  }
  return key;
}

}  // namespace

bool has_unknown_peer(const ClusterRule& rule) {
  return std::any_of(rule.peers.begin(), rule.peers.end(),
                     [](const ClusterPeer& peer) { return std::holds_alternative<UnknownPeer>(peer); });
}

Action action_of(const ClusterRule& rule) {
  return rule.action == Action::pass && has_unknown_peer(rule) ? Action::deny : rule.action;
}

ClusterRuleTable::ClusterRuleTable(const ClusterSnapshot& cluster, TermTable& terms, RuleRegistry& rules)
    : cluster_(cluster), terms_(terms), rules_(rules) {
  std::map<std::pair<Tier, std::uint32_t>, std::uint32_t> next;
  for (const auto& [name, policy] : cluster.cluster_network_policies) {
    ranks_[&policy] = next[{policy.tier, policy.priority}]++;
  }
}

// A named port at egress is another number, and of another protocol, at other destinations (R43).
void ClusterRuleTable::add_egress_named(const ClusterRule& written, const ResolvedRule& base,
                                        std::vector<RuleForSubjects>& out) {
  std::map<PortMatch, std::vector<TermIndex>> by_port;
  const auto add = [&](const PolicyPeer* peer, const std::string& name) {
    for (const Protocol protocol : kWithPorts) {
      for (const auto& named : terms_.named_port(peer, {}, name, protocol)) {
        by_port[{protocol, {named.port, named.port}}].push_back(named.term);
      }
    }
  };
  for (const auto& port : written.protocols) {
    const auto* named = std::get_if<NamedPort>(&port);
    if (named == nullptr) continue;
    if (base.any_peer) add(nullptr, named->name);
    for (const auto& peer : written.peers) {
      const auto* pods = std::get_if<ClusterPods>(&peer);
      if (pods == nullptr || base.any_peer) continue;  // only pods have names
      const PolicyPeer of_pods = pod_peer(*pods);
      add(&of_pods, named->name);
    }
  }
  for (auto& [match, peers] : by_port) {
    RuleForSubjects part{base, {}};
    part.rule.any_peer = false;
    part.rule.any_port = false;
    part.rule.peers = std::move(peers);
    sort_unique(part.rule.peers);
    part.rule.ports = {match};
    out.push_back(std::move(part));
  }
}

void ClusterRuleTable::resolve_rule(const Key& of, const ClusterRule& written, const ResolvedRule& base,
                                    std::vector<RuleForSubjects>& out) {
  const auto [policy, direction] = of;
  RuleForSubjects rule{base, {}};
  if (has_unknown_peer(written)) {
    if (written.action == Action::accept) return;
    rule.rule.any_peer = true;
  }
  rule.rule.any_port = written.protocols.empty();
  for (const auto& port : written.protocols) std::visit(AddPorts{rule.rule, rule.named}, port);
  if (direction == Direction::egress) {
    add_egress_named(written, rule.rule, out);
    rule.named.clear();
  }
  sort_unique(rule.rule.ports);
  if (!rule.rule.any_port && rule.rule.ports.empty() && rule.named.empty()) return;
  if (!rule.rule.any_peer) {
    AddTerms add{terms_, rule.rule.peers};
    if (policy->listed) add.hosts_key = hosts_key(*policy, direction, rule.rule);
    for (const auto& peer : written.peers) std::visit(add, peer);
    if (rule.rule.peers.empty()) return;
  }
  sort_unique(rule.rule.peers);
  out.push_back(std::move(rule));
}

Result<const std::vector<RuleForSubjects>*> ClusterRuleTable::rules_of(const ClusterNetworkPolicy& policy,
                                                                       Direction direction) {
  const auto [found, inserted] = resolved_.try_emplace({&policy, direction});
  if (!inserted) return &found->second;
  const auto& written = direction == Direction::ingress ? policy.ingress : policy.egress;
  for (std::uint32_t index = 0; index < written.size(); ++index) {
    const auto id =
        rules_.number_of({{PolicyKind::cluster_network_policy, {"", policy.name}}, direction, index});
    if (!id) return fail_as(id);
    ResolvedRule base;
    base.tier = policy.tier;
    base.action = action_of(written[index]);
    base.priority = policy.priority;
    base.policy = ranks_.at(&policy);
    base.order = index;
    base.id = *id;
    resolve_rule({&policy, direction}, written[index], base, found->second);
  }
  return &found->second;
}

Result<void> ClusterRuleTable::apply(const Pod& pod, PolicyLayers& layers) {
  if (cluster_.cluster_network_policies.empty()) return {};
  const Labels labels = cluster_.namespace_labels(pod.key.ns);
  for (const auto& [name, policy] : cluster_.cluster_network_policies) {
    if (!selects(policy, pod, labels)) continue;
    for (const Direction direction : kDirections) {
      const auto rules = rules_of(policy, direction);
      if (!rules) return fail_as(rules);
      auto& into = layers.of(direction, policy.audit);
      for (const auto& rule : **rules) finish_on_subject(rule, pod, into.rules);
    }
  }
  return {};
}

}  // namespace postern
