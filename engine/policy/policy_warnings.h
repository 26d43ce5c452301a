// SPDX-License-Identifier: Apache-2.0
// What policies say that probably nobody means, or that nobody here enforces: each a line for whoever
// wrote them. The verdicts are what the rulings say all the same.
#pragma once

#include <string>
#include <vector>

#include "engine/model/snapshot.h"

namespace postern {

// Annotations that nobody understands (R45); ClusterNetworkPolicies of one tier and priority that select one pod
// (R29); domain names, which match nothing; peers of a newer API (R31). Namespaces, NetworkPolicies and
// ClusterNetworkPolicies in order of their names, each once.
std::vector<std::string> policy_warnings(const ClusterSnapshot& cluster);

}  // namespace postern
