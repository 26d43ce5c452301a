// SPDX-License-Identifier: Apache-2.0
// The rules of NetworkPolicies as addresses and numbers, with nothing left to look up but the names of
// ports at ingress, which are each subject's own (R9).
#pragma once

#include <array>
#include <map>
#include <vector>

#include "engine/policy/policy_rules.h"

namespace postern {

struct PlainRule {
  bool any_peer = false;
  std::vector<IpAddress> hosts;  // sorted, unique
  std::vector<IpBlock> blocks;
  bool any_port = false;         // else some of `ports`
  std::vector<PortMatch> ports;  // sorted, unique
  std::vector<PolicyPort> named;

  [[nodiscard]] bool admits(const IpAddress& address, Protocol protocol, std::uint16_t port) const;
};

// Pods by their names, wherever they stand in memory.
struct PodOrder {
  bool operator()(const Pod* a, const Pod* b) const { return a->key < b->key; }
};
template <typename T>
using ByPod = std::map<const Pod*, T, PodOrder>;

struct PlainPolicy {
  const NetworkPolicy* policy = nullptr;
  std::vector<const Pod*> subjects;  // by name
  std::array<std::vector<PlainRule>, 2> rules;  // of the directions that it isolates

  [[nodiscard]] const std::vector<PlainRule>& at(Direction direction) const {
    return rules[index_of(direction)];
  }
  [[nodiscard]] bool isolates(Direction direction) const {
    return direction == Direction::ingress ? policy->isolates_ingress : policy->isolates_egress;
  }
  // Whether a rule without peers and ports lets its subjects go everywhere.
  [[nodiscard]] bool admits_everything(Direction direction) const;
};

// Every policy of the cluster, by name. The cluster must outlive them. Errors: table_full.
Result<std::vector<PlainPolicy>> plain_policies(const ClusterSnapshot& cluster);

}  // namespace postern
