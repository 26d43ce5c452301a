// SPDX-License-Identifier: Apache-2.0
// Rules are put into the words of NetworkPolicy, so that one comparison explains them all: nodes become the
// blocks of their addresses, a port's name one entry for each protocol that can have it.
#include "engine/explain/cluster_tier.h"

#include <algorithm>
#include <iterator>
#include <tuple>
#include <utility>

#include "engine/policy/cluster_policy_rules.h"

namespace postern::explain_detail {

namespace {

struct AddPeer {
  const ClusterSnapshot& cluster;
  std::vector<PolicyPeer>& peers;

  void operator()(const ClusterPods& peer) { peers.emplace_back(PodPeer{peer.namespaces, peer.pods}); }
  void operator()(const ClusterNodes& peer) {
    for (const auto& [name, node] : cluster.nodes) {
      if (!peer.nodes.matches(node.labels)) continue;
      for (const auto& entry : node.addresses) peers.emplace_back(IpBlock{Cidr::host(entry.address), {}});
    }
  }
  void operator()(const ClusterNetworks& peer) {
    for (const auto& block : peer.networks) peers.emplace_back(IpBlock{block, {}});
  }
  void operator()(const ClusterDomainNames&) {}
  void operator()(const UnknownPeer&) {}
};

struct AddPort {
  std::vector<PolicyPort>& ports;

  void operator()(const ProtocolPorts& entry) {
    PolicyPort port{entry.protocol, {}};
    if (entry.ports) port.port = *entry.ports;
    ports.push_back(std::move(port));
  }
  void operator()(const NamedPort& entry) {
    for (const Protocol protocol : {Protocol::tcp, Protocol::udp, Protocol::sctp}) {
      ports.push_back({protocol, entry.name});
    }
  }
};

// None: the rule matches nothing, whatever is asked.
std::optional<PolicyRule> plain_rule(const ClusterSnapshot& cluster, const ClusterRule& written) {
  PolicyRule rule;
  const bool unknown = has_unknown_peer(written);
  if (unknown && written.action == Action::accept) return std::nullopt;
  if (!unknown) {
    for (const auto& peer : written.peers) std::visit(AddPeer{cluster, rule.peers}, peer);
    if (rule.peers.empty()) return std::nullopt;
  }
  for (const auto& port : written.protocols) std::visit(AddPort{rule.ports}, port);
  return rule;
}

// The rules of one policy up to the first that matches.
struct PolicyAnswer {
  std::optional<ClusterVerdict> said;
  std::vector<NearMiss> before;  // rules above it that would not deny
};

class TierReader {
 public:
  TierReader(const Traffic& traffic, Direction direction, Tier tier)
      : traffic_(traffic),
        direction_(direction),
        tier_(tier),
        subject_(direction == Direction::egress ? *traffic.from.pod : *traffic.to.pod),
        peer_(direction == Direction::egress ? traffic.to : traffic.from) {}

  TierAnswer run() {
    const Labels labels = traffic_.cluster.namespace_labels(subject_.key.ns);
    std::vector<const ClusterNetworkPolicy*> policies;
    for (const auto& [name, policy] : traffic_.cluster.cluster_network_policies) {
      if (policy.tier != tier_ || (policy.audit && !traffic_.with_audit)) continue;
      if (selects(policy, subject_, labels)) policies.push_back(&policy);
    }
    // By priority; of equal ones, those of the first name.
    std::stable_sort(policies.begin(), policies.end(),
                     [](const auto* a, const auto* b) { return a->priority < b->priority; });
    TierAnswer answer;
    for (const auto* policy : policies) {
      if (answer.said && answer.said->priority != policy->priority) break;
      PolicyAnswer found = read(*policy);
      std::move(found.before.begin(), found.before.end(), std::back_inserter(answer.near_misses));
      const bool speaks = found.said && (!answer.said || found.said->action < answer.said->action);
      if (speaks) answer.said = std::move(found.said);
    }
    const bool denies = answer.said && answer.said->action == Action::deny;
    if (!denies) answer.near_misses.clear();
    auto& misses = answer.near_misses;
    std::stable_sort(misses.begin(), misses.end(), [](const NearMiss& a, const NearMiss& b) {
      return std::tie(a.cost, a.distance) < std::tie(b.cost, b.distance);
    });
    if (misses.size() > kNearMisses) misses.resize(kNearMisses);
    return answer;
  }

 private:
  PolicyAnswer read(const ClusterNetworkPolicy& policy) const {
    PolicyAnswer answer;
    const auto& rules = direction_ == Direction::ingress ? policy.ingress : policy.egress;
    for (std::uint32_t index = 0; index < rules.size(); ++index) {
      const auto rule = plain_rule(traffic_.cluster, rules[index]);
      if (!rule) continue;
      Gap gap = peers_gap(*rule, {}, peer_, traffic_.cluster);
      gap.add(ports_gap(*rule, traffic_.asked, traffic_.to));
      const RuleRef ref{{"", policy.name}, index + 1};
      if (gap.missing.empty()) {
        answer.said = ClusterVerdict{ref,           rules[index].name, tier_, action_of(rules[index]),
                                     policy.priority, has_unknown_peer(rules[index])};
        return answer;
      }
      if (action_of(rules[index]) == Action::deny) continue;
      answer.before.push_back({ref, std::move(gap.missing), gap.cost, gap.distance});
    }
    return answer;
  }

  const Traffic& traffic_;
  Direction direction_;
  Tier tier_;
  const Pod& subject_;
  const Seen& peer_;
};

}  // namespace

TierAnswer ask_cluster_tier(const Traffic& traffic, Direction direction, Tier tier) {
  if (traffic.cluster.cluster_network_policies.empty()) return {};
  return TierReader(traffic, direction, tier).run();
}

bool has_cluster_rules(const Traffic& traffic, const Pod& subject, Direction direction) {
  const ClusterSnapshot& cluster = traffic.cluster;
  const Labels labels = cluster.namespace_labels(subject.key.ns);
  const auto& policies = cluster.cluster_network_policies;
  const bool selected = std::any_of(policies.begin(), policies.end(), [&](const auto& entry) {
    const auto& rules = direction == Direction::ingress ? entry.second.ingress : entry.second.egress;
    return !rules.empty() && selects(entry.second, subject, labels);
  });
  if (!selected) return false;
  TermTable terms(cluster);
  RuleRegistry numbers;
  PolicyLayers layers;
  // Numbers can run out; then nothing is enforced, and what is told here does not matter.
  if (!ClusterRuleTable(cluster, terms, numbers).apply(subject, layers)) return true;
  const auto rules_of = [&](bool audit) { return !layers.of(direction, audit).rules.empty(); };
  return rules_of(false) || (traffic.with_audit && rules_of(true));
}

}  // namespace postern::explain_detail
