// SPDX-License-Identifier: Apache-2.0
#include "engine/policy/resolve_policy_endpoints.h"

#include <string>

#include "engine/policy/sort_unique.h"

namespace postern {

namespace {

std::string term_key(const NamespacedName& ref, Direction direction, const std::vector<PortMatch>& ports) {
  std::string key = "endpoints " + plain_text(ref.ns) + " " + plain_text(ref.name) + " " + to_string(direction);
  for (const auto& port : ports) {
    key += " " + std::string(to_string(port.protocol)) + " " + std::to_string(port.range.lo) + "-" +
           std::to_string(port.range.hi);
  }
  return key;
}

}  // namespace

EndpointRuleTable::EndpointRuleTable(const ClusterSnapshot& cluster, std::span<const LocalEndpoint> endpoints,
                                     const Sources& sources)
    : sources_(sources), joined_(cluster.policy_endpoints) {
  if (joined_.all().empty()) return;
  std::map<NamespacedName, const Pod*> local;
  for (const auto& endpoint : endpoints) {
    const auto pod = cluster.pods.find(endpoint.pod);
    if (pod == cluster.pods.end() || !pod->second.live() || pod->second.host_network) continue;
    local.emplace(endpoint.pod, &pod->second);
  }
  for (const auto& policy : joined_.all()) {
    // Policies select pods of their own namespace.
    const auto first = local.lower_bound({policy.ref.ns, ""});
    if (first == local.end() || first->first.ns != policy.ref.ns) continue;
    for (const PolicyEndpoint* slice : policy.slices) {
      for (const auto& entry : slice->pods) {
        const auto pod = local.find(entry.pod);
        if (pod == local.end() || entry.pod.ns != policy.ref.ns || !lists(entry, *pod->second)) continue;
        auto& policies = by_pod_[entry.pod];
        if (policies.empty() || policies.back() != &policy) policies.push_back(&policy);
      }
    }
  }
}

Result<const std::vector<ResolvedRule>*> EndpointRuleTable::resolve(const JoinedPolicy& policy,
                                                                    Direction direction) {
  const auto [found, inserted] = resolved_.try_emplace({&policy, direction});
  if (!inserted) return &found->second;
  for (auto& rule : joined_.rules_of(policy, direction)) {
    ResolvedRule out;
    const auto id =
        sources_.rules.number_of({{PolicyKind::network_policy, policy_of(policy.ref)}, direction, rule.index});
    if (!id) return fail_as(id);
    out.id = *id;
    out.any_peer = rule.any_peer;
    if (!rule.hosts.empty()) {
      out.peers.push_back(
          sources_.terms.addresses(term_key(policy.ref, direction, rule.ports), std::move(rule.hosts)));
    }
    for (const auto& block : rule.blocks) out.peers.push_back(sources_.terms.term_of(block, policy.ref.ns));
    sort_unique(out.peers);
    out.names_cluster_ips = direction == Direction::egress && sources_.blocks_name_cluster_ips;
    out.any_port = rule.ports.empty();
    out.ports = std::move(rule.ports);
    found->second.push_back(std::move(out));
  }
  return &found->second;
}

Result<void> EndpointRuleTable::apply(const Pod& pod, bool audit, PolicyLayers& layers) {
  const auto found = by_pod_.find(pod.key);
  if (found == by_pod_.end()) return {};
  for (const JoinedPolicy* policy : found->second) {
    if (auto message = inconsistency_of(*policy); !message.empty()) {
      return fail(ErrorCode::invalid_input, std::move(message));
    }
    for (const Direction direction : kDirections) {
      if (!policy->isolates(direction)) continue;
      DirectionRules& into = layers.of(direction, audit);
      into.isolated = true;
      into.isolating.push_back({PolicyKind::network_policy, policy_of(policy->ref)});
      const auto resolved = resolve(*policy, direction);
      if (!resolved) return fail_as(resolved);
      into.rules.insert(into.rules.end(), (*resolved)->begin(), (*resolved)->end());
    }
  }
  return {};
}

}  // namespace postern
