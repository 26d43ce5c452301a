// SPDX-License-Identifier: Apache-2.0
// Clusters that change under one NodeEnforcer, against the oracle after each event.
#include <iostream>

#include "test/property_oracle/distribution.h"
#include "test/property_oracle/ground.h"
#include "test/property_oracle/run.h"
#include "test/property_oracle/story.h"

namespace postern::property {
namespace {

std::string wrong_in(Ground& ground, const World& world, const std::vector<oracle::Question>& questions,
                     Distribution& reached) {
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

TEST(Stories, TablesFollowEveryEvent) {
  Distribution reached;
  check(1500, any_story(12), [&](const Story& story, bool thorough) {
    Ground ground;
    for (std::size_t i = 0; i < story.worlds.size(); ++i) {
      const World& world = story.worlds[i];
      const auto questions = thorough ? every_question(world) : random_questions(world, borders_of(world), 8);
      const std::string wrong = wrong_in(ground, world, questions, reached);
      if (!wrong.empty()) return "after event " + std::to_string(i) + ": " + wrong;
    }
    return std::string();
  });
  reached.print();
  if (HasFatalFailure()) return;
  EXPECT_EQ(reached.too_rare(std::min(1.0, scale()) * 0.3), "");
}

}  // namespace
}  // namespace postern::property
