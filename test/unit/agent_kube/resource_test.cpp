// SPDX-License-Identifier: Apache-2.0
#include "agent/kube/resource.h"

#include <gtest/gtest.h>

#include <set>
#include <string_view>

namespace postern::agent::kube {
namespace {

TEST(Resource, EachHasThePathOfItsGroupAndVersion) {
  struct Row {
    ResourceKind kind;
    const char* path;
    const char* api_version;
  };
  const Row rows[] = {
      {ResourceKind::namespaces, "/api/v1/namespaces", "v1"},
      {ResourceKind::nodes, "/api/v1/nodes", "v1"},
      {ResourceKind::pods, "/api/v1/pods", "v1"},
      {ResourceKind::services, "/api/v1/services", "v1"},
      {ResourceKind::endpoint_slices, "/apis/discovery.k8s.io/v1/endpointslices", "discovery.k8s.io/v1"},
      {ResourceKind::network_policies, "/apis/networking.k8s.io/v1/networkpolicies", "networking.k8s.io/v1"},
      {ResourceKind::cluster_network_policies, "/apis/policy.networking.k8s.io/v1alpha2/clusternetworkpolicies",
       "policy.networking.k8s.io/v1alpha2"},
      {ResourceKind::admin_network_policies, "/apis/policy.networking.k8s.io/v1alpha1/adminnetworkpolicies",
       "policy.networking.k8s.io/v1alpha1"},
      {ResourceKind::baseline_admin_network_policies,
       "/apis/policy.networking.k8s.io/v1alpha1/baselineadminnetworkpolicies", "policy.networking.k8s.io/v1alpha1"},
      {ResourceKind::amazon_cluster_network_policies, "/apis/networking.k8s.aws/v1alpha1/clusternetworkpolicies",
       "networking.k8s.aws/v1alpha1"},
      {ResourceKind::cluster_policy_endpoints, "/apis/networking.k8s.aws/v1alpha1/clusterpolicyendpoints",
       "networking.k8s.aws/v1alpha1"},
      {ResourceKind::policy_endpoints, "/apis/networking.k8s.aws/v1alpha1/policyendpoints",
       "networking.k8s.aws/v1alpha1"},
  };
  for (const auto& row : rows) {
    EXPECT_EQ(resource_of(row.kind).id, row.kind) << row.path;
    EXPECT_EQ(resource_of(row.kind).path(), row.path);
    EXPECT_EQ(resource_of(row.kind).api_version(), row.api_version);
  }
  EXPECT_EQ(all_resources().size(), std::size(rows));
}

TEST(Resource, TheirNamesTellThemApart) {
  std::set<std::string_view> names;
  for (const auto& resource : all_resources()) EXPECT_TRUE(names.insert(resource.name()).second) << resource.name();
  EXPECT_EQ(resource_of(ResourceKind::amazon_cluster_network_policies).name(),
            "clusternetworkpolicies.networking.k8s.aws");
}

TEST(Resource, ANameIsOnePartOfThePathWhateverItIs) {
  const Resource& nodes = resource_of(ResourceKind::nodes);
  EXPECT_EQ(nodes.path_of("ip-10-0-0-1.ec2.internal"), "/api/v1/nodes/ip-10-0-0-1.ec2.internal");
  EXPECT_EQ(nodes.path_of("a/b?c d"), "/api/v1/nodes/a%2Fb%3Fc%20d");
}

}  // namespace
}  // namespace postern::agent::kube
