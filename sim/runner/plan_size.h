// SPDX-License-Identifier: Apache-2.0
// What the plan of a scenario takes in memory: every step holds all objects that exist then, and its
// cells. A file of some kilobytes can ask for any number of both, so both are bounded over all steps.
#pragma once

#include <cstddef>

#include "engine/base/result.h"
#include "sim/runner/plan.h"

namespace postern::sim {

class PlanSize {
 public:
  explicit PlanSize(const PlanLimits& limits) : limits_(limits) {}

  // Errors: with this step it is too much.
  Result<void> add(const PlannedStep& step);

 private:
  PlanLimits limits_;
  std::size_t bytes_ = 0;
  std::size_t cells_ = 0;
  std::size_t pairs_ = 0;
};

}  // namespace postern::sim
