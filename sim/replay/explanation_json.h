// SPDX-License-Identifier: Apache-2.0
// An explanation for programs.
#pragma once

#include <string>

#include "engine/explain/explain.h"

namespace postern::sim {

// {apiVersion, kind: Explanation, traffic, verdict, ends: [egress, ingress], hints}; instead of `ends`,
// `no_endpoint` where nothing is judged. Ends with a newline.
std::string explanation_json(const Explanation& explanation);

}  // namespace postern::sim
