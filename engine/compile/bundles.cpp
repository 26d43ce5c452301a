// SPDX-License-Identifier: Apache-2.0
#include "engine/compile/bundles.h"

#include <set>
#include <tuple>
#include <unordered_map>

namespace postern {

namespace {

// Endpoints repeat each other's rules; what a rule does to bundles depends on its peers alone.
struct ByPeers {
  bool operator()(const ResolvedRule* a, const ResolvedRule* b) const { return a->peers < b->peers; }
};

std::set<const ResolvedRule*, ByPeers> distinct_rules(const ResolvedPolicy& policy) {
  std::set<const ResolvedRule*, ByPeers> rules;
  for (const auto& endpoint : policy.endpoints) {
    for (const auto& direction : endpoint.directions) {
      for (const auto& rule : direction.with_audit().rules) {
        if (!rule.any_peer) rules.insert(&rule);
      }
    }
  }
  return rules;
}

}  // namespace

// Starts with all terms in one part and cuts each part at each rule into what the rule names and
// what it does not.
std::vector<std::uint32_t> bundle_terms(const ResolvedPolicy& policy) {
  constexpr std::uint32_t kUnnamed = 0;
  std::vector<std::uint32_t> part(policy.terms.size(), kUnnamed);
  std::uint32_t next = kUnnamed + 1;
  std::unordered_map<std::uint32_t, std::uint32_t> cut;
  for (const ResolvedRule* rule : distinct_rules(policy)) {
    cut.clear();
    for (const TermIndex term : rule->peers) {
      const auto [found, inserted] = cut.try_emplace(part[term], next);
      if (inserted) ++next;
      part[term] = found->second;
    }
  }
  std::unordered_map<std::uint32_t, std::uint32_t> number;
  for (auto& of_term : part) {
    if (of_term == kUnnamed) continue;
    of_term = number.try_emplace(of_term, static_cast<std::uint32_t>(number.size() + 1)).first->second;
  }
  return part;
}

}  // namespace postern
