// SPDX-License-Identifier: Apache-2.0
// `postern status`: what is in force on this node.
#pragma once

#include "cli/commands/node_state.h"

namespace postern::cli {

// Exit status: 0, or 2 if the node cannot be read.
int run_status(const NodeOptions& options);

}  // namespace postern::cli
