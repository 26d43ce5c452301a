// SPDX-License-Identifier: Apache-2.0
// ClusterPolicyEndpoints -> the ClusterNetworkPolicies they are slices of: slices that share a policyRef are
// one policy, the union of their pods and entries (R25c). Slices that disagree on tier, priority or subject
// are never read in part.
//
// The kind keeps no order of rules: the controller packs entries as they come, and the Amazon agent asks
// those of one policy as rules of one priority, Deny before Accept before Pass (R29). So entries of one
// action and one list of ports are a rule here, the rules stand in the order of their actions, and among
// one action by their ports, every protocol first. Entries that nobody here knows make rules of their own.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "engine/model/cluster_network_policy.h"

namespace postern::manifest {

using ClusterPolicyEndpoints = std::map<std::string, ClusterPolicyEndpoint>;  // by their own names

struct JoinedSlices {
  std::string policy;  // policyRef
  ClusterNetworkPolicy joined;
  // Empty: the slices agree. "ClusterPolicyEndpoints p-a and p-b of p disagree on tier: found …"
  std::string disagreement;
};

// By policyRef; `joined` means nothing where they disagree.
std::vector<JoinedSlices> join(const ClusterPolicyEndpoints& slices);

}  // namespace postern::manifest
