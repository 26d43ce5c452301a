// SPDX-License-Identifier: Apache-2.0
// What the policies of one end say to one packet, with the rules that allow and those that nearly do.
#pragma once

#include <optional>
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
  std::optional<ServiceIpBlocks> service_ip_blocks{};  // R46
  bool with_audit = false;  // as if everything in audit were enforced; else as if it were not there
};

std::vector<IpAddress> node_addresses(const ClusterSnapshot& cluster, const std::string& name);

// Near misses are the nearest first, and none where the end allows.
EndExplanation judge_end(const Traffic& traffic, Direction direction);
// What policies say to a ClusterIP itself at the client's end (R46): the same, but only rules that name
// ClusterIPs allow.
EndExplanation judge_cluster_ip(const Traffic& traffic);

}  // namespace postern::explain_detail
