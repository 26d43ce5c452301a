// SPDX-License-Identifier: Apache-2.0
// `postern conntrack list` and `flush`: the connections that are tracked on this node.
#pragma once

#include <string>

#include "cli/commands/node_state.h"

namespace postern::cli {

struct ConntrackOptions {
  NodeOptions node;
  std::string pod;   // namespace/name; empty: all
  bool all = false;  // flush: of every pod
};

// Exit status: 0, or 2 if the node cannot be read or changed.
int run_conntrack_list(const ConntrackOptions& options);
int run_conntrack_flush(const ConntrackOptions& options);

}  // namespace postern::cli
