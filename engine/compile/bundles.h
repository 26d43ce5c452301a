// SPDX-License-Identifier: Apache-2.0
// Terms that stand in the same rules, all of them, always match together: no rule can tell an address
// of one from an address of another. Such terms make a bundle, and signatures are sets of bundles. So
// a rule with 60,000 blocks makes one class and not 60,000.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/policy/resolved_policy.h"

namespace postern {

// For each term of the policy the number of its bundle, from 1 in order of the first term; 0: no rule
// names the term.
std::vector<std::uint32_t> bundle_terms(const ResolvedPolicy& policy);

}  // namespace postern
