// SPDX-License-Identifier: Apache-2.0
#include "agent/source/snapshot_store.h"

#include <gtest/gtest.h>

#include <string>

#include "engine/manifest/reader.h"

namespace postern::agent {
namespace {

std::vector<manifest::Object> objects_of(const std::string& text) {
  auto read = manifest::read_manifest(text, "objects.yaml");
  if (!read) {
    ADD_FAILURE() << read.error().front().to_string();
    return {};
  }
  return std::move(read->objects);
}

constexpr const char* kOneOfEach = R"(
{apiVersion: v1, kind: Namespace, metadata: {name: x, labels: {team: red}}}
---
{apiVersion: v1, kind: Node, metadata: {name: n}, status: {addresses: [{type: InternalIP, address: 172.18.0.2}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: a, namespace: x}, spec: {nodeName: n, containers: [{name: c}]}, status: {podIP: 10.0.0.1}}
---
{apiVersion: v1, kind: Service, metadata: {name: s, namespace: x}, spec: {clusterIP: 10.96.0.1, selector: {app: a}, ports: [{port: 80}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: s-1, namespace: x, labels: {kubernetes.io/service-name: s}}
addressType: IPv4
endpoints: [{addresses: [10.0.0.1]}]
ports: [{port: 80}]
---
{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: p, namespace: x}, spec: {podSelector: {}}}
---
apiVersion: policy.networking.k8s.io/v1alpha2
kind: ClusterNetworkPolicy
metadata: {name: q}
spec: {tier: Baseline, priority: 1, subject: {namespaces: {}}}
---
apiVersion: networking.k8s.aws/v1alpha1
kind: PolicyEndpoint
metadata: {name: p-1, namespace: x}
spec: {policyRef: {name: p, namespace: x}, podIsolation: [Ingress]}
)";

TEST(SnapshotStore, HoldsWhatIsPutAndForgetsWhatIsRemoved) {
  SnapshotStore store;
  const auto objects = objects_of(kOneOfEach);
  ASSERT_EQ(objects.size(), 8u);
  for (const auto& object : objects) store.put(object);
  store.settle();
  const ClusterSnapshot& cluster = store.cluster();
  EXPECT_EQ(cluster.namespaces.at("x").labels.at("team"), "red");
  EXPECT_EQ(cluster.nodes.at("n").addresses.size(), 1u);
  EXPECT_EQ(cluster.pods.at({"x", "a"}).addresses.at(0).to_string(), "10.0.0.1");
  EXPECT_EQ(cluster.services.at({"x", "s"}).cluster_ips.at(0).to_string(), "10.96.0.1");
  EXPECT_EQ(cluster.endpoint_slices.at({"x", "s-1"}).service, "s");
  EXPECT_TRUE(cluster.network_policies.contains({"x", "p"}));
  EXPECT_EQ(cluster.cluster_network_policies.at("q").tier, Tier::baseline);
  EXPECT_TRUE(cluster.policy_endpoints.contains({"x", "p-1"}));
  for (const auto& object : objects) store.remove(object.kind, key_of(object));
  store.settle();
  EXPECT_TRUE(cluster.namespaces.empty());
  EXPECT_TRUE(cluster.nodes.empty());
  EXPECT_TRUE(cluster.pods.empty());
  EXPECT_TRUE(cluster.services.empty());
  EXPECT_TRUE(cluster.endpoint_slices.empty());
  EXPECT_TRUE(cluster.network_policies.empty());
  EXPECT_TRUE(cluster.policy_endpoints.empty());
}

TEST(SnapshotStore, AListTakesThePlaceOfAllObjectsOfItsKindAndOfNoOther) {
  SnapshotStore store;
  for (const auto& object : objects_of(kOneOfEach)) store.put(object);
  store.replace("Pod", objects_of(
      "{apiVersion: v1, kind: Pod, metadata: {name: b, namespace: x}, spec: {containers: [{name: c}]}, status: {podIP: 10.0.0.2}}"));
  EXPECT_FALSE(store.cluster().pods.contains({"x", "a"}));
  EXPECT_TRUE(store.cluster().pods.contains({"x", "b"}));
  EXPECT_EQ(store.cluster().network_policies.size(), 1u);
  store.replace("NetworkPolicy", {});
  EXPECT_TRUE(store.cluster().network_policies.empty());
}

TEST(SnapshotStore, InventsNoAddresses) {
  SnapshotStore store;
  for (const auto& object : objects_of(R"(
{apiVersion: v1, kind: Pod, metadata: {name: a, namespace: x}, spec: {containers: [{name: c}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: s, namespace: x}, spec: {selector: {app: a}, ports: [{port: 80}]}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: d, namespace: x}
spec: {selector: {matchLabels: {app: d}}, template: {metadata: {labels: {app: d}}, spec: {containers: [{name: c}]}}}
)")) {
    store.put(object);
  }
  EXPECT_TRUE(store.cluster().pods.at({"x", "a"}).addresses.empty());
  EXPECT_FALSE(store.cluster().pods.at({"x", "a"}).live());
  EXPECT_TRUE(store.cluster().services.at({"x", "s"}).cluster_ips.empty());
  EXPECT_EQ(store.cluster().pods.size(), 1u) << "a Deployment is no pod";
}

}  // namespace
}  // namespace postern::agent
