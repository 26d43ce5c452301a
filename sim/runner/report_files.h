// SPDX-License-Identifier: Apache-2.0
// Results as machines read them: JSON as the scenario format specifies it, and JUnit XML. What they
// hold besides `run` depends on verdicts alone, byte for byte.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/runner/result.h"

namespace postern::sim {

struct RunInfo {
  std::string backend;  // "sim", "tc", "all"
  std::string version;
  std::int64_t duration_ms = 0;
  std::vector<Difference> differences{};  // only with "all"
  std::string via{};                    // "service", or empty
  bool interrupted = false;             // ended by a signal: there is more that was not judged
};

// A scenario's outcome in a run: its result (of the first backend, where there are several), whether
// it passed on every backend without a difference, and the error that ended it, if one did.
struct Outcome {
  ScenarioResult result;
  bool passed = false;
  bool refused = false;            // not supported yet, or a bad file after all: no outcome
  std::string error;               // trouble of the rig; empty: none
  std::vector<std::string> notes;  // JUnit's text of a failure
};

// A file that was not run at all.
struct Refusal {
  std::string file;
  std::vector<std::string> messages;
};

std::string json_report(const RunInfo& run, const std::vector<Outcome>& outcomes);
std::string junit_report(const std::vector<Outcome>& outcomes, const std::vector<Refusal>& refusals);

}  // namespace postern::sim
