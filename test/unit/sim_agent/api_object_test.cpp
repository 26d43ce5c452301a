// SPDX-License-Identifier: Apache-2.0
// What the agent's cluster hands to an API server is what the manifests said: read back, the objects are
// the same values.
#include <gtest/gtest.h>

#include <algorithm>

#include "engine/manifest/cluster_state.h"
#include "engine/manifest/reader.h"
#include "engine/policy/to_policy_endpoints.h"
#include "sim/agent/api_object.h"

namespace postern::sim {
namespace {

constexpr const char* kManifest = R"(
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {team: web}, annotations: {note: "a: b"}}
---
apiVersion: v1
kind: Node
metadata: {name: n1, labels: {zone: "1"}}
status: {addresses: [{type: InternalIP, address: 172.18.0.2}, {type: InternalIP, address: "fd00::2"}]}
---
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop, labels: {app: web}, annotations: {x: y}}
spec:
  nodeName: n1
  containers: [{name: c, ports: [{name: http, containerPort: 80}, {containerPort: 53, protocol: UDP}]}]
status: {phase: Running, podIP: 10.0.0.1, podIPs: [{ip: 10.0.0.1}, {ip: "fd00:1::1"}]}
---
apiVersion: v1
kind: Pod
metadata: {name: agent, namespace: shop}
spec: {nodeName: n1, hostNetwork: true, containers: [{name: c}]}
---
apiVersion: v1
kind: Pod
metadata: {name: done, namespace: batch}
spec: {containers: [{name: c}]}
status: {phase: Succeeded, podIP: 10.0.0.9}
---
apiVersion: v1
kind: Pod
metadata: {name: unready, namespace: shop}
spec: {containers: [{name: c}]}
status: {podIP: 10.0.0.8, conditions: [{type: Ready, status: "False"}]}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {clusterIP: 10.96.0.9, selector: {app: web}, ports: [{name: http, port: 80, targetPort: http}, {name: dns, port: 53, targetPort: 5353, protocol: UDP}]}
---
apiVersion: v1
kind: Service
metadata: {name: outside, namespace: shop}
spec: {clusterIP: None, ports: [{port: 5432}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: outside-1, namespace: shop, labels: {kubernetes.io/service-name: outside}}
addressType: IPv4
endpoints: [{addresses: [10.0.0.1], conditions: {ready: false}}]
ports: [{name: "", port: 5432, protocol: TCP}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web, namespace: shop}
spec:
  podSelector: {matchLabels: {app: web}, matchExpressions: [{key: tier, operator: NotIn, values: [a, b]}, {key: old, operator: DoesNotExist}]}
  policyTypes: [Ingress, Egress]
  ingress:
  - {}
  - from: [{namespaceSelector: {}, podSelector: {matchLabels: {app: x}}}, {ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}}]
    ports: [{port: http}, {protocol: UDP, port: 1000, endPort: 2000}, {protocol: SCTP}]
  egress:
  - to: [{podSelector: {}}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: closed, namespace: batch}
spec: {podSelector: {}, policyTypes: [Ingress]}
---
apiVersion: policy.networking.k8s.io/v1alpha2
kind: ClusterNetworkPolicy
metadata: {name: guard}
spec:
  tier: Admin
  priority: 7
  subject: {pods: {namespaceSelector: {matchLabels: {team: web}}, podSelector: {}}}
  ingress:
  - {name: no ssh, action: Deny, from: [{namespaces: {}}], protocols: [{tcp: {destinationPort: {number: 22}}}, {destinationNamedPort: http}]}
  egress:
  - {action: Pass, to: [{nodes: {}}, {networks: [10.0.0.0/8]}], protocols: [{udp: {destinationPort: {range: {start: 1, end: 9}}}}]}
  - {action: Accept, to: [{domainNames: [a.example]}]}
---
apiVersion: policy.networking.k8s.io/v1alpha2
kind: ClusterNetworkPolicy
metadata: {name: last}
spec: {tier: Baseline, priority: 0, subject: {namespaces: {}}}
)";

// The forms of before, in which names are used twice.
constexpr const char* kOlder = R"(
apiVersion: policy.networking.k8s.io/v1alpha1
kind: AdminNetworkPolicy
metadata: {name: guard}
spec:
  priority: 10
  subject: {namespaces: {}}
  ingress:
  - {name: the client may, action: Allow, from: [{namespaces: {}}], ports: [{portNumber: {protocol: TCP, port: 80}}, {portRange: {protocol: UDP, start: 81, end: 82}}, {namedPort: http}]}
  egress:
  - {action: Pass, to: [{nodes: {}}, {networks: [10.0.0.0/8]}]}
---
apiVersion: policy.networking.k8s.io/v1alpha1
kind: BaselineAdminNetworkPolicy
metadata: {name: default}
spec: {subject: {namespaces: {}}, egress: [{action: Deny, to: [{networks: [10.0.0.0/8]}]}]}
---
apiVersion: networking.k8s.aws/v1alpha1
kind: ClusterNetworkPolicy
metadata: {name: guard}
spec: {tier: Baseline, priority: 3, subject: {namespaces: {}}, ingress: [{action: Deny, from: [{namespaces: {}}], ports: [{portNumber: {protocol: TCP, port: 80}}]}]}
)";

constexpr const char* kSlices = R"(
apiVersion: networking.k8s.aws/v1alpha1
kind: ClusterPolicyEndpoint
metadata: {name: guard-7xk2p}
spec:
  policyRef: {name: guard}
  tier: Admin
  priority: 10
  subject: {namespaces: {}}
  podSelectorEndpoints:
  - {hostIP: 172.18.0.2, podIP: 10.20.0.1, name: web, namespace: shop}
  - {hostIP: 172.18.0.2, podIP: 10.20.0.2, name: db, namespace: store}
  ingress:
  - {cidr: 10.20.0.0/24, action: Pass, ports: [{protocol: TCP, port: 80, endPort: 89}]}
  - {cidr: 10.20.0.3, action: Accept, ports: [{protocol: TCP, port: 80}]}
---
apiVersion: networking.k8s.aws/v1alpha1
kind: ClusterPolicyEndpoint
metadata: {name: guard-q9d4z}
spec:
  policyRef: {name: guard}
  tier: Admin
  priority: 10
  subject: {namespaces: {}}
  ingress:
  - {cidr: 10.20.0.4, action: Accept, ports: [{protocol: TCP, port: 80}]}
  egress:
  - {domainName: dns.example, action: Accept}
  - {cidr: 10.20.0.0/30, action: Deny, ports: [{protocol: UDP, port: 54}]}
---
apiVersion: networking.k8s.aws/v1alpha1
kind: ClusterPolicyEndpoint
metadata: {name: nobodys}
spec: {policyRef: {name: nobodys}, tier: Baseline, priority: 0}
)";

// The status stands for the object where there is one.
std::vector<manifest::Object> read_back(const std::vector<ApiObject>& objects) {
  std::vector<manifest::Object> read;
  for (const auto& object : objects) {
    const std::string& text = object.status.empty() ? object.body : object.status;
    auto one = manifest::read_manifest(text, "object.json", {.live = true});
    if (!one) {
      ADD_FAILURE() << one.error().front().to_string() << "\n" << text;
      continue;
    }
    std::move(one->objects.begin(), one->objects.end(), std::back_inserter(read));
  }
  return read;
}

ClusterSnapshot snapshot_of(const std::vector<manifest::Object>& objects) {
  manifest::ClusterState state;
  auto cluster = state.apply({}, objects);
  EXPECT_TRUE(cluster) << cluster.error().to_string();
  return cluster ? *cluster : ClusterSnapshot{};
}

ClusterSnapshot sample(const char* manifest = kManifest) {
  auto read = manifest::read_manifest(manifest, "sample.yaml");
  EXPECT_TRUE(read) << read.error().front().to_string();
  return read ? snapshot_of(read->objects) : ClusterSnapshot{};
}

TEST(ApiObjectTest, EveryKindReadBackIsWhatItWas) {
  ClusterSnapshot before = sample();
  ASSERT_EQ(before.pods.size(), 4U);
  auto objects = api_objects(before, ServedPolicies::network_policies);
  ASSERT_TRUE(objects) << objects.error().message;
  const ClusterSnapshot after = snapshot_of(read_back(*objects));
  // The node of pods that name none has a name that no object can have, so it has another there.
  for (auto& [key, pod] : before.pods) pod.node_name = pod.node_name.empty() ? "" : api_node_name(pod.node_name);
  EXPECT_EQ(after.pods, before.pods);
  EXPECT_EQ(after.services, before.services);
  EXPECT_EQ(after.endpoint_slices, before.endpoint_slices);
  EXPECT_EQ(after.network_policies, before.network_policies);
  ASSERT_EQ(before.cluster_network_policies.size(), 2U);
  EXPECT_EQ(after.cluster_network_policies, before.cluster_network_policies);
  for (const auto& [name, one] : before.namespaces) {
    ASSERT_TRUE(after.namespaces.contains(name)) << name;
    EXPECT_EQ(after.namespaces.at(name), one) << name;
  }
  EXPECT_TRUE(after.namespaces.contains("batch")) << "it is used, though nobody applied it";
  ASSERT_TRUE(after.nodes.contains("n1"));
  EXPECT_EQ(after.nodes.at("n1"), before.nodes.at("n1"));
}

std::vector<std::string> paths_of(const std::vector<ApiObject>& objects) {
  std::vector<std::string> paths;
  for (const auto& object : objects) {
    if (is_custom(object.key.kind)) paths.push_back(collection_path(object.key) + "/" + object.key.name.name);
  }
  return paths;
}

TEST(ApiObjectTest, OlderFormsAreWrittenAsTheyWere) {
  const ClusterSnapshot before = sample(kOlder);
  ASSERT_EQ(before.cluster_network_policies.size(), 3U);
  const auto objects = api_objects(before, ServedPolicies::network_policies);
  ASSERT_TRUE(objects) << objects.error().message;
  EXPECT_EQ(paths_of(*objects),
            (std::vector<std::string>{"/apis/policy.networking.k8s.io/v1alpha1/adminnetworkpolicies/guard",
                                      "/apis/policy.networking.k8s.io/v1alpha1/baselineadminnetworkpolicies/default",
                                      "/apis/networking.k8s.aws/v1alpha1/clusternetworkpolicies/guard"}));
  EXPECT_EQ(snapshot_of(read_back(*objects)).cluster_network_policies, before.cluster_network_policies);
  const auto none = api_objects(before, ServedPolicies::policy_endpoints);
  ASSERT_TRUE(none);
  EXPECT_TRUE(paths_of(*none).empty());
}

TEST(ApiObjectTest, APolicyInSlicesIsInSlicesAgain) {
  const ClusterSnapshot before = sample(kSlices);
  ASSERT_EQ(before.cluster_network_policies.size(), 2U);
  const auto objects = api_objects(before, ServedPolicies::policy_endpoints);
  ASSERT_TRUE(objects) << objects.error().message;
  const std::string folder = "/apis/networking.k8s.aws/v1alpha1/clusterpolicyendpoints/";
  EXPECT_EQ(paths_of(*objects), (std::vector<std::string>{folder + "guard-pods", folder + "guard-in",
                                                          folder + "guard-out", folder + "nobodys-pods"}));
  EXPECT_EQ(snapshot_of(read_back(*objects)).cluster_network_policies, before.cluster_network_policies);
  const auto none = api_objects(before, ServedPolicies::network_policies);
  ASSERT_TRUE(none);
  EXPECT_TRUE(paths_of(*none).empty());
}

TEST(ApiObjectTest, PolicyEndpointsReadBackAreWhatTheyWere) {
  const ClusterSnapshot before = sample();
  const auto slices = to_policy_endpoints(before);
  ASSERT_TRUE(slices) << slices.error().message;
  ASSERT_GE(slices->size(), 2U);
  auto objects = api_objects(before, ServedPolicies::policy_endpoints);
  ASSERT_TRUE(objects) << objects.error().message;
  const ClusterSnapshot after = snapshot_of(read_back(*objects));
  EXPECT_TRUE(after.network_policies.empty());
  EXPECT_TRUE(after.cluster_network_policies.empty());
  std::vector<PolicyEndpoint> read;
  for (const auto& [key, slice] : after.policy_endpoints) read.push_back(slice);
  EXPECT_EQ(read, *slices);
}

TEST(ApiObjectTest, AsTheyAreAllKindsOfPolicyAreWritten) {
  auto before = sample();
  const auto slices = to_policy_endpoints(before);
  ASSERT_TRUE(slices);
  for (const auto& slice : *slices) before.policy_endpoints[slice.key] = slice;
  ASSERT_FALSE(before.policy_endpoints.empty());
  auto objects = api_objects(before, ServedPolicies::as_they_are);
  ASSERT_TRUE(objects);
  const auto after = snapshot_of(read_back(*objects));
  EXPECT_EQ(after.network_policies, before.network_policies);
  EXPECT_EQ(after.cluster_network_policies, before.cluster_network_policies);
  EXPECT_EQ(after.policy_endpoints, before.policy_endpoints);
}

TEST(ApiObjectTest, ObjectsThatOthersStandInComeFirst) {
  const auto objects = api_objects(sample(), ServedPolicies::network_policies);
  ASSERT_TRUE(objects) << objects.error().message;
  EXPECT_TRUE(std::is_sorted(objects->begin(), objects->end(), [](const auto& a, const auto& b) {
    return a.key.kind < b.key.kind;
  }));
}

TEST(ApiObjectTest, ABarrierChangesNoPolicyAndEveryObjectOfIt) {
  const ClusterSnapshot before = sample();
  for (const auto policies : {ServedPolicies::network_policies, ServedPolicies::policy_endpoints}) {
    const auto first = barrier_objects(1, policies);
    const auto second = barrier_objects(2, policies);
    ASSERT_EQ(first.size(), second.size());
    for (std::size_t i = 0; i < first.size(); ++i) {
      EXPECT_EQ(first[i].key, second[i].key);
      EXPECT_NE(first[i].body, second[i].body) << first[i].body;
    }
    for (const auto& object : read_back(first)) {
      if (const auto* pod = std::get_if<manifest::PodObject>(&object.value)) {
        EXPECT_FALSE(pod->pod.live());
      }
      if (const auto* service = std::get_if<manifest::ServiceObject>(&object.value)) {
        EXPECT_TRUE(service->service.cluster_ips.empty());
      }
    }
  }
}

// Of its own node's alone an agent is told.
TEST(ApiObjectTest, WithPolicyEndpointsThereIsABarrierPodOnEveryNode) {
  const std::map<std::string, Node> nodes{{"n1", {}}, {"n2", {}}};
  const auto pods_of = [&](ServedPolicies policies) {
    std::vector<std::string> on;
    for (const auto& object : read_back(barrier_objects(1, policies, nodes))) {
      const auto* pod = std::get_if<manifest::PodObject>(&object.value);
      if (pod != nullptr) on.push_back(pod->pod.node_name);
    }
    return on;
  };
  EXPECT_EQ(pods_of(ServedPolicies::policy_endpoints), (std::vector<std::string>{"n1", "n2"}));
  EXPECT_EQ(pods_of(ServedPolicies::network_policies), std::vector<std::string>{""});
}

TEST(ApiObjectTest, TheOneBaselineAdminNetworkPolicyIsItsOwnBarrier) {
  const ApiKey key{ApiKey::Kind::baseline_admin_network_policy, {"", "default"}};
  for (const char* manifest : {kOlder, kManifest}) {
    const ClusterSnapshot before = sample(manifest);
    std::vector<std::string> bodies;
    for (const std::uint64_t number : {1u, 2u}) {
      auto objects = api_objects(before, ServedPolicies::network_policies);
      ASSERT_TRUE(objects);
      EXPECT_EQ(stamp_baseline(*objects, number), key);
      auto policies = snapshot_of(read_back(*objects)).cluster_network_policies;
      const auto there = policies.find("BaselineAdminNetworkPolicy/default");
      ASSERT_NE(there, policies.end());
      if (!before.cluster_network_policies.contains(there->first)) {
        EXPECT_TRUE(there->second.ingress.empty() && there->second.egress.empty());
        policies.erase(there);
      }
      EXPECT_EQ(policies, before.cluster_network_policies);
      for (const auto& object : *objects) {
        if (object.key == key) bodies.push_back(object.body);
      }
    }
    ASSERT_EQ(bodies.size(), 2U);
    EXPECT_NE(bodies[0], bodies[1]);
  }
}

TEST(ApiObjectTest, AKindIsKnownByItsGroupToo) {
  using Kind = ApiKey::Kind;
  struct Row {
    const char* group;
    const char* kind;
    std::optional<Kind> known;
    const char* resource;
    const char* many;
  };
  const std::vector<Row> rows{
      {"policy.networking.k8s.io", "ClusterNetworkPolicy", Kind::cluster_network_policy, "clusternetworkpolicies",
       "ClusterNetworkPolicies"},
      {"networking.k8s.aws", "ClusterNetworkPolicy", Kind::amazon_cluster_network_policy,
       "clusternetworkpolicies.networking.k8s.aws", "ClusterNetworkPolicies of networking.k8s.aws"},
      {"policy.networking.k8s.io", "BaselineAdminNetworkPolicy", Kind::baseline_admin_network_policy,
       "baselineadminnetworkpolicies", "BaselineAdminNetworkPolicies"},
      {"networking.k8s.aws", "ClusterPolicyEndpoint", Kind::cluster_policy_endpoint, "clusterpolicyendpoints",
       "ClusterPolicyEndpoints"},
      {"networking.k8s.io", "NetworkPolicy", std::nullopt, "", ""},
      {"", "Pod", std::nullopt, "", ""},
      {"example.com", "ClusterNetworkPolicy", std::nullopt, "", ""},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(std::string(row.group) + " " + row.kind);
    const auto known = custom_kind(row.group, row.kind);
    EXPECT_EQ(known, row.known);
    if (!known) continue;
    EXPECT_EQ(resource_name_of(*known), row.resource);
    EXPECT_EQ(many_of(*known), row.many);
  }
}

TEST(ApiObjectTest, OnlyAServiceOfTwoAddressesAsksForBothFamilies) {
  ClusterSnapshot cluster = sample();
  Service& service = cluster.services.at({"shop", "web"});
  service.cluster_ips.push_back(*IpAddress::parse("fd00:96::9"));
  const auto objects = api_objects(cluster, ServedPolicies::network_policies);
  ASSERT_TRUE(objects) << objects.error().message;
  std::size_t asking = 0;
  for (const auto& object : *objects) {
    if (object.body.find("ipFamilyPolicy") == std::string::npos) continue;
    EXPECT_EQ(object.key.name.to_string(), "shop/web");
    ++asking;
  }
  EXPECT_EQ(asking, 1U);
}

struct PathRow {
  ApiKey key;
  const char* path;
};

TEST(ApiObjectTest, CollectionsAreWhereTheApiHasThem) {
  const std::vector<PathRow> rows{
      {{ApiKey::Kind::namespace_, {"", "x"}}, "/api/v1/namespaces"},
      {{ApiKey::Kind::pod, {"x", "a"}}, "/api/v1/namespaces/x/pods"},
      {{ApiKey::Kind::endpoint_slice, {"x", "a"}}, "/apis/discovery.k8s.io/v1/namespaces/x/endpointslices"},
      {{ApiKey::Kind::cluster_network_policy, {"", "a"}},
       "/apis/policy.networking.k8s.io/v1alpha2/clusternetworkpolicies"},
      {{ApiKey::Kind::policy_endpoint, {"x", "a"}},
       "/apis/networking.k8s.aws/v1alpha1/namespaces/x/policyendpoints"},
  };
  for (const auto& row : rows) EXPECT_EQ(collection_path(row.key), row.path);
}

}  // namespace
}  // namespace postern::sim
