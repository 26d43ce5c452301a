// SPDX-License-Identifier: Apache-2.0
#include "engine/explain/policy_view.h"

namespace postern::explain_detail {

namespace {

PolicyRule rule_of(const EndpointRule& endpoint) {
  PolicyRule rule;
  if (!endpoint.any_peer) {
    for (const auto& host : endpoint.hosts) rule.peers.emplace_back(IpBlock{Cidr::host(host), {}});
    for (const auto& block : endpoint.blocks) rule.peers.emplace_back(block);
  }
  for (const auto& port : endpoint.ports) rule.ports.push_back({port.protocol, port.range});
  return rule;
}

void add_network_policies(const Traffic& traffic, const Pod& subject, Direction direction, bool names_cluster_ips,
                          PolicyViews& out) {
  const auto& policies = traffic.cluster.network_policies;
  const std::string& ns = subject.key.ns;
  for (auto it = policies.lower_bound({ns, {}}); it != policies.end() && it->first.ns == ns; ++it) {
    const NetworkPolicy& policy = it->second;
    if (policy.audit && !traffic.with_audit) continue;
    const bool ingress = direction == Direction::ingress;
    PolicyView& view = out.policies.emplace_back();
    view.key = policy.key;
    view.selected = selects(policy, subject);
    view.has_type = ingress ? policy.isolates_ingress : policy.isolates_egress;
    view.names_cluster_ips = names_cluster_ips;
    view.selector = &policy.pod_selector;
    std::uint32_t number = 0;
    for (const auto& rule : ingress ? policy.ingress : policy.egress) view.rules.push_back({++number, &rule});
  }
}

void add_policy_endpoints(const ClusterSnapshot& cluster, const Pod& subject, Direction direction,
                          bool names_cluster_ips, PolicyViews& out) {
  if (cluster.policy_endpoints.empty()) return;
  const JoinedPolicies joined(cluster.policy_endpoints);
  for (const auto& policy : joined.all()) {
    if (policy.ref.ns != subject.key.ns) continue;
    PolicyView& view = out.policies.emplace_back();
    view.key = policy_of(policy.ref);
    view.selected = policy.selects(subject);
    view.has_type = policy.isolates(direction);
    view.names_cluster_ips = names_cluster_ips;
    for (const auto& endpoint : joined.rules_of(policy, direction)) {
      out.made.push_back(rule_of(endpoint));
      view.rules.push_back({endpoint.index + 1, &out.made.back()});
    }
  }
}

}  // namespace

PolicyViews views_of(const Traffic& traffic, const Pod& subject, Direction direction) {
  const ClusterSnapshot& cluster = traffic.cluster;
  const auto names = [&](ServiceIpBlocks by_default) {
    return direction == Direction::egress &&
           traffic.service_ip_blocks.value_or(by_default) == ServiceIpBlocks::compat;
  };
  PolicyViews out;
  if (modes_of(cluster, subject.key.ns, traffic.strict).audit && !traffic.with_audit) return out;
  add_network_policies(traffic, subject, direction, names(ServiceIpBlocks::meaning), out);
  add_policy_endpoints(cluster, subject, direction, names(ServiceIpBlocks::compat), out);
  return out;
}

}  // namespace postern::explain_detail
