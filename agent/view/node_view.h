// SPDX-License-Identifier: Apache-2.0
// What the agent knows and the kernel's tables do not: the names of pods, interfaces and rules. The agent
// keeps it as a file beside its other run files, so that the command line can name what it finds in the
// kernel, also while no agent runs. This is the one place that knows the file's format.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "agent/view/table_stamp.h"
#include "engine/base/ids.h"
#include "engine/base/ip.h"
#include "engine/base/result.h"
#include "engine/model/objects.h"
#include "engine/policy/resolved_policy.h"

namespace postern::agent {

inline constexpr const char* kViewFile = "view.json";
inline constexpr std::uint32_t kViewFormat = 1;  // another number is another format, which is refused

struct ViewedPod {
  NamespacedName pod;
  EndpointId endpoint;
  std::uint32_t ifindex = 0;
  std::string interface;  // its name when it was found
  std::vector<IpAddress> addresses;
  std::array<bool, 2> judged{};                              // by direction
  std::array<std::vector<std::string>, 2> isolating;  // by direction: "shop/db-in", sorted
  // By direction: policies of the whole cluster that have rules here, "guard (Admin)", in their order.
  std::array<std::vector<std::string>, 2> judging;
  // By direction: NetworkPolicies that would isolate it and policies of the whole cluster that would judge it, if
  // they were not in audit (R44).
  std::array<std::vector<std::string>, 2> in_audit{};
  friend bool operator==(const ViewedPod&, const ViewedPod&) = default;
};

struct ViewedRule {
  RuleId id;
  RuleOrigin origin;
  Tier tier = Tier::network_policy;
  std::uint32_t priority = 0;  // of a policy of the whole cluster
  friend bool operator==(const ViewedRule&, const ViewedRule&) = default;
};

struct NodeView {
  std::string node;
  std::string source;   // of policy: "kubernetes"
  std::string written;  // RFC 3339
  std::int64_t process = 0;  // of the agent
  std::uint32_t generation = 0;  // complete policies that this process has put in force
  std::uint32_t abi = 0;         // PN_ABI_VERSION of its tables
  std::optional<TableStamp> tables;  // that it is of; nullopt: written by an agent that did not say
  bool strict = false;
  std::uint64_t policies = 0;    // of the cluster, as the source has them
  std::vector<ViewedPod> pods;   // that are enforced; sorted by ifindex
  std::vector<NamespacedName> not_found;  // pods of this node whose interface is not known
  std::vector<ViewedRule> rules;  // in force on this node; sorted by id
  bool complete = true;           // false: more rules than kMostRules, the rest is left out
  friend bool operator==(const NodeView&, const NodeView&) = default;

  [[nodiscard]] const ViewedPod* pod_of(EndpointId endpoint) const;
  [[nodiscard]] const ViewedRule* rule(RuleId id) const;
};

// So that the file stays small whatever the cluster is: about 8 MB.
inline constexpr std::size_t kMostRules = 50'000;

std::string to_json(const NodeView& view);
// Errors: invalid_input, naming what was found in place of what; unsupported, another format.
Result<NodeView> parse_view(const std::string& text);

// "shop/db-in rule 1", counted from 1 as people do; of a policy of the whole cluster "guard rule 1 (Admin)".
std::string to_string(const ViewedRule& rule);
// Of such a policy: "guard (Admin)".
std::string in_its_tier(const std::string& name, Tier tier);

}  // namespace postern::agent
