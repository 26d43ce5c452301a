// SPDX-License-Identifier: Apache-2.0
// Connections that are older than the isolation of their pod (R40): which pods a new policy concerns, and
// the writing of what the node remembers into the table of tracked connections, beside the packets that use
// it. What the table knows already is left alone: it knows better.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "engine/abi/tables.h"
#include "engine/enforce/connection_table.h"
#include "engine/enforce/node_connections.h"
#include "engine/policy/resolved_policy.h"

namespace postern {

struct Seeding {
  std::size_t written = 0;
  std::size_t known = 0;   // the table had them, or a packet was quicker
  std::size_t missed = 0;  // no place could be had
};

// `node`: as in the tables. Each entry is written for an epoch that is over, so that its next packet is
// judged by the policy in force (R14). Errors: the table's.
Result<Seeding> seed_connections(ConnectionTable& table, const pn_node& node,
                                 std::span<const NodeConnection> connections);

// Whether `after` may deny answers of connections that `before` let pass without an entry: a direction
// that was not judged is, or the rules by which answers passed are others. `policy_first`: exactly one
// direction was judged, and only what it denies left an entry.
bool needs_seeding(const ResolvedPolicy& policy_before, const EndpointPolicy& before,
                   const ResolvedPolicy& policy_after, const EndpointPolicy& after, bool policy_first);

}  // namespace postern
