// SPDX-License-Identifier: Apache-2.0
// What a world has beyond NetworkPolicies: the tiers of ClusterNetworkPolicies, and what namespaces say.
#include <algorithm>
#include <array>

#include "test/property_oracle/world.h"

namespace postern::property {

namespace {

constexpr std::array<const char*, 5> kPolicies{"c", "d", "e", "f", "g"};

// `in_egress`: nodes, networks and domain names are peers of egress rules alone.
ClusterPeer some_cluster_peer(Dice& dice, bool in_egress) {
  const auto form = dice.below(in_egress ? 10 : 5);
  if (form < 2) return ClusterPods{some_selector(dice, true), {}};
  if (form < 5) return ClusterPods{some_selector(dice, true), some_selector(dice, false)};
  if (form < 7) return ClusterNodes{dice.chance(40) ? LabelSelector{} : some_selector(dice, false)};
  ClusterNetworks networks;
  for (std::size_t n = 1 + dice.below(2); n > 0; --n) networks.networks.push_back(some_block(dice).cidr);
  return networks;
}

// "named port together with networks, nodes or domainNames in one egress rule" is refused.
bool may_name_ports(const ClusterRule& rule) {
  return std::all_of(rule.peers.begin(), rule.peers.end(), [](const ClusterPeer& peer) {
    return std::holds_alternative<ClusterPods>(peer) || std::holds_alternative<UnknownPeer>(peer);
  });
}

ClusterPort some_cluster_port(Dice& dice, bool named) {
  if (named && dice.chance(40)) return NamedPort{dice.pick(kPortNames)};
  ProtocolPorts ports{some_protocol(dice), {}};
  const auto form = dice.below(8);
  if (form < 2) return ports;
  const std::uint16_t lo = dice.pick(kPorts);
  ports.ports = PortRange{lo, form >= 5 ? std::max(lo, dice.pick(kPorts)) : lo};
  return ports;
}

ClusterRule random_cluster_rule(Dice& dice, bool in_egress) {
  ClusterRule rule;
  rule.action = static_cast<Action>(dice.below(3));
  for (std::size_t n = 1 + dice.below(2); n > 0; --n) rule.peers.push_back(some_cluster_peer(dice, in_egress));
  if (dice.chance(8)) rule.peers.insert(rule.peers.begin(), UnknownPeer{{"planets"}});
  if (in_egress && rule.action == Action::accept && dice.chance(15)) {
    rule.peers.push_back(ClusterDomainNames{{"*.example.com"}});
  }
  const bool named = may_name_ports(rule);
  for (std::size_t n = dice.chance(35) ? 0 : 1 + dice.below(3); n > 0; --n) {
    rule.protocols.push_back(some_cluster_port(dice, named));
  }
  return rule;
}

void put_cluster_policy(World& world, Dice& dice) {
  ClusterNetworkPolicy policy;
  policy.name = dice.pick(kPolicies);
  policy.tier = dice.chance(50) ? Tier::admin : Tier::baseline;
  policy.priority = static_cast<std::uint32_t>(dice.below(3));  // often equal ones
  if (!dice.chance(35)) policy.subject.namespaces = some_selector(dice, true);
  if (!dice.chance(55)) policy.subject.pods = some_selector(dice, false);
  for (std::size_t n = dice.below(4); n > 0; --n) policy.ingress.push_back(random_cluster_rule(dice, false));
  for (std::size_t n = dice.below(4); n > 0; --n) policy.egress.push_back(random_cluster_rule(dice, true));
  policy.audit = dice.chance(12);
  world.objects.cluster_network_policies[policy.name] = policy;
}

std::optional<Enforcement> some_enforcement(Dice& dice) {
  if (dice.chance(60)) return std::nullopt;
  return dice.chance(50) ? Enforcement::strict : Enforcement::standard;
}

void annotate_namespace(World& world, Dice& dice) {
  const std::string name = dice.pick(kNamespaces);
  Namespace& ns = world.objects.namespaces[name];
  ns.name = name;
  ns.labels[kNamespaceNameLabel] = name;
  ns.enforcement = {some_enforcement(dice), some_enforcement(dice)};
  ns.audit = dice.chance(20);
}

void label_nodes(World& world, Dice& dice) {
  for (auto& [name, node] : world.objects.nodes) node.labels = some_labels(dice);
}

template <typename Map>
void audit_some(Map& policies, Dice& dice) {
  if (policies.empty()) return;
  auto& policy = std::next(policies.begin(), static_cast<std::ptrdiff_t>(dice.below(policies.size())))->second;
  policy.audit = !policy.audit;
}

}  // namespace

void add_tiers(World& world, Dice& dice) {
  label_nodes(world, dice);
  // Fewer NetworkPolicies, so that the Baseline is asked too.
  for (int n = 0; n < 2; ++n) {
    if (!world.objects.network_policies.empty() && dice.chance(60)) {
      world.objects.network_policies.erase(dice.pick(world.objects.network_policies).first);
    }
  }
  for (std::size_t n = 1 + dice.below(4); n > 0; --n) put_cluster_policy(world, dice);
  for (std::size_t n = dice.below(3); n > 0; --n) annotate_namespace(world, dice);
  if (dice.chance(15)) audit_some(world.objects.network_policies, dice);
}

void change_tiers(World& world, Dice& dice) {
  const auto what = dice.below(12);
  auto& policies = world.objects.cluster_network_policies;
  if (what < 5) {
    put_cluster_policy(world, dice);
  } else if (what < 7) {
    if (!policies.empty()) policies.erase(dice.pick(policies).first);
  } else if (what < 8) {
    label_nodes(world, dice);
  } else if (what < 10) {
    annotate_namespace(world, dice);
  } else if (what < 11) {
    audit_some(policies, dice);
  } else {
    audit_some(world.objects.network_policies, dice);
  }
  world.questions = dice.next();
}

}  // namespace postern::property
