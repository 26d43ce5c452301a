// SPDX-License-Identifier: Apache-2.0
// What tells policies of the whole cluster apart: their kind and their name, in one text. A
// ClusterNetworkPolicy of policy.networking.k8s.io is called by its name alone; every other kind by
// KIND[.GROUP]/NAME, as kubectl writes it. No object's name has a slash and no namespace has a capital or
// a dot, so none is taken for another, nor for a NetworkPolicy's NAMESPACE/NAME.
#pragma once

#include <string>
#include <string_view>

namespace postern {

namespace cluster_policy_kind {
inline constexpr std::string_view kClusterNetworkPolicy = "ClusterNetworkPolicy";
inline constexpr std::string_view kAmazon = "ClusterNetworkPolicy.networking.k8s.aws";
inline constexpr std::string_view kAdmin = "AdminNetworkPolicy";
inline constexpr std::string_view kBaselineAdmin = "BaselineAdminNetworkPolicy";
// A policy whose slices these are; its name is that of their policyRef.
inline constexpr std::string_view kPolicyEndpoints = "ClusterPolicyEndpoint";
}  // namespace cluster_policy_kind

// Of the first four: whether objects of this kind are policies of the whole cluster.
bool is_cluster_policy_kind(std::string_view kind);

std::string cluster_policy_id(std::string_view kind, std::string_view name);

struct ClusterPolicyId {
  std::string_view kind;
  std::string_view name;
};
// Views into `id`, or constants.
ClusterPolicyId split_cluster_policy_id(std::string_view id);

// For sentences: "AdminNetworkPolicy p", "ClusterPolicyEndpoints of p".
std::string cluster_policy_title(std::string_view id);

}  // namespace postern
