// SPDX-License-Identifier: Apache-2.0
// What policies say that probably nobody means, or that nobody here enforces: each a line for whoever
// wrote them. The verdicts are what the rulings say all the same.
#pragma once

#include <string>
#include <vector>

#include "engine/model/snapshot.h"

namespace postern {

// Annotations that nobody understands (R45), of Namespaces, NetworkPolicies and ClusterNetworkPolicies.
std::vector<std::string> annotation_warnings(const ClusterSnapshot& cluster);
// ClusterNetworkPolicies of one tier and priority that select one pod (R29), which looks at every pod for every such
// pair; domain names, which match nothing; peers of a newer API (R31).
std::vector<std::string> cluster_policy_warnings(const ClusterSnapshot& cluster);
// Both. Each kind in order of its names, each warning once.
std::vector<std::string> policy_warnings(const ClusterSnapshot& cluster);

}  // namespace postern
