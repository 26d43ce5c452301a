// SPDX-License-Identifier: Apache-2.0
// The known names that a misspelt one is nearest to, for messages. Private to engine/manifest and
// sim/scenario.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace postern::manifest {

// "; did you mean x/a or x/b?", at most three, nearest first; empty when none is near.
std::string did_you_mean(std::string_view name, const std::vector<std::string>& known);

}  // namespace postern::manifest
