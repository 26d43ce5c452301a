// SPDX-License-Identifier: Apache-2.0
// `postern monitor`: the verdicts of this node as they are made, a line for each judged packet.
#pragma once

#include <cstdint>
#include <string>

#include "cli/commands/node_state.h"

namespace postern::cli {

// What is shown is what all of these let through.
struct MonitorOptions {
  NodeOptions node;
  std::string pod;         // namespace/name; empty: all
  std::string verdict;     // allow, deny; empty: both
  std::string direction;   // ingress, egress of the pod; empty: both
  std::string protocol;    // TCP, UDP, SCTP, ICMP (of either family); empty: all
  std::uint16_t port = 0;  // of either side; 0: all
  std::string host;        // address of either side; empty: all
  std::uint64_t count = 0;  // ends after so many; 0: when interrupted
};

// Exit status: 0, or 2 if the node cannot be watched.
int run_monitor(const MonitorOptions& options);

}  // namespace postern::cli
