// SPDX-License-Identifier: Apache-2.0
// From the paths of a command line to the scenarios that are to run.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "cli/commands/test.h"
#include "sim/runner/report_files.h"
#include "sim/runner/selection.h"
#include "sim/scenario/scenario.h"

namespace postern::cli {

struct LoadedScenarios {
  std::vector<std::unique_ptr<sim::Scenario>> chosen;
  std::size_t skipped = 0;  // left out by filters, labels and shards
  std::vector<sim::Refusal> refusals;
  std::vector<std::string> inputs;  // every file that was read, manifests included
};

// Says on standard error what was refused (a bad file, a folder that holds no scenario), what was left
// out of manifests, and which names stand for more than one scenario.
LoadedScenarios load_scenarios(const TestOptions& options, const sim::Selection& selection);

// Says it, and keeps it for the reports.
void refuse_file(std::vector<sim::Refusal>& refusals, const std::string& file,
                 std::vector<std::string> messages);

}  // namespace postern::cli
