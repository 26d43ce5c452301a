// SPDX-License-Identifier: Apache-2.0
#include "engine/policy/policy_rules.h"

#include <algorithm>

#include "engine/policy/sort_unique.h"

namespace postern {

const std::string* name_of(const PolicyPort& port) {
  return port.port ? std::get_if<std::string>(&*port.port) : nullptr;
}

PortMatch match_of(const PolicyPort& port) {
  // Without a port: every port of the protocol.
  return {port.protocol, port.port ? std::get<PortRange>(*port.port) : PortRange{}};
}

std::vector<PortMatch> ports_on(const Pod& subject, const PolicyPort& named) {
  std::vector<PortMatch> out;
  for (const auto& port : subject.ports) {
    if (port.name == *name_of(named) && port.protocol == named.protocol) {
      out.push_back({port.protocol, {port.port, port.port}});
    }
  }
  return out;
}

void finish_on_subject(const RuleForSubjects& source, const Pod& subject, std::vector<ResolvedRule>& out) {
  ResolvedRule rule = source.rule;
  for (const auto& named : source.named) {
    for (const auto& port : ports_on(subject, named)) rule.ports.push_back(port);
  }
  if (!rule.any_port && rule.ports.empty()) return;
  sort_unique(rule.ports);
  out.push_back(std::move(rule));
}

void PolicyRuleTable::resolve_peers(const PolicyRule& rule, const std::string& ns, ResolvedRule& out) {
  out.any_peer = rule.peers.empty();
  for (const auto& peer : rule.peers) out.peers.push_back(terms_.term_of(peer, ns));
  sort_unique(out.peers);
}

// A named port at egress is another number at other destinations: one rule for each number (R10).
void PolicyRuleTable::add_egress_named(const PolicyRule& rule, const std::string& ns,
                                       const RuleForSubjects& base, std::vector<RuleForSubjects>& out) {
  std::map<PortMatch, std::vector<TermIndex>> by_port;
  for (const auto& port : rule.ports) {
    const std::string* name = name_of(port);
    if (name == nullptr) continue;
    const auto add = [&](const PolicyPeer* peer) {
      for (const auto& named : terms_.named_port(peer, ns, *name, port.protocol)) {
        by_port[{port.protocol, {named.port, named.port}}].push_back(named.term);
      }
    };
    if (rule.peers.empty()) add(nullptr);
    for (const auto& peer : rule.peers) add(&peer);
  }
  for (auto& [match, peers] : by_port) {
    RuleForSubjects part;
    part.rule.tier = base.rule.tier;
    part.rule.action = base.rule.action;
    part.rule.id = base.rule.id;
    part.rule.peers = std::move(peers);
    sort_unique(part.rule.peers);
    part.rule.ports = {match};
    out.push_back(std::move(part));
  }
}

Result<const std::vector<RuleForSubjects>*> PolicyRuleTable::rules_of(const NetworkPolicy& policy,
                                                                      Direction direction) {
  const auto [found, inserted] = resolved_.try_emplace({&policy, direction});
  if (!inserted) return &found->second;
  std::vector<RuleForSubjects>& out = found->second;
  const auto& written = direction == Direction::ingress ? policy.ingress : policy.egress;
  for (std::size_t index = 0; index < written.size(); ++index) {
    const PolicyRule& rule = written[index];
    RuleForSubjects base;
    const auto id = rules_.number_of(
        {{PolicyKind::network_policy, policy.key}, direction, static_cast<std::uint32_t>(index)});
    if (!id) return fail_as(id);
    base.rule.id = *id;
    base.rule.any_port = rule.ports.empty();
    for (const auto& port : rule.ports) {
      if (name_of(port) == nullptr) {
        base.rule.ports.push_back(match_of(port));
      } else if (direction == Direction::ingress) {
        base.named.push_back(port);
      }
    }
    sort_unique(base.rule.ports);
    if (direction == Direction::egress) add_egress_named(rule, policy.key.ns, base, out);
    const bool matches_something = base.rule.any_port || !base.rule.ports.empty() || !base.named.empty();
    if (!matches_something) continue;
    resolve_peers(rule, policy.key.ns, base.rule);
    // A rule without peers is what the Amazon agent knows as the blocks of all addresses.
    const auto is_block = [](const PolicyPeer& peer) { return std::holds_alternative<IpBlock>(peer); };
    base.rule.names_cluster_ips =
        blocks_name_cluster_ips_ && direction == Direction::egress &&
        (base.rule.any_peer || std::any_of(rule.peers.begin(), rule.peers.end(), is_block));
    out.push_back(std::move(base));
  }
  return &out;
}

}  // namespace postern
