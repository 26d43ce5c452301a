// SPDX-License-Identifier: Apache-2.0
// Random clusters with ClusterNetworkPolicies of both tiers, strict namespaces and audits through the real
// tables, against the oracle.
#include "test/property_oracle/ground.h"
#include "test/property_oracle/run.h"
#include "test/property_oracle/story.h"
#include "test/property_oracle/tiers_distribution.h"

namespace postern::property {
namespace {

constexpr int kWorlds = 14000;
constexpr std::size_t kQuestions = 16;

oracle::Verdict if_enforced(const World& world, const oracle::Question& question) {
  oracle::Cluster enforced = world.cluster();
  enforced.audits_in_force = true;
  return oracle::verdict(enforced, question);
}

bool is_strict(const World& world, const oracle::Question& question, bool with_audit) {
  const auto found = world.objects.namespaces.find(question.pod.ns);
  const Namespace ns = found == world.objects.namespaces.end() ? Namespace{} : found->second;
  const auto& said = ns.enforcement[static_cast<std::size_t>(question.direction)];
  return (said ? *said == Enforcement::strict : world.strict) && (with_audit || !ns.audit);
}

// Nobody answers at a Service without backends. Who is judged is denied there all the same; whether cluster
// rules that match nothing make a pod one of those is left open, also of what is in audit.
bool is_open(const World& world, const oracle::Question& question, const oracle::Verdict& expected,
             const Classified& got) {
  if (!got.allow) return false;
  const auto denies = [&](const oracle::Verdict& verdict, bool with_audit) {
    return verdict.reasons.contains(oracle::Reason::no_backend) && verdict.isolating.empty() &&
           !is_strict(world, question, with_audit);
  };
  const bool would_deny = pn_step_reason(got.step) == PN_REASON_WOULD_DENY;
  if (denies(expected, false)) return would_deny || reason_of(got) == oracle::Reason::not_isolated;
  return expected.would_deny && !would_deny && denies(if_enforced(world, question), true);
}

// A would-deny names the very denial that enforcing everything would give. Which tier denies is not in the step,
// only the rule, so either will do.
std::optional<std::string> difference_in_denial(const World& world, const oracle::Question& question,
                                                const Classified& got, const RuleRegistry& rules) {
  if (pn_step_reason(got.step) != PN_REASON_WOULD_DENY) return std::nullopt;
  const auto expected = if_enforced(world, question);
  const std::uint32_t rule = pn_step_said_rule(got.step);
  std::vector<std::uint32_t> denials{pn_step_said_reason(got.step)};
  if (rule != 0) denials = {PN_REASON_DENIED_ADMIN, PN_REASON_DENIED_BASELINE};
  std::optional<std::string> wrong;
  for (const std::uint32_t reason : denials) {
    wrong = difference(expected, {false, pn_step_deny(reason, rule)}, rules);
    if (!wrong) return std::nullopt;
  }
  return "if enforced: " + *wrong;
}

std::string wrong_in(Ground& ground, const World& world, const std::vector<oracle::Question>& questions,
                     TiersDistribution& reached) {
  if (const auto refused = ground.follow(world)) return *refused;
  if (const auto wrong = difference_in_isolation(world, ground.enforcer().policy())) return *wrong;
  for (const auto& question : questions) {
    const auto expected = oracle::verdict(world.cluster(), question);
    reached.count(world, question, expected);
    const auto got = ground.ask(world, question);
    if (is_open(world, question, expected, got)) continue;
    auto wrong = difference(expected, got, ground.enforcer().rules());
    if (!wrong) wrong = difference_in_denial(world, question, got, ground.enforcer().rules());
    if (wrong) return to_string(question) + ": " + *wrong;
  }
  return {};
}

TEST(Tiers, TablesSayWhatTheOracleSays) {
  TiersDistribution reached;
  const auto holds = [&](const World& world, bool thorough) {
    const auto questions = random_questions(world, borders_of(world), kQuestions);
    Ground ground;
    const std::string wrong = wrong_in(ground, world, questions, reached);
    if (!wrong.empty() || !thorough) return wrong;
    TiersDistribution ignored;
    return wrong_in(ground, world, every_question(world), ignored);
  };
  const std::string missing = check_until_covered(kWorlds, any_world_with_tiers(), holds,
                                                  [&] { return reached.too_rare(std::min(1.0, scale())); });
  reached.print();
  if (HasFatalFailure()) return;
  EXPECT_EQ(missing, "");
  if (scale() < 1) return;
  EXPECT_GE(reached.verdicts(), 200000u);
}

TEST(Tiers, TablesFollowEveryEvent) {
  TiersDistribution reached;
  const auto holds = [&](const Story& story, bool thorough) {
    Ground ground;
    for (std::size_t i = 0; i < story.worlds.size(); ++i) {
      const World& world = story.worlds[i];
      const auto questions = thorough ? every_question(world) : random_questions(world, borders_of(world), 8);
      const std::string wrong = wrong_in(ground, world, questions, reached);
      if (!wrong.empty()) return "after event " + std::to_string(i) + ": " + wrong;
    }
    return std::string();
  };
  const std::string missing = check_until_covered(1500, any_story_of_tiers(12), holds,
                                                  [&] { return reached.too_rare(std::min(1.0, scale()) * 0.2); });
  reached.print();
  if (HasFatalFailure()) return;
  EXPECT_EQ(missing, "");
}

}  // namespace
}  // namespace postern::property
