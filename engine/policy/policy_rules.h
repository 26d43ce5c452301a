// SPDX-License-Identifier: Apache-2.0
// The rules of a NetworkPolicy with selectors and destination names resolved: once for each policy and
// direction, whoever its subjects are. Only named ports at ingress wait for a subject (R9).
#pragma once

#include <map>
#include <utility>
#include <vector>

#include "engine/base/result.h"
#include "engine/policy/resolve.h"
#include "engine/policy/term_table.h"

namespace postern {

// A rule of a policy before its subject is known.
struct RuleForSubjects {
  ResolvedRule rule;              // `peers` index the TermTable
  std::vector<PolicyPort> named;  // ingress only: to be resolved on the subject
};

class PolicyRuleTable {
 public:
  PolicyRuleTable(TermTable& terms, RuleRegistry& rules, bool blocks_name_cluster_ips)
      : terms_(terms), rules_(rules), blocks_name_cluster_ips_(blocks_name_cluster_ips) {}

  // Rules that can match nothing, whoever the subject is, are left out. `policy` must outlive the
  // table. Errors: table_full, when the registry has no number left.
  Result<const std::vector<RuleForSubjects>*> rules_of(const NetworkPolicy& policy, Direction direction);

 private:
  void resolve_peers(const PolicyRule& rule, const std::string& ns, ResolvedRule& out);
  void add_egress_named(const PolicyRule& rule, const std::string& ns, const RuleForSubjects& base,
                        std::vector<RuleForSubjects>& out);

  TermTable& terms_;
  RuleRegistry& rules_;
  bool blocks_name_cluster_ips_;  // R46
  std::map<std::pair<const NetworkPolicy*, Direction>, std::vector<RuleForSubjects>> resolved_;
};

// Adds the rule as it is for one subject; nothing where it has no port of the names.
void finish_on_subject(const RuleForSubjects& source, const Pod& subject, std::vector<ResolvedRule>& out);

// The ports of the subject that an entry with a name stands for (R9, R35).
std::vector<PortMatch> ports_on(const Pod& subject, const PolicyPort& named);

// Whether an entry names a port instead of giving numbers, and which. Null: numbers.
const std::string* name_of(const PolicyPort& port);
// The numbers of an entry that has no name.
PortMatch match_of(const PolicyPort& port);

}  // namespace postern
