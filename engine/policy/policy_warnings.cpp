// SPDX-License-Identifier: Apache-2.0
#include "engine/policy/policy_warnings.h"

#include <algorithm>
#include <utility>

#include "engine/model/cluster_policy_id.h"
#include "engine/policy/resolve.h"

namespace postern {

namespace {

using Policies = std::map<std::string, ClusterNetworkPolicy>;

std::string title(const ClusterNetworkPolicy& policy) { return cluster_policy_title(policy.name); }

std::string titles(const ClusterNetworkPolicy& one, const ClusterNetworkPolicy& other) {
  const auto is_plain = [](const ClusterNetworkPolicy& policy) {
    return split_cluster_policy_id(policy.name).kind == cluster_policy_kind::kClusterNetworkPolicy;
  };
  if (!is_plain(one) || !is_plain(other)) return title(one) + " and " + title(other);
  return "ClusterNetworkPolicies " + one.name + " and " + other.name;
}

// The first pod that both select; null: none, and then their order decides nothing.
const Pod* shared_subject(const ClusterSnapshot& cluster, const ClusterNetworkPolicy& one,
                          const ClusterNetworkPolicy& other) {
  for (const auto& [key, pod] : cluster.pods) {
    const Labels labels = cluster.namespace_labels(key.ns);
    if (selects(one, pod, labels) && selects(other, pod, labels)) return &pod;
  }
  return nullptr;
}

void warn_of_equal_priority(const ClusterSnapshot& cluster, Policies::const_iterator policy,
                            std::vector<std::string>& out) {
  const auto& one = policy->second;
  for (auto it = std::next(policy); it != cluster.cluster_network_policies.end(); ++it) {
    const auto& other = it->second;
    if (one.tier != other.tier || one.priority != other.priority) continue;
    const Pod* pod = shared_subject(cluster, one, other);
    if (pod == nullptr) continue;
    out.push_back(titles(one, other) + " both have priority " +
                  std::to_string(one.priority) + " in one tier and select " + pod->key.to_string() +
                  ": where they disagree, Deny goes before Accept before Pass");
  }
}

void warn_of_peers(const ClusterNetworkPolicy& policy, Direction direction, std::vector<std::string>& out) {
  const auto& rules = direction == Direction::ingress ? policy.ingress : policy.egress;
  for (std::size_t i = 0; i < rules.size(); ++i) {
    const std::string rule = title(policy) + " " + to_string(direction) + " rule " + std::to_string(i + 1);
    bool names = false;
    const UnknownPeer* unknown = nullptr;
    for (const auto& peer : rules[i].peers) {
      names = names || std::holds_alternative<ClusterDomainNames>(peer);
      if (const auto* found = std::get_if<UnknownPeer>(&peer); found != nullptr && unknown == nullptr) unknown = found;
    }
    if (names) out.push_back(rule + ": domainNames are not enforced, they match nothing");
    if (unknown == nullptr) continue;
    std::string fields;
    for (const auto& field : unknown->fields) fields += (fields.empty() ? "" : ", ") + field;
    out.push_back(rule + ": a peer of an unknown kind (" + (fields.empty() ? "no field" : fields) + "): the rule " +
                  (rules[i].action == Action::accept ? "matches nothing" : "denies every peer"));
  }
}

}  // namespace

std::vector<std::string> annotation_warnings(const ClusterSnapshot& cluster) {
  std::vector<std::string> warnings;
  const auto add = [&](const std::string& object, const std::vector<std::string>& remarks) {
    for (const auto& remark : remarks) warnings.push_back(object + ": " + remark);
  };
  for (const auto& [name, ns] : cluster.namespaces) add("Namespace " + name, ns.remarks);
  for (const auto& [key, policy] : cluster.network_policies) add("NetworkPolicy " + key.to_string(), policy.remarks);
  for (const auto& [name, policy] : cluster.cluster_network_policies) add(title(policy), policy.remarks);
  return warnings;
}

std::vector<std::string> cluster_policy_warnings(const ClusterSnapshot& cluster) {
  std::vector<std::string> warnings;
  const auto& policies = cluster.cluster_network_policies;
  for (auto policy = policies.begin(); policy != policies.end(); ++policy) {
    warn_of_equal_priority(cluster, policy, warnings);
    for (const Direction direction : kDirections) warn_of_peers(policy->second, direction, warnings);
  }
  return warnings;
}

std::vector<std::string> policy_warnings(const ClusterSnapshot& cluster) {
  auto warnings = annotation_warnings(cluster);
  for (auto& warning : cluster_policy_warnings(cluster)) warnings.push_back(std::move(warning));
  return warnings;
}

}  // namespace postern
