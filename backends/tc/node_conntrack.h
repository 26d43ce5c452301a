// SPDX-License-Identifier: Apache-2.0
// What the node of this datapath remembers of connections: nf_conntrack of the caller's network namespace,
// read whole by ctnetlink.
#pragma once

#include "engine/enforce/node_connections.h"

namespace postern::tc {

class NodeConntrack final : public NodeConnections {
 public:
  // A connection through a Service has two faces: at the client's interface it is to the ClusterIP, at the
  // backend's from whoever the node says the client is. Errors also: not_found, where nf_conntrack is not
  // in use.
  Result<std::vector<NodeConnection>> live(std::span<const NodeConnectionsOf> pods) override;
};

}  // namespace postern::tc
