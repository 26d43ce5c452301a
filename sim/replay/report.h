// SPDX-License-Identifier: Apache-2.0
// A replay's result for people and for programs.
#pragma once

#include <cstddef>
#include <string>

#include "sim/replay/replay.h"

namespace postern::sim {

// Tables of totals, of the `flows` most telling flows (denied first, then midstream), of policies.
std::string replay_text(const ReplayResult& result, std::size_t flows);

// {apiVersion, kind: ReplayResult, captures, totals, flows, policies}; the same for the same input,
// byte for byte. Ends with a newline.
std::string replay_json(const ReplayResult& result);

}  // namespace postern::sim
