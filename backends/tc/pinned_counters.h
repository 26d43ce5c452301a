// SPDX-License-Identifier: Apache-2.0
// Counters of an agent that runs elsewhere, read from its pins without disturbing it.
#pragma once

#include <cstdint>
#include <string>

#include "engine/base/result.h"

namespace postern::tc {

// Packets that were dropped so far, whatever their direction and reason; none as long as nothing is
// pinned there. Errors: io, permission.
Result<std::uint64_t> pinned_drops(const std::string& pin_path);

}  // namespace postern::tc
