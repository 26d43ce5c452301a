// SPDX-License-Identifier: Apache-2.0
#include "test/property_oracle/story.h"

#include <ostream>

namespace postern::property {

namespace {

std::vector<Story> smaller_stories(const Story& story) {
  std::vector<Story> out;
  for (std::size_t i = 0; i < story.worlds.size() && story.worlds.size() > 1; ++i) {
    Story shorter = story;
    shorter.worlds.erase(shorter.worlds.begin() + static_cast<std::ptrdiff_t>(i));
    out.push_back(std::move(shorter));
  }
  for (std::size_t i = 0; i < story.worlds.size() && story.worlds.size() <= 3; ++i) {
    for (auto& world : smaller(story.worlds[i])) {
      Story simpler = story;
      simpler.worlds[i] = std::move(world);
      out.push_back(std::move(simpler));
    }
  }
  return out;
}

rc::Shrinkable<Story> told(rc::Random random, std::size_t events, bool tiers) {
  Dice dice(random.next());
  Story story{{random_world(dice)}};
  if (tiers) add_tiers(story.worlds[0], dice);
  for (std::size_t n = 0; n < events; ++n) {
    World next = story.worlds.back();
    if (tiers && dice.chance(45))
      change_tiers(next, dice);
    else
      change(next, dice);
    story.worlds.push_back(std::move(next));
  }
  return rc::shrinkable::shrinkRecur(
      std::move(story), [](const Story& larger) { return rc::seq::fromContainer(smaller_stories(larger)); });
}

}  // namespace

rc::Gen<Story> any_story(std::size_t events) {
  return [=](const rc::Random& random, int) { return told(random, events, false); };
}

rc::Gen<Story> any_story_of_tiers(std::size_t events) {
  return [=](const rc::Random& random, int) { return told(random, events, true); };
}

void showValue(const Story& story, std::ostream& out) {
  for (const auto& world : story.worlds) {
    out << "---\n";
    showValue(world, out);
  }
}

}  // namespace postern::property
