// SPDX-License-Identifier: Apache-2.0
// Random clusters with ClusterNetworkPolicies of both tiers, strict namespaces and audits through the real
// tables, against the oracle.
#include "test/property_oracle/ground.h"
#include "test/property_oracle/run.h"
#include "test/property_oracle/story.h"
#include "test/property_oracle/tiers_distribution.h"

namespace postern::property {
namespace {

// The tables know nothing yet of what annotations say (R44, R45): they are asked about the world without them,
// while the oracle's own answers, with them, are what the distribution counts.
World without_annotations(World world) {
  for (auto& [name, ns] : world.objects.namespaces) {
    ns.enforcement = {};
    ns.audit = false;
  }
  for (auto& [key, policy] : world.objects.network_policies) policy.audit = false;
  for (auto& [name, policy] : world.objects.cluster_network_policies) policy.audit = false;
  return world;
}

constexpr int kWorlds = 14000;
constexpr std::size_t kQuestions = 16;

// Nobody answers at a Service without backends. Who is judged is denied there all the same; whether cluster
// rules that match nothing make a pod one of those is left open.
bool is_open(const World& world, const oracle::Verdict& expected, const Classified& got) {
  return expected.reasons.contains(oracle::Reason::no_backend) && expected.isolating.empty() && !world.strict &&
         got.allow && reason_of(got) == oracle::Reason::not_isolated;
}

std::string wrong_in(Ground& ground, const World& world, const std::vector<oracle::Question>& questions,
                     TiersDistribution& reached) {
  const World plain = without_annotations(world);
  if (const auto refused = ground.follow(plain)) return *refused;
  if (const auto wrong = difference_in_isolation(plain, ground.enforcer().policy())) return *wrong;
  for (const auto& question : questions) {
    reached.count(world, question, oracle::verdict(world.cluster(), question));
    const auto expected = oracle::verdict(plain.cluster(), question);
    const auto got = ground.ask(plain, question);
    if (is_open(plain, expected, got)) continue;
    if (const auto wrong = difference(expected, got, ground.enforcer().rules())) {
      return to_string(question) + ": " + *wrong;
    }
  }
  return {};
}

TEST(Tiers, TablesSayWhatTheOracleSays) {
  TiersDistribution reached;
  check(kWorlds, any_world_with_tiers(), [&](const World& world, bool thorough) {
    const auto questions = random_questions(world, borders_of(world), kQuestions);
    Ground ground;
    const std::string wrong = wrong_in(ground, world, questions, reached);
    if (!wrong.empty() || !thorough) return wrong;
    TiersDistribution ignored;
    return wrong_in(ground, world, every_question(world), ignored);
  });
  reached.print();
  if (HasFatalFailure()) return;
  EXPECT_EQ(reached.too_rare(std::min(1.0, scale())), "");
  if (scale() < 1) return;
  EXPECT_GE(reached.verdicts(), 200000u);
}

TEST(Tiers, TablesFollowEveryEvent) {
  TiersDistribution reached;
  check(1500, any_story_of_tiers(12), [&](const Story& story, bool thorough) {
    Ground ground;
    for (std::size_t i = 0; i < story.worlds.size(); ++i) {
      const World& world = story.worlds[i];
      const auto questions = thorough ? every_question(world) : random_questions(world, borders_of(world), 8);
      const std::string wrong = wrong_in(ground, world, questions, reached);
      if (!wrong.empty()) return "after event " + std::to_string(i) + ": " + wrong;
    }
    return std::string();
  });
  if (HasFatalFailure()) return;
  EXPECT_EQ(reached.too_rare(std::min(1.0, scale()) * 0.2), "");
}

}  // namespace
}  // namespace postern::property
