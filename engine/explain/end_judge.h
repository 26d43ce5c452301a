// SPDX-License-Identifier: Apache-2.0
// What the policies of one end say to one packet, with the rules that allow and those that nearly do.
#pragma once

#include <string>
#include <vector>

#include "engine/explain/explain.h"
#include "engine/explain/near_miss.h"

namespace postern::explain_detail {

// A query with its objects found.
struct Traffic {
  const ClusterSnapshot& cluster;
  Seen from;
  Seen to;
  const Pod* from_pod = nullptr;  // also when it uses the host's network or is not live
  const Pod* to_pod = nullptr;
  Asked asked;
  bool strict = false;
};

std::vector<IpAddress> node_addresses(const ClusterSnapshot& cluster, const std::string& name);

// Near misses are the nearest first, and none where the end allows.
EndExplanation judge_end(const Traffic& traffic, Direction direction);

}  // namespace postern::explain_detail
