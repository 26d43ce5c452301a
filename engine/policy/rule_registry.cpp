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

const RuleOrigin* RuleRegistry::find(RuleId id) const {
  const auto found = origins_.find(id);
  return found == origins_.end() ? nullptr : &found->second;
}

}  // namespace postern
