// SPDX-License-Identifier: Apache-2.0
// A verdict of a cluster as the smallest cluster that gives it: the same verdict, for the same reason, at
// the same end, by the same policy. What is asked on the way is engine/explain, which needs no table; the
// finished file is run in a simulator (scenario_text.h), which must agree.
//
// What must hold: of a denial the end that denied; of an allowed connection every end that is judged. Of
// several policies that isolate the end, or of several whose rules admit, the first by name.
//
// Only what policy reads is taken over: labels, ports, selectors, rules and addresses; never annotations,
// environments, images or volumes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/explain/explain.h"
#include "engine/manifest/objects.h"
#include "engine/model/snapshot.h"
#include "sim/scenario/scenario.h"

namespace postern::sim {

struct RecordedEnd {
  Direction direction = Direction::ingress;
  std::uint32_t reason = 0;              // enum pn_reason
  std::optional<NamespacedName> policy;  // whose rule admits, or that isolates; absent: none decided
  std::optional<std::uint32_t> rule;     // from 1, of a NetworkPolicy of the recording
};

struct Recording {
  std::vector<manifest::Object> objects;  // no workload among them
  ScenarioFamily family = ScenarioFamily::v4;
  bool strict = false;
  std::string from;  // as a scenario names it: "x/a", "node:n1", "203.0.113.7"
  std::string to;    // also "service:x/web"
  std::uint8_t protocol = 0;
  std::uint16_t port = 0;
  bool allowed = false;
  std::vector<RecordedEnd> ends;  // never empty
};

// The ends of the query are those that find_traffic_end() found in the cluster; ones with two families are
// taken as explain() takes them. Errors: what explain() refuses, ends at which nothing is judged, traffic
// that no policy decides (a Service that nobody stands behind) or that no scenario can ask (ICMP to a
// Service).
Result<Recording> record(const ClusterSnapshot& cluster, const ExplainQuery& query);

}  // namespace postern::sim
