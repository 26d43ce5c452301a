// SPDX-License-Identifier: Apache-2.0
#include "engine/policy/plain_rules.h"

#include <algorithm>

#include "engine/policy/sort_unique.h"

namespace postern {

namespace {

PlainRule plain_rule(const RuleForSubjects& source, const TermTable& terms) {
  PlainRule rule;
  rule.any_peer = source.rule.any_peer;
  for (const TermIndex index : source.rule.peers) {
    const Term& term = terms.at(index);
    if (term.kind == TermKind::block) {
      rule.blocks.push_back(term.block);
    } else {
      rule.hosts.insert(rule.hosts.end(), term.addresses.begin(), term.addresses.end());
    }
  }
  sort_unique(rule.hosts);
  rule.any_port = source.rule.any_port;
  rule.ports = source.rule.ports;
  rule.named = source.named;
  return rule;
}

}  // namespace

bool PlainRule::admits(const IpAddress& address, Protocol protocol, std::uint16_t port) const {
  const bool port_matches =
      any_port || std::any_of(ports.begin(), ports.end(), [&](const PortMatch& match) {
        return match.protocol == protocol && match.range.contains(port);
      });
  if (!port_matches) return false;
  return any_peer || std::binary_search(hosts.begin(), hosts.end(), address) ||
         std::any_of(blocks.begin(), blocks.end(), [&](const IpBlock& block) { return block.contains(address); });
}

bool PlainPolicy::admits_everything(Direction direction) const {
  const auto& all = at(direction);
  return std::any_of(all.begin(), all.end(), [](const PlainRule& rule) { return rule.any_peer && rule.any_port; });
}

Result<std::vector<PlainPolicy>> plain_policies(const ClusterSnapshot& cluster) {
  TermTable terms(cluster);
  RuleRegistry numbers;
  PolicyRuleTable table(terms, numbers, false);
  std::vector<PlainPolicy> out;
  for (const auto& [key, policy] : cluster.network_policies) {
    PlainPolicy& plain = out.emplace_back();
    plain.policy = &policy;
    for (auto it = cluster.pods.lower_bound({key.ns, ""}); it != cluster.pods.end() && it->first.ns == key.ns;
         ++it) {
      if (selects(policy, it->second)) plain.subjects.push_back(&it->second);
    }
    for (const Direction direction : kDirections) {
      if (!plain.isolates(direction)) continue;
      const auto rules = table.rules_of(policy, direction);
      if (!rules) return fail_as(rules);
      for (const auto& rule : **rules) plain.rules[index_of(direction)].push_back(plain_rule(rule, terms));
    }
  }
  return out;
}

}  // namespace postern
