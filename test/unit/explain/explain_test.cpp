// SPDX-License-Identifier: Apache-2.0
// The verdict at both ends, and what is said of ends that policies do not reach.
#include "test/unit/explain/world.h"

namespace postern::explain_test {
namespace {

constexpr const char* kCluster = R"(
apiVersion: v1
kind: Node
metadata: {name: n1}
status: {addresses: [{type: InternalIP, address: 172.18.0.21}, {type: ExternalIP, address: 198.51.100.1}]}
---
apiVersion: v1
kind: Node
metadata: {name: n2}
status: {addresses: [{type: InternalIP, address: 172.18.0.22}]}
---
apiVersion: v1
kind: Pod
metadata: {name: client, namespace: x, labels: {app: client}}
spec: {nodeName: n1, containers: [{name: c}]}
---
apiVersion: v1
kind: Pod
metadata: {name: server, namespace: x, labels: {app: server}}
spec: {nodeName: n1, containers: [{name: c, ports: [{name: http, containerPort: 80}]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: free, namespace: z}
spec: {nodeName: n2, containers: [{name: c}]}
---
apiVersion: v1
kind: Pod
metadata: {name: agent, namespace: x, labels: {app: client}}
spec: {nodeName: n1, hostNetwork: true, containers: [{name: c}]}
---
apiVersion: v1
kind: Pod
metadata: {name: done, namespace: x, labels: {app: client}}
spec: {nodeName: n1, containers: [{name: c}]}
status: {phase: Succeeded, podIP: 10.0.0.77}
---
apiVersion: v1
kind: Pod
metadata: {name: young, namespace: x, labels: {app: client}}
spec: {nodeName: n1, containers: [{name: c}]}
status: {podIP: ""}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: deny, namespace: x}
spec: {podSelector: {}, policyTypes: [Ingress, Egress]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: server, namespace: x}
spec:
  podSelector: {matchLabels: {app: server}}
  ingress:
  - from: [{podSelector: {matchLabels: {app: nobody}}}]
  - from: [{podSelector: {matchLabels: {app: client}}}]
    ports: [{port: http}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: client, namespace: x}
spec:
  podSelector: {matchLabels: {app: client}}
  policyTypes: [Egress]
  egress:
  - to: [{podSelector: {matchLabels: {app: server}}}]
    ports: [{port: http}, {port: 53, protocol: UDP}]
)";

struct Row {
  const char* name;
  Question question;
  bool allowed;
  std::uint32_t egress;  // reason; none: not judged
  std::uint32_t ingress;
};

class VerdictTest : public testing::TestWithParam<Row> {};

TEST_P(VerdictTest, BothEndsSayTheirReason) {
  const Row& row = GetParam();
  const auto explanation = ask(cluster_of(kCluster), row.question);
  EXPECT_EQ(explanation.allowed, row.allowed) << to_text(explanation);
  EXPECT_EQ(reason_name(explanation.egress.reason), reason_name(row.egress)) << to_text(explanation);
  EXPECT_EQ(reason_name(explanation.ingress.reason), reason_name(row.ingress)) << to_text(explanation);
}

const Row kRows[] = {
    {"ARuleAtEachEndAllows", {"x/client", "x/server"}, true, PN_REASON_RULE, PN_REASON_RULE},
    {"AnotherPortIsDeniedAtBothEnds",
     {"x/client", "x/server", 81},
     false,
     PN_REASON_ISOLATED,
     PN_REASON_ISOLATED},
    {"TheOtherDirectionIsDenied", {"x/server", "x/client"}, false, PN_REASON_ISOLATED, PN_REASON_ISOLATED},
    {"AnUnpolicedClientIsJudgedAtTheServerOnly",
     {"z/free", "x/server"},
     false,
     PN_REASON_NOT_ISOLATED,
     PN_REASON_ISOLATED},
    {"StrictClosesWhatNothingIsolates",
     {"z/free", "198.51.100.9", 443, Protocol::tcp, true},
     false,
     PN_REASON_STRICT,
     PN_REASON_NONE},
    {"APodReachesItself", {"x/client", "x/client", 81}, true, PN_REASON_SELF, PN_REASON_SELF},
    {"TheOwnNodeReachesItsPods", {"node:n1", "x/server", 81}, true, PN_REASON_NONE, PN_REASON_OWN_NODE},
    {"EveryAddressOfTheOwnNodeCounts",
     {"198.51.100.1", "x/server", 81},
     true,
     PN_REASON_NONE,
     PN_REASON_OWN_NODE},
    {"AnotherNodeDoesNot", {"node:n2", "x/server", 81}, false, PN_REASON_NONE, PN_REASON_ISOLATED},
    {"APodReachesItsOwnNode", {"x/client", "node:n1", 10250}, true, PN_REASON_OWN_NODE, PN_REASON_NONE},
    {"AHostNetworkPodIsItsNode", {"x/agent", "x/server", 81}, true, PN_REASON_NONE, PN_REASON_OWN_NODE},
    {"AHostNetworkPodElsewhereIsAnAddress",
     {"z/free", "x/agent", 81},
     true,
     PN_REASON_NOT_ISOLATED,
     PN_REASON_NONE},
};

INSTANTIATE_TEST_SUITE_P(Ends, VerdictTest, testing::ValuesIn(kRows),
                         [](const testing::TestParamInfo<Row>& row) { return std::string(row.param.name); });

TEST(Explain, NamesTheIsolatingPoliciesAndTheRuleByNumber) {
  const auto explanation = ask(cluster_of(kCluster), {"x/client", "x/server"});
  const std::vector<NamespacedName> isolating{{"x", "deny"}, {"x", "server"}};
  const std::vector<RuleRef> allowing{{{"x", "server"}, 2}};
  EXPECT_EQ(explanation.ingress.isolating, isolating);
  EXPECT_EQ(explanation.ingress.allowing, allowing);
}

TEST(Explain, AFinishedPodIsNoEndAtAll) {
  const auto explanation = ask(cluster_of(kCluster), {"x/done", "x/server"});
  EXPECT_FALSE(explanation.allowed);
  EXPECT_EQ(explanation.no_endpoint,
            "x/done is finished (phase Succeeded): it has no network, policies neither select nor match it");
}

TEST(Explain, APodWithoutAnAddressIsNoEndYet) {
  const auto explanation = ask(cluster_of(kCluster), {"x/client", "x/young"});
  EXPECT_FALSE(explanation.allowed);
  EXPECT_NE(explanation.no_endpoint.find("x/young has no address yet"), std::string::npos);
}

TEST(Explain, EndsOfDifferentFamiliesAreRefused) {
  const auto cluster = cluster_of(kCluster);
  TrafficEnd client;
  client.kind = TrafficEnd::Kind::pod;
  client.pod = {"x", "client"};
  TrafficEnd outside;
  outside.address = IpAddress::parse("2001:db8::1");
  const auto explanation = explain(cluster, {client, outside, 6, 80, false});
  ASSERT_FALSE(explanation.has_value());
  EXPECT_NE(explanation.error().message.find("no address of the same family"), std::string::npos);
}

TEST(Explain, AnIsolatedClientThatCannotReachDnsIsWarned) {
  const auto closed = ask(cluster_of(kCluster), {"x/server", "x/client"});
  ASSERT_EQ(closed.hints.size(), 1u);
  EXPECT_NE(closed.hints.front().find("DNS"), std::string::npos);
  EXPECT_TRUE(ask(cluster_of(kCluster), {"x/client", "x/server"}).hints.empty())
      << "UDP 53 is open to somebody";
  EXPECT_TRUE(ask(cluster_of(kCluster), {"z/free", "x/server"}).hints.empty()) << "not isolated for egress";
}

TEST(Explain, WhereTheDnsPodsAreKnownTheRuleMustReachThem) {
  const std::string dns =
      "---\napiVersion: v1\nkind: Pod\nmetadata: {name: dns, namespace: kube-system, labels: {k8s-app: "
      "kube-dns}}\n"
      "spec: {containers: [{name: c}]}\n";
  EXPECT_EQ(ask(cluster_of(kCluster + dns), {"x/client", "x/server"}).hints.size(), 1u)
      << "UDP 53 is open to x/server alone";
}

}  // namespace
}  // namespace postern::explain_test
