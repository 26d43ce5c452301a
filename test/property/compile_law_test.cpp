// SPDX-License-Identifier: Apache-2.0
// Laws of the compiler, held on random worlds, as many as test/support/effort.h says; a failure prints
// its seed.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "engine/compile/unfinished.h"
#include "test/property/random_policies.h"
#include "test/support/effort.h"

namespace postern {
namespace {

using test::first_seed;
using test::scaled;

// What the worlds must reach together is asserted of all of them.
bool only_a_share() { return test::scale() < 1; }

// So small that buckets overflow and space is reused all the time; one table, another for each
// `variant`, is so small that some updates are refused.
TableSizes small_tables(std::uint64_t variant) {
  TableSizes sizes;
  struct Small {
    TableId table;
    std::uint32_t entries;
    std::uint32_t too_few;
  };
  static constexpr std::array<Small, 8> kSmall{{{TableId::hosts, 4, 2},
                                                {TableId::hosts_far, 64, 0},
                                                {TableId::pods, 16, 10},
                                                {TableId::seg, 100, 14},
                                                {TableId::rows, 40, 14},
                                                {TableId::bodies, 60, 7},
                                                {TableId::portdirs, 30, 3},
                                                {TableId::portpages, 40, 3}}};
  for (std::size_t i = 0; i < kSmall.size(); ++i) {
    const bool tightest = i == variant % kSmall.size();
    sizes.entries[static_cast<std::size_t>(kSmall[i].table)] =
        tightest ? kSmall[i].too_few : kSmall[i].entries;
  }
  return sizes;
}

PolicyTables fresh(const ResolvedPolicy& policy, const CompileSettings& settings) {
  TableCompiler compiler{TableSizes{}};
  const auto delta = compiler.update(policy, settings);
  EXPECT_TRUE(delta) << delta.error().message;
  return compiler.tables();
}

// The first question that the tables answer otherwise than judge().
std::optional<std::string> wrong_answer(const PolicyTables& tables, const ResolvedPolicy& policy,
                                        const std::vector<Question>& questions) {
  const TableWalk walk(tables);
  for (const auto& question : questions) {
    const auto expected = judged(policy, question);
    const auto got = walk.verdict(question);
    if (got != expected) {
      return to_string(question) + ": expected " + step_text(expected) + ", tables say " + step_text(got);
    }
  }
  return std::nullopt;
}

std::vector<std::uint32_t> answers(const PolicyTables& tables, const std::vector<Question>& questions) {
  const TableWalk walk(tables);
  std::vector<std::uint32_t> out;
  out.reserve(questions.size());
  for (const auto& question : questions) out.push_back(walk.verdict(question));
  return out;
}

// Makes the writes one at a time; every answer stays old until it is new, and then stays new.
class PrefixLaw {
 public:
  PrefixLaw(const PolicyTables& before, const PolicyTables& after, std::vector<Question> questions)
      : tables_(before), questions_(std::move(questions)), switched_(questions_.size()) {
    std::stable_sort(questions_.begin(), questions_.end(), by_page);
    before_ = answers(before, questions_);
    after_ = answers(after, questions_);
  }

  std::optional<std::string> broken_by(const TableDelta& delta) {
    for (std::size_t n = 0; n < delta.writes.size(); ++n) {
      const TableWrite& write = delta.writes[n];
      if (const auto done = tables_.apply(write); !done) return done.error().message;
      const auto wrong = first_wrong(write);
      if (wrong) {
        return *wrong + " after write " + std::to_string(n + 1) + " of " +
               std::to_string(delta.writes.size()) + ", to table " + std::string(name_of(write.table));
      }
    }
    return std::nullopt;
  }

 private:
  static std::uint32_t page_of(const Question& question) { return pn_idx_page(table_address(question.peer)); }
  static bool by_page(const Question& a, const Question& b) { return page_of(a) < page_of(b); }

  std::optional<std::string> first_wrong(const TableWrite& write) {
    std::size_t i = 0;
    std::size_t end = questions_.size();
    if (write.table == TableId::idx) {
      // A word of idx is read for the addresses of its page alone.
      const auto first = std::partition_point(questions_.begin(), questions_.end(),
                                              [&](const Question& q) { return page_of(q) < write.index; });
      const auto last = std::partition_point(first, questions_.end(),
                                             [&](const Question& q) { return page_of(q) == write.index; });
      i = static_cast<std::size_t>(first - questions_.begin());
      end = static_cast<std::size_t>(last - questions_.begin());
    }
    const TableWalk walk(tables_);
    for (; i < end; ++i) {
      const auto got = walk.verdict(questions_[i]);
      if (got == after_[i]) {
        switched_[i] = before_[i] != after_[i];
      } else if (got != before_[i] || switched_[i]) {
        return to_string(questions_[i]) + ": before " + step_text(before_[i]) + ", in the end " +
               step_text(after_[i]) + ", but " + step_text(got);
      }
    }
    return std::nullopt;
  }

  PolicyTables tables_;
  std::vector<Question> questions_;
  std::vector<bool> switched_;
  std::vector<std::uint32_t> before_;
  std::vector<std::uint32_t> after_;
};

std::optional<std::string> mixture(const PolicyTables& before, const PolicyTables& after,
                                   const TableDelta& delta, const std::vector<Question>& questions) {
  return PrefixLaw(before, after, questions).broken_by(delta);
}

TEST(CompileLaw, AFreshCompileMeansWhatTheRulesMean) {
  std::map<std::uint32_t, std::size_t> reasons;
  std::map<IpFamily, std::size_t> allowed;
  for (std::uint64_t seed = first_seed(); seed < first_seed() + scaled(150); ++seed) {
    RandomPolicies random(seed);
    for (int i = 0; i < 8; ++i) random.change();
    const auto policy = random.policy();
    const auto questions = random.questions();
    const auto tables = fresh(policy, random.settings());
    const auto wrong = wrong_answer(tables, policy, questions);
    ASSERT_FALSE(wrong) << *wrong << "\nseed " << seed;
    const auto given = answers(tables, questions);
    for (std::size_t i = 0; i < given.size(); ++i) {
      if (given[i] != kNotJudged) ++reasons[pn_step_reason(given[i])];
      if (pn_step_allows(given[i])) ++allowed[questions[i].peer.family()];
    }
  }
  if (only_a_share()) return;
  // The worlds do reach every answer there is.
  for (const std::uint32_t reason :
       {PN_REASON_NOT_ISOLATED, PN_REASON_RULE_ADMIN, PN_REASON_RULE, PN_REASON_RULE_BASELINE, PN_REASON_SELF,
        PN_REASON_OWN_NODE, PN_REASON_ISOLATED, PN_REASON_DENIED_ADMIN, PN_REASON_DENIED_BASELINE,
        PN_REASON_STRICT, PN_REASON_BACKENDS_DIFFER, PN_REASON_NO_BACKEND}) {
    EXPECT_GT(reasons[reason], 10u) << "reason " << reason;
  }
  EXPECT_GT(allowed[IpFamily::v4], 1000u);
  EXPECT_GT(allowed[IpFamily::v6], 1000u);
}

// Worked out anew from the meaning of the rules.
std::vector<BackendsDiffer> differing_backends(const ResolvedPolicy& policy) {
  std::vector<BackendsDiffer> out;
  for (const auto& service : policy.services) {
    for (const auto& port : service.ports) {
      BackendsDiffer differ{port.service, service.address, port.protocol, port.port, {}};
      for (const auto& endpoint : policy.endpoints) {
        const auto step = judged(policy, {endpoint.ifindex, PN_EGRESS, service.address,
                                          static_cast<std::uint8_t>(port.protocol), port.port});
        if (step != kNotJudged && pn_step_reason(step) == PN_REASON_BACKENDS_DIFFER) {
          differ.endpoints.push_back(endpoint.endpoint);
        }
      }
      if (!differ.endpoints.empty()) out.push_back(std::move(differ));
    }
  }
  std::sort(out.begin(), out.end());
  return out;
}

TEST(CompileLaw, TheServicesWhoseBackendsDifferAreListedAfterEveryUpdate) {
  std::size_t lists = 0;
  std::size_t repeated = 0;
  for (std::uint64_t seed = first_seed(); seed < first_seed() + scaled(40); ++seed) {
    RandomPolicies random(seed);
    TableCompiler compiler{TableSizes{}};
    std::vector<BackendsDiffer> before;
    for (int step = 0; step < 30; ++step) {
      const auto policy = random.policy();
      ASSERT_TRUE(compiler.update(policy, random.settings()));
      const auto expected = differing_backends(policy);
      ASSERT_TRUE(compiler.backends_differ() == expected) << "seed " << seed << " step " << step;
      lists += expected.empty() ? 0u : 1u;
      repeated += !expected.empty() && expected == before ? 1u : 0u;
      before = expected;
      random.change();
    }
  }
  if (only_a_share()) return;
  EXPECT_GT(lists, 100u);
  EXPECT_GT(repeated, 20u);
}

TEST(CompileLaw, ADeltaLeadsFromOnePolicyToTheNextWithoutAMixture) {
  std::size_t writes = 0;
  std::size_t pauses = 0;
  for (std::uint64_t seed = first_seed(); seed < first_seed() + scaled(20); ++seed) {
    RandomPolicies random(seed);
    TableCompiler compiler{TableSizes{}};
    for (int step = 0; step < 20; ++step) {
      const PolicyTables before = compiler.tables();
      const auto policy = random.policy();
      const auto delta = compiler.update(policy, random.settings());
      ASSERT_TRUE(delta) << delta.error().message;
      const auto questions = random.questions();
      const auto wrong = wrong_answer(compiler.tables(), policy, questions);
      ASSERT_FALSE(wrong) << *wrong << "\nseed " << seed << " step " << step;
      const auto mixed = mixture(before, compiler.tables(), *delta, questions);
      ASSERT_FALSE(mixed) << *mixed << "\nseed " << seed << " step " << step;
      writes += delta->writes.size();
      pauses += delta->pauses.size();
      random.change();
    }
  }
  // The worlds do reach what this law is about.
  if (only_a_share()) return;
  EXPECT_GT(writes, 1000u);
  EXPECT_GT(pauses, 10u);
}

TEST(CompileLaw, InTablesThatAreAlmostFullAnUpdateIsWholeOrRefused) {
  std::size_t refused = 0;
  std::set<std::string> full_tables;
  std::size_t accepted = 0;
  std::size_t reused = 0;
  for (std::uint64_t seed = first_seed(); seed < first_seed() + scaled(16); ++seed) {
    RandomPolicies random(seed);
    TableCompiler compiler(small_tables(seed));
    for (int step = 0; step < 40; ++step) {
      const PolicyTables before = compiler.tables();
      const auto policy = random.policy();
      const auto delta = compiler.update(policy, random.settings());
      if (!delta) {
        ASSERT_EQ(delta.error().code, ErrorCode::table_full) << delta.error().message;
        ASSERT_NE(delta.error().message.find("table "), std::string::npos);
        ASSERT_TRUE(compiler.tables() == before) << "seed " << seed << " step " << step;
        full_tables.insert(delta.error().message.substr(0, delta.error().message.find(" is full")));
        ++refused;
      } else {
        const auto questions = random.questions();
        const auto wrong = wrong_answer(compiler.tables(), policy, questions);
        ASSERT_FALSE(wrong) << *wrong << "\nseed " << seed << " step " << step;
        const auto mixed = mixture(before, compiler.tables(), *delta, questions);
        ASSERT_FALSE(mixed) << *mixed << "\nseed " << seed << " step " << step;
        ++accepted;
        reused += delta->reuses_freed ? 1u : 0u;
      }
      random.change();
    }
  }
  if (only_a_share()) return;
  EXPECT_GT(refused, 10u);
  EXPECT_GE(full_tables.size(), 6u) << ::testing::PrintToString(full_tables);
  EXPECT_GT(accepted, 100u);
  EXPECT_GT(reused, 10u);
}

TEST(CompileLaw, TheSamePolicyAgainIsNoWriteAtAll) {
  for (std::uint64_t seed = first_seed(); seed < first_seed() + scaled(40); ++seed) {
    RandomPolicies random(seed);
    TableCompiler compiler{TableSizes{}};
    for (int step = 0; step < 10; ++step) {
      ASSERT_TRUE(compiler.update(random.policy(), random.settings()));
      const auto again = compiler.update(random.policy(), random.settings());
      ASSERT_TRUE(again);
      ASSERT_TRUE(again->empty()) << "seed " << seed << " step " << step << ": " << again->writes.size()
                                  << " writes";
      random.change();
    }
  }
}

TEST(CompileLaw, ADifferenceAppliedLeadsToTheOtherTables) {
  for (std::uint64_t seed = first_seed(); seed < first_seed() + scaled(10); ++seed) {
    RandomPolicies random(seed);
    TableCompiler compiler(small_tables(seed));
    PolicyTables before(small_tables(seed));
    for (int step = 0; step < 10; ++step) {
      if (!compiler.update(random.policy(), random.settings())) continue;
      const auto forth = diff(before, compiler.tables());
      const auto back = diff(compiler.tables(), before);
      PolicyTables copy = before;
      ASSERT_TRUE(copy.apply(forth));
      ASSERT_TRUE(copy == compiler.tables()) << "seed " << seed;
      ASSERT_TRUE(copy.apply(back));
      ASSERT_TRUE(copy == before) << "seed " << seed;
      ASSERT_TRUE(diff(copy, before).empty());
      before = compiler.tables();
      random.change();
    }
  }
}

TEST(CompileLaw, TheOrderOfEndpointsAndServicesChangesNoByte) {
  for (std::uint64_t seed = first_seed(); seed < first_seed() + scaled(10); ++seed) {
    RandomPolicies random(seed);
    for (int i = 0; i < 8; ++i) random.change();
    auto policy = random.policy();
    const auto tables = fresh(policy, random.settings());
    std::reverse(policy.endpoints.begin(), policy.endpoints.end());
    std::reverse(policy.services.begin(), policy.services.end());
    for (auto& service : policy.services) {
      std::reverse(service.ports.begin(), service.ports.end());
      for (auto& port : service.ports) std::reverse(port.backends.begin(), port.backends.end());
    }
    ASSERT_TRUE(fresh(policy, random.settings()) == tables) << "seed " << seed;
  }
}

TEST(CompileLaw, TermsThatNoRuleNamesChangeNoByte) {
  for (std::uint64_t seed = first_seed(); seed < first_seed() + scaled(10); ++seed) {
    RandomPolicies random(seed);
    for (int i = 0; i < 8; ++i) random.change();
    const auto tables = fresh(random.policy(), random.settings());
    random.idle_terms = true;
    ASSERT_TRUE(fresh(random.policy(), random.settings()) == tables) << "seed " << seed;
  }
}

TEST(CompileLaw, SplittingBlocksOrPortRangesChangesNoVerdict) {
  for (std::uint64_t seed = first_seed(); seed < first_seed() + scaled(40); ++seed) {
    RandomPolicies random(seed);
    for (int i = 0; i < 8; ++i) random.change();
    const auto questions = random.questions();
    const auto whole = answers(fresh(random.policy(), random.settings()), questions);
    random.split_blocks = true;
    ASSERT_EQ(answers(fresh(random.policy(), random.settings()), questions), whole)
        << "blocks, seed " << seed;
    random.split_ports = true;
    ASSERT_EQ(answers(fresh(random.policy(), random.settings()), questions), whole) << "ports, seed " << seed;
  }
}

TEST(CompileLaw, ARuleMoreNeverDeniesWhatAnIsolatedPodAllowed) {
  for (std::uint64_t seed = first_seed(); seed < first_seed() + scaled(40); ++seed) {
    RandomPolicies random(seed);
    for (int i = 0; i < 8; ++i) random.change();
    const auto questions = random.questions();
    const auto before = answers(fresh(random.policy(), random.settings()), questions);
    random.add_rule_to_isolated_endpoint();
    const auto after = answers(fresh(random.policy(), random.settings()), questions);
    for (std::size_t i = 0; i < questions.size(); ++i) {
      ASSERT_FALSE(pn_step_allows(before[i]) && !pn_step_allows(after[i]))
          << to_string(questions[i]) << ", seed " << seed;
    }
  }
}

// Wherever a backend stops, the rest of the delta leads from the bytes that it holds to the end, by way
// of nothing but what the delta itself passes through.
TEST(CompileLaw, ADeltaThatBrokeOffIsTakenUpWhereItStopped) {
  std::size_t broken_off = 0;
  for (std::uint64_t seed = first_seed(); seed < first_seed() + scaled(10); ++seed) {
    RandomPolicies random(seed);
    TableCompiler compiler(small_tables(seed));
    for (int step = 0; step < 10; ++step) {
      PolicyTables held = compiler.tables();
      random.change();
      const auto delta = compiler.update(random.policy(), random.settings());
      if (!delta) continue;
      const std::size_t all = delta->writes.size();
      const std::set<std::size_t> stops{0, std::min<std::size_t>(1, all), all / 3, all / 2, all - all / 4, all};
      for (std::size_t made = 0; made <= all; ++made) {
        if (stops.contains(made)) {
          const TableDelta rest = unfinished(*delta, held);
          ASSERT_LE(rest.writes.size(), all - made) << "seed " << seed << " step " << step;
          ASSERT_TRUE(std::equal(rest.writes.rbegin(), rest.writes.rend(), delta->writes.rbegin()));
          PolicyTables finished = held;
          ASSERT_TRUE(finished.apply(rest));
          ASSERT_TRUE(finished == compiler.tables()) << made << " writes, seed " << seed << " step " << step;
          ++broken_off;
        }
        if (made < all) {
          ASSERT_TRUE(held.apply(delta->writes[made]));
        }
      }
    }
  }
  if (only_a_share()) return;
  EXPECT_GT(broken_off, 100u);
}

// An entry of the connection table keeps an allow for as long as the epoch stands still.
TEST(CompileLaw, AnAllowThatBecomesADenyRaisesTheEpoch) {
  std::size_t narrowed = 0;
  std::size_t stood_still = 0;
  for (std::uint64_t seed = first_seed(); seed < first_seed() + scaled(30); ++seed) {
    RandomPolicies random(seed);
    TableCompiler compiler{TableSizes{}};
    ASSERT_TRUE(compiler.update(random.policy(), random.settings()));
    for (int step = 0; step < 20; ++step) {
      const auto questions = random.questions();
      const PolicyTables old_tables = compiler.tables();
      random.change();
      ASSERT_TRUE(compiler.update(random.policy(), random.settings()));
      const auto before = answers(old_tables, questions);
      const auto after = answers(compiler.tables(), questions);
      const bool same_epoch = TableWalk(old_tables).epoch() == TableWalk(compiler.tables()).epoch();
      stood_still += same_epoch ? 1u : 0u;
      for (std::size_t i = 0; i < questions.size(); ++i) {
        const bool was_allowed = before[i] == kNotJudged || pn_step_allows(before[i]);
        const bool is_denied = after[i] != kNotJudged && !pn_step_allows(after[i]);
        if (!was_allowed || !is_denied) continue;
        ++narrowed;
        ASSERT_FALSE(same_epoch) << to_string(questions[i]) << ", seed " << seed << " step " << step;
      }
    }
  }
  if (only_a_share()) return;
  EXPECT_GT(narrowed, 100u);
  EXPECT_GT(stood_still, 10u);
}

}  // namespace
}  // namespace postern
