// SPDX-License-Identifier: Apache-2.0
// A step's `replay`: a capture judged by the step's objects, counted.
#pragma once

#include "engine/base/result.h"
#include "engine/enforce/backend.h"
#include "sim/cluster.h"
#include "sim/runner/plan.h"
#include "sim/runner/result.h"

namespace postern::sim {

// The capture gets nodes of its own over `factory`: it comes from elsewhere, and knows nothing of the
// connections that the step's probes made. Errors: what sim/replay says, at the line.
Result<ReplayCounts> replay_step(const ClusterSettings& settings, const PlannedStep& planned,
                                 const ReplayLine& line, const BackendFactory& factory);

}  // namespace postern::sim
