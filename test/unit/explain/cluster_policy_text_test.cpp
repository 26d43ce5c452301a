// SPDX-License-Identifier: Apache-2.0
// What is told of ClusterNetworkPolicies: the rule that decides with its tier, those that pass on, and the
// rules above a Deny that come near.
#include "test/unit/explain/world.h"

namespace postern::cluster_policy_text_test {
namespace {

constexpr const char* kCluster = R"(
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: x, labels: {app: web}}
spec: {containers: [{name: c}]}
status: {podIP: 10.0.0.1}
---
apiVersion: v1
kind: Pod
metadata: {name: job, namespace: x, labels: {app: wep}}
spec: {containers: [{name: c}]}
status: {podIP: 10.0.0.2}
---
apiVersion: v1
kind: Pod
metadata: {name: db, namespace: x, labels: {app: db}}
spec: {containers: [{name: c}]}
status: {podIP: 10.0.0.3}
---
apiVersion: policy.networking.k8s.io/v1alpha2
kind: ClusterNetworkPolicy
metadata: {name: guard}
spec:
  tier: Admin
  priority: 10
  subject: {pods: {podSelector: {matchLabels: {app: db}}}}
  ingress:
  - {name: web may, action: Accept, from: [{pods: {podSelector: {matchLabels: {app: web}}}}], protocols: [{tcp: {destinationPort: {number: 5432}}}]}
  - {action: Pass, from: [{namespaces: {}}], protocols: [{tcp: {destinationPort: {number: 80}}}]}
  - {name: nobody else, action: Deny, from: [{namespaces: {}}]}
)";

TEST(ExplainClusterPolicies, ADenyNamesItsRuleAndWhatComesNearAboveIt) {
  EXPECT_EQ(to_text(ask(cluster_of(kCluster), {"x/job", "x/db", 5432})),
            "x/job (10.0.0.2) -> x/db (10.0.0.3), TCP 5432: DENIED\n"
            "Leaving x/job (egress): allowed: no policy isolates it for egress.\n"
            "Arriving at x/db (ingress): denied by ClusterNetworkPolicy guard rule 3 \"nobody else\" (Admin tier, "
            "priority 10).\n"
            "  nearest:  ClusterNetworkPolicy guard rule 1: podSelector wants app=web; x/job has app=wep\n"
            "  then:     ClusterNetworkPolicy guard rule 2: allows TCP 80; asked TCP 5432\n");
}

TEST(ExplainClusterPolicies, AnAcceptNamesItsRule) {
  const auto explanation = ask(cluster_of(kCluster), {"x/web", "x/db", 5432});
  EXPECT_EQ(why_line(explanation.ingress),
            "allowed at ingress of x/db by ClusterNetworkPolicy guard rule 1 \"web may\" (Admin tier, priority 10)");
}

TEST(ExplainClusterPolicies, APassIsToldBesideWhatDecidesBehindIt) {
  EXPECT_EQ(to_text(ask(cluster_of(kCluster), {"x/job", "x/db", 80})),
            "x/job (10.0.0.2) -> x/db (10.0.0.3), TCP 80: ALLOWED\n"
            "Leaving x/job (egress): allowed: no policy isolates it for egress.\n"
            "Arriving at x/db (ingress): allowed: no policy isolates it for ingress.\n"
            "  passed on by ClusterNetworkPolicy guard rule 2 (Admin tier, priority 10)\n");
}

TEST(ExplainClusterPolicies, EveryKindIsCalledByItsName) {
  const struct {
    const char* policy;
    const char* said;
  } rows[] = {
      {"apiVersion: policy.networking.k8s.io/v1alpha1\nkind: AdminNetworkPolicy\nmetadata: {name: p}\n"
       "spec: {priority: 3, subject: {namespaces: {}}, ingress: [{action: Deny, from: [{namespaces: {}}]}]}\n",
       "AdminNetworkPolicy p rule 1 (Admin tier, priority 3)"},
      {"apiVersion: policy.networking.k8s.io/v1alpha1\nkind: BaselineAdminNetworkPolicy\nmetadata: {name: default}\n"
       "spec: {subject: {namespaces: {}}, ingress: [{action: Deny, from: [{namespaces: {}}]}]}\n",
       "BaselineAdminNetworkPolicy default rule 1 (Baseline tier)"},
      {"apiVersion: networking.k8s.aws/v1alpha1\nkind: ClusterNetworkPolicy\nmetadata: {name: p}\n"
       "spec: {tier: Baseline, priority: 3, subject: {namespaces: {}}, ingress: [{action: Deny, from: [{namespaces: {}}]}]}\n",
       "ClusterNetworkPolicy.networking.k8s.aws p rule 1 (Baseline tier, priority 3)"},
      {"apiVersion: networking.k8s.aws/v1alpha1\nkind: ClusterPolicyEndpoint\nmetadata: {name: p-1}\n"
       "spec: {policyRef: {name: p}, tier: Admin, priority: 3, podSelectorEndpoints: [{name: db, namespace: x, podIP: "
       "10.0.0.3, hostIP: \"\"}], ingress: [{cidr: 10.0.0.2, action: Deny}]}\n",
       "ClusterPolicyEndpoints of p rule 1 (Admin tier, priority 3)"},
  };
  const std::string pods = std::string(kCluster).substr(0, std::string(kCluster).find("apiVersion: policy."));
  for (const auto& row : rows) {
    const auto explanation = ask(cluster_of(pods + row.policy), {"x/job", "x/db", 5432});
    EXPECT_EQ(why_line(explanation.ingress), std::string("denied at ingress of x/db by ") + row.said);
  }
}

}  // namespace
}  // namespace postern::cluster_policy_text_test
