// SPDX-License-Identifier: Apache-2.0
// Reads what an earlier process left behind in pinned maps: which endpoint each interface had, and
// where epochs, rules and the keyed hash of connections left off.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "backends/tc/pin_store.h"
#include "engine/enforce/backend.h"

namespace postern::tc {

// `generations`: newest first. Without any, the interfaces alone are known. The connections' part is
// filled in if there is a generation; last_endpoint only from what interfaces have.
Result<Inheritance> read_inheritance(std::span<const PinnedGeneration> generations,
                                     std::span<const std::uint32_t> ifindexes);

// The tick of a generation's connections; they mean nothing to a datapath with another one.
Result<std::uint32_t> tick_shift_of(const PinnedGeneration& generation);

}  // namespace postern::tc
