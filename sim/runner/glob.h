// SPDX-License-Identifier: Apache-2.0
// `*` is any run of characters but '/'; nothing else is special.
#pragma once

#include <string_view>

namespace postern::sim {

bool glob_matches(std::string_view pattern, std::string_view text);

}  // namespace postern::sim
