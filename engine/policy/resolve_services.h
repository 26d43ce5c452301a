// SPDX-License-Identifier: Apache-2.0
// The ClusterIPs of a cluster with the backends of each port (R7), as one node has to know them.
#pragma once

#include <vector>

#include "engine/model/snapshot.h"
#include "engine/policy/resolved_policy.h"

namespace postern {

// A Service without ClusterIP is not there. Where several claim one ClusterIP it has the ports of all
// of them, and of those that share a port the first one by name answers. `endpoints`: this node's.
std::vector<ResolvedService> resolve_services(const ClusterSnapshot& cluster,
                                              const std::vector<EndpointPolicy>& endpoints);

}  // namespace postern
