// SPDX-License-Identifier: Apache-2.0
// ClusterSnapshot -> ResolvedPolicy for one node. Pure; keeps nothing but the numbers of rules.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>

#include "engine/base/result.h"
#include "engine/model/snapshot.h"
#include "engine/policy/resolved_policy.h"

namespace postern {

// A pod interface on this node.
struct LocalEndpoint {
  EndpointId endpoint;
  std::uint32_t ifindex = 0;
  NamespacedName pod;
  // What is known to stand behind the interface while the pod itself has no address yet (R24).
  std::vector<IpAddress> addresses{};
  friend bool operator==(const LocalEndpoint&, const LocalEndpoint&) = default;
};

// Gives every rule a number that stays the same as long as its policy has that rule, so that a
// verdict in flight still names the right one. Numbers start at 1, or above those that an earlier
// process gave; freed ones are not reused until the 24 bits are used up.
class RuleRegistry {
 public:
  explicit RuleRegistry(RuleId last_used = {}) : next_(last_used.value + 1) {}

  // 0 when all 24 bits are used up.
  RuleId id_of(const RuleOrigin& origin);
  [[nodiscard]] const RuleOrigin* find(RuleId id) const;  // null: unknown or 0

 private:
  std::map<RuleOrigin, RuleId> ids_;
  std::map<RuleId, RuleOrigin> origins_;
  std::uint32_t next_;
};

struct ResolveOptions {
  bool strict = false;                // cluster-wide default of R25
  std::vector<IpAddress> own_node;    // every address of the node's host namespace (R2)
};

// Errors: more rules than 24 bits name (table_full). An endpoint whose pod is not in the snapshot, or
// not live, gets no rules (an interface may come before its pod is known); strict holds for it too.
Result<ResolvedPolicy> resolve(const ClusterSnapshot& cluster, std::span<const LocalEndpoint> endpoints,
                               const ResolveOptions& options, RuleRegistry& rules);

// Whether a policy selects a pod: same namespace, selector matches, not hostNetwork, live.
bool selects(const NetworkPolicy& policy, const Pod& pod);

}  // namespace postern
