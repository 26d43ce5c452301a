// SPDX-License-Identifier: Apache-2.0
// Why a verdict came out as it did: what the datapath said (reason and rule of the final step, by the
// rule registry of the node that judged), and what the objects say (engine/explain). Where the two
// disagree the text says so, because that is a defect of Postern and not of the policies.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "sim/cluster.h"
#include "sim/runner/plan.h"

namespace postern::sim {

// "isolated", "rule"; where nobody judged, "not-isolated".
std::string reason_of(const EndVerdict& verdict);

// "shop/db-in ingress rule 1"; rules count from 1, as people do.
std::string to_string(const RuleOrigin& origin);

struct WrongCell {
  const CellKey& key;
  const PlannedCell& cell;
  const std::vector<ProbeOutcome>& outcomes;  // of the cell's requests
};
// Lines of text; never empty. Where the requests came out differently the first line says which.
std::vector<std::string> why(const Cluster& cluster, const ClusterSnapshot& objects,
                             const EnforcerSettings& settings, const WrongCell& wrong);

// Of a cell that was allowed: what would deny it if everything in audit were enforced, in one line. Empty: nothing.
std::string why_would_deny(const ClusterSnapshot& objects, const EnforcerSettings& settings, const PlannedCell& cell);

}  // namespace postern::sim
