// SPDX-License-Identifier: Apache-2.0
// PolicyEndpoints as the Amazon controller writes them: what is read, and what is refused. A refused row
// is the object's spec on line 4, and every message with its place.
#include <gtest/gtest.h>

#include "engine/manifest/reader.h"

namespace postern::manifest::policy_endpoint_test {
namespace {

std::string object(const std::string& spec, const std::string& metadata = "name: p-k2x, namespace: x") {
  return "apiVersion: networking.k8s.aws/v1alpha1\nkind: PolicyEndpoint\nmetadata: {" + metadata +
         "}\nspec: " + spec + "\n";
}

PolicyEndpoint read(const std::string& text, const std::string& file = "f.yaml") {
  auto manifest = read_manifest(text, file);
  if (!manifest || manifest->objects.size() != 1) {
    ADD_FAILURE() << (manifest ? "not one object" : manifest.error().front().to_string());
    return {};
  }
  return std::get<PolicyEndpoint>(manifest->objects.front().value);
}

std::string show(const EndpointInfo& info) {
  std::string text = info.block ? info.block->cidr.to_string() : "nothing";
  if (info.block) {
    for (const auto& except : info.block->excepts) text += " but " + except.to_string();
  }
  if (!info.domain_name.empty()) text += " name " + info.domain_name;
  for (const auto& port : info.ports) {
    text += " " + std::string(to_string(port.protocol));
    if (!port.port) continue;
    const auto& range = std::get<PortRange>(*port.port);
    text += std::to_string(range.lo) + (range.hi == range.lo ? "" : "-" + std::to_string(range.hi));
  }
  return text;
}

std::vector<std::string> show(const std::vector<EndpointInfo>& infos) {
  std::vector<std::string> texts;
  for (const auto& info : infos) texts.push_back(show(info));
  return texts;
}

using Texts = std::vector<std::string>;

TEST(PolicyEndpoints, every_field_of_the_kind_is_read) {
  const PolicyEndpoint slice = read(
      "apiVersion: networking.k8s.aws/v1alpha1\n"
      "kind: PolicyEndpoint\n"
      "metadata:\n"
      "  name: p-k2x\n"
      "  namespace: x\n"
      "  generateName: p-\n"
      "  annotations: {networking.k8s.aws/last-change-trigger-time: \"2026-01-02T03:04:05.000000006Z\"}\n"
      "  ownerReferences: [{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, name: p, uid: u}]\n"
      "spec:\n"
      "  podSelector: {matchLabels: {app: web}}\n"
      "  policyRef: {name: p, namespace: x}\n"
      "  podIsolation: [Egress]\n"
      "  podSelectorEndpoints:\n"
      "  - {hostIP: 10.1.0.4, podIP: 10.1.0.17, name: web-1, namespace: x}\n"
      "  - {hostIP: \"\", podIP: \"\", name: web-2, namespace: x}\n"
      "  ingress:\n"
      "  - {cidr: 10.1.0.9}\n"
      "  egress:\n"
      "  - {cidr: 10.0.0.0/8, except: [10.1.0.0/16, 10.2.0.7], ports: [{port: 80}, {protocol: UDP},\n"
      "      {protocol: SCTP, port: 90, endPort: 99}]}\n"
      "  - {cidr: \"fd00::9\", ports: [{}]}\n"
      "  - {domainName: example.com}\n"
      "  - {cidr: \"\"}\n"
      "status: {}\n");
  EXPECT_EQ(slice.key.to_string(), "x/p-k2x");
  EXPECT_EQ(slice.policy.to_string(), "x/p");
  EXPECT_EQ(slice.last_change_trigger_time, "2026-01-02T03:04:05.000000006Z");
  EXPECT_EQ(slice.pod_selector->to_string(), "app=web");
  EXPECT_FALSE(slice.isolates_ingress);
  EXPECT_TRUE(slice.isolates_egress);
  ASSERT_EQ(slice.pods.size(), 2u);
  EXPECT_EQ(slice.pods[0].pod.to_string(), "x/web-1");
  EXPECT_EQ(slice.pods[0].address->to_string(), "10.1.0.17");
  EXPECT_EQ(slice.pods[0].host_address->to_string(), "10.1.0.4");
  EXPECT_FALSE(slice.pods[1].address);
  EXPECT_FALSE(slice.pods[1].host_address);
  EXPECT_EQ(show(slice.ingress), Texts{"10.1.0.9/32"});
  EXPECT_EQ(show(slice.egress), (Texts{"10.0.0.0/8 but 10.1.0.0/16 but 10.2.0.7/32 TCP80 UDP SCTP90-99",
                                       "fd00::9/128 TCP", "nothing name example.com", "nothing"}));
}

TEST(PolicyEndpoints, a_slice_that_says_little_isolates_nobody) {
  const PolicyEndpoint slice = read(object("{policyRef: {name: p, namespace: x}}"));
  EXPECT_FALSE(slice.pod_selector);
  EXPECT_FALSE(slice.isolates_ingress || slice.isolates_egress);
  EXPECT_TRUE(slice.pods.empty() && slice.ingress.empty() && slice.egress.empty());
}

TEST(PolicyEndpoints, a_list_of_them_need_not_name_its_items) {
  const auto manifest = read_manifest(
      R"({"apiVersion": "networking.k8s.aws/v1alpha1", "kind": "PolicyEndpointList", "items": [
        {"metadata": {"name": "a"}, "spec": {"policyRef": {"name": "p", "namespace": "default"}}},
        {"metadata": {"name": "b"}, "spec": {"policyRef": {"name": "p", "namespace": "default"}}}]})",
      "list.json");
  ASSERT_TRUE(manifest.has_value());
  ASSERT_EQ(manifest->objects.size(), 2u);
  EXPECT_EQ(std::get<PolicyEndpoint>(manifest->objects[1].value).key.to_string(), "default/b");
}

struct RefusedSpec {
  const char* name;
  const char* spec;
  Texts messages;  // without the file name
};

const RefusedSpec kRefused[] = {
    {"no spec", "", {"1:1: policyRef: found nothing, expected a name and a namespace"}},
    {"no policyRef", "{}", {"4:7: policyRef: found nothing, expected a name and a namespace"}},
    {"a policyRef that is a name", "{policyRef: p}", {"4:19: policyRef: found \"p\", expected a mapping"}},
    {"a policyRef without a namespace",
     "{policyRef: {name: p}}",
     {"4:19: namespace: found nothing, expected a string"}},
    {"a policyRef without a name",
     "{policyRef: {name: \"\", namespace: x}}",
     {"4:26: name: found \"\", expected a name"}},
    {"a policyRef that no policy can have",
     "{policyRef: {name: p!x, namespace: x}}",
     {"4:26: name: found \"p!x\", expected a name of lower-case letters, digits, '-' and '.', at most 253 "
      "long"}},
    {"another namespace's policy",
     "{policyRef: {name: p, namespace: y}}",
     {"4:40: namespace: found \"y\", expected the object's own, x"}},
    {"an isolation that is none",
     "{policyRef: {name: p, namespace: x}, podIsolation: [ingress]}",
     {"4:59: podIsolation: found \"ingress\", expected Ingress or Egress"}},
    {"a pod without its fields",
     "{policyRef: {name: p, namespace: x}, podSelectorEndpoints: [{name: a}]}",
     {"4:67: namespace: found nothing, expected a string", "4:67: podIP: found nothing, expected a string",
      "4:67: hostIP: found nothing, expected a string"}},
    {"a pod of another namespace",
     "{policyRef: {name: p, namespace: x}, podSelectorEndpoints: [{name: a, namespace: y, podIP: 10.0.0.1, "
     "hostIP: 10.0.0.2}]}",
     {"4:88: namespace: found \"y\", expected the object's own, x"}},
    {"a podIP that is no address",
     "{policyRef: {name: p, namespace: x}, podSelectorEndpoints: [{name: a, namespace: x, podIP: 10.0.0.1/32, "
     "hostIP: 10.0.0.2}]}",
     {"4:98: podIP: found \"10.0.0.1/32\", expected an address like 10.0.0.1 or 2001:db8::1"}},
    {"a bad cidr",
     "{policyRef: {name: p, namespace: x}, ingress: [{cidr: 10.0.0.300}]}",
     {"4:61: cidr: found \"10.0.0.300\", expected four numbers from 0 to 255 without leading zeros"}},
    {"a bad length",
     "{policyRef: {name: p, namespace: x}, egress: [{cidr: 10.0.0.0/33}]}",
     {"4:60: cidr: found \"10.0.0.0/33\", expected a length from 0 to 32"}},
    {"an except outside its block",
     "{policyRef: {name: p, namespace: x}, egress: [{cidr: 10.0.0.0/8, except: [11.0.0.0/9, 10.0.0.0/8]}]}",
     {"4:81: except: found \"11.0.0.0/9\", expected a block inside 10.0.0.0/8 and narrower",
      "4:93: except: found \"10.0.0.0/8\", expected a block inside 10.0.0.0/8 and narrower"}},
    {"an except of a host",
     "{policyRef: {name: p, namespace: x}, egress: [{cidr: 10.0.0.1, except: [10.0.0.1]}]}",
     {"4:79: except: found \"10.0.0.1\", expected a block inside 10.0.0.1/32 and narrower"}},
    {"an except without a block",
     "{policyRef: {name: p, namespace: x}, egress: [{domainName: a.b, except: [10.0.0.1]}]}",
     {"4:80: except: found one without a cidr, expected a cidr beside it"}},
    {"an unknown protocol",
     "{policyRef: {name: p, namespace: x}, egress: [{cidr: 10.0.0.1, ports: [{protocol: ICMP}]}]}",
     {"4:89: protocol: found \"ICMP\", expected TCP, UDP or SCTP"}},
    {"a port's name",
     "{policyRef: {name: p, namespace: x}, egress: [{cidr: 10.0.0.1, ports: [{port: web}]}]}",
     {"4:85: port: found \"web\", expected a port number from 1 to 65535"}},
    {"a port of zero",
     "{policyRef: {name: p, namespace: x}, egress: [{cidr: 10.0.0.1, ports: [{port: 0}]}]}",
     {"4:85: port: found the number 0, expected a port number from 1 to 65535"}},
    {"an endPort below its port",
     "{policyRef: {name: p, namespace: x}, egress: [{cidr: 10.0.0.1, ports: [{port: 80, endPort: 79}]}]}",
     {"4:98: endPort 79 is below port 80, expected an endPort that is not"}},
    {"an endPort alone",
     "{policyRef: {name: p, namespace: x}, egress: [{cidr: 10.0.0.1, ports: [{endPort: 79}]}]}",
     {"4:88: endPort: found 79 without a port, expected a numeric port beside it"}},
};

TEST(PolicyEndpoints, what_no_policy_resolves_to_is_refused) {
  for (const auto& row : kRefused) {
    SCOPED_TRACE(row.name);
    const auto manifest = read_manifest(object(row.spec), "f.yaml");
    ASSERT_FALSE(manifest.has_value());
    Texts messages;
    for (const auto& error : manifest.error()) messages.push_back(error.to_string().substr(7));
    EXPECT_EQ(messages, row.messages);
  }
}

TEST(PolicyEndpoints, another_version_of_the_group_is_a_wrong_version) {
  const auto manifest =
      read_manifest("{apiVersion: networking.k8s.aws/v1, kind: PolicyEndpoint, metadata: {name: a}}", "f.yaml");
  ASSERT_FALSE(manifest.has_value());
  EXPECT_EQ(manifest.error().front().to_string(),
            "f.yaml:1:14: apiVersion: found \"networking.k8s.aws/v1\", expected networking.k8s.aws/v1alpha1 for "
            "a PolicyEndpoint");
}

}  // namespace
}  // namespace postern::manifest::policy_endpoint_test
