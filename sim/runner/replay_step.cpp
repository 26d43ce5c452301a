// SPDX-License-Identifier: Apache-2.0
#include "sim/runner/replay_step.h"

#include <span>

#include "sim/replay/replay.h"

namespace postern::sim {

namespace {

// A capture that cannot be read makes the scenario that names it a bad file.
tl::unexpected<Error> at_line(Error error, const ReplayLine& line) {
  if (error.location.file == line.capture) {
    return fail(ErrorCode::invalid_input, "capture " + error.to_string(), line.location);
  }
  if (error.location.file.empty()) error.location = line.location;
  return tl::unexpected<Error>(std::move(error));
}

}  // namespace

Result<ReplayCounts> replay_step(const ClusterSettings& settings, const PlannedStep& planned,
                                 const ReplayLine& line, const BackendFactory& factory) {
  if (!factory)
    return fail(ErrorCode::unsupported, "replay needs a backend that classifies packets", line.location);
  ReplaySettings replay;
  const auto vantage = parse_vantage(line.vantage);
  if (!vantage) return at_line(vantage.error(), line);
  replay.vantage = *vantage;
  replay.enforcer = settings.enforcer;
  replay.limits = settings.limits;
  const auto result =
      replay_captures(std::span(&line.capture, 1), planned.placement.cluster, replay, factory);
  if (!result) return at_line(result.error(), line);
  for (const ReplayedCapture& capture : result->captures) {
    if (capture.damaged) return at_line(*capture.damaged, line);
  }
  return ReplayCounts{line.allowed, line.denied, result->totals.allowed, result->totals.denied};
}

}  // namespace postern::sim
