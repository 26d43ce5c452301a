// SPDX-License-Identifier: Apache-2.0
// The kernel's table of fragments (engine/abi/fragments.h) as user space changes it, each bucket under
// its lock. Entries live for seconds and belong to one set of tables, so nobody takes them over and only
// a simulated clock ages them; a packet that passes meanwhile may be noted in vain.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/abi/fragments.h"
#include "engine/base/result.h"

namespace postern::tc {

// `map_fd` has this many buckets. Errors: io, permission.
Result<void> age_fragments(int map_fd, std::uint32_t buckets, std::uint32_t ticks);
Result<void> forget_fragments(int map_fd, std::uint32_t buckets);
// Those in use, in order of bucket and way.
Result<std::vector<pn_fragment_way>> read_fragments(int map_fd, std::uint32_t buckets);

}  // namespace postern::tc
