// SPDX-License-Identifier: Apache-2.0
// What the node of this datapath remembers of connections: nf_conntrack of the caller's network namespace,
// read by ctnetlink. The caller waits for it, so where the table is large and the pods are few the kernel is asked
// for each of their IPv4 addresses by itself, and for all of IPv6: to walk over a connection costs it a small part
// of what it costs to tell of it.
#pragma once

#include "engine/enforce/node_connections.h"

namespace postern::tc {

class NodeConntrack final : public NodeConnections {
 public:
  // Read whole up to so many connections for each walk over the table that asking otherwise takes.
  static constexpr std::uint64_t kWorthAWalk = 5000;
  explicit NodeConntrack(std::uint64_t worth_a_walk = kWorthAWalk) : worth_a_walk_(worth_a_walk) {}

  // A connection through a Service has two faces: at the client's interface it is to the ClusterIP, at the
  // backend's from whoever the node says the client is. Errors also: not_found, where nf_conntrack is not
  // in use.
  Result<std::vector<NodeConnection>> live(std::span<const NodeConnectionsOf> pods) override;

 private:
  std::uint64_t worth_a_walk_;
};

}  // namespace postern::tc
