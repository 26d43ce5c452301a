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

TEST(SnapshotStore, WhereEndpointSlicesSayTheBackendsNoServiceHasASelector) {
  using Backends = SnapshotStore::Backends;
  for (const auto backends : {Backends::by_selector, Backends::by_endpoint_slices}) {
    SnapshotStore store(backends);
    for (const auto& object : objects_of(kOneOfEach)) store.put(object);
    const Service& service = store.cluster().services.at({"x", "s"});
    EXPECT_EQ(service.selector.has_value(), backends == Backends::by_selector);
    EXPECT_EQ(service.ports.size(), 1u);
  }
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

std::string cluster_policy(const std::string& version, const std::string& kind, const std::string& spec) {
  return "---\napiVersion: " + version + "\nkind: " + kind + "\nmetadata: {name: default}\nspec: {" + spec +
         "subject: {namespaces: {}}}\n";
}

std::string one_of_each_cluster_kind() {
  return cluster_policy("policy.networking.k8s.io/v1alpha2", "ClusterNetworkPolicy", "tier: Admin, priority: 1, ") +
         cluster_policy("networking.k8s.aws/v1alpha1", "ClusterNetworkPolicy", "tier: Admin, priority: 1, ") +
         cluster_policy("policy.networking.k8s.io/v1alpha1", "AdminNetworkPolicy", "priority: 1, ") +
         cluster_policy("policy.networking.k8s.io/v1alpha1", "BaselineAdminNetworkPolicy", "") +
         cluster_policy("networking.k8s.aws/v1alpha1", "ClusterPolicyEndpoint",
                        "policyRef: {name: default}, tier: Admin, priority: 1, ");
}

// They have one name and are in one map, and none is another's.
TEST(SnapshotStore, PoliciesOfTheClusterAreKeptApartByTheirKind) {
  const auto objects = objects_of(one_of_each_cluster_kind());
  ASSERT_EQ(objects.size(), 5u);
  const auto names = [](const SnapshotStore& store) {
    std::string text;
    for (const auto& entry : store.cluster().cluster_network_policies) text += entry.first + " ";
    return text;
  };
  const std::string all =
      "AdminNetworkPolicy/default BaselineAdminNetworkPolicy/default ClusterNetworkPolicy.networking.k8s.aws/default "
      "ClusterPolicyEndpoint/default default ";
  for (const auto& object : objects) {
    SCOPED_TRACE(object.kind);
    EXPECT_EQ(key_of(object), (NamespacedName{"", "default"}));
    const std::string id = object.kind == "ClusterNetworkPolicy" ? "default" : object.kind + "/default";
    std::string others = all;
    if (id == "default") others.resize(others.size() - id.size() - 1);
    if (id != "default") others.erase(others.find(id + " "), id.size() + 1);
    SnapshotStore store;
    for (const auto& each : objects) store.put(each);
    store.settle();
    EXPECT_EQ(names(store), all);
    store.remove(object.kind, key_of(object));
    store.settle();
    EXPECT_EQ(names(store), others);
    store.put(object);
    store.settle();
    EXPECT_EQ(names(store), all);
    store.replace(object.kind, {});
    store.settle();
    EXPECT_EQ(names(store), others);
    store.replace(object.kind, objects);
    store.settle();
    EXPECT_EQ(names(store), all);
  }
}

TEST(SnapshotStore, OfClusterSlicesThatDisagreeWhatAgreedLastStays) {
  const auto slice = [](const std::string& name, int priority) {
    return objects_of("{apiVersion: networking.k8s.aws/v1alpha1, kind: ClusterPolicyEndpoint, metadata: {name: " + name +
                      "}, spec: {policyRef: {name: p}, tier: Admin, priority: " + std::to_string(priority) + "}}")
        .front();
  };
  const std::string id = "ClusterPolicyEndpoint/p";
  SnapshotStore store;
  store.put(slice("p-1", 1));
  store.put(slice("p-2", 2));
  store.settle();
  EXPECT_TRUE(store.cluster().cluster_network_policies.empty()) << "never agreed: left out";
  EXPECT_EQ(store.cluster_disagreeing(), 1u);
  const std::string said =
      "ClusterPolicyEndpoints p-1 and p-2 of p disagree on priority: found 1 and 2, expected one of them in both";
  EXPECT_EQ(store.take_cluster_news(), std::vector<std::string>{said});
  EXPECT_TRUE(store.take_cluster_news().empty()) << "said once";
  store.put(slice("p-2", 1));
  store.settle();
  EXPECT_EQ(store.cluster_disagreeing(), 0u);
  EXPECT_EQ(store.cluster().cluster_network_policies.at(id).priority, 1u);
  EXPECT_TRUE(store.take_cluster_news().empty());
  store.put(slice("p-1", 2));
  store.settle();
  EXPECT_EQ(store.cluster().cluster_network_policies.at(id).priority, 1u);
  EXPECT_EQ(store.cluster_disagreeing(), 1u);
  // As a folder is read again.
  store.clear();
  store.put(slice("p-1", 2));
  store.put(slice("p-2", 1));
  store.settle();
  EXPECT_EQ(store.cluster().cluster_network_policies.at(id).priority, 1u);
  store.remove("ClusterPolicyEndpoint", {"", "p-2"});
  store.settle();
  EXPECT_EQ(store.cluster().cluster_network_policies.at(id).priority, 2u);
  store.clear();
  store.settle();
  EXPECT_TRUE(store.cluster().cluster_network_policies.empty());
}

TEST(SnapshotStore, ASliceOfAClusterPolicyThatCannotBeReadHoldsTheOthersBack) {
  SnapshotStore store;
  const std::string id = "ClusterPolicyEndpoint/p";
  const auto slice = [](const std::string& name, const std::string& port) {
    return objects_of("{apiVersion: networking.k8s.aws/v1alpha1, kind: ClusterPolicyEndpoint, metadata: {name: " + name +
                      "}, spec: {policyRef: {name: p}, tier: Admin, priority: 1, podSelectorEndpoints: [], ingress: "
                      "[{cidr: 10.0.0.0/8, action: Deny, ports: [{port: " + port + ", protocol: TCP}]}]}}")
        .front();
  };
  const auto rules = [&] { return store.cluster().cluster_network_policies.at(id).ingress.size(); };
  store.put(slice("p-1", "80"));
  store.put(slice("p-2", "81"));
  store.settle();
  EXPECT_EQ(rules(), 2u);
  store.put(slice("p-3", "82"));
  store.refuse_slices({{"", "p-2"}, {"x", "p-2"}});
  store.settle();
  EXPECT_EQ(rules(), 2u) << "p-3 waits for p-2";
  store.put(slice("p-2", "83"));
  store.refuse_slices({});
  store.settle();
  EXPECT_EQ(rules(), 3u);
  // One that nobody has seen yet belongs to no policy.
  store.put(slice("p-4", "84"));
  store.refuse_slices({{"", "p-9"}});
  store.settle();
  EXPECT_EQ(rules(), 4u);
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
