// SPDX-License-Identifier: Apache-2.0
// Slices joined to policies, and their entries grouped to rules; see the header.
#include "engine/manifest/cluster_slices.h"

#include <algorithm>
#include <tuple>

#include "engine/model/cluster_policy_id.h"

namespace postern::manifest {

namespace {

using Slices = std::vector<const ClusterPolicyEndpoint*>;

template <typename T>
void sort_unique(std::vector<T>& items) {
  std::sort(items.begin(), items.end());
  items.erase(std::unique(items.begin(), items.end()), items.end());
}

int place_of(Action action) {
  switch (action) {
    case Action::deny: return 0;
    case Action::accept: return 1;
    case Action::pass: return 2;
  }
  return 0;
}

// What makes entries one rule, in the order of the rules.
struct RuleKey {
  int place = 0;
  bool unknown = false;
  Action action = Action::deny;
  std::vector<ProtocolPorts> protocols;  // sorted, unique
  friend auto operator<=>(const RuleKey&, const RuleKey&) = default;
};

RuleKey key_of(const ClusterEndpointInfo& info) {
  RuleKey key;
  key.unknown = std::holds_alternative<UnknownPeer>(info.peer);
  key.action = info.action;
  // A Pass that nobody here knows is a Deny (R31).
  key.place = key.unknown && info.action == Action::pass ? place_of(Action::deny) : place_of(info.action);
  key.protocols = info.protocols;
  sort_unique(key.protocols);
  return key;
}

struct Peers {
  std::vector<Cidr> networks;
  std::vector<std::string> domains;
  std::vector<std::string> unknown;  // fields
};

struct AddPeer {
  Peers& peers;
  void operator()(const ClusterNetworks& peer) const {
    peers.networks.insert(peers.networks.end(), peer.networks.begin(), peer.networks.end());
  }
  void operator()(const ClusterDomainNames& peer) const {
    peers.domains.insert(peers.domains.end(), peer.names.begin(), peer.names.end());
  }
  void operator()(const UnknownPeer& peer) const {
    peers.unknown.insert(peers.unknown.end(), peer.fields.begin(), peer.fields.end());
  }
  void operator()(const ClusterPods&) const {}   // no entry names selectors
  void operator()(const ClusterNodes&) const {}
};

std::vector<ClusterRule> rules_of(const Slices& slices,
                                  std::vector<ClusterEndpointInfo> ClusterPolicyEndpoint::*infos) {
  std::map<RuleKey, Peers> grouped;
  for (const auto* slice : slices) {
    for (const auto& info : slice->*infos) std::visit(AddPeer{grouped[key_of(info)]}, info.peer);
  }
  std::vector<ClusterRule> rules;
  for (auto& [key, peers] : grouped) {
    ClusterRule rule;
    rule.action = key.action;
    sort_unique(peers.networks);
    sort_unique(peers.domains);
    sort_unique(peers.unknown);
    if (key.unknown) {
      rule.peers.emplace_back(UnknownPeer{std::move(peers.unknown)});
    } else {
      if (!peers.networks.empty()) rule.peers.emplace_back(ClusterNetworks{std::move(peers.networks)});
      if (!peers.domains.empty()) rule.peers.emplace_back(ClusterDomainNames{std::move(peers.domains)});
    }
    for (const auto& ports : key.protocols) rule.protocols.emplace_back(ports);
    rules.push_back(std::move(rule));
  }
  return rules;
}

const char* text_of(Tier tier) { return tier == Tier::baseline ? "Baseline" : "Admin"; }

std::string text_of(const std::optional<ClusterPods>& subject) {
  if (!subject) return "nothing";
  return "pods " + subject->pods.to_string() + " of namespaces " + subject->namespaces.to_string();
}

std::string disagreement(const ClusterPolicyEndpoint& one, const ClusterPolicyEndpoint& other) {
  const auto say = [&](const char* field, const std::string& found, const std::string& found_other) {
    return "ClusterPolicyEndpoints " + one.name + " and " + other.name + " of " + one.policy + " disagree on " + field +
           ": found " + found + " and " + found_other + ", expected one of them in both";
  };
  if (one.tier != other.tier) return say("tier", text_of(one.tier), text_of(other.tier));
  if (one.priority != other.priority) {
    return say("priority", std::to_string(one.priority), std::to_string(other.priority));
  }
  if (one.subject != other.subject) return say("subject", text_of(one.subject), text_of(other.subject));
  return {};
}

JoinedSlices join(const std::string& policy, const Slices& slices) {
  JoinedSlices out{policy, {}, {}};
  const ClusterPolicyEndpoint& first = *slices.front();
  for (const auto* slice : slices) {
    out.disagreement = disagreement(first, *slice);
    if (!out.disagreement.empty()) return out;
  }
  out.joined.name = cluster_policy_id(cluster_policy_kind::kPolicyEndpoints, policy);
  out.joined.tier = first.tier;
  out.joined.priority = first.priority;
  out.joined.subject = first.subject.value_or(ClusterPods{});
  auto& listed = out.joined.listed.emplace();
  for (const auto* slice : slices) listed.insert(listed.end(), slice->pods.begin(), slice->pods.end());
  sort_unique(listed);
  out.joined.ingress = rules_of(slices, &ClusterPolicyEndpoint::ingress);
  out.joined.egress = rules_of(slices, &ClusterPolicyEndpoint::egress);
  return out;
}

}  // namespace

std::vector<JoinedSlices> join(const ClusterPolicyEndpoints& slices) {
  std::map<std::string, Slices> by_policy;
  for (const auto& [name, slice] : slices) by_policy[slice.policy].push_back(&slice);
  std::vector<JoinedSlices> out;
  out.reserve(by_policy.size());
  for (const auto& [policy, parts] : by_policy) out.push_back(join(policy, parts));
  return out;
}

}  // namespace postern::manifest
