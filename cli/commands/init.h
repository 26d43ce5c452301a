// SPDX-License-Identifier: Apache-2.0
// `postern init`: a first scenario for a folder of manifests, with what its policies say today.
#pragma once

#include <string>

namespace postern::cli {

struct InitOptions {
  std::string manifests;                 // a folder, or one file
  std::string output = "scenario.yaml";  // "-" is standard output
  bool force = false;                    // overwrite
};

// Exit status: 0 written, 2 something could not be read or written; then nothing is written.
int run_init(const InitOptions& options);

}  // namespace postern::cli
