// SPDX-License-Identifier: Apache-2.0
// Which known names a misspelt one may have meant.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace postern {

// Letters to insert, remove or change; stops counting at `limit`.
std::size_t edit_distance(std::string_view a, std::string_view b, std::size_t limit = 64);

// Up to `count` of `names`, nearest first, equal ones in their order; none that is wholly different.
std::vector<std::string> nearest_names(std::string_view name, const std::vector<std::string>& names,
                                       std::size_t count = 3);

// "; did you mean x/a or x/b?", or empty. `before` stands before each, as a flag's dashes, which do not make two
// names alike.
std::string did_you_mean(std::string_view name, const std::vector<std::string>& names, std::string_view before = {});

}  // namespace postern
