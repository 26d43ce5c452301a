// SPDX-License-Identifier: Apache-2.0
// Batches of objects over time, and the snapshot that follows from them.
#include "engine/manifest/cluster_state.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "engine/manifest/reader.h"

namespace postern::manifest::cluster_state_test {
namespace {

std::vector<Object> objects(const std::string& text) {
  auto manifest = read_manifest(text, "f.yaml");
  if (!manifest) {
    ADD_FAILURE() << manifest.error().front().to_string();
    return {};
  }
  return std::move(manifest->objects);
}

std::string pod(const std::string& name, const std::string& rest = "") {
  return "---\n{apiVersion: v1, kind: Pod, metadata: {name: " + name + ", namespace: x}" +
         (rest.empty() ? "" : ", " + rest) + "}\n";
}

std::string at(const std::string& address) { return "status: {podIP: " + address + "}"; }

std::string workload(const std::string& kind, const std::string& name, const std::string& spec,
                     const std::string& pod_spec = "{}") {
  const std::string version = kind == "Job" ? "batch/v1" : "apps/v1";
  return "---\n{apiVersion: " + version + ", kind: " + kind + ", metadata: {name: " + name +
         ", namespace: x}, spec: {" + spec + ", template: {metadata: {labels: {app: " + name +
         "}}, spec: " + pod_spec + "}}}\n";
}

std::string node(const std::string& name, const std::string& address = "") {
  return "---\n{apiVersion: v1, kind: Node, metadata: {name: " + name + "}" +
         (address.empty() ? "" : ", status: {addresses: [{type: InternalIP, address: " + address + "}]}") +
         "}\n";
}

// A state that stops the test when a batch that should hold does not.
struct State {
  ClusterState state;
  ClusterSnapshot now;

  void apply(const std::string& text, const std::vector<ObjectRef>& deletes = {}) {
    auto snapshot = state.apply(deletes, objects(text));
    if (!snapshot) {
      ADD_FAILURE() << snapshot.error().to_string();
    } else {
      now = std::move(*snapshot);
    }
  }
  std::string error(const std::string& text, const std::vector<ObjectRef>& deletes = {}) {
    const auto snapshot = state.apply(deletes, objects(text));
    return snapshot ? "" : snapshot.error().to_string();
  }
  [[nodiscard]] std::string address(const std::string& name) const {
    const auto found = now.pods.find({"x", name});
    if (found == now.pods.end()) return "no such pod";
    return found->second.addresses.empty() ? "none" : found->second.addresses.front().to_string();
  }
  [[nodiscard]] std::vector<std::string> pods() const {
    std::vector<std::string> names;
    for (const auto& entry : now.pods) names.push_back(entry.first.name);
    return names;
  }
};

using Names = std::vector<std::string>;

TEST(ClusterState, assigned_addresses_are_kept_for_good) {
  State state;
  state.apply(pod("b") + pod("a"));
  EXPECT_EQ(state.address("a"), "10.244.0.1");
  EXPECT_EQ(state.address("b"), "10.244.0.2");
  state.apply(pod("a0"), {{"Pod", "x", "a"}});
  EXPECT_EQ(state.pods(), (Names{"a0", "b"}));
  EXPECT_EQ(state.address("a0"), "10.244.0.3");
  state.apply(pod("a"));
  EXPECT_EQ(state.address("a"), "10.244.0.1");
}

TEST(ClusterState, the_order_inside_a_batch_changes_nothing) {
  const Names texts{pod("a"), pod("b"), pod("c", at("10.244.0.2")), node("n1"),
                    workload("Deployment", "w", "replicas: 2")};
  std::vector<std::size_t> order{0, 1, 2, 3, 4};
  State first;
  first.state.reserve(objects(pod("c", at("10.244.0.2"))));
  first.apply(texts[0] + texts[1] + texts[2] + texts[3] + texts[4]);
  ASSERT_EQ(first.now.pods.size(), 5u);
  while (std::next_permutation(order.begin(), order.end())) {
    State other;
    other.state.reserve(objects(pod("c", at("10.244.0.2"))));
    std::string text;
    for (const auto i : order) text += texts[i];
    other.apply(text);
    for (const auto& name : first.pods()) ASSERT_EQ(other.address(name), first.address(name)) << name;
  }
}

TEST(ClusterState, a_reserved_address_is_never_assigned) {
  State state;
  state.state.reserve(objects(pod("later", at("10.244.0.1"))));
  state.state.reserve(*IpAddress::parse("10.244.0.2"));
  state.apply(pod("a"));
  EXPECT_EQ(state.address("a"), "10.244.0.3");
  state.apply(pod("later", at("10.244.0.1")));
  EXPECT_EQ(state.address("later"), "10.244.0.1");
}

TEST(ClusterState, a_later_apply_of_the_same_object_wins) {
  State state;
  state.apply(pod("a", "status: {podIP: 10.0.0.1}") + pod("a", "status: {podIP: 10.0.0.2}"));
  EXPECT_EQ(state.address("a"), "10.0.0.2");
}

TEST(ClusterState, an_object_that_is_deleted_and_applied_in_one_batch_is_there) {
  State state;
  state.apply(pod("a", at("10.0.0.1")));
  state.apply(pod("a", at("10.0.0.2")), {{"Pod", "x", "a"}});
  EXPECT_EQ(state.address("a"), "10.0.0.2");
}

TEST(ClusterState, pods_may_trade_addresses_in_one_batch) {
  State state;
  state.apply(pod("a", at("10.0.0.1")) + pod("b", at("10.0.0.2")));
  state.apply(pod("a", at("10.0.0.2")) + pod("b", at("10.0.0.1")));
  EXPECT_EQ(state.address("a"), "10.0.0.2");
  EXPECT_EQ(state.address("b"), "10.0.0.1");
}

TEST(ClusterState, two_live_pods_with_one_address_are_an_error_that_names_both) {
  State state;
  EXPECT_EQ(
      state.error(pod("a", at("10.0.0.1")) + pod("b", at("10.0.0.1"))),
      "f.yaml:4:1: found the address 10.0.0.1 of pod x/a also on pod x/b, expected one live pod with it");
  EXPECT_EQ(state.error(pod("a", at("10.0.0.1")) + pod("b", "status: {podIP: 10.0.0.1, phase: Failed}")), "");
}

TEST(ClusterState, a_finished_pod_and_one_without_an_address_yet_get_none) {
  State state;
  state.apply(pod("a", "status: {phase: Succeeded}") + pod("b", "status: {podIP: \"\"}"));
  EXPECT_EQ(state.address("a"), "none");
  EXPECT_EQ(state.address("b"), "none");
}

TEST(ClusterState, a_batch_with_an_error_changes_nothing) {
  State state;
  state.apply(pod("a"));
  EXPECT_NE(state.error(pod("b") + pod("c", at("10.244.0.1"))), "");
  state.apply("");
  EXPECT_EQ(state.pods(), (Names{"a"}));
  state.apply(pod("c"));
  EXPECT_EQ(state.address("c"), "10.244.0.2");
}

TEST(ClusterState, deleting_a_namespace_deletes_what_it_holds) {
  State state;
  state.apply(
      pod("a") + workload("Deployment", "w", "replicas: 2") +
      "---\n{apiVersion: v1, kind: Namespace, metadata: {name: x}}\n"
      "---\n{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: p, namespace: x}}\n"
      "---\n{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: p, namespace: z}}\n"
      "---\n{apiVersion: v1, kind: Service, metadata: {name: s, namespace: x}}\n");
  state.apply("", {{"Namespace", "", "x"}, {"Pod", "x", "a"}});
  EXPECT_TRUE(state.now.pods.empty());
  EXPECT_TRUE(state.now.namespaces.empty());
  EXPECT_TRUE(state.now.services.empty());
  ASSERT_EQ(state.now.network_policies.size(), 1u);
  EXPECT_EQ(state.now.network_policies.begin()->first.ns, "z");
}

TEST(ClusterState, a_namespace_that_is_only_used_can_be_deleted) {
  State state;
  state.apply(pod("a"));
  EXPECT_EQ(state.error("", {{"Namespace", "", "y"}}),
            "delete: found no Namespace y, expected one that exists");
  state.apply("", {{"Namespace", "", "x"}});
  EXPECT_TRUE(state.now.pods.empty());
}

TEST(ClusterState, a_delete_of_what_is_not_there_names_what_is_near) {
  State state;
  state.apply(
      pod("web-server") + pod("db") +
      "---\n{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: web, namespace: x}}\n" +
      workload("Deployment", "front", "replicas: 1"));
  EXPECT_EQ(
      state.error("", {{"Pod", "x", "web-sever", {"s.yaml", 9, 5}}}),
      "s.yaml:9:5: delete: found no Pod x/web-sever, expected one that exists; did you mean x/web-server?");
  EXPECT_EQ(state.error("", {{"NetworkPolicy", "x", "wep"}}),
            "delete: found no NetworkPolicy x/wep, expected one that exists; did you mean x/web?");
  EXPECT_EQ(state.error("", {{"Deployment", "x", "frnt"}}),
            "delete: found no Deployment x/frnt, expected one that exists; did you mean x/front?");
  EXPECT_EQ(state.error("", {{"Node", "", "n1"}}), "delete: found no Node n1, expected one that exists");
  // The pod of a workload goes with the workload.
  EXPECT_NE(state.error("", {{"Pod", "x", "front-0"}}), "");
}

TEST(ClusterState, a_workload_that_is_applied_again_replaces_its_pods_and_keeps_names) {
  State state;
  state.apply(workload("Deployment", "w", "replicas: 3"));
  EXPECT_EQ(state.pods(), (Names{"w-0", "w-1", "w-2"}));
  const std::string second = state.address("w-1");
  state.apply(workload("Deployment", "w", "replicas: 2"));
  EXPECT_EQ(state.pods(), (Names{"w-0", "w-1"}));
  EXPECT_EQ(state.address("w-1"), second);
  state.apply("", {{"Deployment", "x", "w"}});
  EXPECT_TRUE(state.now.pods.empty());
}

TEST(ClusterState, a_pod_and_a_workload_cannot_share_a_name) {
  State state;
  EXPECT_EQ(state.error(pod("w-0") + workload("Deployment", "w", "replicas: 1")),
            "f.yaml:4:1: Deployment/w makes a pod x/w-0, expected a name that no Pod object has");
}

TEST(ClusterState, a_daemon_set_follows_the_nodes) {
  State state;
  state.apply(workload("DaemonSet", "d", "selector: {}"));
  ASSERT_EQ(state.now.pods.size(), 1u);
  EXPECT_EQ(state.now.pods.begin()->second.node_name, kDefaultNodeName);
  state.apply(node("n2") + node("n1"));
  ASSERT_EQ(state.pods(), (Names{"d-0", "d-1"}));
  EXPECT_EQ(state.now.pods.at({"x", "d-0"}).node_name, "n1");
  EXPECT_EQ(state.now.pods.at({"x", "d-1"}).node_name, "n2");
  // A node that only a pod names has one too.
  state.apply(pod("a", "spec: {nodeName: n0}"));
  EXPECT_EQ(state.now.pods.at({"x", "d-0"}).node_name, "n0");
}

TEST(ClusterState, every_node_has_an_address_that_it_keeps) {
  State state;
  state.apply(node("given", "172.18.0.2") + node("bare") + pod("a", "spec: {nodeName: made}") + pod("b"));
  const auto address = [&](const char* name) {
    return state.now.nodes.at(name).internal_ip(IpFamily::v4)->to_string();
  };
  EXPECT_EQ(state.now.nodes.size(), 4u);
  EXPECT_EQ(address("given"), "172.18.0.2");
  EXPECT_EQ(address(kDefaultNodeName), "172.18.0.3");
  EXPECT_EQ(address("bare"), "172.18.0.4");
  EXPECT_EQ(address("made"), "172.18.0.5");
  EXPECT_EQ(state.now.pods.at({"x", "b"}).node_name, kDefaultNodeName);
  state.apply("", {{"Node", "", "bare"}});
  EXPECT_EQ(state.now.nodes.size(), 3u);
  state.apply(node("bare") + node("a"));
  EXPECT_EQ(address("bare"), "172.18.0.4");
  EXPECT_EQ(address("a"), "172.18.0.6");
}

TEST(ClusterState, the_unnamed_node_is_there_only_when_a_pod_needs_it) {
  State state;
  state.apply(node("n1") + pod("a", "spec: {nodeName: n1}"));
  EXPECT_EQ(state.now.nodes.count(kDefaultNodeName), 0u);
}

TEST(ClusterState, a_host_network_pod_has_the_address_of_its_node) {
  State state;
  state.apply(node("n1", "172.18.0.9") + pod("a", "spec: {nodeName: n1, hostNetwork: true}") +
              pod("b", "spec: {nodeName: n1, hostNetwork: true}, status: {podIP: 172.18.0.9}") +
              pod("c", "spec: {nodeName: n2, hostNetwork: true}") +
              pod("d", "spec: {nodeName: n1, hostNetwork: true}, status: {podIP: \"\"}"));
  EXPECT_EQ(state.address("a"), "172.18.0.9");
  EXPECT_EQ(state.address("b"), "172.18.0.9");
  EXPECT_EQ(state.address("c"), state.now.nodes.at("n2").internal_ip(IpFamily::v4)->to_string());
  EXPECT_EQ(state.address("d"), "none");
}

TEST(ClusterState, a_host_network_pod_without_a_node_is_an_error_unless_it_takes_no_part) {
  State state;
  EXPECT_EQ(state.error(pod("a", "spec: {hostNetwork: true}")),
            "f.yaml:2:1: found hostNetwork pod x/a without a node, expected spec.nodeName");
  EXPECT_EQ(state.error(pod("a", "spec: {hostNetwork: true}, status: {phase: Failed}")), "");
  state.apply(workload("DaemonSet", "d", "selector: {}", "{hostNetwork: true}"));
  EXPECT_EQ(state.address("d-0"), "none");
  EXPECT_EQ(state.now.nodes.count(kDefaultNodeName), 0u);
}

std::string service(const std::string& name, const std::string& spec = "{}") {
  return "---\n{apiVersion: v1, kind: Service, metadata: {name: " + name + ", namespace: x}, spec: " + spec +
         "}\n";
}

std::string joined(const std::vector<IpAddress>& addresses) {
  std::string text;
  for (const auto& address : addresses) text += (text.empty() ? "" : " ") + address.to_string();
  return text.empty() ? "none" : text;
}

std::string internal_ips(const Node& node) {
  std::vector<IpAddress> addresses;
  for (const auto& entry : node.addresses) addresses.push_back(entry.address);
  return joined(addresses);
}

struct FamilyRow {
  const char* name;
  AddressFamilies families;
  const char* bare;      // a pod, a Service, a node that were given nothing
  const char* bare_service;
  const char* bare_node;
  const char* written4;  // a pod with 10.0.0.4, and so on
  const char* written6;
  const char* written46;
  const char* service6;  // a Service with fd00::56
  const char* node4;     // a Node with InternalIP 10.0.1.4
};

TEST(ClusterState, what_is_assigned_and_what_stands_follows_the_families_of_the_cluster) {
  const FamilyRow rows[] = {
      {"IPv4", AddressFamilies::v4, "10.244.0.1", "10.96.0.1", "172.18.0.2", "10.0.0.4", "none", "10.0.0.5",
       "none", "10.0.1.4"},
      {"IPv6", AddressFamilies::v6, "fd00:10:244::1", "fd00:10:96::1", "fd00:172:18::2", "none", "fd00::4",
       "fd00::5", "fd00::56", "fd00:172:18::3"},
      {"dual", AddressFamilies::dual, "10.244.0.1 fd00:10:244::1", "10.96.0.1 fd00:10:96::1",
       "172.18.0.2 fd00:172:18::2", "10.0.0.4", "fd00::4", "10.0.0.5 fd00::5", "fd00::56", "10.0.1.4"},
      {"as written", AddressFamilies::as_written, "10.244.0.1", "10.96.0.1", "172.18.0.2", "10.0.0.4",
       "fd00::4", "10.0.0.5 fd00::5", "fd00::56", "10.0.1.4"},
  };
  for (const FamilyRow& row : rows) {
    State state{ClusterState(row.families), {}};
    state.apply(pod("bare") + pod("w4", at("10.0.0.4")) + pod("w6", at("\"fd00::4\"")) +
                pod("w46", "status: {podIP: 10.0.0.5, podIPs: [{ip: 10.0.0.5}, {ip: \"fd00::5\"}]}") +
                service("bare") + service("none", "{clusterIP: None}") +
                service("s6", "{clusterIP: \"fd00::56\"}") + node("n4", "10.0.1.4"));
    const auto pod_addresses = [&](const char* name) {
      return joined(state.now.pods.at({"x", name}).addresses);
    };
    const auto cluster_ips = [&](const char* name) {
      return joined(state.now.services.at({"x", name}).cluster_ips);
    };
    EXPECT_EQ(pod_addresses("bare"), row.bare) << row.name;
    EXPECT_EQ(pod_addresses("w4"), row.written4) << row.name;
    EXPECT_EQ(pod_addresses("w6"), row.written6) << row.name;
    EXPECT_EQ(pod_addresses("w46"), row.written46) << row.name;
    EXPECT_EQ(cluster_ips("bare"), row.bare_service) << row.name;
    EXPECT_EQ(cluster_ips("s6"), row.service6) << row.name;
    EXPECT_EQ(cluster_ips("none"), "none") << row.name;
    EXPECT_EQ(internal_ips(state.now.nodes.at(kDefaultNodeName)), row.bare_node) << row.name;
    EXPECT_EQ(internal_ips(state.now.nodes.at("n4")), row.node4) << row.name;
  }
}

TEST(ClusterState, a_host_network_pod_has_its_nodes_address_of_each_family) {
  State state{ClusterState(AddressFamilies::dual), {}};
  state.apply(pod("h", "spec: {nodeName: n1, hostNetwork: true}"));
  EXPECT_EQ(joined(state.now.pods.at({"x", "h"}).addresses), "172.18.0.2 fd00:172:18::2");
}

TEST(ClusterState, a_service_keeps_its_assigned_address_and_never_takes_a_written_one) {
  State state;
  state.state.reserve(objects(service("later", "{clusterIP: 10.96.0.1}")));
  state.apply(service("a"));
  state.apply(service("b"), {{"Service", "x", "a"}});
  state.apply(service("a") + service("later", "{clusterIP: 10.96.0.1}"));
  EXPECT_EQ(joined(state.now.services.at({"x", "a"}).cluster_ips), "10.96.0.2");
  EXPECT_EQ(joined(state.now.services.at({"x", "b"}).cluster_ips), "10.96.0.3");
}

TEST(ClusterState, two_services_with_one_cluster_ip_are_an_error_that_names_both) {
  State state;
  EXPECT_EQ(state.error(service("a", "{clusterIP: 10.96.0.1}") + service("b", "{clusterIP: 10.96.0.1}")),
            "f.yaml:4:1: found the ClusterIP 10.96.0.1 of Service x/a also on Service x/b, expected one "
            "Service with it");
}

TEST(ClusterState, detours_have_a_range_of_their_own_and_are_kept) {
  State state;
  state.state.reserve(*IpAddress::parse("10.97.0.1"));
  EXPECT_EQ(state.state.detour_address("x/a", IpFamily::v4)->to_string(), "10.97.0.2");
  EXPECT_EQ(state.state.detour_address("x/a", IpFamily::v6)->to_string(), "fd00:10:97::1");
  EXPECT_EQ(state.state.detour_address("x/b", IpFamily::v4)->to_string(), "10.97.0.3");
  state.apply(service("a"));
  EXPECT_EQ(state.state.detour_address("x/a", IpFamily::v4)->to_string(), "10.97.0.2");
  EXPECT_EQ(joined(state.now.services.at({"x", "a"}).cluster_ips), "10.96.0.1");
}

std::string slice(const std::string& name, const std::string& policy) {
  return "---\napiVersion: networking.k8s.aws/v1alpha1\nkind: PolicyEndpoint\nmetadata: {name: " + name +
         ", namespace: x}\nspec: {policyRef: {name: " + policy + ", namespace: x}}\n";
}

TEST(ClusterState, slices_of_one_policy_are_objects_of_their_own_and_go_with_their_namespace) {
  State state;
  state.apply(slice("p-1", "p") + slice("p-2", "p") + slice("q-1", "q"));
  EXPECT_EQ(state.now.policy_endpoints.size(), 3u);
  state.apply(slice("p-1", "r"), {{"PolicyEndpoint", "x", "p-2"}});
  ASSERT_EQ(state.now.policy_endpoints.size(), 2u);
  EXPECT_EQ(state.now.policy_endpoints.at({"x", "p-1"}).policy.name, "r");
  EXPECT_EQ(state.error("", {{"PolicyEndpoint", "x", "p-3"}}),
            "delete: found no PolicyEndpoint x/p-3, expected one that exists; did you mean x/p-1 or x/q-1?");
  state.apply("", {{"Namespace", "", "x"}});
  EXPECT_TRUE(state.now.policy_endpoints.empty());
}

TEST(ClusterState, an_exhausted_range_is_an_error) {
  State state;
  std::string text;
  for (int i = 0; i < 7; ++i) text += workload("Deployment", "w" + std::to_string(i), "replicas: 10000");
  EXPECT_NE(state.error(text).find("no address is left in 10.244.0.0/16"), std::string::npos);
}

}  // namespace
}  // namespace postern::manifest::cluster_state_test
