// SPDX-License-Identifier: Apache-2.0
// Random clusters and policies through the real tables, against the oracle.
#include "test/property_oracle/distribution.h"
#include "test/property_oracle/ground.h"
#include "test/property_oracle/run.h"

namespace postern::property {
namespace {

constexpr int kWorlds = 22000;
constexpr std::size_t kQuestions = 12;

std::string wrong_in(const World& world, const std::vector<oracle::Question>& questions,
                     Distribution& reached) {
  Ground ground;
  if (const auto refused = ground.follow(world)) return *refused;
  if (const auto wrong = difference_in_isolation(world, ground.enforcer().policy())) return *wrong;
  reached.look_at(world);
  for (const auto& question : questions) {
    const auto expected = oracle::verdict(world.cluster(), question);
    const auto got = ground.ask(world, question);
    if (const auto wrong = difference(expected, got, ground.enforcer().rules())) {
      return to_string(question) + ": " + *wrong;
    }
    reached.count(question, expected);
  }
  return {};
}

TEST(RandomWorlds, TablesSayWhatTheOracleSays) {
  Distribution reached;
  check(kWorlds, any_world(), [&](const World& world, bool thorough) {
    const auto questions = random_questions(world, borders_of(world), kQuestions);
    const std::string wrong = wrong_in(world, questions, reached);
    if (!wrong.empty() || !thorough) return wrong;
    Distribution ignored;
    return wrong_in(world, every_question(world), ignored);
  });
  reached.print();
  if (HasFatalFailure()) return;
  EXPECT_EQ(reached.too_rare(std::min(1.0, scale())), "");
  if (scale() < 1) return;
  EXPECT_GE(reached.worlds(), 20000u);
  EXPECT_GE(reached.verdicts(), 200000u);
}

}  // namespace
}  // namespace postern::property
