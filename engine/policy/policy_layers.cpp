// SPDX-License-Identifier: Apache-2.0
#include "engine/policy/policy_layers.h"

#include <utility>

#include "engine/policy/sort_unique.h"

namespace postern {

namespace {

DirectionRules together(DirectionRules rules, const DirectionRules& more) {
  rules.isolated = rules.isolated || more.isolated;
  rules.strict = rules.strict || more.strict;
  rules.isolating.insert(rules.isolating.end(), more.isolating.begin(), more.isolating.end());
  rules.rules.insert(rules.rules.end(), more.rules.begin(), more.rules.end());
  sort_unique(rules.isolating);
  return rules;
}

}  // namespace

std::array<DirectionPolicy, 2> PolicyLayers::finish() && {
  std::array<DirectionPolicy, 2> out;
  for (std::size_t i = 0; i < out.size(); ++i) {
    sort_unique(enforced_[i].isolating);
    if (in_audit_[i].decides()) out[i].if_enforced = together(enforced_[i], in_audit_[i]);
    static_cast<DirectionRules&>(out[i]) = std::move(enforced_[i]);
  }
  return out;
}

}  // namespace postern
