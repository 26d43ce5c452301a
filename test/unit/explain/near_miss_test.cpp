// SPDX-License-Identifier: Apache-2.0
// Each kind of near miss, said in the words that lead to the line to mend.
#include "test/unit/explain/world.h"

namespace postern::near_miss_test {
namespace {

// Two clients and a server; each row adds the policy that nearly lets the client in.
constexpr const char* kPods = R"(
apiVersion: v1
kind: Namespace
metadata: {name: x, labels: {team: red}}
---
apiVersion: v1
kind: Namespace
metadata: {name: y, labels: {team: blue}}
---
apiVersion: v1
kind: Pod
metadata: {name: a, namespace: x, labels: {app: wep}}
spec: {nodeName: n1, containers: [{name: c}]}
status: {podIP: 10.1.4.7}
---
apiVersion: v1
kind: Pod
metadata: {name: b, namespace: y, labels: {app: db}}
spec: {nodeName: n2, containers: [{name: c, ports: [{name: pg, containerPort: 5432}, {name: syslog, containerPort: 514, protocol: UDP}]}]}
status: {podIP: 10.2.0.9}
---
apiVersion: v1
kind: Pod
metadata: {name: agent, namespace: x, labels: {app: web}}
spec: {nodeName: n1, hostNetwork: true, containers: [{name: c}]}
---
)";

std::string policy(const std::string& spec) {
  return std::string(kPods) +
         "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p, namespace: y}\nspec: " +
         spec + "\n";
}

struct Row {
  const char* name;
  const char* spec;
  Question question;
  MissingKind kind;
  const char* text;
};

class NearMissTest : public testing::TestWithParam<Row> {};

TEST_P(NearMissTest, NamesTheOneThingThatIsMissing) {
  const Row& row = GetParam();
  const auto explanation = ask(cluster_of(policy(row.spec)), row.question);
  ASSERT_FALSE(explanation.allowed);
  ASSERT_FALSE(explanation.ingress.near_misses.empty()) << to_text(explanation);
  const NearMiss& nearest = explanation.ingress.near_misses.front();
  EXPECT_EQ(nearest.rule.policy.to_string(), "y/p");
  ASSERT_EQ(nearest.missing.size(), 1u) << to_text(explanation);
  EXPECT_EQ(nearest.missing.front().text, row.text);
  EXPECT_EQ(nearest.missing.front().kind, row.kind);
}

const Row kRows[] = {
    {"ALabelIsMisspelt",
     "{podSelector: {}, ingress: [{from: [{namespaceSelector: {}, podSelector: {matchLabels: {app: "
     "web}}}]}]}",
     {"x/a", "y/b"},
     MissingKind::pod_label,
     "podSelector wants app=web; x/a has app=wep"},
    {"ALabelIsAbsent",
     "{podSelector: {}, ingress: [{from: [{namespaceSelector: {}, podSelector: {matchLabels: {tier: "
     "web}}}]}]}",
     {"x/a", "y/b"},
     MissingKind::pod_label,
     "podSelector wants tier=web; x/a has no label tier"},
    {"AnExpressionExcludesTheValue",
     "{podSelector: {}, ingress: [{from: [{namespaceSelector: {}, podSelector: {matchExpressions: [{key: "
     "app, operator: "
     "NotIn, values: [wep, old]}]}}]}]}",
     {"x/a", "y/b"},
     MissingKind::pod_label,
     "podSelector wants app notin (old,wep); x/a has app=wep"},
    {"TheNamespaceHasAnotherLabel",
     "{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: blue}}}]}]}",
     {"x/a", "y/b"},
     MissingKind::namespace_label,
     "namespaceSelector wants team=blue; namespace x has team=red"},
    {"AnAbsentNamespaceSelectorMeansThePolicysOwn",
     "{podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {app: wep}}}]}]}",
     {"x/a", "y/b"},
     MissingKind::own_namespace,
     "without a namespaceSelector it means pods of namespace y; x/a is in x"},
    {"TheAddressLiesInAnExcept",
     "{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.1.0.0/16, except: [10.1.9.0/24, "
     "10.1.4.0/24]}}]}]}",
     {"x/a", "y/b"},
     MissingKind::in_except,
     "10.1.4.7 lies in except 10.1.4.0/24 of 10.1.0.0/16"},
    {"TheAddressIsOutsideTheBlock",
     "{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.9.0.0/16}}]}]}",
     {"x/a", "y/b"},
     MissingKind::outside_block,
     "10.1.4.7 is outside 10.9.0.0/16"},
    {"ThePortIsOneOff",
     "{podSelector: {}, ingress: [{ports: [{port: 5432}]}]}",
     {"x/a", "y/b", 5433},
     MissingKind::port,
     "allows TCP 5432; asked TCP 5433"},
    {"ThePortIsBesideARange",
     "{podSelector: {}, ingress: [{ports: [{port: 22}, {port: 8000, endPort: 8080}]}]}",
     {"x/a", "y/b", 8081},
     MissingKind::port,
     "allows TCP 22, TCP 8000-8080; asked TCP 8081"},
    {"TheProtocolIsAnother",
     "{podSelector: {}, ingress: [{ports: [{port: 53, protocol: UDP}]}]}",
     {"x/a", "y/b", 53},
     MissingKind::protocol,
     "allows UDP 53; asked TCP 53"},
    {"ANamedPortIsAnotherNumber",
     "{podSelector: {}, ingress: [{ports: [{port: pg}]}]}",
     {"x/a", "y/b", 5433},
     MissingKind::port,
     "allows the port named pg, which is TCP 5432 on y/b; asked TCP 5433"},
    {"ANamedPortIsUnknownToThePod",
     "{podSelector: {}, ingress: [{ports: [{port: postgres}]}]}",
     {"x/a", "y/b", 5432},
     MissingKind::named_port,
     "allows the TCP port named postgres; y/b has no such port (pg=TCP 5432, syslog=UDP 514)"},
    {"ANamedPortHasAnotherProtocol",
     "{podSelector: {}, ingress: [{ports: [{port: syslog}]}]}",
     {"x/a", "y/b", 514},
     MissingKind::named_port,
     "allows the TCP port named syslog; y/b has it as UDP"},
    {"PingNeedsARuleWithoutPorts",
     "{podSelector: {}, ingress: [{ports: [{port: 80}]}]}",
     {"x/a", "y/b", 0, Protocol::icmp},
     MissingKind::protocol,
     "allows TCP 80; ICMP needs a rule without ports"},
    {"AnOutsideHostIsNeverSelected",
     "{podSelector: {}, ingress: [{from: [{podSelector: {}}]}]}",
     {"203.0.113.7", "y/b"},
     MissingKind::not_a_pod,
     "names pods by selector; 203.0.113.7 is not a pod, only an ipBlock can match it"},
    {"AHostNetworkPodIsNeverSelected",
     "{podSelector: {}, ingress: [{from: [{namespaceSelector: {}}]}]}",
     {"x/agent", "y/b"},
     MissingKind::not_a_pod,
     "x/agent uses its node's network, which no selector matches"},
};

INSTANTIATE_TEST_SUITE_P(Kinds, NearMissTest, testing::ValuesIn(kRows),
                         [](const testing::TestParamInfo<Row>& row) { return std::string(row.param.name); });

constexpr const char* kDeny =
    "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: deny, namespace: y}\nspec: "
    "{podSelector: {}}\n";

TEST(NearMiss, APolicyThatDoesNotSelectThePodIsNamed) {
  const auto explanation =
      ask(cluster_of(policy("{podSelector: {matchLabels: {app: database}}, ingress: [{}]}") + kDeny),
          {"x/a", "y/b"});
  ASSERT_EQ(explanation.ingress.near_misses.size(), 1u);
  const auto& missing = explanation.ingress.near_misses.front().missing;
  ASSERT_EQ(missing.size(), 1u);
  EXPECT_EQ(missing.front().kind, MissingKind::subject_label);
  EXPECT_EQ(missing.front().text, "the policy selects by podSelector and wants app=database; y/b has app=db");
}

TEST(NearMiss, RulesOfADirectionThatPolicyTypesLeaveOutAreNamed) {
  const auto explanation =
      ask(cluster_of(policy("{podSelector: {}, policyTypes: [Egress], egress: [{}], ingress: [{}]}") + kDeny),
          {"x/a", "y/b"});
  ASSERT_EQ(explanation.ingress.near_misses.size(), 1u);
  const auto& missing = explanation.ingress.near_misses.front().missing;
  ASSERT_EQ(missing.size(), 1u);
  EXPECT_EQ(missing.front().kind, MissingKind::policy_type);
}

TEST(NearMiss, TheRuleThatLacksLeastComesFirst) {
  const auto explanation =
      ask(cluster_of(policy("{podSelector: {}, ingress: ["
                            "{from: [{namespaceSelector: {matchLabels: {team: green}}, podSelector: "
                            "{matchLabels: {app: web}}}]},"
                            "{from: [{namespaceSelector: {}, podSelector: {matchLabels: {app: frontend}}}]},"
                            "{from: [{namespaceSelector: {}, podSelector: {matchLabels: {app: web}}}]}]}")),
          {"x/a", "y/b"});
  ASSERT_EQ(explanation.ingress.near_misses.size(), 3u);
  EXPECT_EQ(explanation.ingress.near_misses[0].rule.rule, 3u) << "one letter of one label";
  EXPECT_EQ(explanation.ingress.near_misses[1].rule.rule, 2u) << "one label, another word";
  EXPECT_EQ(explanation.ingress.near_misses[2].rule.rule, 1u) << "two labels";
}

TEST(NearMiss, OfSeveralPeersTheNearestSpeaksForTheRule) {
  const auto explanation =
      ask(cluster_of(policy("{podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {zone: z}}}, "
                            "{ipBlock: {cidr: 10.1.0.0/16, except: [10.1.4.0/24]}}]}]}")),
          {"x/a", "y/b"});
  ASSERT_EQ(explanation.ingress.near_misses.size(), 1u);
  EXPECT_EQ(explanation.ingress.near_misses.front().missing.front().kind, MissingKind::in_except);
}

}  // namespace
}  // namespace postern::near_miss_test
