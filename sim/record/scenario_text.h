// SPDX-License-Identifier: Apache-2.0
// A recording as a scenario file: its objects, a probe for the verdict, and a packet for each end that
// decided, which also holds the reason, the policy and its rule.
#pragma once

#include <string>

#include "engine/base/result.h"
#include "sim/cluster.h"
#include "sim/record/record.h"

namespace postern::sim {

// Said in the file's first lines, one line each, without control characters or machine paths.
struct RecordingOrigin {
  std::string source;  // "packet 135 of shop.pcap"
  std::string when;    // "2026-01-31T10:00:00Z"; empty: not known
};

std::string scenario_text(const Recording& recording, const RecordingOrigin& origin);

// Reads the text as `postern test` would and runs it on the cluster. Errors: text that the reader refuses,
// and whatever does not hold, by name.
Result<void> check_scenario_holds(const std::string& text, Cluster& cluster);

}  // namespace postern::sim
