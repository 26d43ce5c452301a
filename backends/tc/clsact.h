// SPDX-License-Identifier: Apache-2.0
// The older way onto a hook: a filter of the clsact qdisc. Filters and qdisc may be shared with
// others, so only our own filter is ever removed, and the qdisc only if we made it and nobody else's
// filter is left on either hook.
#pragma once

#include <cstdint>
#include <memory>

#include "backends/tc/attachment.h"
#include "backends/tc/filters.h"

namespace postern::tc {

// Our filter's place: the first priority, and a handle that nobody picks by chance ("pn").
inline constexpr std::uint32_t kFilterPriority = 1;
inline constexpr std::uint32_t kFilterHandle = 0x706e;

// Whether a filter is one of Postern's, whichever process and version put it there.
bool is_ours(const Filter& filter);

Result<std::unique_ptr<Attachment>> attach_clsact(const HookPlace& place, int program_fd);
// Null: the folder has no mark of one.
std::unique_ptr<Attachment> pinned_clsact(const HookPlace& place);

}  // namespace postern::tc
