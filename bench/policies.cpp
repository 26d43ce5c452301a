// SPDX-License-Identifier: Apache-2.0
#include "bench/policies.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "bench/rig.h"

namespace postern::bench {
namespace {

using Addresses = std::pair<std::uint32_t, std::uint32_t>;  // first, number

std::string key_of(const Addresses& set) {
  return "from " + IpAddress::v4(set.first).to_string() + " " + std::to_string(set.second);
}

Term term_of(const Addresses& set) {
  Term term;
  term.key = key_of(set);
  for (std::uint32_t n = 0; n < set.second; ++n) term.addresses.push_back(IpAddress::v4(set.first + n));
  return term;
}

}  // namespace

ResolvedPolicy resolved(const PodPolicy& policy) {
  ResolvedPolicy result;
  std::map<std::string, Addresses> sets;  // by key: the order of terms
  for (const auto* rules : {&policy.ingress, &policy.egress}) {
    for (const Allow& allow : *rules)
      sets.emplace(key_of({allow.first_peer, allow.peers}), Addresses{allow.first_peer, allow.peers});
  }
  std::map<std::string, TermIndex> indices;
  for (const auto& [key, set] : sets) {
    indices.emplace(key, static_cast<TermIndex>(result.terms.size()));
    result.terms.push_back(term_of(set));
  }
  std::uint32_t next_rule = 1;
  const auto direction_of = [&](bool isolated, const std::vector<Allow>& allows) {
    DirectionPolicy direction;
    direction.isolated = isolated;
    if (isolated) direction.isolating.push_back({PolicyKind::network_policy, {"bench", "policy"}});
    for (const Allow& allow : allows) {
      ResolvedRule rule;
      rule.id = RuleId{next_rule++};
      rule.peers = {indices.at(key_of({allow.first_peer, allow.peers}))};
      rule.any_port = allow.ports.empty();
      for (const std::uint16_t port : allow.ports) rule.ports.push_back({Protocol::tcp, {port, port}});
      direction.rules.push_back(std::move(rule));
    }
    return direction;
  };
  EndpointPolicy pod;
  pod.endpoint = EndpointId{1};
  pod.ifindex = kLoopback;
  pod.pod = {"bench", "pod"};
  pod.addresses = {IpAddress::v4(Rig::kPod)};
  pod.directions[index_of(Direction::ingress)] = direction_of(policy.isolate_ingress, policy.ingress);
  pod.directions[index_of(Direction::egress)] = direction_of(policy.isolate_egress, policy.egress);
  result.endpoints.push_back(std::move(pod));
  return result;
}

std::vector<std::uint16_t> scattered_ports(std::size_t count, std::uint16_t first, std::uint16_t step) {
  std::vector<std::uint16_t> ports;
  for (std::size_t n = 0; n < count; ++n) ports.push_back(static_cast<std::uint16_t>(first + n * step));
  return ports;
}

}  // namespace postern::bench
