// SPDX-License-Identifier: Apache-2.0
// PolicyEndpoints as text that kubectl takes.
#pragma once

#include <string>
#include <vector>

#include "engine/model/objects.h"

namespace postern::cli {

// One YAML document for each, begun by "---".
std::string to_yaml(const std::vector<PolicyEndpoint>& slices);
// One v1 List of them.
std::string to_json(const std::vector<PolicyEndpoint>& slices);

}  // namespace postern::cli
