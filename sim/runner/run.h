// SPDX-License-Identifier: Apache-2.0
// Runs a plan on a cluster: step by step, place, let time pass, probe, send packets, compare.
#pragma once

#include <cstddef>
#include <functional>

#include "engine/base/result.h"
#include "sim/cluster.h"
#include "sim/runner/plan.h"
#include "sim/runner/result.h"

namespace postern::sim {

struct RunOptions {
  // Judges the captures of `replay`; without it a scenario that has one is not supported.
  BackendFactory replay_backend{};
  // Wrong cells that get an explanation, per step; the rest are only counted wrong.
  std::size_t explained = 20;
  // Asked before each step; true ends the scenario with an error. Empty: never.
  std::function<bool()> stopped{};
};

// Errors are troubles of the rig (a table that is too small, a namespace that cannot be made), never
// wrong verdicts.
Result<ScenarioResult> run_plan(const Plan& plan, Cluster& cluster, const RunOptions& options = {});

}  // namespace postern::sim
