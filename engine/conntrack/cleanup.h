// SPDX-License-Identifier: Apache-2.0
// What becomes of a tracked connection when the table is cleaned up: a pure function of the entry, the
// time, and what the node's own conntrack says. The entry's own timeout decides (R25b); the node's
// conntrack only ends what is idle here, was in it once, and is not any more. The rows of docs/semantics.md.
#pragma once

#include <cstdint>

#include "engine/abi/conntrack.h"
#include "engine/abi/tables.h"

namespace postern {

// What the node's nf_conntrack says of a connection. not_asked: nothing that counts (not in use, not
// readable, or only expiry is wanted).
enum class NodeConntrackView : std::uint8_t { not_asked, has_it, lacks_it };

enum class ConnectionFate : std::uint8_t {
  keep,
  note,    // keep, and remember that the node's conntrack had it
  retire,  // end it: idle here, gone there
  free,    // it has ended: its place may be emptied
};

struct CleanupClock {
  const pn_node* node = nullptr;  // timeouts, in ticks
  std::uint32_t now = 0;          // tick before anything was read, here or there
  std::uint32_t least_idle = 0;   // ticks: who was seen more lately is never retired
};

// An entry is emptied only this many ticks after it ended. A packet that found it alive in its last tick
// has then long written what it found.
inline constexpr std::uint32_t kTicksAfterTheEnd = 5;

ConnectionFate fate_of(const pn_ct_key& key, const pn_ct_value& value, const CleanupClock& clock,
                       NodeConntrackView node);

}  // namespace postern
