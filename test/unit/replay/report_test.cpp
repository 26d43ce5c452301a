// SPDX-License-Identifier: Apache-2.0
#include "sim/replay/report.h"

#include <gtest/gtest.h>

#include "sim/replay/explanation_json.h"

namespace postern::sim {
namespace {

ReplayResult sample() {
  ReplayResult result;
  result.captures = {{"shop.pcap", 7, std::nullopt}};
  result.totals = {7, 700, 5, 3, 2, 1, 1, 0, 0};
  Flow flow;
  flow.protocol = 6;
  flow.from = {IpAddress::v4(0x0a000001), 40000, NamespacedName{"shop", "web"}};
  flow.to = {IpAddress::v4(0x0a000003), 5432, NamespacedName{"shop", "db"}};
  flow.packets = 3;
  flow.bytes = 300;
  flow.allowed = 3;
  result.flows.push_back(flow);
  flow.from = {IpAddress::v4(0xcb007107), 999, std::nullopt};
  flow.packets = 2;
  flow.bytes = 120;
  flow.allowed = 0;
  flow.denied = 2;
  flow.first_denial = Denial{0,
                             4,
                             {"shop", "db"},
                             Direction::ingress,
                             PN_REASON_ISOLATED,
                             {{PolicyKind::network_policy, {"shop", "db"}}},
                             std::nullopt,
                             ""};
  result.flows.push_back(flow);
  result.policies = {{{PolicyKind::network_policy, {"shop", "db"}}, {{Direction::ingress, 1, 3}}, 2},
                     {{PolicyKind::network_policy, {"shop", "idle"}}, {}, 0}};
  return result;
}

TEST(ReplayText, TablesOfTotalsFlowsAndPolicies) {
  EXPECT_EQ(replay_text(sample(), 20),
            "shop.pcap: 7 packets\n"
            "  packets judged allowed denied midstream not IP no pod truncated\n"
            "        7      5       3      2         1      1      0         0\n"
            "\n"
            "Flows: 2\n"
            "  from            to           protocol packets bytes allowed denied midstream\n"
            "  203.0.113.7:999 shop/db:5432 TCP            2   120       0      2         0\n"
            "    packet 4 denied at ingress of shop/db, reason isolated, by shop/db\n"
            "  shop/web:40000  shop/db:5432 TCP            3   300       3      0         0\n"
            "\n"
            "Policies: 2\n"
            "  policy    rule                             packets\n"
            "  shop/db   ingress rule 1                         3\n"
            "  shop/db   isolates, no rule allows: denied       2\n"
            "  shop/idle (decided nothing)                      0\n");
}

TEST(Replay, WhatWouldBeDeniedIsToldInTextAndJson) {
  ReplayResult result = sample();
  result.totals.would_deny = 2;
  result.flows[0].would_deny = 2;
  result.flows[0].first_would_deny = result.flows[1].first_denial;
  result.flows[0].first_would_deny->packet = 1;
  result.flows[0].first_would_deny->reason = PN_REASON_NONE;
  result.flows[0].first_would_deny->rule = 3;
  result.policies[1].would_denials = 2;
  const auto text = replay_text(result, 20);
  for (const char* part : {"  2 of the allowed packets would be denied if what is in audit were enforced\n",
                           "    packet 1 allowed, would be denied at ingress of shop/db, by shop/db rule 3; 2 such packets\n",
                           "  shop/idle in audit: would be denied              2\n"}) {
    EXPECT_NE(text.find(part), std::string::npos) << part << "in\n" << text;
  }
  const auto json = replay_json(result);
  for (const char* part : {"\"would_deny\": 2", "\"first_would_deny\": {", "\"would_denials\": 2", "\"reason\": \"denied\""}) {
    EXPECT_NE(json.find(part), std::string::npos) << part;
  }
}

TEST(ReplayText, FewerFlowsThanThereAreSayHowMany) {
  const auto text = replay_text(sample(), 1);
  EXPECT_NE(text.find("Flows: 2, the 1 most telling"), std::string::npos);
  EXPECT_NE(text.find("203.0.113.7:999"), std::string::npos) << "denied ones first";
  EXPECT_EQ(text.find("shop/web:40000"), std::string::npos);
}

TEST(ReplayText, ACaptureOfAnotherClusterSaysSo) {
  ReplayResult result;
  result.captures = {{"other.pcap", 3, std::nullopt}};
  result.totals.packets = result.totals.no_pod = 3;
  EXPECT_NE(replay_text(result, 20).find("No address in the capture belongs to a pod"), std::string::npos);
}

TEST(ReplayJson, HoldsTotalsFlowsAndPolicies) {
  const auto json = replay_json(sample());
  for (const char* part :
       {"\"kind\": \"ReplayResult\"", "\"allowed\": 3", "\"reason\": \"isolated\"", "\"pod\": \"shop/web\"",
        "\"isolation_denials\": 2", "\"address\": \"203.0.113.7\""}) {
    EXPECT_NE(json.find(part), std::string::npos) << part;
  }
}

TEST(ExplanationJson, HoldsBothEndsTheNearMissesAndTheHints) {
  Explanation explanation;
  explanation.traffic = "x/a -> x/b, TCP 80";
  explanation.egress.who = "203.0.113.7";
  explanation.ingress.who = "x/b";
  explanation.ingress.direction = Direction::ingress;
  explanation.ingress.judged = true;
  explanation.ingress.allowed = false;
  explanation.ingress.reason = PN_REASON_ISOLATED;
  explanation.ingress.isolating = {{"x", "deny"}};
  explanation.ingress.near_misses = {{{{"x", "web"}, 2}, {{MissingKind::in_except, "lies in except"}}, 1, 0}};
  explanation.hints = {"look"};
  EXPECT_EQ(explanation_json(explanation), R"({
  "apiVersion": "postern.dev/v1alpha1",
  "kind": "Explanation",
  "traffic": "x/a -> x/b, TCP 80",
  "verdict": "deny",
  "ends": [
    {
      "direction": "egress",
      "at": "203.0.113.7",
      "judged": false,
      "isolated_by": [],
      "allowed_by": [],
      "near_misses": []
    },
    {
      "direction": "ingress",
      "at": "x/b",
      "judged": true,
      "verdict": "deny",
      "reason": "isolated",
      "isolated_by": [
        "x/deny"
      ],
      "allowed_by": [],
      "near_misses": [
        {
          "policy": "x/web",
          "rule": 2,
          "missing": [
            {
              "kind": "in-except",
              "text": "lies in except"
            }
          ]
        }
      ]
    }
  ],
  "hints": [
    "look"
  ]
}
)");
}

TEST(ExplanationJson, AnEndThatTakesNoPartStandsInsteadOfTheEnds) {
  Explanation explanation;
  explanation.no_endpoint = "x/done is finished";
  const auto json = explanation_json(explanation);
  EXPECT_NE(json.find("\"no_endpoint\": \"x/done is finished\""), std::string::npos);
  EXPECT_EQ(json.find("\"ends\""), std::string::npos);
}

}  // namespace
}  // namespace postern::sim
