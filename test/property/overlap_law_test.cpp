// SPDX-License-Identifier: Apache-2.0
// What a packet finds that is under way while the tables change: it reads a slot before some writes, and
// what the slot leads to after them. Whatever of a delta passes by between two of its readings, it finds
// the old verdict or the new one, on random worlds, as many
// as test/support/effort.h says; a failure prints its seed.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "engine/base/prng.h"
#include "test/property/random_policies.h"
#include "test/support/effort.h"
#include "test/support/moving_tables.h"

#include "engine/datapath/pipeline.h"

namespace postern {
namespace {

// So small that buckets overflow and space is reused all the time.
TableSizes small_sizes() {
  TableSizes sizes;
  const auto set = [&](TableId table, std::uint32_t entries) {
    sizes.entries[static_cast<std::size_t>(table)] = entries;
  };
  set(TableId::hosts, 4);
  set(TableId::hosts_far, 64);
  set(TableId::pods, 16);
  set(TableId::seg, 100);
  set(TableId::rows, 40);
  set(TableId::bodies, 60);
  set(TableId::portdirs, 30);
  set(TableId::portpages, 40);
  return sizes;
}

// The verdict for a packet that opens a connection.
std::uint32_t ask(Writer& writer, const Question& question) {
  pn_env env{.tables = writer.tables, .writer = &writer};
  writer.hole = 0;
  const pn_u64 slot = pn_find_slot(&env, question.ifindex);
  if (!pn_slot_judges(slot)) return kNotJudged;
  const pn_pod* pod = pn_env_pod(&env, pn_slot_record(slot));
  if (pod == nullptr) return kBroken;
  const pn_pod_dir& dir = pod->dir[question.direction];
  if ((dir.flags & PN_DIR_JUDGED) == 0) return kNotJudged;
  const pn_question asked{table_address(question.peer), question.port, question.protocol, 0};
  return pn_policy_step(&env, &dir, &asked);
}

// An update, the questions asked of it, and what they were answered before and will be after.
class Passage {
 public:
  Passage(PolicyTables& tables, const TableDelta& delta, std::vector<Question> questions)
      : delta_(delta), questions_(std::move(questions)) {
    writer_.tables = &tables;
    writer_.writes = delta.writes;
    for (const auto& question : questions_) before_.push_back(ask(writer_, question));
    writer_.make(delta.writes.size());
    for (const auto& question : questions_) after_.push_back(ask(writer_, question));
    writer_.unmake(0);
  }

  [[nodiscard]] std::size_t differing() const {
    std::size_t count = 0;
    for (std::size_t i = 0; i < questions_.size(); ++i) count += before_[i] != after_[i] ? 1u : 0u;
    return count;
  }

  // The first answer that is neither; empty: none.
  std::string broken_by(Prng& prng) {
    std::vector<std::size_t> ends(delta_.pauses.begin(), delta_.pauses.end());
    ends.push_back(delta_.writes.size());
    std::size_t start = 0;
    for (const std::size_t end : ends) {
      // A packet comes and goes between two pauses.
      for (int round = 0; round < kRounds; ++round) {
        const std::size_t made = some(prng, start, end);
        for (std::size_t i = 0; i < questions_.size(); ++i) {
          if (auto wrong = asked(prng, i, made, end); !wrong.empty()) return wrong;
        }
      }
      start = end;
    }
    return {};
  }

 private:
  static constexpr int kRounds = 25;
  static constexpr std::size_t kHoles = 8;

  static std::size_t some(Prng& prng, std::size_t lo, std::size_t hi) {
    return lo + static_cast<std::size_t>(prng.below(hi - lo + 1));
  }

  // `made` writes stand when the packet comes; the rest up to `end` may be made in two portions.
  std::string asked(Prng& prng, std::size_t i, std::size_t made, std::size_t end) {
    writer_.unmake(made);
    writer_.make(made);
    const std::size_t first = some(prng, made, end);
    const std::size_t second = some(prng, first, end);
    const std::size_t hole = some(prng, 0, kHoles);
    writer_.portions = {{hole, first}, {some(prng, hole + 1, kHoles + 1), second}};
    const std::uint32_t got = ask(writer_, questions_[i]);
    writer_.portions.clear();
    if (got == before_[i] || got == after_[i]) return {};
    return "interface " + std::to_string(questions_[i].ifindex) + ", peer " + questions_[i].peer.to_string() +
           ", protocol " + std::to_string(questions_[i].protocol) + ", port " +
           std::to_string(questions_[i].port) + ": step " + std::to_string(got) + " is neither " +
           std::to_string(before_[i]) + " nor " + std::to_string(after_[i]) + " with " + std::to_string(made) +
           " writes made, then " + std::to_string(first) + " before hole " + std::to_string(hole) + " and " +
           std::to_string(second) + " later, of " + std::to_string(delta_.writes.size());
  }

  const TableDelta& delta_;
  std::vector<Question> questions_;
  std::vector<std::uint32_t> before_;
  std::vector<std::uint32_t> after_;
  Writer writer_;
};

TEST(OverlapLaw, APacketUnderWayFindsTheOldVerdictOrTheNewOne) {
  const std::uint64_t first_seed = test::first_seed();
  const std::uint64_t worlds = test::scaled(60);
  std::size_t differing = 0;
  for (std::uint64_t seed = first_seed; seed < first_seed + worlds; ++seed) {
    RandomPolicies random(seed);
    Prng prng(seed);
    TableCompiler compiler(small_sizes());
    ASSERT_TRUE(compiler.update(random.policy(), random.settings()));
    for (int step = 0; step < 12; ++step) {
      PolicyTables tables = compiler.tables();
      random.change();
      const auto delta = compiler.update(random.policy(), random.settings());
      const auto questions = random.questions();
      if (!delta || questions.empty()) continue;
      std::vector<Question> some;
      for (int i = 0; i < 20; ++i) some.push_back(questions[prng.below(questions.size())]);
      Passage passage(tables, *delta, std::move(some));
      differing += passage.differing();
      const std::string broken = passage.broken_by(prng);
      ASSERT_EQ(broken, "") << "seed " << seed << " step " << step;
    }
  }
  EXPECT_GT(differing, 5 * worlds);
}

}  // namespace
}  // namespace postern
