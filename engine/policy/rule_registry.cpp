// SPDX-License-Identifier: Apache-2.0
#include <utility>

#include "engine/policy/resolve.h"

namespace postern {

RuleId RuleRegistry::id_of(const RuleOrigin& origin) {
  const auto known = ids_.find(origin);
  if (known != ids_.end()) return known->second;
  if (origins_.size() >= PN_RULE_ID_MAX) return RuleId{0};
  do {
    if (next_ > PN_RULE_ID_MAX) next_ = 1;
  } while (origins_.contains(RuleId{next_++}));
  const RuleId id{next_ - 1};
  ids_.emplace(origin, id);
  origins_.emplace(id, origin);
  return id;
}

Result<RuleId> RuleRegistry::number_of(const RuleOrigin& origin) {
  const RuleId id = id_of(origin);
  if (id.value != 0) return id;
  return fail(ErrorCode::table_full, "rule numbers are used up at rule " + std::to_string(origin.index) + " of " +
                                         origin.policy.key.to_string() + ": there are " +
                                         std::to_string(PN_RULE_ID_MAX));
}

const RuleOrigin* RuleRegistry::find(RuleId id) const {
  const auto found = origins_.find(id);
  return found == origins_.end() ? nullptr : &found->second;
}

// Those that were unused the last time already go; those that have become so since go the next time.
void RuleRegistry::forget_unused(const ResolvedPolicy& in_force) {
  if (origins_.size() < look_at_) return;
  std::set<RuleId> used;
  for (const auto& endpoint : in_force.endpoints) {
    for (const Direction direction : kDirections) {
      for (const auto& rule : endpoint.at(direction).with_audit().rules) used.insert(rule.id);
    }
  }
  for (const RuleId id : std::exchange(unused_, {})) {
    const auto gone = origins_.find(id);
    if (used.contains(id) || gone == origins_.end()) continue;
    ids_.erase(gone->second);
    origins_.erase(gone);
  }
  for (const auto& [id, origin] : origins_) {
    if (!used.contains(id)) unused_.insert(id);
  }
  look_at_ = origins_.size() + kUnused;
}

}  // namespace postern
