// SPDX-License-Identifier: Apache-2.0
// `postern trace`: one packet through the kernel's own program, which is run aside so that nothing of it is
// counted or tracked, and beside it what the engine makes of the same packet and the same tables.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cli/commands/node_state.h"

namespace postern::cli {

struct TraceOptions {
  NodeOptions node;
  std::string from;  // namespace/name or an address
  std::string to;
  std::uint16_t port = 0;  // of the destination; unless ICMP
  std::uint16_t source_port = 40'000;
  std::string protocol = "TCP";
  std::string family;                  // "IPv4", "IPv6"; empty: IPv4 where both ends have it
  std::vector<std::string> manifests;  // to explain it by; none: the agent's own objects, if it kept them
};

// Exit status: 0 it passes, 1 it is dropped, 2 it cannot be told, or kernel and engine disagree.
int run_trace(const TraceOptions& options);

}  // namespace postern::cli
