// SPDX-License-Identifier: Apache-2.0
// NetworkPolicies -> the PolicyEndpoints they resolve to, as the Amazon controller hands them to its
// agents: selectors and port names replaced by what they name at this moment, in slices. Whoever enforces
// them without knowing pods' labels or Services comes to the verdicts of the NetworkPolicies.
//
// Two things need more than lists of addresses:
//
// - Pods of one policy may need different rules: a port's name that is another number on each of them
//   (R9), a Service that only some may reach. Slices of one policyRef are one policy for all of their
//   pods, so what only some need goes into a part: a policy of its own, of the same isolation, whose
//   policyRef name is the policy's with "#ingress-" or "#egress-" and a hash of its rules. Permission
//   adds up over policies, so a pod has what its policy says and what its parts say.
// - A ClusterIP is judged on its backends (R7), and the reader sees the ClusterIP alone. So blocks are
//   written less the ClusterIPs in them, and each ClusterIP has an entry of its own with the ports whose
//   backends all are allowed, by all policies of the pod together, its own pod (R1) and own node (R2)
//   always. Policies that admit some of the backends carry it.
//
// Where this cannot be exact: docs/semantics.md, "PolicyEndpoints".
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/model/snapshot.h"
#include "engine/policy/resolve.h"

namespace postern {

struct ToEndpointsOptions {
  std::size_t chunk_size = 200;          // of each list of a slice; at least 1
  std::string last_change_trigger_time;  // for every slice; empty: none
  // `compat`: blocks are written with the ClusterIPs in them, for readers who shall match those too (R46).
  ServiceIpBlocks service_ip_blocks = ServiceIpBlocks::meaning;
};

// Every NetworkPolicy has at least one slice. Sorted by namespace and name; names depend on the policy, the
// part and the place of the slice alone. Errors: table_full, when there are more rules than numbers; unsupported,
// a policy that is in audit by itself, which a PolicyEndpoint cannot say (a namespace can, R44).
Result<std::vector<PolicyEndpoint>> to_policy_endpoints(const ClusterSnapshot& cluster,
                                                        const ToEndpointsOptions& options = {});

}  // namespace postern
