// SPDX-License-Identifier: Apache-2.0
// One run of a program that reads its input, writes its output and ends: what a CNI plug-in is.
#pragma once

#include <string>
#include <vector>

#include "engine/base/result.h"

namespace postern::sim {

struct PluginRun {
  std::string program;                    // path
  std::vector<std::string> environment;   // "NAME=value"; nothing else of the caller's
  std::string input;                      // at most some KiB
};

struct PluginOutcome {
  int status = 0;  // exit status; 128 and the signal's number when one ended it
  std::string output;
};

// Waits for its end, half a minute at most. In the calling thread's network namespace; what it writes to
// standard error comes out of the caller's. Errors: io.
Result<PluginOutcome> run_plugin(const PluginRun& run);

}  // namespace postern::sim
