// SPDX-License-Identifier: Apache-2.0
// What the datapath of an agent in another process says, through what it has pinned: its ring for watchers
// (backends/tc/monitor.h) tells of every judged packet, whatever the agent logs.
#pragma once

#include <memory>

#include "engine/base/result.h"
#include "sim/agent/node_agents.h"
#include "sim/netns/node_watch.h"

namespace postern::cli {

// Names are those of the agent's view. Errors: those of Monitor::start and PinnedNode::open.
Result<std::unique_ptr<sim::NodeWatch>> watch_pinned(const sim::NodeAgent& agent);

}  // namespace postern::cli
