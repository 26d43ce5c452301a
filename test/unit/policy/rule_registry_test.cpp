// SPDX-License-Identifier: Apache-2.0
// Numbers of rules over a long time: policies come and go, and what is remembered of them stays bounded.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "engine/policy/resolve.h"

namespace postern {
namespace {

RuleOrigin rule_of(std::size_t policy) {
  return {{PolicyKind::network_policy, {"x", "p-" + std::to_string(policy)}}, Direction::ingress, 0};
}

ResolvedPolicy with_rules(const std::vector<RuleId>& ids) {
  ResolvedPolicy policy;
  policy.endpoints.emplace_back();
  for (const RuleId id : ids) {
    ResolvedRule rule;
    rule.id = id;
    policy.endpoints.back().directions[index_of(Direction::ingress)].rules.push_back(rule);
  }
  return policy;
}

TEST(RuleRegistry, RulesOfPoliciesThatAreGoneAreForgottenInTheEnd) {
  RuleRegistry rules;
  std::size_t most = 0;
  for (std::size_t policy = 0; policy < 20 * RuleRegistry::kUnused; ++policy) {
    rules.forget_unused(with_rules({rules.id_of(rule_of(policy))}));
    most = std::max(most, rules.remembered());
  }
  EXPECT_LE(most, 3 * RuleRegistry::kUnused);
}

TEST(RuleRegistry, ARuleInUseKeepsItsNumberHoweverManyComeAndGo) {
  RuleRegistry rules;
  const RuleId stays = rules.id_of(rule_of(0));
  for (std::size_t policy = 1; policy < 10 * RuleRegistry::kUnused; ++policy) {
    rules.forget_unused(with_rules({stays, rules.id_of(rule_of(policy))}));
  }
  EXPECT_EQ(rules.id_of(rule_of(0)), stays);
  ASSERT_NE(rules.find(stays), nullptr);
  EXPECT_EQ(*rules.find(stays), rule_of(0));
}

TEST(RuleRegistry, ARuleThatHasJustGoneIsStillNamed) {
  RuleRegistry rules;
  for (std::size_t policy = 0; policy < 10 * RuleRegistry::kUnused; ++policy) {
    const RuleId id = rules.id_of(rule_of(policy));
    rules.forget_unused(with_rules({id}));
    rules.forget_unused(with_rules({}));
    ASSERT_NE(rules.find(id), nullptr) << policy;
    EXPECT_EQ(*rules.find(id), rule_of(policy));
  }
}

// It is looked for once in kUnused numbers: at every other look it is in use, and so it is never forgotten.
TEST(RuleRegistry, ARuleThatWasUnusedAtOneLookOnlyKeepsItsNumber) {
  RuleRegistry rules;
  const RuleId comes_and_goes = rules.id_of(rule_of(0));
  for (std::size_t policy = 1; policy < 10 * RuleRegistry::kUnused; ++policy) {
    std::vector<RuleId> in_force{rules.id_of(rule_of(policy))};
    const bool used = (policy + RuleRegistry::kUnused / 2) / RuleRegistry::kUnused % 2 == 0;
    if (used) in_force.push_back(comes_and_goes);
    rules.forget_unused(with_rules(in_force));
    ASSERT_NE(rules.find(comes_and_goes), nullptr) << policy;
  }
  EXPECT_EQ(rules.id_of(rule_of(0)), comes_and_goes);
}

TEST(RuleRegistry, WithAllNumbersUsedUpForgottenOnesAreGivenAgain) {
  RuleRegistry rules(RuleId{PN_RULE_ID_MAX - 1});
  EXPECT_EQ(rules.id_of(rule_of(0)).value, PN_RULE_ID_MAX);
  EXPECT_EQ(rules.id_of(rule_of(1)).value, 1u);
  EXPECT_EQ(rules.id_of(rule_of(2)).value, 2u);
  EXPECT_EQ(rules.id_of(rule_of(0)).value, PN_RULE_ID_MAX) << "remembered";
}

}  // namespace
}  // namespace postern
