// SPDX-License-Identifier: Apache-2.0
// `postern policy --pod`: the kernel's tables of a pod, decoded into who may do what by which rule.
#pragma once

#include <string>

#include "cli/commands/node_state.h"

namespace postern::cli {

struct PolicyOptions {
  NodeOptions node;
  std::string pod;    // namespace/name
  bool wide = false;  // every prefix, however many
};

// Exit status: 0, or 2 if the node cannot be read or has no such pod.
int run_policy(const PolicyOptions& options);

}  // namespace postern::cli
