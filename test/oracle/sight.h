// SPDX-License-Identifier: Apache-2.0
// Inside of the reference evaluator: a packet as the rules of one subject see it, and the few questions that
// rules of every tier ask of it. policy.cpp has NetworkPolicies and the order of tiers, cluster_tiers.cpp the
// tiers of ClusterNetworkPolicies, services.cpp who stands behind a ClusterIP.
#pragma once

#include <optional>
#include <set>
#include <string>

#include "test/oracle/policy.h"

namespace postern::oracle {

struct Sight {
  const Cluster& cluster;
  const Pod& subject;
  Direction direction;
  IpAddress peer;
  const Pod* pod;  // the peer, if it is a pod
  bool nobody;     // an address that no selector and no block matches: a ClusterIP at egress (R7)
  Protocol protocol;
  std::uint16_t port;
};

// ---- match.cpp ----

// meta/v1 LabelSelector.
bool selects(const LabelSelector& selector, const Labels& labels);
// R34: the name label is always there and always the name.
Labels labels_of_namespace(const ClusterSnapshot& objects, const std::string& name);
// R6, R36.
bool in_block(const Cidr& block, const IpAddress& address);
// R5.
bool in_block(const IpBlock& block, const IpAddress& address);
// R23, R24.
bool is_live(const Pod& pod);
bool has_address(const Pod& pod, const IpAddress& address);

// ---- cluster_tiers.cpp ----

// What a tier of ClusterNetworkPolicies says; absent: no rule of it matches. Several rules only where
// policies of equal priority say the same (R29).
struct Said {
  Action action = Action::deny;
  std::set<RuleName> rules;
};
std::optional<Said> says(const Sight& sight, Tier tier);
// Whether a policy in force has rules for the pod in this direction.
bool has_cluster_rules(const Cluster& cluster, const Pod& pod, Direction direction);

// ---- services.cpp ----

const Service* service_at(const ClusterSnapshot& objects, const IpAddress& address);

}  // namespace postern::oracle
