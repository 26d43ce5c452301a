// SPDX-License-Identifier: Apache-2.0
// What is refused in whole objects: each row is a file and every message it gives, with its place.
#include <gtest/gtest.h>

#include <algorithm>

#include "engine/manifest/reader.h"

namespace postern::manifest {
namespace {

struct RefusedText {
  const char* name;
  const char* text;
  std::vector<std::string> messages;  // without the file name
};

const RefusedText kRefusedTexts[] = {
    {"an unknown policyType",
     "apiVersion: networking.k8s.io/v1\n"
     "kind: NetworkPolicy\n"
     "metadata: {name: p, namespace: x}\n"
     "spec:\n"
     "  podSelector: {}\n"
     "  policyTypes: [Ingress, Engress]\n",
     {"6:26: policyTypes: found \"Engress\", expected Ingress or Egress"}},
    {"a selector of subjects without values",
     "apiVersion: networking.k8s.io/v1\n"
     "kind: NetworkPolicy\n"
     "metadata: {name: p, namespace: x}\n"
     "spec:\n"
     "  podSelector: {matchExpressions: [{key: a, operator: In, values: []}]}\n",
     {"5:67: values: found none, expected at least one for the operator In"}},
    {"a selector of namespaces with values that say nothing",
     "apiVersion: networking.k8s.io/v1\n"
     "kind: NetworkPolicy\n"
     "metadata: {name: p, namespace: x}\n"
     "spec:\n"
     "  podSelector: {}\n"
     "  ingress: [{from: [{namespaceSelector: {matchExpressions: [{key: a, operator: Exists, values: [b]}]}}]}]\n",
     {"6:96: values: found 1, expected none for the operator Exists"}},
    {"a policyType that is a boolean",
     "apiVersion: networking.k8s.io/v1\n"
     "kind: NetworkPolicy\n"
     "metadata: {name: p, namespace: x}\n"
     "spec:\n"
     "  podSelector: {}\n"
     "  policyTypes: [true]\n",
     {"6:17: policyTypes: found the boolean true, expected Ingress or Egress"}},
    {"labels that the API server refuses",
     "apiVersion: v1\n"
     "kind: Pod\n"
     "metadata: {name: a, labels: {-app: web, app: \"web front\"}}\n",
     {"3:30: labels: found \"-app\", expected a label key of letters, digits, '-', '_' and '.', at most 63 long, "
      "after an optional domain/",
      "3:46: app: found \"web front\", expected a label value of letters, digits, '-', '_' and '.', at most 63 long"}},
    {"a Service's selector that can match no pod",
     "apiVersion: v1\n"
     "kind: Service\n"
     "metadata: {name: s}\n"
     "spec: {selector: {app: \"a b\"}}\n",
     {"4:24: app: found \"a b\", expected a label value of letters, digits, '-', '_' and '.', at most 63 long"}},
    {"a container port's name longer than 15 characters",
     "apiVersion: v1\n"
     "kind: Pod\n"
     "metadata: {name: a}\n"
     "spec: {containers: [{ports: [{containerPort: 80, name: a-very-long-name}]}]}\n",
     {"4:56: name: found \"a-very-long-name\", expected a port name of at most 15 characters"}},
    {"a targetPort without a letter",
     "apiVersion: v1\n"
     "kind: Service\n"
     "metadata: {name: s}\n"
     "spec: {ports: [{port: 80, targetPort: \"80\"}]}\n",
     {"4:39: targetPort: found \"80\", expected a port number without quotes, or a port name with at least one "
      "lower-case letter"}},
    {"a ClusterIP with a leading zero",
     "apiVersion: v1\n"
     "kind: Service\n"
     "metadata: {name: s}\n"
     "spec: {clusterIP: 10.96.0.01}\n",
     {"4:19: clusterIP: found \"10.96.0.01\", expected four numbers from 0 to 255 without leading zeros"}},
    {"an unknown protocol of a container port",
     "apiVersion: v1\n"
     "kind: Pod\n"
     "metadata: {name: a}\n"
     "spec: {containers: [{ports: [{containerPort: 80, protocol: HTTP}]}]}\n",
     {"4:60: protocol: found \"HTTP\", expected TCP, UDP or SCTP"}},
    {"a word that is no annotation of a policy",
     "apiVersion: networking.k8s.io/v1\n"
     "kind: NetworkPolicy\n"
     "metadata: {name: p, namespace: x, annotations: {postern.dev/enforcement: strict, other/note: a}}\n"
     "spec: {podSelector: {}}\n",
     {"3:49: annotation postern.dev/enforcement: found a key without a meaning here, expected audit"}},
    {"a word that is no annotation of a namespace",
     "apiVersion: v1\n"
     "kind: Namespace\n"
     "metadata: {name: x, annotations: {postern.dev/enforcment: strict}}\n",
     {"3:35: annotation postern.dev/enforcment: found a key without a meaning here, expected audit, enforcement, "
      "enforcement-ingress or enforcement-egress"}},
    {"an annotation of policies on a pod",
     "apiVersion: v1\n"
     "kind: Pod\n"
     "metadata: {name: x, annotations: {postern.dev/audit: \"true\"}}\n",
     {"3:35: annotation postern.dev/audit: found it on an object that it says nothing of, expected it on a Namespace "
      "or a policy"}},
    {"a policyType in lower case",
     "apiVersion: networking.k8s.io/v1\n"
     "kind: NetworkPolicy\n"
     "metadata: {name: p, namespace: x}\n"
     "spec:\n"
     "  podSelector: {}\n"
     "  policyTypes: [ingress]\n",
     {"6:17: policyTypes: found \"ingress\", expected Ingress or Egress"}},
    {"rules that are a mapping",
     "apiVersion: networking.k8s.io/v1\n"
     "kind: NetworkPolicy\n"
     "metadata: {name: p, namespace: x}\n"
     "spec:\n"
     "  podSelector: {}\n"
     "  ingress: {}\n",
     {"6:12: ingress: found an empty mapping, expected a list"}},
    {"egress rules are checked too",
     "apiVersion: networking.k8s.io/v1\n"
     "kind: NetworkPolicy\n"
     "metadata: {name: p, namespace: x}\n"
     "spec:\n"
     "  podSelector: {}\n"
     "  egress:\n"
     "  - to: [{}]\n"
     "    ports: [{port: 0}]\n",
     {"7:10: peer: found no field, expected podSelector, namespaceSelector or ipBlock",
      "8:20: port: found the number 0, expected a port number from 1 to 65535"}},
    {"a podSelector that is a string",
     "apiVersion: networking.k8s.io/v1\n"
     "kind: NetworkPolicy\n"
     "metadata: {name: p}\n"
     "spec: {podSelector: web}\n",
     {"4:21: podSelector: found \"web\", expected a mapping"}},
    {"every error of a file, not only the first",
     "apiVersion: networking.k8s.io/v1\n"
     "kind: NetworkPolicy\n"
     "metadata: {name: p, namespace: x}\n"
     "spec:\n"
     "  podSelector: {}\n"
     "  ingress:\n"
     "  - from: [{}]\n"
     "  - ports: [{port: 0}, {port: 80, endPort: 1}]\n"
     "---\n"
     "apiVersion: v1\n"
     "kind: Pod\n"
     "metadata: {}\n",
     {"7:12: peer: found no field, expected podSelector, namespaceSelector or ipBlock",
      "8:20: port: found the number 0, expected a port number from 1 to 65535",
      "8:44: endPort 1 is below port 80, expected an endPort that is not",
      "12:11: metadata.name: found nothing, expected a name"}},
    {"a wrong apiVersion",
     "apiVersion: extensions/v1beta1\n"
     "kind: NetworkPolicy\n"
     "metadata: {name: p}\n",
     {"1:13: apiVersion: found \"extensions/v1beta1\", expected networking.k8s.io/v1 for a "
      "NetworkPolicy"}},
    {"no apiVersion",
     "kind: Pod\n"
     "metadata: {name: p}\n",
     {"1:1: apiVersion: found nothing, expected one like v1"}},
    {"no kind",
     "apiVersion: v1\n"
     "metadata: {name: p}\n",
     {"1:1: kind: found nothing, expected a kind like Pod"}},
    {"no metadata",
     "apiVersion: v1\n"
     "kind: Pod\n",
     {"1:1: metadata: found nothing, expected a name"}},
    {"no name",
     "apiVersion: v1\n"
     "kind: Pod\n"
     "metadata: {namespace: x}\n",
     {"3:11: metadata.name: found nothing, expected a name"}},
    {"a name that is a number",
     "apiVersion: v1\n"
     "kind: Pod\n"
     "metadata: {name: 7}\n",
     {"3:18: name: found the number 7, expected a string (in quotes)"}},
    {"a name with an upper-case letter",
     "apiVersion: v1\n"
     "kind: Pod\n"
     "metadata: {name: Web}\n",
     {"3:18: metadata.name: found \"Web\", expected a name of lower-case letters, digits, '-' and '.', "
      "at most 253 long"}},
    {"a namespace with a dot",
     "apiVersion: v1\n"
     "kind: Pod\n"
     "metadata: {name: a, namespace: x.y}\n",
     {"3:32: metadata.namespace: found \"x.y\", expected a name of lower-case letters, digits and '-', "
      "at most 63 long"}},
    {"a document that is a list",
     "- apiVersion: v1\n"
     "  kind: Pod\n",
     {"1:1: object: found a list, expected a mapping with apiVersion and kind"}},
    {"a duplicate key",
     "apiVersion: v1\n"
     "kind: Pod\n"
     "metadata: {name: a, labels: {a: b, c: d, a: e}}\n",
     {"3:42: found the key \"a\" twice in one mapping, expected once"}},
    {"a duplicate key in a field that is ignored",
     "apiVersion: v1\n"
     "kind: ConfigMap\n"
     "data: {a: b, a: b}\n",
     {"3:14: found the key \"a\" twice in one mapping, expected once"}},
    {"a container port of zero",
     "apiVersion: v1\n"
     "kind: Pod\n"
     "metadata: {name: a}\n"
     "spec: {containers: [{ports: [{containerPort: 0}]}]}\n",
     {"4:46: containerPort: found the number 0, expected a port number from 1 to 65535"}},
    {"a container port without a number",
     "apiVersion: v1\n"
     "kind: Pod\n"
     "metadata: {name: a}\n"
     "spec: {containers: [{ports: [{name: web}]}]}\n",
     {"4:30: containerPort: found nothing, expected a port number from 1 to 65535"}},
    {"a pod address with a leading zero",
     "apiVersion: v1\n"
     "kind: Pod\n"
     "metadata: {name: a}\n"
     "status: {podIP: 10.0.0.01}\n",
     {"4:17: podIP: found \"10.0.0.01\", expected four numbers from 0 to 255 without leading zeros"}},
    {"a pod address that is a block",
     "apiVersion: v1\n"
     "kind: Pod\n"
     "metadata: {name: a}\n"
     "status: {podIP: 10.0.0.0/8}\n",
     {"4:17: podIP: found \"10.0.0.0/8\", expected an address like 10.0.0.1 or 2001:db8::1"}},
    {"a pod address that no host has",
     "apiVersion: v1\n"
     "kind: Pod\n"
     "metadata: {name: a}\n"
     "status: {podIP: 127.0.0.1}\n",
     {"4:17: podIP: found \"127.0.0.1\", expected an address of a host: not unspecified, loopback, multicast, "
      "broadcast or link-local IPv6"}},
    {"podIP that is not the first of podIPs",
     "apiVersion: v1\n"
     "kind: Pod\n"
     "metadata: {name: a}\n"
     "status: {podIP: 10.0.0.1, podIPs: [{ip: 10.0.0.2}]}\n",
     {"4:17: podIP: found \"10.0.0.1\", expected the first of podIPs, 10.0.0.2"}},
    {"two addresses of one family",
     "apiVersion: v1\n"
     "kind: Pod\n"
     "metadata: {name: a}\n"
     "status: {podIPs: [{ip: 10.0.0.1}, {ip: 10.0.0.2}]}\n",
     {"4:40: podIPs: found \"10.0.0.2\", expected at most one address of each family"}},
    {"an unknown phase",
     "apiVersion: v1\n"
     "kind: Pod\n"
     "metadata: {name: a}\n"
     "status: {phase: Done}\n",
     {"4:17: phase: found \"Done\", expected Pending, Running, Succeeded, Failed or Unknown"}},
    {"hostNetwork that is a string",
     "apiVersion: v1\n"
     "kind: Pod\n"
     "metadata: {name: a}\n"
     "spec: {hostNetwork: \"yes\"}\n",
     {"4:21: hostNetwork: found \"yes\", expected true or false"}},
    {"an InternalIP that is no address",
     "apiVersion: v1\n"
     "kind: Node\n"
     "metadata: {name: n}\n"
     "status: {addresses: [{type: InternalIP, address: n1.example}]}\n",
     {"4:50: address: found \"n1.example\", expected an address like 10.0.0.1 or 2001:db8::1"}},
    {"a Deployment without a template",
     "apiVersion: apps/v1\n"
     "kind: Deployment\n"
     "metadata: {name: web}\n"
     "spec: {replicas: 2}\n",
     {"4:7: template: found nothing, expected a pod template"}},
    {"more replicas than anyone means",
     "apiVersion: apps/v1\n"
     "kind: Deployment\n"
     "metadata: {name: web}\n"
     "spec: {replicas: 10001, template: {}}\n",
     {"4:18: replicas: found the number 10001, expected a number from 0 to 10000"}},
    {"negative replicas",
     "apiVersion: apps/v1\n"
     "kind: Deployment\n"
     "metadata: {name: web}\n"
     "spec: {replicas: -1, template: {}}\n",
     {"4:18: replicas: found the number -1, expected a number from 0 to 10000"}},
    {"an error inside a List",
     "apiVersion: v1\n"
     "kind: List\n"
     "items:\n"
     "- {apiVersion: v1, kind: Pod, metadata: {name: a}}\n"
     "- {apiVersion: v1, kind: Pod, metadata: {name: B}}\n",
     {"5:48: metadata.name: found \"B\", expected a name of lower-case letters, digits, '-' and '.', "
      "at most 253 long"}},
    {"an element of a List without a kind",
     "apiVersion: v1\n"
     "kind: List\n"
     "items:\n"
     "- {metadata: {name: a}}\n",
     {"4:3: kind: found nothing, expected a kind like Pod",
      "4:3: apiVersion: found nothing, expected one like v1"}},
    {"a Service port above 65535",
     "apiVersion: v1\n"
     "kind: Service\n"
     "metadata: {name: s}\n"
     "spec: {ports: [{port: 65536}]}\n",
     {"4:23: port: found the number 65536, expected a port number from 1 to 65535"}},
};

std::vector<std::string> messages_of(const RefusedText& row, const ReadOptions& options = {}) {
  const auto read = read_manifest(row.text, "f.yaml", options);
  std::vector<std::string> messages;
  if (!read) {
    for (const auto& error : read.error()) messages.push_back(error.to_string().substr(7));
  }
  return messages;
}

TEST(ManifestReader, refuses_each_of_these_texts_with_place_found_and_expected) {
  for (const auto& row : kRefusedTexts) {
    SCOPED_TRACE(row.name);
    EXPECT_EQ(messages_of(row), row.messages);
  }
}

const RefusedText kUnsupportedPolicies[] = {
    {"a CiliumNetworkPolicy",
     "apiVersion: cilium.io/v2\n"
     "kind: CiliumNetworkPolicy\n"
     "metadata: {name: c, namespace: x}\n",
     {"1:1: CiliumNetworkPolicy x/c (cilium.io/v2) is not supported, expected networking.k8s.io/v1 "
      "NetworkPolicy; leaving a policy out would change verdicts"}},
    {"Calico's NetworkPolicy",
     "apiVersion: projectcalico.org/v3\n"
     "kind: NetworkPolicy\n"
     "metadata: {name: c, namespace: x}\n",
     {"1:1: NetworkPolicy x/c (projectcalico.org/v3) is not supported, expected networking.k8s.io/v1 "
      "NetworkPolicy; leaving a policy out would change verdicts"}},
    {"Calico's GlobalNetworkPolicy",
     "apiVersion: crd.projectcalico.org/v1\n"
     "kind: GlobalNetworkPolicy\n"
     "metadata: {name: c}\n",
     {"1:1: GlobalNetworkPolicy c (crd.projectcalico.org/v1) is not supported, expected "
      "networking.k8s.io/v1 NetworkPolicy; leaving a policy out would change verdicts"}},
    {"Antrea's ClusterNetworkPolicy",
     "apiVersion: crd.antrea.io/v1beta1\n"
     "kind: ClusterNetworkPolicy\n"
     "metadata: {name: c}\n",
     {"1:1: ClusterNetworkPolicy c (crd.antrea.io/v1beta1) is not supported, expected "
      "networking.k8s.io/v1 NetworkPolicy; leaving a policy out would change verdicts"}},
    {"an ApplicationNetworkPolicy",
     "apiVersion: networking.k8s.aws/v1alpha1\n"
     "kind: ApplicationNetworkPolicy\n"
     "metadata: {name: c, namespace: x}\n",
     {"1:1: ApplicationNetworkPolicy x/c (networking.k8s.aws/v1alpha1) is not supported yet, expected "
      "networking.k8s.io/v1 NetworkPolicy; leaving a policy out would change verdicts"}},
    {"somebody else's AdminNetworkPolicy",
     "apiVersion: example.com/v1\n"
     "kind: AdminNetworkPolicy\n"
     "metadata: {name: c}\n",
     {"1:1: AdminNetworkPolicy c (example.com/v1) is not supported, expected "
      "networking.k8s.io/v1 NetworkPolicy; leaving a policy out would change verdicts"}},
    {"somebody else's PolicyEndpoint",
     "apiVersion: example.com/v1\n"
     "kind: PolicyEndpoint\n"
     "metadata: {name: c, namespace: x}\n",
     {"1:1: PolicyEndpoint x/c (example.com/v1) is not supported, expected "
      "networking.k8s.io/v1 NetworkPolicy; leaving a policy out would change verdicts"}},
};

TEST(ManifestReader, refuses_policy_kinds_that_it_cannot_enforce) {
  for (const auto& row : kUnsupportedPolicies) {
    SCOPED_TRACE(row.name);
    EXPECT_EQ(messages_of(row), row.messages);
    const auto read = read_manifest(row.text, "f.yaml");
    ASSERT_FALSE(read.has_value());
    EXPECT_EQ(read.error().front().code, ErrorCode::unsupported);
  }
}

TEST(ManifestReader, lists_unsupported_policy_kinds_when_told_to_ignore_them) {
  ReadOptions options;
  options.ignore_unsupported = true;
  for (const auto& row : kUnsupportedPolicies) {
    SCOPED_TRACE(row.name);
    const auto read = read_manifest(row.text, "f.yaml", options);
    ASSERT_TRUE(read.has_value());
    EXPECT_TRUE(read->objects.empty());
    EXPECT_TRUE(read->skipped_kinds.empty());
    ASSERT_EQ(read->unsupported.size(), 1u);
    EXPECT_NE(std::string(row.text).find("kind: " + read->unsupported.front().kind), std::string::npos);
    EXPECT_EQ(read->unsupported.front().location.line, 1u);
  }
}

TEST(ManifestReader, keeps_the_number_of_errors_of_one_file_within_bounds) {
  std::string text;
  for (int i = 0; i < 5000; ++i) text += "---\nkind: Pod\n";
  const auto read = read_manifest(text, "f.yaml");
  ASSERT_FALSE(read.has_value());
  EXPECT_EQ(read.error().size(), 1000u);
}

TEST(ManifestReader, tells_which_objects_are_wrong_where_the_others_are_right) {
  const std::string right = "---\n{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {containers: [{name: c}]}}\n";
  const std::string wrong =
      "---\n{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: p, namespace: x}, "
      "spec: {podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/99}}]}], policyTypes: [Up]}}\n";
  const auto version = [](const std::string& api_version) {
    return "---\n{apiVersion: " + api_version + ", kind: NetworkPolicy, metadata: {name: p, namespace: x}, spec: {}}\n";
  };
  std::string many;
  for (int i = 0; i < 600; ++i) many += wrong;
  const struct {
    const char* name;
    std::string text;
    std::size_t objects, errors, refused;
    bool incomplete;
  } rows[] = {
      {"nothing is wrong", right + right, 2, 0, 0, false},
      {"one object with two mistakes", right + wrong + right, 2, 2, 1, false},
      {"an object without a name", right + "---\n{apiVersion: v1, kind: Pod, metadata: {}}\n", 1, 1, 0, true},
      {"an object without a kind", right + "---\n{apiVersion: v1}\n", 1, 1, 0, true},
      {"no YAML after it", right + "---\n[", 1, 1, 0, true},
      {"a kind that is to come", right + "---\n{apiVersion: networking.k8s.aws/v1alpha1, kind: "
                                         "ApplicationNetworkPolicy, metadata: {name: p}}\n", 1, 1, 0, false},
      {"another version", right + version("networking.k8s.io/v2"), 1, 1, 1, false},
      {"another group", right + version("networking.k8s.example/v1"), 1, 1, 1, false},
      {"more errors than are kept", right + many, 1, 1000, 500, true},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.name);
    const auto read = read_what_is_right(row.text, "f.yaml");
    EXPECT_EQ(read.errors.size(), row.errors);
    EXPECT_EQ(read.refused.size(), row.refused);
    EXPECT_EQ(read.incomplete, row.incomplete);
    if (row.errors < 1000) {
      EXPECT_EQ(read.manifest.objects.size(), row.objects);
    }
    if (row.refused != 0) {
      const RefusedObject& refused = read.refused.front();
      EXPECT_EQ(refused.object.kind, "NetworkPolicy");
      EXPECT_EQ(refused.object.ns + "/" + refused.object.name, "x/p");
      EXPECT_EQ(refused.first_error, 0u);
      EXPECT_EQ(refused.errors, std::min<std::size_t>(row.errors, 2));
    }
  }
}

}  // namespace
}  // namespace postern::manifest
