// SPDX-License-Identifier: Apache-2.0
// ClusterSnapshot -> ResolvedPolicy for one node. Pure; keeps nothing but the numbers of rules.
#pragma once

#include <array>
#include <map>
#include <optional>
#include <set>
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
  // Of a further interface of a pod, what stands behind it in place of the pod's addresses; empty: those.
  std::vector<IpAddress> own_addresses{};
  friend bool operator==(const LocalEndpoint&, const LocalEndpoint&) = default;
};

// Gives every rule a number that stays the same as long as some endpoint has that rule, so that a
// verdict in flight still names the right one. Numbers start at 1, or above those that an earlier
// process gave; freed ones are not reused until the 24 bits are used up.
class RuleRegistry {
 public:
  explicit RuleRegistry(RuleId last_used = {}) : next_(last_used.value + 1) {}

  // 0 when all 24 bits are used up by rules that are remembered.
  RuleId id_of(const RuleOrigin& origin);
  // The same, as an error that names the rule: table_full.
  Result<RuleId> number_of(const RuleOrigin& origin);
  [[nodiscard]] const RuleOrigin* find(RuleId id) const;  // null: unknown or 0

  // Forgets rules that the policy in force does not have, when many have piled up: those that it lacked
  // the last time already, kUnused numbers ago or more. Call it after each change.
  void forget_unused(const ResolvedPolicy& in_force);
  static constexpr std::size_t kUnused = 256;
  [[nodiscard]] std::size_t remembered() const { return origins_.size(); }

 private:
  std::map<RuleOrigin, RuleId> ids_;
  std::map<RuleId, RuleOrigin> origins_;
  std::set<RuleId> unused_;       // at the last time that rules were looked through
  std::size_t look_at_ = kUnused;  // how many are remembered when they are looked through again
  std::uint32_t next_;
};

// What an egress block says to a ClusterIP in it (R46). `meaning`: nothing, the backends decide (R7).
// `compat`: it matches the ClusterIP and the Service port before translation, as it does for the Amazon
// agent, to which a rule without peers is the block of all addresses; either way of permission suffices.
enum class ServiceIpBlocks : std::uint8_t { meaning, compat };

struct ResolveOptions {
  bool strict = false;                // cluster-wide default of R25
  std::vector<IpAddress> own_node;    // every address of the node's host namespace (R2)
  // For all kinds of policy. Absent: `meaning` for NetworkPolicies, `compat` for PolicyEndpoints.
  std::optional<ServiceIpBlocks> service_ip_blocks;
};

// NetworkPolicies, PolicyEndpoints and ClusterNetworkPolicies of the snapshot are enforced together, or seen
// together where something is in audit (R44). Errors: more rules than there are numbers (table_full); slices of a
// PolicyEndpoint policy that select one of these pods and disagree (invalid_input, see resolve_policy_endpoints.h).
// An endpoint whose pod is not in the snapshot, or not live, gets no rules (an interface may come before its pod is
// known); strictness, of the cluster or of its namespace (R45), holds for it too.
Result<ResolvedPolicy> resolve(const ClusterSnapshot& cluster, std::span<const LocalEndpoint> endpoints,
                               const ResolveOptions& options, RuleRegistry& rules);

// Whether a policy selects a pod: same namespace, selector matches, not hostNetwork, live.
// What the annotations of a pod's namespace say for it (R45), where they say nothing the cluster's setting.
struct NamespaceModes {
  std::array<bool, 2> strict{};  // by Direction
  bool audit = false;            // of its own policies, and of its strictness (R44)
};
NamespaceModes modes_of(const ClusterSnapshot& cluster, const std::string& ns, bool cluster_strict);
// Whether some namespace or policy is in audit.
bool has_audit(const ClusterSnapshot& cluster);

bool selects(const NetworkPolicy& policy, const Pod& pod);
// Whether a policy selects a pod: its namespace's labels and its own match, or it is listed; not hostNetwork,
// live.
bool selects(const ClusterNetworkPolicy& policy, const Pod& pod, const Labels& namespace_labels);

}  // namespace postern
