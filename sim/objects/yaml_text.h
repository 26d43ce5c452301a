// SPDX-License-Identifier: Apache-2.0
// A JSON value as YAML that people read: block style, with small mappings and lists of scalars on one line.
// Text that some reader of YAML could take for something else is quoted.
#pragma once

#include <nlohmann/json.hpp>

#include <string>

namespace postern::sim {

// Integers, booleans, text, mappings in their order, and lists. Ends with a newline.
std::string yaml_text(const nlohmann::ordered_json& value);

}  // namespace postern::sim
