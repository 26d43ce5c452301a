// SPDX-License-Identifier: Apache-2.0
// ClusterNetworkPolicies -> rules of the pods that they select. Each policy and direction is resolved once;
// only named ports at ingress wait for a subject (R43).
//
// A rule with a peer that nobody here knows fails closed (R31): an Accept of it is left out, a Deny or a Pass
// becomes a Deny for every peer. Domain names match nothing, since nobody here resolves them.
#pragma once

#include <map>
#include <utility>
#include <vector>

#include "engine/base/result.h"
#include "engine/policy/policy_layers.h"
#include "engine/policy/policy_rules.h"

namespace postern {

class ClusterRuleTable {
 public:
  // All of them must outlive the table.
  ClusterRuleTable(const ClusterSnapshot& cluster, TermTable& terms, RuleRegistry& rules);

  // Adds what the policies that select this pod say. Errors: table_full.
  Result<void> apply(const Pod& pod, PolicyLayers& layers);

 private:
  using Key = std::pair<const ClusterNetworkPolicy*, Direction>;

  Result<const std::vector<RuleForSubjects>*> rules_of(const ClusterNetworkPolicy& policy, Direction direction);
  void resolve_rule(const Key& of, const ClusterRule& written, const ResolvedRule& base,
                    std::vector<RuleForSubjects>& out);
  void add_egress_named(const ClusterRule& written, const ResolvedRule& base, std::vector<RuleForSubjects>& out);

  const ClusterSnapshot& cluster_;
  TermTable& terms_;
  RuleRegistry& rules_;
  // Tells policies of one tier and priority apart, by name; a policy of another priority changes none of them.
  std::map<const ClusterNetworkPolicy*, std::uint32_t> ranks_;
  std::map<Key, std::vector<RuleForSubjects>> resolved_;
};

// Whether some peer is of a kind that nobody here knows (R31).
bool has_unknown_peer(const ClusterRule& rule);
// What the rule does: Deny where a Pass has to fail closed.
Action action_of(const ClusterRule& rule);

}  // namespace postern
