// SPDX-License-Identifier: Apache-2.0
// What the annotations of postern.dev make of namespaces and policies (R45).
#include <gtest/gtest.h>

#include "engine/manifest/reader.h"
#include "engine/policy/policy_warnings.h"

namespace postern::manifest {
namespace {

using Both = std::array<std::optional<Enforcement>, 2>;
constexpr auto kStandard = Enforcement::standard;
constexpr auto kStrict = Enforcement::strict;

template <typename T>
T read_one(const std::string& text) {
  const auto read = read_manifest(text, "a.yaml");
  EXPECT_TRUE(read.has_value()) << text << ": " << (read ? "" : read.error().front().to_string());
  if (!read || read->objects.size() != 1) return {};
  return std::get<T>(read->objects.front().value);
}

Namespace namespace_with(const std::string& annotations) {
  return read_one<Namespace>("{apiVersion: v1, kind: Namespace, metadata: {name: x, annotations: {" + annotations + "}}}");
}

TEST(Annotations, OfANamespaceSayHowStrictItIsAndWhetherItIsInAudit) {
  struct Row {
    const char* what;
    const char* annotations;
    Both enforcement;
    bool audit;
    const char* remark;  // a part of the one there is; empty: none
  };
  const Row rows[] = {
      {"none", "other/note: a", {}, false, ""},
      {"general", "postern.dev/enforcement: strict", {kStrict, kStrict}, false, ""},
      {"one direction", "postern.dev/enforcement-egress: standard", {std::nullopt, kStandard}, false, ""},
      {"the direction over the general, written before it",
       "postern.dev/enforcement-ingress: standard, postern.dev/enforcement: strict", {kStandard, kStrict}, false, ""},
      {"the direction over the general, written behind it",
       "postern.dev/enforcement: standard, postern.dev/enforcement-egress: strict", {kStandard, kStrict}, false, ""},
      {"audit", "postern.dev/audit: 'true'", {}, true, ""},
      {"no audit", "postern.dev/audit: 'false'", {}, false, ""},
      {"an unknown value of audit", "postern.dev/audit: 'yes'", {}, false,
       "annotation postern.dev/audit: found \"yes\", expected \"true\" or \"false\"; it is enforced, not in audit"},
      {"another spelling of audit", "postern.dev/audit: 'True'", {}, false, "found \"True\""},
      {"an unknown value in general", "postern.dev/enforcement: lax", {kStrict, kStrict}, false,
       "annotation postern.dev/enforcement: found \"lax\", expected \"standard\" or \"strict\"; it is strict"},
      {"an unknown value of a direction",
       "postern.dev/enforcement: standard, postern.dev/enforcement-ingress: Strict", {kStrict, kStandard}, false,
       "postern.dev/enforcement-ingress: found \"Strict\""},
  };
  for (const auto& row : rows) {
    const Namespace ns = namespace_with(row.annotations);
    EXPECT_EQ(ns.enforcement, row.enforcement) << row.what;
    EXPECT_EQ(ns.audit, row.audit) << row.what;
    if (*row.remark == '\0') {
      EXPECT_TRUE(ns.remarks.empty()) << row.what;
      continue;
    }
    ASSERT_EQ(ns.remarks.size(), 1u) << row.what;
    EXPECT_NE(ns.remarks[0].find(row.remark), std::string::npos) << row.what << ": " << ns.remarks[0];
  }
}

TEST(Annotations, PutPoliciesOfBothKindsInAudit) {
  for (const auto& [value, audit] : {std::pair{"'true'", true}, {"'false'", false}, {"'1'", false}}) {
    const std::string annotations = std::string("annotations: {postern.dev/audit: ") + value + "}";
    const auto policy = read_one<NetworkPolicy>(
        "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: p, " + annotations + "}, spec: {podSelector: {}}}");
    EXPECT_EQ(policy.audit, audit) << value;
    EXPECT_EQ(policy.remarks.size(), std::string(value) == "'1'" ? 1u : 0u) << value;
    const auto cluster = read_one<ClusterNetworkPolicy>(
        "{apiVersion: policy.networking.k8s.io/v1alpha2, kind: ClusterNetworkPolicy, metadata: {name: p, " + annotations +
        "}, spec: {tier: Admin, priority: 1, subject: {namespaces: {}}}}");
    EXPECT_EQ(cluster.audit, audit) << value;
    EXPECT_EQ(cluster.remarks.size(), std::string(value) == "'1'" ? 1u : 0u) << value;
  }
}

TEST(Annotations, ThatNobodyUnderstandsAreWarnedOf) {
  ClusterSnapshot cluster;
  Namespace ns;
  ns.name = "x";
  ns.remarks = {"one", "two"};
  cluster.namespaces["x"] = ns;
  NetworkPolicy policy;
  policy.key = {"x", "p"};
  policy.remarks = {"three"};
  cluster.network_policies[policy.key] = policy;
  ClusterNetworkPolicy guard;
  guard.name = "guard";
  guard.remarks = {"four"};
  cluster.cluster_network_policies["guard"] = guard;
  EXPECT_EQ(policy_warnings(cluster), (std::vector<std::string>{"Namespace x: one", "Namespace x: two",
                                                                "NetworkPolicy x/p: three",
                                                                "ClusterNetworkPolicy guard: four"}));
}

}  // namespace
}  // namespace postern::manifest
