// SPDX-License-Identifier: Apache-2.0
// One flow out of a capture: that of a packet, or the only one that fits. The flow is the connection from its
// opener on, whichever of its packets was meant, because a scenario asks a fresh connection.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "engine/base/result.h"
#include "engine/base/time.h"
#include "engine/enforce/node_enforcer.h"
#include "engine/model/snapshot.h"
#include "sim/record/flow_text.h"

namespace postern::sim {

struct CaptureQuestion {
  std::string path;
  std::optional<std::uint64_t> packet;  // its number, from 1
  std::optional<FlowText> flow;         // names of ends, port and protocol; with `packet` not looked at
  bool strict = false;
};

struct CapturedFlow {
  FlowText flow;  // ends as addresses
  Instant at;     // of the packet, else of the flow's first one
};

// Errors: a capture that cannot be read, no such packet or flow, several flows that fit (with their names), a
// packet that was denied for its own bytes and by no policy, a connection whose opening is not in the capture.
Result<CapturedFlow> flow_of_capture(const CaptureQuestion& question, const ClusterSnapshot& cluster,
                                     const BackendFactory& factory);

}  // namespace postern::sim
