// SPDX-License-Identifier: Apache-2.0
// What a node would remember of single packets. Its stack sees none of them (sim/netns/packet_exchange.h), so
// nf_conntrack, which policy asks for connections that are older than it (R40), would know nothing. Here they
// are remembered as the virtual cluster's nodes do, by the scenario's clock, and just before policy comes into
// force those that are alive are written into the node's nf_conntrack, as a node has them: what is to a Service
// once, with the ClusterIP in the original tuple and the backend in the reply's.
#pragma once

#include <map>
#include <optional>
#include <span>

#include "net/conntrack_writer.h"
#include "sim/cluster.h"
#include "sim/packet/remembered_connections.h"

namespace postern::sim {

struct NodeSlot;  // sim/netns/topology.h

class NodeMemory {
 public:
  // A frame that passed at the interface of one of the node's pods; `direction` is the pod's.
  void passed(EndpointId endpoint, pn_direction direction, std::span<const std::uint8_t> frame) {
    connections_.passed(endpoint, direction, frame);
  }
  // The node has seen a frame of the client to a Service, and made the other one of it.
  void translated(std::span<const std::uint8_t> frame, std::span<const std::uint8_t> made);
  // It is so late now, on the scenario's clock; never falls but by forget().
  void advance_to(Instant now);
  // Another scenario begins: nothing is remembered, and what was written is somebody else's to delete.
  void forget() { *this = {}; }

  // Makes nf_conntrack hold what is alive of the pods in use, and no longer what was written before and is not.
  // Without `node_conntrack` nothing is written. Errors: io, permission.
  Result<void> write(const NodeSlot& node, const ClusterSettings& settings);

 private:
  using Written = std::map<TrackedTuple, TrackedConnection>;  // by original tuple
  Result<Written> alive(const NodeSlot& node);

  RememberedConnections connections_;
  // As the client's packets have it, and as the backend's end sees them; both ways.
  std::map<TrackedTuple, TrackedTuple> backend_of_;
  std::map<TrackedTuple, TrackedTuple> service_of_;
  Written written_;
};

}  // namespace postern::sim
