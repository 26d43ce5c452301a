// SPDX-License-Identifier: Apache-2.0
// What an operator reads about a Service: each backend, and how they disagree.
#include "test/unit/explain/world.h"

namespace postern::service_test {
namespace {

constexpr const char* kCluster = R"(
apiVersion: v1
kind: Pod
metadata: {name: client, namespace: x, labels: {app: client}}
spec: {containers: [{name: c}]}
status: {podIP: 10.0.0.1, podIPs: [{ip: 10.0.0.1}, {ip: "fd00::1"}]}
---
apiVersion: v1
kind: Pod
metadata: {name: free, namespace: x, labels: {app: free}}
spec: {containers: [{name: c}]}
status: {podIP: 10.0.0.9}
---
apiVersion: v1
kind: Pod
metadata: {name: new, namespace: y, labels: {app: web, version: new}}
spec: {containers: [{name: c}]}
status: {podIP: 10.0.1.1, podIPs: [{ip: 10.0.1.1}, {ip: "fd00:1::1"}]}
---
apiVersion: v1
kind: Pod
metadata: {name: old, namespace: y, labels: {app: web, version: old}}
spec: {containers: [{name: c}]}
status: {podIP: 10.0.1.2}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: y}
spec:
  clusterIP: 10.96.0.7
  clusterIPs: [10.96.0.7, "fd00:96::7"]
  selector: {app: web}
  ports: [{name: http, port: 80, targetPort: 8080}, {name: alt, port: 81, targetPort: 8081}]
---
apiVersion: v1
kind: Service
metadata: {name: empty, namespace: y}
spec: {clusterIP: 10.96.0.8, selector: {app: nobody}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: headless, namespace: y}
spec: {clusterIP: None, selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: out, namespace: x}
spec:
  podSelector: {matchLabels: {app: client}}
  policyTypes: [Egress]
  egress:
  - to: [{namespaceSelector: {}, podSelector: {matchLabels: {version: new}}}]
    ports: [{port: 8080}]
  - to: [{ipBlock: {cidr: 10.96.0.0/12}}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: in, namespace: y}
spec:
  podSelector: {matchLabels: {version: old}}
  ingress: [{from: [{namespaceSelector: {matchLabels: {team: none}}}]}]
)";

TEST(ExplainService, BackendsThatDisagreeAreNamed) {
  const auto explanation = ask(cluster_of(kCluster), {"x/client", "service:y/web", 80});
  EXPECT_FALSE(explanation.allowed);
  EXPECT_EQ(explanation.egress.reason, std::uint32_t{PN_REASON_BACKENDS_DIFFER});
  EXPECT_EQ(
      to_text(explanation).substr(0, to_text(explanation).find("Hint")),
      "x/client (10.0.0.1) -> Service y/web (10.96.0.7), TCP 80: DENIED\n"
      "Leaving x/client (egress): denied: the backends of Service y/web disagree (allowed: y/new; denied: "
      "y/old), so no connection to it passes.\n"
      "Backend y/new (10.0.1.1), TCP 8080: allowed\n"
      "  allowed at egress of x/client by x/out rule 1\n"
      "  allowed at ingress of y/new, which no policy isolates\n"
      "Backend y/old (10.0.1.2), TCP 8080: denied\n"
      "  denied at egress of x/client, isolated by x/out; nearest: x/out rule 1: podSelector wants "
      "version=new; y/old has version=old\n"
      "  denied at ingress of y/old, isolated by y/in; nearest: y/in rule 1: namespaceSelector wants "
      "team=none; "
      "namespace x has no label team\n");
  EXPECT_EQ(
      why_line(explanation),
      "denied at egress of x/client: the backends of Service y/web disagree (allowed: y/new; denied: "
      "y/old), so no connection to it passes; denied at egress of x/client, isolated by x/out; nearest: "
      "x/out rule 1: podSelector wants version=new; y/old has version=old");
}

struct Row {
  const char* name;
  Question question;
  bool allowed;
  std::uint32_t egress;
  std::size_t backends;
  const char* line;
};

TEST(ExplainService, EveryOutcomeHasItsLine) {
  const std::vector<Row> rows{
      {"a ClusterIP is its Service",
       {"x/client", "10.96.0.7", 80},
       false,
       PN_REASON_BACKENDS_DIFFER,
       2,
       "denied at egress of x/client: the backends of Service y/web disagree"},
      {"the other family has one backend",
       {"x/client", "fd00:96::7", 80},
       true,
       PN_REASON_RULE,
       1,
       "allowed at egress of x/client by x/out rule 1; allowed at ingress of y/new"},
      {"all denied, the nearest rule first",
       {"x/client", "service:y/web", 81},
       false,
       PN_REASON_ISOLATED,
       2,
       "denied at egress of x/client, isolated by x/out; nearest: x/out rule 1: allows TCP 8080; asked TCP "
       "8081"},
      {"no backend",
       {"x/client", "service:y/empty", 80},
       false,
       PN_REASON_NO_BACKEND,
       0,
       "denied at egress of x/client: Service y/empty has no ready backend for TCP 80"},
      {"no backend, and nobody minds",
       {"x/free", "service:y/empty", 80},
       false,
       PN_REASON_NOT_ISOLATED,
       0,
       "nothing judged at ingress of Service y/empty: Service y/empty has no ready backend for TCP 80"},
      {"a port it does not have, in a block that does not match",
       {"x/client", "service:y/web", 443},
       false,
       PN_REASON_ISOLATED,
       0,
       "denied at egress of x/client, isolated by x/out; nearest: x/out rule 2: 10.96.0.7 is a ClusterIP, "
       "which "
       "no block matches"},
      {"a client without policy: the backends decide",
       {"x/free", "service:y/web", 80},
       false,
       PN_REASON_NOT_ISOLATED,
       2,
       "denied at ingress of y/old, isolated by y/in"},
  };
  const auto cluster = cluster_of(kCluster);
  for (const auto& row : rows) {
    const auto explanation = ask(cluster, row.question);
    EXPECT_EQ(explanation.allowed, row.allowed) << row.name;
    EXPECT_EQ(explanation.egress.reason, row.egress) << row.name;
    EXPECT_EQ(explanation.backends.size(), row.backends) << row.name;
    EXPECT_EQ(why_line(explanation).substr(0, std::string(row.line).size()), row.line) << row.name;
  }
}

TEST(ExplainService, BackendsThatDoNotAllAdmitAClientAreAHint) {
  const auto explanation = ask(cluster_of(kCluster), {"x/free", "service:y/web", 80});
  ASSERT_EQ(explanation.hints.size(), 1u);
  EXPECT_EQ(
      explanation.hints[0],
      "1 of 2 backends of Service y/web do not admit this: connections fail whenever one of them is chosen");
}

TEST(ExplainService, APodReachesItselfThroughItsService) {
  auto cluster = cluster_of(kCluster);
  cluster.services.at({"y", "web"}).selector = Labels{{"version", "old"}};
  cluster.pods.at({"y", "old"}).labels["app"] = "client";
  NetworkPolicy out = cluster.network_policies.at({"x", "out"});
  out.key = {"y", "out"};
  cluster.network_policies[out.key] = out;
  const auto explanation = ask(cluster, {"y/old", "service:y/web", 80});
  EXPECT_TRUE(explanation.allowed);
  EXPECT_EQ(explanation.egress.reason, std::uint32_t{PN_REASON_SELF});
}

TEST(ExplainService, WhatIsNoDestinationIsRefused) {
  const auto cluster = cluster_of(kCluster);
  TrafficEnd client;
  client.kind = TrafficEnd::Kind::pod;
  client.pod = {"x", "client"};
  TrafficEnd service;
  service.kind = TrafficEnd::Kind::service;
  service.service = {"y", "web"};
  EXPECT_EQ(explain(cluster, {service, client, 6, 80, false}).error().message,
            "Service y/web opens no connections: expected a client");
  service.service = {"y", "headless"};
  EXPECT_EQ(
      explain(cluster, {client, service, 6, 80, false}).error().message,
      "Service y/headless has no ClusterIP: its name stands for the pods behind it, expected one of them");
  service.service = {"y", "gone"};
  EXPECT_EQ(explain(cluster, {client, service, 6, 80, false}).error().code, ErrorCode::not_found);
}

}  // namespace
}  // namespace postern::service_test
