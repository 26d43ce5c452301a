// SPDX-License-Identifier: Apache-2.0
// The older way onto a hook: a filter of the clsact qdisc. Filters and qdisc may be shared with
// others, so only our own filter is ever removed, and the qdisc only if we made it and nobody else's
// filter is left on either hook.
#pragma once

#include <cstdint>
#include <memory>

#include "backends/tc/attachment.h"

namespace postern::tc {

// Our filter's place: the first priority, and a handle that nobody picks by chance ("pn").
inline constexpr std::uint32_t kFilterPriority = 1;
inline constexpr std::uint32_t kFilterHandle = 0x706e;

Result<std::unique_ptr<Attachment>> attach_clsact(std::uint32_t ifindex, Hook hook, int program_fd);

}  // namespace postern::tc
