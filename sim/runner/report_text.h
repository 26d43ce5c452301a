// SPDX-License-Identifier: Apache-2.0
// Results as a person reads them: a truth table per step, rows from, columns to, one table for each
// protocol and port; then every wrong cell with why.
#pragma once

#include <string>

#include "sim/runner/result.h"

namespace postern::sim {

struct TextOptions {
  bool colour = false;
  std::string backend;           // named in the headline when not empty
  std::size_t max_columns = 40;  // a wider table shows only rows and columns with wrong cells
};

// Ends with a newline.
std::string text_report(const ScenarioResult& result, const TextOptions& options = {});
// The tables of one step alone.
std::string truth_tables(const StepResult& step, const TextOptions& options = {});

}  // namespace postern::sim
