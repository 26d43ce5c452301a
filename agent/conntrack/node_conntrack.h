// SPDX-License-Identifier: Apache-2.0
// The node's own conntrack, read by ctnetlink: a dump of both families and all zones in the network
// namespace of the calling thread, taken in piece by piece. It is never made to start tracking: where the
// module is not loaded nothing is asked, since asking would load it.
#pragma once

#include <memory>

#include "agent/conntrack/listed_connections.h"
#include "engine/base/result.h"

namespace postern::agent {

// A reader of the node's conntrack.
class NodeConntrack {
 public:
  virtual ~NodeConntrack() = default;
  // Begins a dump; one before it is given up. Errors: not_found, with why the node's conntrack says nothing
  // that counts (not loaded, empty, nearly full); io, permission.
  virtual Result<void> begin() = 0;
  // Takes in some of it. True: that was all. Errors: as begin(); io, where a part is missing.
  virtual Result<bool> step(ListedConnections& into) = 0;
};

std::unique_ptr<NodeConntrack> make_node_conntrack();

}  // namespace postern::agent
