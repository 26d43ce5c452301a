// SPDX-License-Identifier: Apache-2.0
// The meaning of resolved rules, read one packet at a time and in the order of R42. Slow and plain on
// purpose: it shares no code with the compiler, whose tests hold the tables to it.
#include "engine/policy/judge.h"

#include <algorithm>
#include <optional>
#include <set>
#include <tuple>

namespace postern {

namespace {

struct Question {
  const ResolvedPolicy& policy;
  const DirectionRules& rules;
  const IpAddress& peer;
  std::uint8_t protocol;
  std::uint16_t port;
  bool named = true;  // false: the peer is a ClusterIP, which is in no own node, and in terms only of
                      // rules that name ClusterIPs (R46)
};

const ResolvedService* service_at(const ResolvedPolicy& policy, const IpAddress& address) {
  for (const auto& service : policy.services) {
    if (service.address == address) return &service;
  }
  return nullptr;
}

bool contains(const Term& term, const IpAddress& peer) {
  if (term.kind == TermKind::block) return term.block.contains(peer);
  return std::find(term.addresses.begin(), term.addresses.end(), peer) != term.addresses.end();
}

bool matches(const ResolvedRule& rule, const Question& question) {
  const auto holds = [&](TermIndex term) { return contains(question.policy.terms[term], question.peer); };
  const bool peer = rule.any_peer || ((question.named || rule.names_cluster_ips) &&
                                      std::any_of(rule.peers.begin(), rule.peers.end(), holds));
  const bool port =
      rule.any_port || std::any_of(rule.ports.begin(), rule.ports.end(), [&](const PortMatch& match) {
        return static_cast<std::uint8_t>(match.protocol) == question.protocol &&
               match.range.contains(question.port);
      });
  return peer && port;
}

// A tier of cluster-wide policies: the lowest priority number that matches decides. Policies of equal
// priority are each read to their first match, and Deny goes before Accept before Pass (R29).
const ResolvedRule* cluster_tier(const Question& question, Tier tier) {
  std::optional<std::uint32_t> priority;
  for (const auto& rule : question.rules.rules) {
    if (rule.tier != tier || !matches(rule, question)) continue;
    if (!priority || rule.priority < *priority) priority = rule.priority;
  }
  const ResolvedRule* best = nullptr;
  for (const auto& rule : question.rules.rules) {
    if (rule.tier != tier || rule.priority != priority || !matches(rule, question)) continue;
    const bool first_of_its_policy = std::none_of(
        question.rules.rules.begin(), question.rules.rules.end(), [&](const ResolvedRule& other) {
          return other.tier == tier && other.priority == rule.priority && other.policy == rule.policy &&
                 std::tie(other.order, other.id) < std::tie(rule.order, rule.id) && matches(other, question);
        });
    if (!first_of_its_policy) continue;
    const auto rank = [](const ResolvedRule& r) { return std::tuple(r.action, r.policy, r.order, r.id); };
    if (best == nullptr || rank(rule) < rank(*best)) best = &rule;
  }
  return best;
}

std::uint32_t network_policies(const Question& question) {
  RuleId first;
  for (const auto& rule : question.rules.rules) {
    if (rule.tier != Tier::network_policy || !matches(rule, question)) continue;
    if (first.value == 0 || rule.id < first) first = rule.id;
  }
  return first.value == 0 ? pn_step_deny(PN_REASON_ISOLATED, 0) : pn_step_allow(PN_REASON_RULE, first.value);
}

// An address, whatever it is the ClusterIP of.
std::uint32_t judge_address(const Question& question, Direction direction) {
  const ResolvedPolicy& policy = question.policy;
  const DirectionRules& rules = question.rules;
  const bool own_node = question.named && std::find(policy.own_node.begin(), policy.own_node.end(),
                                                    question.peer) != policy.own_node.end();
  if (own_node && direction == Direction::ingress) return pn_step_allow(PN_REASON_OWN_NODE, 0);

  const ResolvedRule* admin = cluster_tier(question, Tier::admin);
  if (admin != nullptr && admin->action == Action::deny)
    return pn_step_deny(PN_REASON_DENIED_ADMIN, admin->id.value);
  if (admin != nullptr && admin->action == Action::accept) {
    return pn_step_allow(PN_REASON_RULE_ADMIN, admin->id.value);
  }
  if (rules.isolated && !own_node) return network_policies(question);

  const ResolvedRule* baseline = cluster_tier(question, Tier::baseline);
  if (baseline != nullptr && baseline->action == Action::deny) {
    return pn_step_deny(PN_REASON_DENIED_BASELINE, baseline->id.value);
  }
  if (baseline != nullptr && baseline->action == Action::accept) {
    return pn_step_allow(PN_REASON_RULE_BASELINE, baseline->id.value);
  }
  if (own_node) return pn_step_allow(PN_REASON_OWN_NODE, 0);
  if (rules.strict) return pn_step_deny(PN_REASON_STRICT, 0);
  return pn_step_allow(PN_REASON_NOT_ISOLATED, 0);
}

// What rules that name ClusterIPs say to one and a port of its Service (R46): their allow, if any does.
std::optional<std::uint32_t> allowed_by_address(const Question& question) {
  RuleId first;
  if (!question.rules.isolated) return std::nullopt;
  for (const auto& rule : question.rules.rules) {
    if (rule.tier != Tier::network_policy || !rule.names_cluster_ips || !matches(rule, question)) continue;
    if (first.value == 0 || rule.id < first) first = rule.id;
  }
  if (first.value == 0) return std::nullopt;
  return pn_step_allow(PN_REASON_RULE, first.value);
}

// R7: what all backends say; each is asked at its own port, and the pod itself is always a yes (R1).
// What policies allow to the ClusterIP itself, they deny to no backend.
std::uint32_t judge_backends(EndpointId endpoint, const ResolvedServicePort& port, const Question& asked) {
  const auto by_address = allowed_by_address(asked);
  std::set<std::uint32_t> allowing;
  std::set<std::uint32_t> denying;
  for (const auto& backend : port.backends) {
    auto step = backend.endpoint == endpoint
                    ? pn_step_allow(PN_REASON_SELF, 0)
                    : judge_address({asked.policy, asked.rules, backend.address,
                                     static_cast<std::uint8_t>(port.protocol), backend.port},
                                    Direction::egress);
    if (by_address && step == pn_step_deny(PN_REASON_ISOLATED, 0)) step = *by_address;
    (pn_step_allows(step) ? allowing : denying).insert(step);
  }
  if (port.backends.empty()) {
    const bool admitted = pn_step_reason(judge_address(asked, Direction::egress)) == PN_REASON_RULE;
    return by_address && admitted ? *by_address : pn_step_deny(PN_REASON_NO_BACKEND, 0);
  }
  if (denying.empty()) return *allowing.begin();
  if (allowing.empty()) return *denying.begin();
  return pn_step_deny(PN_REASON_BACKENDS_DIFFER, 0);
}

struct PacketQuestion {
  Direction direction;
  const IpAddress& peer;
  std::uint8_t protocol;
  std::uint16_t port;
};

// `rules`: of that direction of the endpoint.
std::uint32_t judge_by(const DirectionRules& rules, const ResolvedPolicy& policy, EndpointId endpoint,
                       const PacketQuestion& packet) {
  const IpAddress& peer = packet.peer;
  const bool own_node = std::find(policy.own_node.begin(), policy.own_node.end(), peer) != policy.own_node.end();
  // A Service is what a pod opens connections to; and what its node has itself is the node (R2).
  const ResolvedService* service =
      packet.direction == Direction::egress && !own_node ? service_at(policy, peer) : nullptr;
  // Nobody is asked for whom nothing is enforced.
  if (service != nullptr && rules.decides()) {
    for (const auto& offered : service->ports) {
      if (static_cast<std::uint8_t>(offered.protocol) == packet.protocol && offered.port == packet.port) {
        return judge_backends(endpoint, offered, {policy, rules, peer, packet.protocol, packet.port, false});
      }
    }
  }
  return judge_address({policy, rules, peer, packet.protocol, packet.port, service == nullptr}, packet.direction);
}

}  // namespace

std::uint32_t judge(const ResolvedPolicy& policy, const EndpointPolicy& endpoint, Direction direction,
                    const IpAddress& peer, std::uint8_t protocol, std::uint16_t port) {
  const PacketQuestion packet{direction, peer, protocol, port};
  const DirectionPolicy& rules = endpoint.at(direction);
  const std::uint32_t step = judge_by(rules, policy, endpoint.endpoint, packet);
  if (!rules.if_enforced || !pn_step_allows(step)) return step;
  const std::uint32_t would_be = judge_by(*rules.if_enforced, policy, endpoint.endpoint, packet);
  return pn_step_allows(would_be) ? step : pn_step_would_deny(would_be);
}

}  // namespace postern
