// SPDX-License-Identifier: Apache-2.0
// The policies that may have a say at one end, of every kind in the words of NetworkPolicy, so that one
// comparison explains them all.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "engine/explain/end_judge.h"
#include "engine/model/snapshot.h"
#include "engine/policy/policy_endpoints.h"
#include "engine/policy/resolve.h"

namespace postern::explain_detail {

struct RuleView {
  std::uint32_t number = 0;  // from 1, within its direction
  const PolicyRule* rule = nullptr;
};

struct PolicyView {
  NamespacedName key;
  bool selected = false;
  bool has_type = false;           // it isolates the direction, if it selects the pod
  bool names_cluster_ips = false;  // R46: its egress blocks match ClusterIPs themselves
  const LabelSelector* selector = nullptr;  // null: PolicyEndpoints, which list their pods
  std::vector<RuleView> rules;
  [[nodiscard]] bool counts() const { return selected && has_type; }
};

struct PolicyViews {
  std::vector<PolicyView> policies;
  std::deque<PolicyRule> made;  // of PolicyEndpoints; rules of the views point here, or into the cluster
};

// Of the subject's namespace, those in audit only where the traffic is seen with them. The views point into the
// cluster.
PolicyViews views_of(const Traffic& traffic, const Pod& subject, Direction direction);

}  // namespace postern::explain_detail
