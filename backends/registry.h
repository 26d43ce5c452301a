// SPDX-License-Identifier: Apache-2.0
// The one list of backends. Adding a backend is its folder, one line here and one line that runs the
// contract suite on it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/enforce/backend.h"

namespace postern {

struct BackendOptions {
  std::string bpf_object;  // tc: load this object file instead of the embedded one
};

struct BackendEntry {
  std::string_view name;         // what --backend takes
  std::string_view description;  // one line
  BackendFactory factory;
};

// In the order in which they are listed and, with `--backend all`, run.
std::vector<BackendEntry> all_backends(const BackendOptions& options = {});

}  // namespace postern
