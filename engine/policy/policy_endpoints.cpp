// SPDX-License-Identifier: Apache-2.0
#include "engine/policy/policy_endpoints.h"

#include <algorithm>
#include <set>

#include "engine/policy/policy_rules.h"
#include "engine/policy/sort_unique.h"

namespace postern {

namespace {

bool isolates(const PolicyEndpoint& slice, Direction direction) {
  return direction == Direction::ingress ? slice.isolates_ingress : slice.isolates_egress;
}

const std::vector<EndpointInfo>& infos_of(const PolicyEndpoint& slice, Direction direction) {
  return direction == Direction::ingress ? slice.ingress : slice.egress;
}

std::vector<PortMatch> ports_of(const EndpointInfo& info) {
  std::vector<PortMatch> ports;
  for (const auto& port : info.ports) ports.push_back(match_of(port));
  sort_unique(ports);
  return ports;
}

std::string isolation_text(const PolicyEndpoint& slice) {
  if (slice.isolates_ingress && slice.isolates_egress) return "[Ingress, Egress]";
  if (slice.isolates_ingress) return "[Ingress]";
  return slice.isolates_egress ? "[Egress]" : "[]";
}

std::string selector_text(const PolicyEndpoint& slice) {
  return slice.pod_selector ? slice.pod_selector->to_string() : "nothing";
}

std::string disagreement(const JoinedPolicy& policy, const PolicyEndpoint& other, const std::string& field,
                         const std::string& first_text, const std::string& other_text) {
  return "PolicyEndpoints " + policy.slices.front()->key.to_string() + " and " + other.key.to_string() + " of " +
         policy.ref.to_string() + " disagree on " + field + ": found " + first_text + " and " + other_text +
         ", expected one of them in both";
}

void split_hosts(EndpointRule& rule, const IpBlock& block) {
  const bool host = block.cidr.prefix_length() == block.cidr.network().bits() && block.excepts.empty();
  if (host) {
    rule.hosts.push_back(block.cidr.network());
    return;
  }
  rule.blocks.push_back(block);
  sort_unique(rule.blocks.back().excepts);
}

void finish(EndpointRule& rule) {
  sort_unique(rule.hosts);
  sort_unique(rule.blocks);
  const auto whole = [&](IpFamily family) {
    return std::any_of(rule.blocks.begin(), rule.blocks.end(), [&](const IpBlock& block) {
      return block.cidr.family() == family && block.cidr.prefix_length() == 0 && block.excepts.empty();
    });
  };
  rule.any_peer = whole(IpFamily::v4) && whole(IpFamily::v6);
  if (!rule.any_peer) return;
  rule.hosts.clear();
  rule.blocks.clear();
}

}  // namespace

NamespacedName policy_of(const NamespacedName& policy_ref) {
  return {policy_ref.ns, policy_ref.name.substr(0, policy_ref.name.find('#'))};
}

bool lists(const PodEndpoint& entry, const Pod& pod) {
  if (entry.pod != pod.key) return false;
  return !entry.address ||
         std::find(pod.addresses.begin(), pod.addresses.end(), *entry.address) != pod.addresses.end();
}

bool JoinedPolicy::isolates(Direction direction) const { return postern::isolates(*slices.front(), direction); }

bool JoinedPolicy::selects(const Pod& pod) const {
  if (!pod.live() || pod.host_network || pod.key.ns != ref.ns) return false;
  return std::any_of(slices.begin(), slices.end(), [&](const PolicyEndpoint* slice) {
    return std::any_of(slice->pods.begin(), slice->pods.end(),
                       [&](const PodEndpoint& entry) { return lists(entry, pod); });
  });
}

JoinedPolicies::JoinedPolicies(const PolicyEndpoints& slices) {
  std::map<NamespacedName, JoinedPolicy> by_ref;
  for (const auto& [key, slice] : slices) {
    JoinedPolicy& policy = by_ref[slice.policy];
    policy.ref = slice.policy;
    policy.slices.push_back(&slice);
  }
  policies_.reserve(by_ref.size());
  for (auto& [ref, policy] : by_ref) policies_.push_back(std::move(policy));
}

// The parts of a policy stand together: '#' sorts before every letter that a name may have.
std::vector<EndpointRule> JoinedPolicies::rules_of(const JoinedPolicy& policy, Direction direction) const {
  const NamespacedName whole = policy_of(policy.ref);
  std::set<std::vector<PortMatch>> lists;
  const auto first = std::lower_bound(
      policies_.begin(), policies_.end(), whole,
      [](const JoinedPolicy& part, const NamespacedName& ref) { return part.ref < ref; });
  for (auto part = first; part != policies_.end() && policy_of(part->ref) == whole; ++part) {
    for (const PolicyEndpoint* slice : part->slices) {
      for (const auto& info : infos_of(*slice, direction)) {
        if (info.block) lists.insert(ports_of(info));
      }
    }
  }
  std::map<std::vector<PortMatch>, EndpointRule> by_ports;
  for (const PolicyEndpoint* slice : policy.slices) {
    for (const auto& info : infos_of(*slice, direction)) {
      if (info.block) split_hosts(by_ports[ports_of(info)], *info.block);
    }
  }
  std::vector<EndpointRule> rules;
  rules.reserve(by_ports.size());
  for (auto& [ports, rule] : by_ports) {
    rule.index = static_cast<std::uint32_t>(std::distance(lists.begin(), lists.find(ports)));
    rule.ports = ports;
    finish(rule);
    rules.push_back(std::move(rule));
  }
  return rules;
}

std::string inconsistency_of(const JoinedPolicy& policy) {
  const PolicyEndpoint& first = *policy.slices.front();
  for (const PolicyEndpoint* slice : policy.slices) {
    if (slice->isolates_ingress != first.isolates_ingress || slice->isolates_egress != first.isolates_egress) {
      return disagreement(policy, *slice, "podIsolation", isolation_text(first), isolation_text(*slice));
    }
    if (slice->pod_selector != first.pod_selector) {
      return disagreement(policy, *slice, "podSelector", selector_text(first), selector_text(*slice));
    }
  }
  return {};
}

std::vector<InconsistentPolicy> inconsistent_policies(const PolicyEndpoints& slices) {
  std::vector<InconsistentPolicy> out;
  const JoinedPolicies joined(slices);
  for (const auto& policy : joined.all()) {
    std::string message = inconsistency_of(policy);
    if (message.empty()) continue;
    InconsistentPolicy& found = out.emplace_back();
    found.ref = policy.ref;
    for (const PolicyEndpoint* slice : policy.slices) found.slices.push_back(slice->key);
    found.message = std::move(message);
  }
  return out;
}

std::vector<DomainRule> domain_rules(const PolicyEndpoints& slices) {
  std::vector<DomainRule> out;
  for (const auto& [key, slice] : slices) {
    for (const auto direction : kDirections) {
      for (const auto& info : infos_of(slice, direction)) {
        if (!info.block && !info.domain_name.empty()) out.push_back({key, direction, info.domain_name});
      }
    }
  }
  return out;
}

}  // namespace postern
