// SPDX-License-Identifier: Apache-2.0
// The EndpointSlices of Services with a selector, as a cluster's own controller keeps them. An API server alone
// has nobody who writes them, and an agent that is fed by PolicyEndpoints knows backends by nothing else.
#pragma once

#include <vector>

#include "engine/model/snapshot.h"

namespace postern::sim {

// One for each port of a Service, family and number of the target port, with the ready backends as its end points;
// of a port without any none. They are named after the Service: SERVICE-endpoints-N.
std::vector<EndpointSlice> controller_slices(const ClusterSnapshot& cluster);

}  // namespace postern::sim
