// SPDX-License-Identifier: Apache-2.0
// Objects as an API server sends them. Nothing is made up for what they do not say, and what an API
// server lets in is never refused: a pod that cannot be read would be a pod without policy.
#include <gtest/gtest.h>

#include "engine/manifest/reader.h"

namespace postern::manifest {
namespace {

tl::expected<Manifest, Errors> read_live(const std::string& text) {
  ReadOptions options;
  options.live = true;
  return read_manifest(text, "live.yaml", options);
}

template <typename T>
T only_live(const std::string& text) {
  const auto manifest = read_live(text);
  if (!manifest) {
    ADD_FAILURE() << manifest.error().front().to_string();
    return {};
  }
  if (manifest->objects.size() != 1 || !std::holds_alternative<T>(manifest->objects.front().value)) {
    ADD_FAILURE() << "not one object of the kind: " << text;
    return {};
  }
  return std::get<T>(manifest->objects.front().value);
}

PodObject live_pod(const std::string& rest) {
  return only_live<PodObject>("{apiVersion: v1, kind: Pod, metadata: {name: a, namespace: x}" +
                              (rest.empty() ? rest : ", " + rest) + "}");
}

TEST(LivePods, HaveTheAddressesThatTheirStatusSaysAndNoOthers) {
  struct Row {
    const char* name;
    const char* rest;
    std::vector<std::string> addresses;
  };
  const Row rows[] = {
      {"no status", "", {}},
      {"pending, not scheduled", "status: {phase: Pending, qosClass: BestEffort}", {}},
      {"an empty podIP", "status: {phase: Pending, podIP: \"\"}", {}},
      {"an element of podIPs without an address", "status: {phase: Running, podIPs: [{}]}", {}},
      {"an element of podIPs that is empty", "status: {podIP: \"\", podIPs: [{ip: \"\"}]}", {}},
      {"podIP before podIPs", "status: {podIP: 10.0.0.1}", {"10.0.0.1"}},
      {"both families",
       "status: {podIP: \"fd00::1\", podIPs: [{ip: \"fd00::1\"}, {ip: 10.0.0.1}]}",
       {"fd00::1", "10.0.0.1"}},
      {"leading zeros are decimal",
       "status: {podIP: 010.008.0.001, podIPs: [{ip: 010.008.0.001}]}",
       {"10.8.0.1"}},
      {"host network", "spec: {hostNetwork: true, nodeName: n}, status: {podIP: 192.0.2.1}", {"192.0.2.1"}},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.name);
    const auto read = live_pod(row.rest);
    EXPECT_FALSE(read.assign_address);
    std::vector<std::string> addresses;
    for (const auto& address : read.pod.addresses) addresses.push_back(address.to_string());
    EXPECT_EQ(addresses, row.addresses);
  }
}

TEST(LivePods, AreReadyOnlyWhenTheySaySo) {
  struct Row {
    const char* status;
    bool ready;
  };
  const Row rows[] = {
      {"{phase: Pending}", false},
      {"{conditions: [{type: PodScheduled, status: \"True\"}]}", false},
      {"{conditions: [{type: Ready, status: \"True\"}]}", true},
      {"{conditions: [{type: Ready, status: \"False\"}]}", false},
      {"{conditions: [{type: Ready, status: Unknown}]}", false},
      {"{conditions: [{type: Ready, status: \"True\"}, {type: Other, status: \"False\"}]}", true},
  };
  for (const auto& row : rows) {
    EXPECT_EQ(live_pod(std::string("status: ") + row.status).pod.ready, row.ready) << row.status;
  }
}

TEST(LivePods, ArePodsWhateverTheirAnnotationsSay) {
  const auto read = only_live<PodObject>(
      "{apiVersion: v1, kind: Pod, metadata: {name: a, namespace: x, deletionTimestamp: "
      "\"2025-01-01T00:00:00Z\","
      " annotations: {postern.dev/audit: \"true\", other: null}},"
      " status: {phase: Running, podIP: 10.0.0.1}}");
  EXPECT_TRUE(read.pod.live());
}

TEST(LiveServices, HaveTheAddressesThatTheirSpecSaysAndNoOthers) {
  struct Row {
    const char* spec;
    std::size_t addresses;
  };
  const Row rows[] = {
      {"{}", 0},
      {"{type: ClusterIP, clusterIP: \"\"}", 0},
      {"{type: ClusterIP, clusterIP: None, clusterIPs: [None], ports: null}", 0},
      {"{type: ExternalName, externalName: db.example.com, sessionAffinity: None}", 0},
      {"{type: LoadBalancer, clusterIP: 10.96.0.1, clusterIPs: [10.96.0.1, \"fd00::1\"]}", 2},
      {"{type: NodePort, clusterIP: 10.096.0.1}", 1},
  };
  for (const auto& row : rows) {
    const auto read = only_live<ServiceObject>(
        std::string("{apiVersion: v1, kind: Service, metadata: {name: s}, spec: ") + row.spec + "}");
    EXPECT_EQ(read.service.cluster_ips.size(), row.addresses) << row.spec;
    EXPECT_FALSE(read.assign_address) << row.spec;
  }
}

EndpointSlice live_slice(const std::string& rest) {
  return only_live<EndpointSlice>(
      "{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: s-x7k2p,"
      " labels: {kubernetes.io/service-name: s}}, " +
      rest + "}");
}

TEST(LiveEndpointSlices, MayHaveNoEndpointsNoPortsAndNamesInPlaceOfAddresses) {
  struct Row {
    const char* rest;
    std::size_t endpoints;
    std::size_t addresses;
    std::size_t ports;
  };
  const Row rows[] = {
      {"addressType: IPv4, endpoints: null, ports: null", 0, 0, 0},
      {"addressType: IPv6, endpoints: [{addresses: [\"fd00::1\"], conditions: {}}],"
       " ports: [{name: \"\", port: 80, protocol: TCP}]",
       1, 1, 1},
      {"addressType: FQDN, endpoints: [{addresses: [db.example.com]}], ports: [{name: \"\", port: 80}]", 1, 0,
       1},
      {"addressType: IPv4, endpoints: [], ports: [{name: a, port: 0}, {name: b, port: null}, {name: c, port: "
       "70000},"
       " {name: d, port: 1, protocol: SCTP}]",
       0, 0, 1},
      {"addressType: IPv4, endpoints: [{addresses: [10.0.00.1], conditions: {ready: false, serving: true,"
       " terminating: true}}], ports: []",
       1, 1, 0},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.rest);
    const auto slice = live_slice(row.rest);
    EXPECT_EQ(slice.service, "s");
    ASSERT_EQ(slice.endpoints.size(), row.endpoints);
    EXPECT_EQ(slice.endpoints.empty() ? 0 : slice.endpoints[0].addresses.size(), row.addresses);
    EXPECT_EQ(slice.ports.size(), row.ports);
  }
}

TEST(LiveNodes, MayHaveAnAddressThatIsEmptyAndNamesAmongThem) {
  const auto node = only_live<Node>(
      "{apiVersion: v1, kind: Node, metadata: {name: ip-10-0-0-1.ec2.internal}, status: {addresses:"
      " [{type: InternalIP, address: 10.0.0.1}, {type: ExternalIP, address: \"\"}, {type: Hostname, address: "
      "n},"
      " {type: InternalDNS, address: ip-10-0-0-1.ec2.internal}]}}");
  ASSERT_EQ(node.addresses.size(), 1u);
  EXPECT_EQ(node.addresses[0].type, "InternalIP");
}

NetworkPolicy live_policy(const std::string& spec) {
  return only_live<NetworkPolicy>(
      "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: p, namespace: x}, spec: " +
      spec + ", status: {}}");
}

TEST(LivePolicies, WithWhatOlderApiServersLetInAreRead) {
  const auto policy = live_policy(
      "{podSelector: {matchExpressions: [{key: a, operator: NotIn, values: [\"a b\"]}]}, policyTypes: "
      "[Ingress],"
      " ingress: [{from: [{ipBlock: {cidr: 010.0.0.0/08, except: [10.001.0.0/16]}}]}]}");
  EXPECT_TRUE(policy.pod_selector.matches({{"a", "b"}}));
  ASSERT_EQ(policy.ingress.size(), 1u);
  const auto& block = std::get<IpBlock>(policy.ingress[0].peers.at(0));
  EXPECT_EQ(block.cidr.to_string(), "10.0.0.0/8");
  ASSERT_EQ(block.excepts.size(), 1u);
  EXPECT_EQ(block.excepts[0].to_string(), "10.1.0.0/16");
}

TEST(LivePolicies, AreRefusedForNoAnnotation) {
  const auto policy = only_live<NetworkPolicy>(
      "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: p, namespace: x, annotations: "
      "{postern.dev/audit: \"true\", postern.dev/other: a}}, spec: {}}");
  EXPECT_TRUE(policy.audit);
  ASSERT_EQ(policy.remarks.size(), 1u);
  EXPECT_NE(policy.remarks[0].find("postern.dev/other: found a key without a meaning here"), std::string::npos);
}

TEST(LiveObjects, AreReadMoreGenerouslyThanFiles) {
  // Each of these is refused in a file.
  const char* texts[] = {
      "{apiVersion: v1, kind: Pod, metadata: {name: a}, status: {podIP: 010.0.0.1}}",
      "{apiVersion: v1, kind: Pod, metadata: {name: a, annotations: {postern.dev/audit: a}}}",
      "{apiVersion: v1, kind: Pod, metadata: {name: a}, status: {podIPs: [{}]}}",
      "{apiVersion: v1, kind: Node, metadata: {name: a}, status: {addresses: [{type: ExternalIP, address: "
      "\"\"}]}}",
      "{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: a}, ports: [{port: 0}]}",
      "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: a}, spec: {podSelector:"
      " {matchExpressions: [{key: a, operator: In, values: [\"a b\"]}]}}}",
  };
  for (const char* text : texts) {
    EXPECT_TRUE(read_live(text)) << text;
    EXPECT_FALSE(read_manifest(text, "file.yaml")) << text;
  }
}

TEST(LivePods, HaveTheWorkloadOfTheOwnerThatControlsThem) {
  const struct {
    const char* name;
    const char* metadata;
    const char* workload;
  } rows[] = {
      {"no owner", "", ""},
      {"a Deployment by its ReplicaSet",
       ", labels: {pod-template-hash: 5d4f}, ownerReferences: [{kind: ReplicaSet, name: web-5d4f, controller: true}]",
       "Deployment/web"},
      {"a name with dashes",
       ", labels: {pod-template-hash: 5d4f}, ownerReferences: [{kind: ReplicaSet, name: a-b-5d4f, controller: true}]",
       "Deployment/a-b"},
      {"a ReplicaSet of its own", ", ownerReferences: [{kind: ReplicaSet, name: web-5d4f, controller: true}]",
       "ReplicaSet/web-5d4f"},
      {"a ReplicaSet with another hash",
       ", labels: {pod-template-hash: aaaa}, ownerReferences: [{kind: ReplicaSet, name: web-5d4f, controller: true}]",
       "ReplicaSet/web-5d4f"},
      {"a StatefulSet", ", ownerReferences: [{kind: StatefulSet, name: db, controller: true}]", "StatefulSet/db"},
      {"the controller among owners",
       ", ownerReferences: [{kind: Thing, name: t}, {kind: Job, name: j-1, controller: true}]", "Job/j-1"},
      {"an owner that does not control", ", ownerReferences: [{kind: Thing, name: t, controller: false}]", ""},
  };
  for (const auto& row : rows) {
    const auto pod = only_live<PodObject>(std::string("{apiVersion: v1, kind: Pod, metadata: {name: a, namespace: x") +
                                          row.metadata + "}}");
    EXPECT_EQ(pod.pod.workload, row.workload) << row.name;
  }
}

}  // namespace
}  // namespace postern::manifest
