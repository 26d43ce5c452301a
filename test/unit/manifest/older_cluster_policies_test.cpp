// SPDX-License-Identifier: Apache-2.0
// The older forms of cluster policies are read into ClusterNetworkPolicy: pairs of texts that say the same,
// and what each form refuses. A refused row is the object's spec on line 4, and every message with its place.
#include <gtest/gtest.h>

#include "engine/manifest/cluster_state.h"
#include "engine/manifest/reader.h"
#include "engine/model/cluster_policy_id.h"

namespace postern::manifest::older_cluster_policies_test {
namespace {

using Texts = std::vector<std::string>;

std::string object(const std::string& kind, const std::string& spec, const std::string& name = "p") {
  const bool amazons = kind == "Amazon";
  return std::string("apiVersion: ") + (amazons ? "networking.k8s.aws/v1alpha1" : "policy.networking.k8s.io/v1alpha1") +
         "\nkind: " + (amazons ? "ClusterNetworkPolicy" : kind) + "\nmetadata: {name: " + name + "}\nspec: " + spec + "\n";
}

ClusterNetworkPolicy policy_of(const std::string& text) {
  auto manifest = read_manifest(text, "f.yaml");
  if (manifest && manifest->objects.size() == 1) {
    return std::get<ClusterNetworkPolicy>(manifest->objects.front().value);
  }
  ADD_FAILURE() << (manifest ? "not one object" : manifest.error().front().to_string());
  return {};
}

const char* const kOlderRules =
    "ingress: [{name: in, action: ALLOW, from: [{namespaces: {matchLabels: {a: b}}}, {pods: {namespaceSelector: {}, "
    "podSelector: {matchLabels: {c: d}}}}], ports: [{portNumber: {port: 80}}, {portNumber: {protocol: UDP, port: 53}}, "
    "{portRange: {protocol: SCTP, start: 7, end: 9}}, {namedPort: web}]}], "
    "egress: [{action: Deny, to: [{networks: [10.0.0.0/8]}]}, {action: ALLOW, to: [{pods: {}}]}]}";
const char* const kNewerRules =
    "ingress: [{name: in, action: Accept, from: [{namespaces: {matchLabels: {a: b}}}, {pods: {namespaceSelector: {}, "
    "podSelector: {matchLabels: {c: d}}}}], protocols: [{tcp: {destinationPort: {number: 80}}}, "
    "{udp: {destinationPort: {number: 53}}}, {sctp: {destinationPort: {range: {start: 7, end: 9}}}}, "
    "{destinationNamedPort: web}]}], "
    "egress: [{action: Deny, to: [{networks: [10.0.0.0/8]}]}, {action: Accept, to: [{pods: {}}]}]}";

std::string with_allow(std::string text, const std::string& allow) {
  for (auto at = text.find("ALLOW"); at != std::string::npos; at = text.find("ALLOW")) text.replace(at, 5, allow);
  return text;
}

TEST(OlderClusterPolicies, say_what_a_cluster_network_policy_says) {
  const struct {
    const char* kind;
    const char* head;
    const char* newer_head;
    const char* allow;
    const char* object_name;
    const char* name;
  } rows[] = {
      {"AdminNetworkPolicy", "{priority: 7, ", "{tier: Admin, priority: 7, ", "Allow", "p", "AdminNetworkPolicy/p"},
      {"BaselineAdminNetworkPolicy", "{", "{tier: Baseline, priority: 1000, ", "Allow", "default",
       "BaselineAdminNetworkPolicy/default"},
      {"Amazon", "{tier: Baseline, priority: 7, ", "{tier: Baseline, priority: 7, ", "Accept", "p",
       "ClusterNetworkPolicy.networking.k8s.aws/p"},
  };
  const std::string subject = "subject: {pods: {namespaceSelector: {matchLabels: {e: f}}, podSelector: {}}}, ";
  for (const auto& row : rows) {
    SCOPED_TRACE(row.kind);
    auto expected = policy_of(
        "apiVersion: policy.networking.k8s.io/v1alpha2\nkind: ClusterNetworkPolicy\nmetadata: {name: p}\nspec: " +
        (row.newer_head + subject) + kNewerRules + "\n");
    expected.name = row.name;
    if (std::string(row.kind) == "BaselineAdminNetworkPolicy") expected.priority = kNoPriority;
    EXPECT_EQ(policy_of(object(row.kind, row.head + subject + with_allow(kOlderRules, row.allow), row.object_name)),
              expected);
  }
}

TEST(OlderClusterPolicies, peers_that_a_form_lacks_are_unknown) {
  const struct {
    const char* kind;
    const char* head;
    const char* peer;
    bool unknown;
  } rows[] = {
      {"AdminNetworkPolicy", "{priority: 1, ", "{nodes: {}}", false},
      {"BaselineAdminNetworkPolicy", "{", "{nodes: {}}", false},
      {"Amazon", "{tier: Admin, priority: 1, ", "{nodes: {}}", true},
      {"BaselineAdminNetworkPolicy", "{", "{domainNames: [a.b]}", true},
      {"BaselineAdminNetworkPolicy", "{", "{networks: [10.0.0.0/8]}", false},
      {"Amazon", "{tier: Admin, priority: 1, ", "{networks: [10.0.0.0/8]}", false},
      {"AdminNetworkPolicy", "{priority: 1, ", "{networks: [10.0.0.0/8]}", false},
      {"AdminNetworkPolicy", "{priority: 1, ", "{serviceAccounts: {}}", true},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(std::string(row.kind) + " " + row.peer);
    const auto policy = policy_of(object(row.kind, std::string(row.head) + "subject: {namespaces: {}}, egress: [{action: "
                                                                           "Deny, to: [" + row.peer + "]}]}",
                                         "default"));
    ASSERT_EQ(policy.egress.size(), 1u);
    EXPECT_EQ(std::holds_alternative<UnknownPeer>(policy.egress.front().peers.front()), row.unknown);
  }
}

std::string many(const std::string& one, std::size_t count) {
  std::string text = "[";
  for (std::size_t i = 0; i < count; ++i) text += one + ",";
  return text + "]";
}

struct Refused {
  const char* name;
  std::string text;
  Texts messages;  // without the file name
};

std::string admin(const std::string& rest) {
  return object("AdminNetworkPolicy", "{priority: 1, subject: {namespaces: {}}, " + rest + "}");
}
std::string ports(const std::string& one) {
  return admin("ingress: [{action: Allow, from: [{namespaces: {}}], ports: [\n" + one + "]}]");
}

const std::vector<Refused> kRefused{
    {"no spec", object("AdminNetworkPolicy", ""), {"1:1: spec: found nothing, expected priority and subject in it"}},
    {"no spec of a baseline", object("BaselineAdminNetworkPolicy", "", "default"),
     {"1:1: spec: found nothing, expected a subject in it"}},
    {"a baseline of another name",
     object("BaselineAdminNetworkPolicy", "{subject: {namespaces: {}}}", "other"),
     {"3:18: metadata.name: found \"other\", expected default: a cluster has one of these"}},
    {"a priority above 1000",
     object("AdminNetworkPolicy", "{priority: 1001, subject: {namespaces: {}}}"),
     {"4:18: priority: found the number 1001, expected a whole number from 0 to 1000"}},
    {"101 rules", admin("ingress: " + many("{action: Deny, from: [{namespaces: {}}]}", 101)),
     {"4:57: ingress: found 101, expected at most 100"}},
    {"the newer word for Allow", admin("ingress: [{action: Accept, from: [{namespaces: {}}]}]"),
     {"4:67: action: found \"Accept\", expected Allow, Deny or Pass"}},
    {"a baseline that passes on",
     object("BaselineAdminNetworkPolicy", "{subject: {namespaces: {}}, ingress: [{action: Pass, from: [{namespaces: {}}]}]}",
            "default"),
     {"4:54: action: found \"Pass\", expected Allow or Deny"}},
    {"the older word for Accept",
     object("Amazon", "{tier: Admin, priority: 1, subject: {namespaces: {}}, ingress: [{action: Allow, from: "
                      "[{namespaces: {}}]}]}"),
     {"4:80: action: found \"Allow\", expected Accept, Deny or Pass"}},
    {"a port without a field", ports("{}"), {"5:1: ports: found no field, expected portNumber, portRange or namedPort"}},
    {"a port of two kinds", ports("{portNumber: {port: 1}, namedPort: a}"),
     {"5:1: ports: found portNumber and namedPort, expected one of them"}},
    {"no number", ports("{portNumber: {protocol: UDP}}"),
     {"5:14: port: found nothing, expected a port number from 1 to 65535"}},
    {"an unknown protocol", ports("{portNumber: {protocol: ICMP, port: 1}}"),
     {"5:25: protocol: found \"ICMP\", expected TCP, UDP or SCTP"}},
    {"a range that does not grow", ports("{portRange: {start: 5, end: 5}}"),
     {"5:13: portRange: found 5 to 5, expected an end above its start"}},
    {"a range without its start", ports("{portRange: {end: 5}}"),
     {"5:13: start: found nothing, expected a port number from 1 to 65535"}},
    {"a port above 65535", ports("{portNumber: {port: 65536}}"),
     {"5:21: port: found the number 65536, expected a port number from 1 to 65535"}},
    {"a name that no port can have", ports("{namedPort: sixteen-letters-}"),
     {"5:13: namedPort: found \"sixteen-letters-\", expected a port name of at most 15 characters"}},
    {"101 peers", admin("ingress: [{action: Deny, from:\n" + many("{namespaces: {}}", 101) + "}]"),
     {"5:1: from: found 101, expected at most 100"}},
    {"101 ports", admin("ingress: [{action: Deny, from: [{namespaces: {}}], ports:\n" + many("{namedPort: a}", 101) + "}]"),
     {"5:1: ports: found 101, expected at most 100"}},
    {"26 networks", admin("egress: [{action: Deny, to: [{networks:\n" + many("10.0.0.0/8", 26) + "}]}]"),
     {"5:1: networks: found 26, expected at most 25"}},
    {"no peers", admin("egress: [\n{action: Deny, to: []}]"), {"5:20: to: found none, expected 1 to 100 peers"}},
    {"no subject", object("BaselineAdminNetworkPolicy", "{}", "default"),
     {"4:7: subject: found nothing, expected namespaces or pods in it"}},
    {"Amazon's without a tier", object("Amazon", "{priority: 1, subject: {namespaces: {}}}"),
     {"4:7: tier: found nothing, expected Admin or Baseline"}},
    {"a port's name for networks",
     admin("egress: [\n{action: Allow, to: [{networks: [10.0.0.0/8]}], ports: [{namedPort: a}]}]"),
     {"5:1: rule: found namedPort together with networks, expected it with pods and namespaces only"}},
    {"domain names that are denied", admin("egress: [\n{action: Deny, to: [{domainNames: [a.b]}]}]"),
     {"5:1: rule: found domainNames with another action, expected Allow"}},
};

TEST(OlderClusterPolicies, what_their_schemas_refuse_is_refused) {
  for (const auto& row : kRefused) {
    SCOPED_TRACE(row.name);
    const auto manifest = read_manifest(row.text, "f.yaml");
    ASSERT_FALSE(manifest.has_value());
    Texts messages;
    for (const auto& error : manifest.error()) messages.push_back(error.to_string().substr(7));
    EXPECT_EQ(messages, row.messages);
  }
}

// Three kinds may have objects of one name, and each is deleted by its own.
TEST(OlderClusterPolicies, objects_of_one_name_are_told_apart) {
  const std::string spec = "priority: 1, subject: {namespaces: {}}}";
  const auto manifest = read_manifest(
      object("AdminNetworkPolicy", "{" + spec) + "---\n" + object("Amazon", "{tier: Admin, " + spec) +
          "---\napiVersion: policy.networking.k8s.io/v1alpha2\nkind: ClusterNetworkPolicy\nmetadata: {name: p}\n"
          "spec: {tier: Admin, " + spec + "\n",
      "f.yaml");
  ASSERT_TRUE(manifest.has_value());
  ClusterState state;
  auto snapshot = state.apply({}, manifest->objects);
  ASSERT_TRUE(snapshot.has_value());
  EXPECT_EQ(snapshot->cluster_network_policies.size(), 3u);
  for (const auto* kind : {"ClusterNetworkPolicy", "AdminNetworkPolicy", "ClusterNetworkPolicy.networking.k8s.aws"}) {
    const auto before = snapshot->cluster_network_policies.size();
    snapshot = state.apply(std::vector<ObjectRef>{{kind, "", "p"}}, {});
    ASSERT_TRUE(snapshot.has_value());
    EXPECT_EQ(snapshot->cluster_network_policies.size(), before - 1);
    EXPECT_FALSE(snapshot->cluster_network_policies.contains(cluster_policy_id(kind, "p")));
  }
  const auto gone = state.apply(std::vector<ObjectRef>{{"AdminNetworkPolicy", "", "p"}}, {});
  ASSERT_FALSE(gone.has_value());
  EXPECT_EQ(gone.error().message, "delete: found no AdminNetworkPolicy p, expected one that exists");
}

TEST(OlderClusterPolicies, each_may_be_in_audit) {
  const struct {
    const char* kind;
    const char* head;
    const char* name;
  } rows[] = {
      {"AdminNetworkPolicy", "{priority: 1, ", "p"},
      {"BaselineAdminNetworkPolicy", "{", "default"},
      {"Amazon", "{tier: Admin, priority: 1, ", "p"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.kind);
    std::string text = object(row.kind, std::string(row.head) + "subject: {namespaces: {}}}", row.name);
    EXPECT_FALSE(policy_of(text).audit);
    const std::string name = std::string("{name: ") + row.name;
    text.replace(text.find(name), name.size(), name + ", annotations: {postern.dev/audit: \"true\"}");
    EXPECT_TRUE(policy_of(text).audit);
  }
}

TEST(OlderClusterPolicies, domain_names_are_read_where_a_form_has_them) {
  for (const auto* kind : {"AdminNetworkPolicy", "Amazon"}) {
    SCOPED_TRACE(kind);
    const bool amazons = std::string(kind) == "Amazon";
    const auto policy = policy_of(object(
        kind, std::string(amazons ? "{tier: Admin, " : "{") + "priority: 1, subject: {namespaces: {}}, egress: [{action: " +
                  (amazons ? "Accept" : "Allow") + ", to: [{domainNames: [a.b, \"*.c.d\"]}]}]}"));
    ASSERT_EQ(policy.egress.size(), 1u);
    EXPECT_EQ(policy.egress.front().peers.front(), ClusterPeer(ClusterDomainNames{{"a.b", "*.c.d"}}));
  }
}

// An action that nobody knows is refused from an API server too: its last version stays in force.
TEST(OlderClusterPolicies, an_unknown_action_is_refused_from_a_server_too) {
  ReadOptions live;
  live.live = true;
  const auto read = read_manifest(admin("ingress: [{action: Audit, from: [{namespaces: {}}]}]"), "f.yaml", live);
  ASSERT_FALSE(read.has_value());
  EXPECT_EQ(read.error().front().message, "action: found \"Audit\", expected Allow, Deny or Pass");
}

TEST(OlderClusterPolicies, an_object_that_is_refused_is_named_by_its_full_kind) {
  const auto read = read_what_is_right(object("Amazon", "{tier: Middle, priority: 1, subject: {namespaces: {}}}"), "f.yaml");
  ASSERT_EQ(read.refused.size(), 1u);
  EXPECT_EQ(read.refused.front().object.kind, "ClusterNetworkPolicy.networking.k8s.aws");
  EXPECT_EQ(read.refused.front().object.name, "p");
  ASSERT_EQ(read.errors.size(), 1u);
  EXPECT_EQ(read.errors.front().message, "tier: found \"Middle\", expected Admin or Baseline");
}

TEST(OlderClusterPolicies, a_version_that_is_none_of_a_group_is_refused) {
  const struct {
    const char* head;
    const char* message;
  } rows[] = {
      {"{apiVersion: policy.networking.k8s.io/v1alpha2, kind: AdminNetworkPolicy, metadata: {name: p}}",
       "apiVersion: found \"policy.networking.k8s.io/v1alpha2\", expected policy.networking.k8s.io/v1alpha1 for a "
       "AdminNetworkPolicy"},
      {"{apiVersion: networking.k8s.aws/v1, kind: ClusterNetworkPolicy, metadata: {name: p}}",
       "apiVersion: found \"networking.k8s.aws/v1\", expected networking.k8s.aws/v1alpha1 for a ClusterNetworkPolicy"},
      {"{apiVersion: policy.networking.k8s.io/v1alpha1, kind: ClusterNetworkPolicy, metadata: {name: p}}",
       "apiVersion: found \"policy.networking.k8s.io/v1alpha1\", expected policy.networking.k8s.io/v1alpha2 for a "
       "ClusterNetworkPolicy"},
  };
  for (const auto& row : rows) {
    const auto read = read_manifest(row.head, "f.yaml");
    ASSERT_FALSE(read.has_value());
    EXPECT_EQ(read.error().front().message, row.message);
  }
}

}  // namespace
}  // namespace postern::manifest::older_cluster_policies_test
