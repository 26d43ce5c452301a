// SPDX-License-Identifier: Apache-2.0
// What objects become when fields are absent, null or empty, and which objects are read at all.
#include <gtest/gtest.h>

#include "engine/manifest/reader.h"
#include "engine/model/snapshot.h"

namespace postern::manifest::defaulting_test {
namespace {

Manifest read(const std::string& text, const std::string& file = "f.yaml") {
  auto manifest = read_manifest(text, file);
  if (!manifest) {
    ADD_FAILURE() << manifest.error().front().to_string();
    return {};
  }
  return std::move(*manifest);
}

template <typename T>
T only(const std::string& text) {
  Manifest manifest = read(text);
  if (manifest.objects.size() != 1 || !std::holds_alternative<T>(manifest.objects.front().value)) {
    ADD_FAILURE() << "not one object of the kind";
    return {};
  }
  return std::get<T>(manifest.objects.front().value);
}

NetworkPolicy policy(const std::string& spec) {
  return only<NetworkPolicy>(
      "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: p, namespace: x}" +
      (spec.empty() ? spec : ", spec: " + spec) + "}");
}

PodObject pod(const std::string& rest) {
  return only<PodObject>("{apiVersion: v1, kind: Pod, metadata: {name: a, namespace: x}" +
                         (rest.empty() ? rest : ", " + rest) + "}");
}

struct TypesRow {
  const char* name;
  const char* spec;
  bool ingress;
  bool egress;
};

TEST(Defaulting, policy_types_follow_from_the_egress_list) {
  const TypesRow rows[] = {
      {"nothing at all", "", true, false},
      {"an empty spec", "{}", true, false},
      {"no lists", "{podSelector: {}}", true, false},
      {"an empty egress list", "{egress: []}", true, false},
      {"a null egress list", "{egress: null}", true, false},
      {"an egress rule", "{egress: [{}]}", true, true},
      {"an ingress rule", "{ingress: [{}]}", true, false},
      {"an empty list of types", "{policyTypes: [], egress: [{}]}", true, true},
      {"null types", "{policyTypes: null, egress: [{}]}", true, true},
      {"Ingress alone, with egress rules", "{policyTypes: [Ingress], egress: [{}]}", true, false},
      {"Egress alone", "{policyTypes: [Egress]}", false, true},
      {"both", "{policyTypes: [Egress, Ingress]}", true, true},
      {"one twice", "{policyTypes: [Egress, Egress]}", false, true},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.name);
    const auto read = policy(row.spec);
    EXPECT_EQ(read.isolates_ingress, row.ingress);
    EXPECT_EQ(read.isolates_egress, row.egress);
  }
}

TEST(Defaulting, absent_null_and_empty_lists_are_one_at_every_level) {
  for (const char* spec : {"{}", "{ingress: null}", "{ingress: []}"}) {
    SCOPED_TRACE(spec);
    EXPECT_TRUE(policy(spec).ingress.empty());
  }
  for (const char* spec : {"{ingress: [{}]}", "{ingress: [null]}", "{ingress: [{from: null, ports: null}]}",
                           "{ingress: [{from: [], ports: []}]}"}) {
    SCOPED_TRACE(spec);
    const auto rules = policy(spec).ingress;
    ASSERT_EQ(rules.size(), 1u);
    EXPECT_TRUE(rules[0].peers.empty());
    EXPECT_TRUE(rules[0].ports.empty());
  }
  for (const char* spec :
       {"{}", "{podSelector: null}", "{podSelector: {}}", "{podSelector: {matchLabels: null}}",
        "{podSelector: {matchLabels: {}, matchExpressions: []}}"}) {
    SCOPED_TRACE(spec);
    EXPECT_TRUE(policy(spec).pod_selector.empty());
  }
}

TEST(Defaulting, a_port_entry_has_tcp_and_every_port) {
  const auto ports = policy(
                         "{ingress: [{ports: [{}, null, {port: 80}, {port: web}, {port: 80, endPort: 90},"
                         " {protocol: UDP}, {port: 443, endPort: 443, protocol: SCTP}]}]}")
                         .ingress.at(0)
                         .ports;
  const std::vector<PolicyPort> expected{
      {Protocol::tcp, std::nullopt},        {Protocol::tcp, std::nullopt},
      {Protocol::tcp, PortRange{80, 80}},   {Protocol::tcp, std::string("web")},
      {Protocol::tcp, PortRange{80, 90}},   {Protocol::udp, std::nullopt},
      {Protocol::sctp, PortRange{443, 443}}};
  EXPECT_EQ(ports, expected);
}

TEST(Defaulting, peers_keep_which_selectors_are_absent) {
  const auto peers = policy(
                         "{egress: [{to: [{podSelector: {}}, {namespaceSelector: {}},"
                         " {namespaceSelector: {matchLabels: {a: b}}, podSelector: {matchLabels: {c: d}}},"
                         " {ipBlock: {cidr: 10.1.2.3/8, except: [10.1.1.1/16, 10.0.0.0/9]}}]}]}")
                         .egress.at(0)
                         .peers;
  ASSERT_EQ(peers.size(), 4u);
  const auto& first = std::get<PodPeer>(peers[0]);
  EXPECT_FALSE(first.namespaces.has_value());
  EXPECT_TRUE(first.pods.has_value());
  const auto& second = std::get<PodPeer>(peers[1]);
  EXPECT_TRUE(second.namespaces.has_value());
  EXPECT_FALSE(second.pods.has_value());
  const auto& third = std::get<PodPeer>(peers[2]);
  EXPECT_EQ(third.namespaces->to_string(), "a=b");
  EXPECT_EQ(third.pods->to_string(), "c=d");
  const auto& block = std::get<IpBlock>(peers[3]);
  EXPECT_EQ(block.cidr.to_string(), "10.0.0.0/8");
  ASSERT_EQ(block.excepts.size(), 2u);
  EXPECT_EQ(block.excepts[0].to_string(), "10.1.0.0/16");
}

TEST(Defaulting, all_four_operators_are_read_with_sorted_values) {
  const auto selector = policy(
                            "{podSelector: {matchExpressions: [{key: b, operator: NotIn, values: [z, a, z]},"
                            " {key: a, operator: In, values: [v]}, {key: c, operator: Exists},"
                            " {key: d, operator: DoesNotExist, values: []}]}}")
                            .pod_selector;
  EXPECT_EQ(selector.to_string(), "a in (v),b notin (a,z),c,!d");
}

TEST(Defaulting, a_namespace_always_has_its_name_as_a_label) {
  const auto plain = only<Namespace>("{apiVersion: v1, kind: Namespace, metadata: {name: x}}");
  EXPECT_EQ(plain.labels, (Labels{{kNamespaceNameLabel, "x"}}));
  const auto forged = only<Namespace>(
      "{apiVersion: v1, kind: Namespace, metadata: {name: x, labels: {kubernetes.io/metadata.name: \"y\", a: "
      "b}}}");
  EXPECT_EQ(forged.labels, (Labels{{kNamespaceNameLabel, "x"}, {"a", "b"}}));
}

TEST(Defaulting, an_object_without_a_namespace_is_in_default) {
  const std::string spec = "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: p";
  EXPECT_EQ(only<NetworkPolicy>(spec + "}}").key.ns, "default");
  EXPECT_EQ(only<NetworkPolicy>(spec + ", namespace: null}}").key.ns, "default");
  EXPECT_EQ(only<NetworkPolicy>(spec + ", namespace: \"\"}}").key.ns, "default");
}

TEST(Pods, addresses_are_given_assigned_or_not_there_yet) {
  struct Row {
    const char* name;
    const char* status;
    bool assign;
    std::vector<std::string> addresses;
  };
  const Row rows[] = {
      {"no status", "", true, {}},
      {"an empty status", "status: {}", true, {}},
      {"a null podIP", "status: {podIP: null}", true, {}},
      {"an empty podIP", "status: {podIP: \"\"}", false, {}},
      {"a podIP", "status: {podIP: 10.0.0.1}", false, {"10.0.0.1"}},
      {"an IPv6 podIP", "status: {podIP: \"2001:db8::1\"}", false, {"2001:db8::1"}},
      {"both families",
       "status: {podIP: 10.0.0.1, podIPs: [{ip: 10.0.0.1}, {ip: \"2001:db8::1\"}]}",
       false,
       {"10.0.0.1", "2001:db8::1"}},
      {"podIPs alone", "status: {podIPs: [{ip: 10.0.0.1}]}", false, {"10.0.0.1"}},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.name);
    const auto read = pod(row.status);
    EXPECT_EQ(read.assign_address, row.assign);
    std::vector<std::string> addresses;
    for (const auto& address : read.pod.addresses) addresses.push_back(address.to_string());
    EXPECT_EQ(addresses, row.addresses);
  }
}

TEST(Pods, ports_are_those_of_containers_and_of_init_containers_that_restart_always) {
  const auto read = pod(
      "spec: {initContainers: [{name: once, ports: [{containerPort: 1}]},"
      " {name: beside, restartPolicy: Always, ports: [{containerPort: 2, name: side}]}],"
      " containers: [{name: c, ports: [{containerPort: 80, name: web}, {containerPort: 53, protocol: UDP}]},"
      " {name: d, ports: [{containerPort: 81, name: web}]}, {name: e}]}");
  const std::vector<ContainerPort> expected{{"web", 80, Protocol::tcp},
                                            {"", 53, Protocol::udp},
                                            {"web", 81, Protocol::tcp},
                                            {"side", 2, Protocol::tcp}};
  EXPECT_EQ(read.pod.ports, expected);
}

TEST(Pods, node_host_network_phase_and_readiness_are_read) {
  const auto plain = pod("").pod;
  EXPECT_EQ(plain.node_name, "");
  EXPECT_FALSE(plain.host_network);
  EXPECT_EQ(plain.phase, PodPhase::running);
  EXPECT_TRUE(plain.ready);
  const auto placed = pod("spec: {nodeName: n1, hostNetwork: true}, status: {phase: Failed, conditions:"
                          " [{type: Initialized, status: \"True\"}, {type: Ready, status: \"False\"}]}")
                          .pod;
  EXPECT_EQ(placed.node_name, "n1");
  EXPECT_TRUE(placed.host_network);
  EXPECT_EQ(placed.phase, PodPhase::failed);
  EXPECT_FALSE(placed.ready);
  EXPECT_TRUE(pod("status: {conditions: [{type: Ready, status: Unknown}]}").pod.ready);
}

TEST(Nodes, addresses_that_are_names_are_left_out) {
  const auto node = only<Node>(
      "{apiVersion: v1, kind: Node, metadata: {name: n1, labels: {a: b}}, status: {addresses:"
      " [{type: Hostname, address: n1}, {type: InternalIP, address: 172.18.0.5}, {type: Hostname, address: "
      "10.9.9.9}]}}");
  EXPECT_EQ(node.labels, (Labels{{"a", "b"}}));
  ASSERT_EQ(node.addresses.size(), 2u);
  EXPECT_EQ(node.internal_ip(IpFamily::v4)->to_string(), "172.18.0.5");
  EXPECT_EQ(node.addresses[1].address.to_string(), "10.9.9.9");
}

TEST(Services, target_ports_default_to_the_port) {
  const Service service = only<ServiceObject>(
      "{apiVersion: v1, kind: Service, metadata: {name: s}, spec: {clusterIP: 10.96.0.1, clusterIPs: "
      "[10.96.0.1,"
      " \"2001:db8::1\"], selector: {a: b}, ports: [{port: 80}, {port: 53, protocol: UDP, targetPort: dns, "
      "name: d},"
      " {port: 81, targetPort: 8081}]}}").service;
  EXPECT_EQ(service.selector, (Labels{{"a", "b"}}));
  ASSERT_EQ(service.cluster_ips.size(), 2u);
  ASSERT_EQ(service.ports.size(), 3u);
  EXPECT_EQ(service.ports[0].protocol, Protocol::tcp);
  EXPECT_EQ(service.ports[0].target_port, IntOrString(std::uint16_t{80}));
  EXPECT_EQ(service.ports[1].target_port, IntOrString(std::string("dns")));
  EXPECT_EQ(service.ports[2].target_port, IntOrString(std::uint16_t{8081}));
}

TEST(Services, get_an_address_unless_they_have_one_or_want_none) {
  struct Row {
    const char* spec;
    std::size_t written;
    bool assigned;
  };
  const Row rows[] = {
      {"{}", 0, true},
      {"{type: NodePort, clusterIP: \"\"}", 0, true},
      {"{type: LoadBalancer}", 0, true},
      {"{clusterIP: 10.96.0.1}", 1, false},
      {"{clusterIPs: [\"fd00::1\"]}", 1, false},
      {"{clusterIP: None}", 0, false},
      {"{clusterIPs: [None]}", 0, false},
      {"{type: ExternalName, externalName: x.example, clusterIP: \"\"}", 0, false},
  };
  for (const Row& row : rows) {
    const auto read = only<ServiceObject>(
        std::string("{apiVersion: v1, kind: Service, metadata: {name: s}, spec: ") + row.spec + "}");
    EXPECT_EQ(read.service.cluster_ips.size(), row.written) << row.spec;
    EXPECT_EQ(read.assign_address, row.assigned) << row.spec;
    EXPECT_FALSE(read.service.selector.has_value()) << row.spec;
  }
}

TEST(Services, endpoint_slices_name_their_service) {
  const auto slice = only<EndpointSlice>(
      "{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: s-1, labels:"
      " {kubernetes.io/service-name: s}}, addressType: IPv4, endpoints: [{addresses: [10.0.0.1]},"
      " {addresses: [10.0.0.2], conditions: {ready: false}}], ports: [{port: 8080, name: web}]}");
  EXPECT_EQ(slice.service, "s");
  ASSERT_EQ(slice.endpoints.size(), 2u);
  EXPECT_TRUE(slice.endpoints[0].ready);
  EXPECT_FALSE(slice.endpoints[1].ready);
  ASSERT_EQ(slice.ports.size(), 1u);
  EXPECT_EQ(slice.ports[0].target_port, IntOrString(std::uint16_t{8080}));
}

TEST(Lists, are_unpacked_also_inside_one_another) {
  const auto manifest = read(
      "apiVersion: v1\nkind: List\nitems:\n"
      "- {apiVersion: v1, kind: Pod, metadata: {name: a}}\n"
      "- {apiVersion: v1, kind: PodList, items: [{metadata: {name: b}}, {metadata: {name: c}}]}\n"
      "- {apiVersion: networking.k8s.io/v1, kind: NetworkPolicyList, items: null}\n"
      "- {apiVersion: v1, kind: List, items: [{apiVersion: v1, kind: ConfigMap}]}\n");
  ASSERT_EQ(manifest.objects.size(), 3u);
  EXPECT_EQ(std::get<PodObject>(manifest.objects[2].value).pod.key.to_string(), "default/c");
  EXPECT_EQ(manifest.objects[2].location.line, 5u);
}

TEST(Lists, json_dumps_are_read_like_yaml) {
  const auto manifest = read(
      R"({"apiVersion": "v1", "kind": "List", "items": [{"apiVersion": "v1", "kind": "Pod",
          "metadata": {"name": "a", "creationTimestamp": null}, "status": {"podIP": "10.0.0.1"}}]})",
      "f.json");
  ASSERT_EQ(manifest.objects.size(), 1u);
  EXPECT_EQ(manifest.objects[0].location.line, 1u);
  EXPECT_EQ(manifest.objects[0].location.column, 48u);
}

TEST(OtherKinds, are_counted_and_unknown_fields_ignored) {
  const auto manifest = read(
      "{apiVersion: v1, kind: ConfigMap, data: {a: 1}}\n---\n{apiVersion: v1, kind: ConfigMap}\n---\n"
      "{apiVersion: networking.k8s.io/v1, kind: Ingress}\n---\n"
      "{apiVersion: serving.knative.dev/v1, kind: Service, metadata: {name: 7}}\n---\n"
      "{apiVersion: v1, kind: Pod, metadata: {name: a, generation: 3}, spec: {tolerations: [1], unknown: "
      "{}}}\n");
  EXPECT_EQ(manifest.objects.size(), 1u);
  const std::map<std::string, std::size_t> expected{
      {"ConfigMap", 2}, {"Ingress", 1}, {"Service.serving.knative.dev", 1}};
  EXPECT_EQ(manifest.skipped_kinds, expected);
}

TEST(Workloads, are_read_with_their_template) {
  struct Row {
    const char* name;
    const char* text;
    const char* kind;
    std::uint32_t replicas;
  };
  const Row rows[] = {
      {"a Deployment",
       "{apiVersion: apps/v1, kind: Deployment, metadata: {name: w}, spec: {replicas: 3, template: T}}",
       "Deployment", 3},
      {"a Deployment without replicas",
       "{apiVersion: apps/v1, kind: Deployment, metadata: {name: w}, spec: {template: T}}", "Deployment", 1},
      {"a StatefulSet of none",
       "{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: w}, spec: {replicas: 0, template: T}}",
       "StatefulSet", 0},
      {"a DaemonSet, whatever replicas says",
       "{apiVersion: apps/v1, kind: DaemonSet, metadata: {name: w}, spec: {replicas: 9, template: T}}",
       "DaemonSet", 1},
      {"a ReplicationController",
       "{apiVersion: v1, kind: ReplicationController, metadata: {name: w}, spec: {replicas: 2, template: T}}",
       "ReplicationController", 2},
      {"a Job", "{apiVersion: batch/v1, kind: Job, metadata: {name: w}, spec: {parallelism: 4, template: T}}",
       "Job", 4},
      {"a CronJob",
       "{apiVersion: batch/v1, kind: CronJob, metadata: {name: w}, spec: {jobTemplate: {spec: {parallelism: "
       "2,"
       " template: T}}}}",
       "CronJob", 2},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.name);
    std::string text = row.text;
    text.replace(text.find("T}"), 1,
                 "{metadata: {labels: {app: w}}, spec: {containers: [{ports: [{containerPort: 80}]}]}}");
    const auto workload = only<Workload>(text);
    EXPECT_EQ(workload.kind, row.kind);
    EXPECT_EQ(workload.replicas, row.replicas);
    EXPECT_EQ(workload.pod_template.labels, (Labels{{"app", "w"}}));
    EXPECT_EQ(workload.pod_template.ports.size(), 1u);
    EXPECT_EQ(workload.pod_template.workload, std::string(row.kind) + "/w");
  }
}

}  // namespace
}  // namespace postern::manifest::defaulting_test
