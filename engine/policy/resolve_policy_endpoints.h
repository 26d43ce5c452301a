// SPDX-License-Identifier: Apache-2.0
// Joined PolicyEndpoints -> rules of the pods that they list. All single addresses of a rule are one
// term, keyed by the policy, direction and ports: addresses that come and go are host words of the
// tables, whatever their number, and never a new term.
#pragma once

#include <map>
#include <span>
#include <utility>
#include <vector>

#include "engine/base/result.h"
#include "engine/policy/policy_endpoints.h"
#include "engine/policy/policy_layers.h"
#include "engine/policy/resolve.h"
#include "engine/policy/term_table.h"

namespace postern {

class EndpointRuleTable {
 public:
  // Both must outlive the table.
  struct Sources {
    TermTable& terms;
    RuleRegistry& rules;
    bool blocks_name_cluster_ips = true;  // R46
  };
  // `endpoints`: the only pods that will be asked for.
  EndpointRuleTable(const ClusterSnapshot& cluster, std::span<const LocalEndpoint> endpoints,
                    const Sources& sources);

  // Adds what the policies that list this pod say; `audit`: its namespace puts them in audit. Errors: slices
  // that disagree (invalid_input, names them); table_full.
  Result<void> apply(const Pod& pod, bool audit, PolicyLayers& layers);

 private:
  Result<const std::vector<ResolvedRule>*> resolve(const JoinedPolicy& policy, Direction direction);

  Sources sources_;
  JoinedPolicies joined_;
  std::map<NamespacedName, std::vector<const JoinedPolicy*>> by_pod_;  // those that select it
  std::map<std::pair<const JoinedPolicy*, Direction>, std::vector<ResolvedRule>> resolved_;
};

}  // namespace postern
