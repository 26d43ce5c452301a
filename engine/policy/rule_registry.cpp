// SPDX-License-Identifier: Apache-2.0
#include "engine/policy/resolve.h"

namespace postern {

RuleId RuleRegistry::id_of(const RuleOrigin& origin) {
  const auto known = ids_.find(origin);
  if (known != ids_.end()) return known->second;
  if (next_ > PN_RULE_ID_MAX) return RuleId{0};
  const RuleId id{next_++};
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

}  // namespace postern
