// SPDX-License-Identifier: Apache-2.0
// One packet's outcome against what its line expects; only what is written is compared.
#pragma once

#include "sim/cluster.h"
#include "sim/runner/plan.h"
#include "sim/runner/result.h"

namespace postern::sim {

// Reason, policy and rule are those of the end that dropped the packet, else of the end that the
// line's `at` names (the receiver unless it says `from`), else of the only end that judged.
PacketResult check_packet(const Cluster& cluster, const PlannedPacket& packet, const PacketOutcome& outcome);

}  // namespace postern::sim
