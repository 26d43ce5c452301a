// SPDX-License-Identifier: Apache-2.0
// Tiers in their order (R42, R29, R30), ports in theirs, and the shortest way to store the outcome.
#include <gtest/gtest.h>

#include <numeric>

#include "engine/compile/step_tables.h"
#include "test/unit/compile/small_policy.h"

namespace postern {
namespace {

using namespace compile_test;

struct Made {
  std::shared_ptr<const Content> content;
  std::vector<std::uint32_t> places;
};

Made content_of(std::vector<ResolvedRule> rules, bool isolated = true, bool strict = false,
                Direction direction = Direction::ingress) {
  DirectionPolicy policy;
  policy.isolated = isolated;
  policy.strict = strict;
  policy.rules = std::move(rules);
  ContentPool pool;
  Made made;
  made.content = pool.intern(policy, direction, {});
  made.places.resize(policy.rules.size());
  std::iota(made.places.begin(), made.places.end(), 0u);
  return made;
}

ResolvedRule in_tier(Tier tier, Action action, std::uint32_t priority, std::uint32_t policy,
                     std::uint32_t id) {
  ResolvedRule out = rule(id, {});
  out.tier = tier;
  out.action = action;
  out.priority = priority;
  out.policy = policy;
  return out;
}

TEST(Fold, TiersAreAskedInOrder) {
  constexpr auto kAdmin = Tier::admin;
  constexpr auto kBaseline = Tier::baseline;
  struct Row {
    const char* name;
    std::vector<ResolvedRule> rules;
    bool isolated;
    bool strict;
    std::uint32_t step;
  };
  const std::vector<Row> rows{
      {"nothing decides", {}, false, false, pn_step_allow(PN_REASON_NOT_ISOLATED, 0)},
      {"strict", {}, false, true, pn_step_deny(PN_REASON_STRICT, 0)},
      {"isolated", {}, true, true, pn_step_deny(PN_REASON_ISOLATED, 0)},
      {"the lowest number names the allow",
       {rule(9, {}), rule(4, {})},
       true,
       false,
       pn_step_allow(PN_REASON_RULE, 4)},
      {"Admin before NetworkPolicy",
       {in_tier(kAdmin, Action::deny, 1, 0, 7), rule(4, {})},
       true,
       false,
       pn_step_deny(PN_REASON_DENIED_ADMIN, 7)},
      {"Admin Accept is final",
       {in_tier(kAdmin, Action::accept, 1, 0, 7)},
       true,
       false,
       pn_step_allow(PN_REASON_RULE_ADMIN, 7)},
      {"Pass leaves the tier, whatever comes after",
       {in_tier(kAdmin, Action::pass, 1, 0, 7), in_tier(kAdmin, Action::deny, 2, 1, 8), rule(4, {})},
       true,
       false,
       pn_step_allow(PN_REASON_RULE, 4)},
      {"the lower priority number first",
       {in_tier(kAdmin, Action::deny, 5, 0, 7), in_tier(kAdmin, Action::accept, 4, 1, 8)},
       false,
       false,
       pn_step_allow(PN_REASON_RULE_ADMIN, 8)},
      {"the first of one policy's rules",
       {in_tier(kAdmin, Action::accept, 4, 1, 7), in_tier(kAdmin, Action::deny, 4, 1, 8)},
       false,
       false,
       pn_step_allow(PN_REASON_RULE_ADMIN, 7)},
      {"at equal priority Deny before Accept",
       {in_tier(kAdmin, Action::accept, 4, 1, 7), in_tier(kAdmin, Action::deny, 4, 2, 8)},
       false,
       false,
       pn_step_deny(PN_REASON_DENIED_ADMIN, 8)},
      {"at equal priority Accept before Pass",
       {in_tier(kAdmin, Action::pass, 4, 1, 7), in_tier(kAdmin, Action::accept, 4, 2, 8)},
       false,
       false,
       pn_step_allow(PN_REASON_RULE_ADMIN, 8)},
      {"isolation ends in its tier",
       {in_tier(kBaseline, Action::accept, 1, 0, 7)},
       true,
       false,
       pn_step_deny(PN_REASON_ISOLATED, 0)},
      {"Baseline where nothing isolates",
       {in_tier(kBaseline, Action::deny, 1, 0, 7)},
       false,
       false,
       pn_step_deny(PN_REASON_DENIED_BASELINE, 7)},
      {"Pass in Baseline is the default",
       {in_tier(kBaseline, Action::pass, 1, 0, 7)},
       false,
       true,
       pn_step_deny(PN_REASON_STRICT, 0)},
  };
  for (const auto& row : rows) {
    const bool judged = row.isolated || row.strict || !row.rules.empty();
    if (!judged) continue;  // such a direction has no content
    const auto made = content_of(row.rules, row.isolated, row.strict);
    const Folded folded = fold(*made.content, made.places, false);
    EXPECT_EQ(folded.other, row.step) << row.name;
    EXPECT_EQ(folded.ports[0], (std::vector<PortStep>{{0, row.step}})) << row.name;
  }
}

TEST(Fold, TheOwnNodeIsAboveAllAtIngressAndAboveNetworkPolicyAtEgress) {
  const auto admin_deny = in_tier(Tier::admin, Action::deny, 1, 0, 7);
  const auto baseline_deny = in_tier(Tier::baseline, Action::deny, 1, 0, 8);
  const std::uint32_t own = pn_step_allow(PN_REASON_OWN_NODE, 0);
  const auto step = [](const Made& made) { return fold(*made.content, made.places, true).other; };
  EXPECT_EQ(step(content_of({admin_deny})), own);
  EXPECT_EQ(step(content_of({}, true, true, Direction::egress)), own);
  EXPECT_EQ(step(content_of({admin_deny}, true, false, Direction::egress)),
            pn_step_deny(PN_REASON_DENIED_ADMIN, 7));
  EXPECT_EQ(step(content_of({baseline_deny}, true, false, Direction::egress)),
            pn_step_deny(PN_REASON_DENIED_BASELINE, 8));
}

constexpr std::uint32_t kDeny = PN_REASON_ISOLATED << PN_STEP_REASON_SHIFT;

TEST(Fold, PortsAreCutWhereTheFirstRuleChanges) {
  const auto made = content_of({rule(1, {}, {tcp(80, 90), tcp(85, 100), tcp(101)}),
                                rule(2, {}, {tcp(90, 200)}), rule(3, {}, {{Protocol::udp, {0, 65535}}})});
  const Folded folded = fold(*made.content, made.places, false);
  const auto by = [](std::uint32_t id) { return pn_step_allow(PN_REASON_RULE, id); };
  EXPECT_EQ(folded.ports[0], (std::vector<PortStep>{{0, kDeny}, {80, by(1)}, {102, by(2)}, {201, kDeny}}));
  EXPECT_EQ(folded.ports[1], (std::vector<PortStep>{{0, by(3)}}));
  EXPECT_EQ(folded.ports[2], (std::vector<PortStep>{{0, kDeny}}));
  EXPECT_EQ(folded.other, kDeny);
}

struct StoredRow {
  const char* name;
  std::vector<ResolvedRule> rules;
  std::size_t bodies;
  std::size_t directories;
  std::size_t pages;
};

TEST(StepTables, StoresNoMoreThanItMust) {
  const std::vector<StoredRow> rows{
      {"everything", {rule(1, {})}, 0, 0, 0},
      {"one port is inline", {rule(1, {}, {tcp(80)})}, 1, 0, 0},
      {"one range is inline", {rule(1, {}, {tcp(1000, 2000)})}, 1, 0, 0},
      {"up to the last port is inline", {rule(1, {}, {tcp(1024, 65535)})}, 1, 0, 0},
      {"from the first port is inline", {rule(1, {}, {tcp(0, 1023)})}, 1, 0, 0},
      {"a whole protocol needs no port", {rule(1, {}, {tcp(0, 65535)})}, 1, 0, 0},
      {"two ports of one page", {rule(1, {}, {tcp(80), tcp(88)})}, 1, 1, 1},
      {"two ports of two pages", {rule(1, {}, {tcp(80), tcp(443)})}, 1, 1, 2},
      {"pages of equal content are one", {rule(1, {}, {tcp(80), tcp(80 + 256)})}, 1, 1, 1},
      {"whole pages need no page", {rule(1, {}, {tcp(0, 255), tcp(512, 767)})}, 1, 1, 0},
      {"a port each in two protocols", {rule(1, {}, {tcp(80), {Protocol::udp, {53, 53}}})}, 1, 1, 1},
  };
  for (const auto& row : rows) {
    const auto made = content_of(row.rules);
    StepTables tables{TableSizes{}};
    DeltaWriter out;
    const auto step = tables.step_of(fold(*made.content, made.places, false), out);
    const TableDelta delta = out.take();
    const auto count = [&](TableId table) {
      std::size_t n = 0;
      for (const auto& write : delta.writes) n += write.table == table ? 1u : 0u;
      return n;
    };
    EXPECT_EQ(count(TableId::bodies), row.bodies) << row.name;
    EXPECT_EQ(count(TableId::portdirs), row.directories) << row.name;
    EXPECT_EQ(count(TableId::portpages), row.pages) << row.name;
    EXPECT_EQ(pn_step_is_final(step), row.bodies == 0) << row.name;
    // The same list again is already there.
    EXPECT_EQ(tables.step_of(fold(*made.content, made.places, false), out), step) << row.name;
    EXPECT_TRUE(out.empty()) << row.name;
  }
}

TEST(Fold, WhatWouldBeDeniedIsAllowedAndSaysByWhat) {
  const std::uint32_t open = pn_step_allow(PN_REASON_NOT_ISOLATED, 0);
  const std::uint32_t rule_1 = pn_step_allow(PN_REASON_RULE, 1);
  const std::uint32_t denied = pn_step_deny(PN_REASON_DENIED_ADMIN, 7);
  const std::uint32_t isolated = pn_step_deny(PN_REASON_ISOLATED, 0);
  const auto enforced = [&] {
    Folded folded = everywhere(open);
    folded.ports[0] = {{0, isolated}, {80, rule_1}, {90, isolated}, {65535, rule_1}};
    return folded;
  }();
  Folded if_enforced = everywhere(isolated);
  if_enforced.ports[0] = {{0, rule_1}, {85, denied}, {95, rule_1}};
  if_enforced.ports[1] = {{0, open}, {65535, denied}};
  const Folded both = with_audit(enforced, if_enforced);
  EXPECT_EQ(both.other, pn_step_would_deny(isolated));
  EXPECT_EQ(both.ports[0], (std::vector<PortStep>{{0, isolated}, {80, rule_1}, {85, pn_step_would_deny(denied)},
                                                  {90, isolated}, {65535, rule_1}}));
  EXPECT_EQ(both.ports[1], (std::vector<PortStep>{{0, open}, {65535, pn_step_would_deny(denied)}}));
  EXPECT_EQ(both.ports[2], (std::vector<PortStep>{{0, pn_step_would_deny(isolated)}}));

  EXPECT_EQ(pn_step_said_rule(pn_step_would_deny(denied)), 7u);
  EXPECT_EQ(pn_step_said_reason(pn_step_would_deny(denied)), PN_REASON_NONE);
  EXPECT_EQ(pn_step_said_rule(pn_step_would_deny(isolated)), 0u);
  EXPECT_EQ(pn_step_said_reason(pn_step_would_deny(isolated)), PN_REASON_ISOLATED);
  EXPECT_EQ(pn_step_allows(pn_step_would_deny(isolated)), 1);
}

TEST(StepTables, AThousandScatteredPortsAreAllFound) {
  std::vector<PortMatch> ports;
  for (std::uint32_t i = 0; i < 1000; ++i) ports.push_back(tcp(static_cast<std::uint16_t>(1 + i * 65)));
  ResolvedPolicy policy;
  policy.endpoints = {endpoint(1, 7)};
  policy.endpoints[0].directions[0].isolated = true;
  policy.endpoints[0].directions[0].rules = {rule(1, {}, ports)};
  TableCompiler compiler{TableSizes{}};
  ASSERT_TRUE(compiler.update(policy, {}));
  for (std::uint32_t port = 0; port < 65536; ++port) {
    const bool listed = port % 65 == 1 && port < 65000;
    const auto step = verdict(compiler.tables(), 7, "8.8.8.8", static_cast<std::uint16_t>(port));
    ASSERT_EQ(step, listed ? pn_step_allow(PN_REASON_RULE, 1) : kDeny) << port;
  }
}

}  // namespace
}  // namespace postern
