// SPDX-License-Identifier: Apache-2.0
// `postern test`: runs scenario files on the backends asked for and reports.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "cli/commands/test_backends.h"

namespace postern::cli {

struct TestOptions {
  std::vector<std::string> paths;
  std::string backend = "sim";       // sim, tc, all, agent
  AgentBackend agent;
  std::vector<std::string> filters;  // globs on the name, any
  std::vector<std::string> labels;   // key=value, all
  std::string shard;                 // "I/N", from 1; empty: everything
  std::string json;                  // files for results; empty: none
  std::string junit;
  std::string via;                   // "service": pairs of pods are asked through a Service; or empty
  bool ignore_unsupported = false;
  bool verbose = false;           // truth tables of passing scenarios too
  std::vector<std::string> argv;  // the whole command line, to say how it would work with rights
};

// Exit status: 0 all hold, 1 some do not, 2 a file could not be read, nothing was selected, a backend
// could not start, or the run was interrupted.
int run_test(const TestOptions& options);

}  // namespace postern::cli
