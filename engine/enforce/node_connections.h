// SPDX-License-Identifier: Apache-2.0
// The port to what the node itself remembers of connections: nf_conntrack on a real one. A policy that
// isolates a pod asks it for the connections that are older than the isolation (R40).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/base/ids.h"
#include "engine/base/ip.h"
#include "engine/base/result.h"
#include "engine/datapath/parse.h"

namespace postern {

// A connection as the interface of one of its ends sees it: behind what the node translates, or before it.
struct NodeConnection {
  EndpointId endpoint;         // whose interface
  bool opened_by_pod = false;  // by that endpoint's pod; else by its peer
  pn_tuple tuple{};            // of a packet of the opener; ICMP: both ports are the id
  std::uint32_t state = 0;     // those of PN_CT_REPLIED, PN_CT_FIN_*, PN_CT_RST that hold
  std::uint32_t idle = 0;      // ticks since its last packet, where that is known
};

struct NodeConnectionsOf {
  EndpointId endpoint;
  std::vector<IpAddress> addresses;  // the pod's
};

class NodeConnections {
 public:
  virtual ~NodeConnections() = default;
  // Those that are alive and have one of these pods at an end, each as that pod's interface sees it.
  // Errors: not_found, where the node remembers nothing that counts, with why; io, permission.
  virtual Result<std::vector<NodeConnection>> live(std::span<const NodeConnectionsOf> pods) = 0;
};

}  // namespace postern
