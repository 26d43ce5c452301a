// SPDX-License-Identifier: Apache-2.0
// The whole text, as an operator reads it.
#include "test/unit/explain/world.h"

namespace postern::text_test {
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
spec: {containers: [{name: c, ports: [{name: pg, containerPort: 5432}]}]}
status: {podIP: 10.0.0.3}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: db, namespace: x}
spec:
  podSelector: {matchLabels: {app: db}}
  ingress:
  - from: [{podSelector: {matchLabels: {app: web}}}]
    ports: [{port: pg}]
  - from: [{ipBlock: {cidr: 192.0.2.0/24}}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: deny, namespace: x}
spec: {podSelector: {}}
)";

TEST(ExplainText, ADeniedConnectionShowsBothEndsAndTheNearMisses) {
  EXPECT_EQ(to_text(ask(cluster_of(kCluster), {"x/job", "x/db", 5432})),
            "x/job (10.0.0.2) -> x/db (10.0.0.3), TCP 5432: DENIED\n"
            "Leaving x/job (egress): allowed: no policy isolates it for egress.\n"
            "Arriving at x/db (ingress): denied.\n"
            "  isolated by x/db, x/deny; no rule allows this\n"
            "  nearest:  x/db rule 1: podSelector wants app=web; x/job has app=wep\n"
            "  then:     x/db rule 2: 10.0.0.2 is outside 192.0.2.0/24\n");
}

constexpr const char* kSlices = R"(
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: x}
spec: {containers: [{name: c}]}
status: {podIP: 10.0.0.1}
---
apiVersion: v1
kind: Pod
metadata: {name: db, namespace: x}
spec: {containers: [{name: c}]}
status: {podIP: 10.0.0.3}
---
apiVersion: networking.k8s.aws/v1alpha1
kind: PolicyEndpoint
metadata: {name: db-1, namespace: x}
spec:
  policyRef: {name: db, namespace: x}
  podIsolation: [Ingress]
  podSelectorEndpoints: [{hostIP: 172.18.0.2, podIP: 10.0.0.3, name: db, namespace: x}]
  ingress: [{cidr: 10.0.0.1, ports: [{port: 5432}]}]
---
apiVersion: networking.k8s.aws/v1alpha1
kind: PolicyEndpoint
metadata: {name: old-1, namespace: x}
spec:
  policyRef: {name: old, namespace: x}
  podIsolation: [Ingress]
  podSelectorEndpoints: [{hostIP: 172.18.0.2, podIP: 10.0.0.99, name: db, namespace: x}]
  ingress: [{cidr: 10.0.0.1}]
)";

TEST(ExplainText, PolicyEndpointsAreExplainedByTheNameOfTheirPolicy) {
  const ClusterSnapshot cluster = cluster_of(kSlices);
  EXPECT_EQ(to_text(ask(cluster, {"x/web", "x/db", 5432})),
            "x/web (10.0.0.1) -> x/db (10.0.0.3), TCP 5432: ALLOWED\n"
            "Leaving x/web (egress): allowed: no policy isolates it for egress.\n"
            "Arriving at x/db (ingress): allowed by x/db rule 1.\n"
            "  isolated by x/db\n");
  EXPECT_EQ(to_text(ask(cluster, {"x/web", "x/db", 5433})),
            "x/web (10.0.0.1) -> x/db (10.0.0.3), TCP 5433: DENIED\n"
            "Leaving x/web (egress): allowed: no policy isolates it for egress.\n"
            "Arriving at x/db (ingress): denied.\n"
            "  isolated by x/db; no rule allows this\n"
            "  nearest:  x/db rule 1: allows TCP 5432; asked TCP 5433\n"
            "  then:     x/old rule 1: no PolicyEndpoint of the policy lists x/db with its address\n");
}

TEST(ExplainText, AnAllowedConnectionNamesItsRule) {
  EXPECT_EQ(to_text(ask(cluster_of(kCluster), {"x/web", "x/db", 5432})),
            "x/web (10.0.0.1) -> x/db (10.0.0.3), TCP 5432: ALLOWED\n"
            "Leaving x/web (egress): allowed: no policy isolates it for egress.\n"
            "Arriving at x/db (ingress): allowed by x/db rule 1.\n"
            "  isolated by x/db, x/deny\n");
}

TEST(ExplainText, APolicyWithoutRulesLeavesNothingToMend) {
  EXPECT_EQ(
      to_text(
          ask(cluster_of(std::string(kCluster).replace(std::string(kCluster).find("  - from: [{podSelector"),
                                                       std::string::npos, "  - from: [{podSelector: {}}]\n")),
              {"203.0.113.5", "x/db", 5432})),
      "203.0.113.5 -> x/db (10.0.0.3), TCP 5432: DENIED\n"
      "Leaving 203.0.113.5 (egress): not judged: 203.0.113.5 is not a pod: no NetworkPolicy applies to it.\n"
      "Arriving at x/db (ingress): denied.\n"
      "  isolated by x/db; no rule allows this\n"
      "  nearest:  x/db rule 1: names pods by selector; 203.0.113.5 is not a pod, only an ipBlock can match "
      "it\n");
}

TEST(ExplainText, OneLineForAWrongCell) {
  EXPECT_EQ(
      why_line(ask(cluster_of(kCluster), {"x/job", "x/db", 5432})),
      "denied at ingress of x/db, isolated by x/db, x/deny; nearest: x/db rule 1: podSelector wants app=web; "
      "x/job has app=wep");
  EXPECT_EQ(
      why_line(ask(cluster_of(kCluster), {"x/web", "x/db", 5432})),
      "allowed at egress of x/web, which no policy isolates; allowed at ingress of x/db by x/db rule 1");
  EXPECT_EQ(why_line(ask(cluster_of(kCluster), {"x/web", "x/job", 80})),
            "denied at ingress of x/job, isolated by x/deny; no rule of its namespace comes near");
}

}  // namespace
}  // namespace postern::text_test
