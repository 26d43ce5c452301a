// SPDX-License-Identifier: Apache-2.0
// Each policy that selects a local pod is resolved once into rules that stand for all its subjects;
// only ingress rules with named ports differ from subject to subject (R9) and are finished there.
// Policies that select no local pod are never looked into. PolicyEndpoints, whose selectors somebody
// else has resolved, stand beside them (resolve_policy_endpoints.h), and ClusterNetworkPolicies before and
// behind both (cluster_policy_rules.h).
//
// ClusterIPs are no addresses of any term: what holds for a Service (R7) follows from its backends
// (resolve_services.h), whatever the rules are; only rules that say so name a ClusterIP itself (R46).
#include "engine/policy/resolve.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "engine/policy/cluster_policy_rules.h"
#include "engine/policy/policy_layers.h"
#include "engine/policy/policy_rules.h"
#include "engine/policy/resolve_policy_endpoints.h"
#include "engine/policy/resolve_services.h"
#include "engine/policy/sort_unique.h"
#include "engine/policy/term_table.h"

namespace postern {

namespace {

class Resolver {
 public:
  Resolver(const ClusterSnapshot& cluster, std::span<const LocalEndpoint> endpoints,
           const ResolveOptions& options, RuleRegistry& rules)
      : cluster_(cluster),
        options_(options),
        terms_(cluster),
        network_policies_(terms_, rules, compat(ServiceIpBlocks::meaning)),
        policy_endpoints_(cluster, endpoints, {terms_, rules, compat(ServiceIpBlocks::compat)}),
        cluster_policies_(cluster, terms_, rules) {}

  Result<ResolvedPolicy> run(std::span<const LocalEndpoint> endpoints);

 private:
  [[nodiscard]] bool compat(ServiceIpBlocks by_default) const {
    return options_.service_ip_blocks.value_or(by_default) == ServiceIpBlocks::compat;
  }
  Result<EndpointPolicy> endpoint(const LocalEndpoint& local);
  // `audit`: the pod's namespace puts its own policies in audit.
  Result<void> apply_policies(const Pod& pod, bool audit, PolicyLayers& layers);
  Result<void> apply_policy(const NetworkPolicy& policy, const Pod& pod, Direction direction,
                            DirectionRules& out);
  void sort_terms(ResolvedPolicy& policy);
  static void sort_rules(DirectionRules& direction, const std::vector<TermIndex>& order);

  const ClusterSnapshot& cluster_;
  const ResolveOptions& options_;
  TermTable terms_;
  PolicyRuleTable network_policies_;
  EndpointRuleTable policy_endpoints_;
  ClusterRuleTable cluster_policies_;
};

Result<void> Resolver::apply_policy(const NetworkPolicy& policy, const Pod& pod, Direction direction,
                                    DirectionRules& out) {
  const bool isolates = direction == Direction::ingress ? policy.isolates_ingress : policy.isolates_egress;
  if (!isolates) return {};
  out.isolated = true;
  out.isolating.push_back({PolicyKind::network_policy, policy.key});
  const auto rules = network_policies_.rules_of(policy, direction);
  if (!rules) return fail_as(rules);
  for (const auto& rule : **rules) finish_on_subject(rule, pod, out.rules);
  return {};
}

Result<EndpointPolicy> Resolver::endpoint(const LocalEndpoint& local) {
  EndpointPolicy out;
  out.endpoint = local.endpoint;
  out.ifindex = local.ifindex;
  out.pod = local.pod;
  const NamespaceModes modes = modes_of(cluster_, local.pod.ns, options_.strict);
  PolicyLayers layers;
  for (const Direction direction : kDirections) {
    if (modes.strict[index_of(direction)]) layers.of(direction, modes.audit).strict = true;
  }
  const auto found = cluster_.pods.find(local.pod);
  std::optional<Pod> pod;
  if (found != cluster_.pods.end()) pod = found->second;
  if (pod && pod->addresses.empty()) pod->addresses = local.addresses;
  if (pod && pod->live()) {
    out.addresses = local.own_addresses.empty() ? pod->addresses : local.own_addresses;
    if (auto done = apply_policies(*pod, modes.audit, layers); !done) return fail_as(done);
  }
  out.directions = std::move(layers).finish();
  return out;
}

Result<void> Resolver::apply_policies(const Pod& pod, bool audit, PolicyLayers& layers) {
  // Policies of the pod's own namespace stand together.
  for (auto it = cluster_.network_policies.lower_bound({pod.key.ns, ""});
       it != cluster_.network_policies.end() && it->first.ns == pod.key.ns; ++it) {
    const NetworkPolicy& policy = it->second;
    if (!selects(policy, pod)) continue;
    for (const Direction direction : kDirections) {
      auto done = apply_policy(policy, pod, direction, layers.of(direction, audit || policy.audit));
      if (!done) return done;
    }
  }
  if (auto done = policy_endpoints_.apply(pod, audit, layers); !done) return done;
  return cluster_policies_.apply(pod, layers);
}

// Terms get their final places, and rules follow.
void Resolver::sort_terms(ResolvedPolicy& policy) {
  std::vector<TermIndex> order;
  policy.terms = terms_.finish(order);
  for (auto& endpoint : policy.endpoints) {
    for (auto& direction : endpoint.directions) {
      sort_rules(direction, order);
      if (direction.if_enforced) sort_rules(*direction.if_enforced, order);
    }
  }
}

void Resolver::sort_rules(DirectionRules& direction, const std::vector<TermIndex>& order) {
  for (auto& rule : direction.rules) {
    for (auto& term : rule.peers) term = order[term];
    std::sort(rule.peers.begin(), rule.peers.end());
  }
  const auto place = [](const ResolvedRule& rule) {
    return std::tie(rule.tier, rule.priority, rule.policy, rule.order, rule.id, rule.any_peer, rule.peers,
                    rule.names_cluster_ips, rule.ports);
  };
  std::sort(direction.rules.begin(), direction.rules.end(),
            [&](const ResolvedRule& a, const ResolvedRule& b) { return place(a) < place(b); });
}

Result<ResolvedPolicy> Resolver::run(std::span<const LocalEndpoint> endpoints) {
  ResolvedPolicy policy;
  policy.own_node = options_.own_node;
  sort_unique(policy.own_node);
  // Sorted first, so that rules get their numbers in an order that does not depend on the caller.
  std::vector<LocalEndpoint> locals(endpoints.begin(), endpoints.end());
  std::sort(locals.begin(), locals.end(),
            [](const LocalEndpoint& a, const LocalEndpoint& b) { return a.pod < b.pod; });
  for (const auto& local : locals) {
    auto resolved = endpoint(local);
    if (!resolved) return fail_as(resolved);
    policy.endpoints.push_back(std::move(*resolved));
  }
  std::sort(policy.endpoints.begin(), policy.endpoints.end(),
            [](const EndpointPolicy& a, const EndpointPolicy& b) { return a.endpoint < b.endpoint; });
  sort_terms(policy);
  policy.services = resolve_services(cluster_, policy.endpoints);
  return policy;
}

}  // namespace

Result<ResolvedPolicy> resolve(const ClusterSnapshot& cluster, std::span<const LocalEndpoint> endpoints,
                               const ResolveOptions& options, RuleRegistry& rules) {
  return Resolver(cluster, endpoints, options, rules).run(endpoints);
}

NamespaceModes modes_of(const ClusterSnapshot& cluster, const std::string& ns, bool cluster_strict) {
  NamespaceModes modes{{cluster_strict, cluster_strict}, false};
  const auto found = cluster.namespaces.find(ns);
  if (found == cluster.namespaces.end()) return modes;
  modes.audit = found->second.audit;
  for (std::size_t i = 0; i < modes.strict.size(); ++i) {
    const auto& enforcement = found->second.enforcement[i];
    if (enforcement) modes.strict[i] = *enforcement == Enforcement::strict;
  }
  return modes;
}

bool has_audit(const ClusterSnapshot& cluster) {
  const auto audits = [](const auto& entry) { return entry.second.audit; };
  const auto any = [&](const auto& objects) { return std::any_of(objects.begin(), objects.end(), audits); };
  return any(cluster.namespaces) || any(cluster.network_policies) || any(cluster.cluster_network_policies);
}

bool selects(const NetworkPolicy& policy, const Pod& pod) {
  return pod.live() && !pod.host_network && policy.key.ns == pod.key.ns &&
         policy.pod_selector.matches(pod.labels);
}

bool selects(const ClusterNetworkPolicy& policy, const Pod& pod, const Labels& namespace_labels) {
  if (!pod.live() || pod.host_network) return false;
  if (!policy.listed) {
    return policy.subject.namespaces.matches(namespace_labels) && policy.subject.pods.matches(pod.labels);
  }
  // Entries of one pod stand together.
  for (auto entry = std::lower_bound(policy.listed->begin(), policy.listed->end(), PodEndpoint{pod.key, {}, {}});
       entry != policy.listed->end() && entry->pod == pod.key; ++entry) {
    if (lists(*entry, pod)) return true;
  }
  return false;
}

}  // namespace postern
