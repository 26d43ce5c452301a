// SPDX-License-Identifier: Apache-2.0
// The identity of a policy of the whole cluster, put together and taken apart; see the header.
#include "engine/model/cluster_policy_id.h"

namespace postern {

using namespace cluster_policy_kind;

bool is_cluster_policy_kind(std::string_view kind) {
  return kind == kClusterNetworkPolicy || kind == kAmazon || kind == kAdmin || kind == kBaselineAdmin;
}

std::string cluster_policy_id(std::string_view kind, std::string_view name) {
  if (kind == kClusterNetworkPolicy) return std::string(name);
  return std::string(kind) + "/" + std::string(name);
}

ClusterPolicyId split_cluster_policy_id(std::string_view id) {
  const auto slash = id.find('/');
  if (slash == std::string_view::npos) return {kClusterNetworkPolicy, id};
  return {id.substr(0, slash), id.substr(slash + 1)};
}

std::string cluster_policy_title(std::string_view id) {
  const auto [kind, name] = split_cluster_policy_id(id);
  return std::string(kind) + (kind == kPolicyEndpoints ? "s of " : " ") + std::string(name);
}

}  // namespace postern
