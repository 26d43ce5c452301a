// SPDX-License-Identifier: Apache-2.0
// `--via service`: the same cells, asked through Services. Each destination pod gets a Service of its
// own (no selector, an EndpointSlice that names the pod, service port = target port), so that every
// verdict has to come out as it does without.
#pragma once

#include "engine/base/result.h"
#include "engine/manifest/cluster_state.h"
#include "sim/runner/plan.h"

namespace postern::sim {

// Changes the step's cells between two pods, and adds the Services to its placement. As written stay:
// self pairs, ICMP, host network pods, addresses, and what is asked through a Service anyway. Errors:
// no address left for a ClusterIP.
Result<void> ask_through_services(manifest::ClusterState& state, PlannedStep& planned);

}  // namespace postern::sim
