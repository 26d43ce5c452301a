// SPDX-License-Identifier: Apache-2.0
// What the decoder makes of table bytes, held to what the datapath answers from the same bytes and to what
// the rules say without any table, on random worlds; a failure prints its seed.
#include <gtest/gtest.h>

#include <array>
#include <map>
#include <string>
#include <utility>

#include "engine/decode/elements.h"
#include "engine/decode/policy_decoder.h"
#include "test/property/random_policies.h"
#include "test/support/effort.h"
#include "test/support/moving_tables.h"
#include "engine/datapath/pipeline.h"

namespace postern {
namespace {

using test::first_seed;
using test::scaled;

constexpr std::uint64_t kWorlds = 40;
constexpr int kChanges = 5;

// The datapath over tables that stand still.
std::uint32_t datapath_step(PolicyTables& tables, const pn_pod_dir& dir, const Question& question) {
  Writer still;
  pn_env env;
  env.tables = &tables;
  env.writer = &still;
  const pn_question asked{table_address(question.peer), question.port, question.protocol, 0};
  return pn_policy_step(&env, &dir, &asked);
}

struct Decoded {
  std::map<std::uint32_t, DecodedInterface> interfaces;
  std::map<std::pair<std::uint32_t, std::uint32_t>, DecodedDirection> directions;
};

Decoded decode(const PolicyTables& tables) {
  Decoded decoded;
  const PolicyDecoder decoder(tables);
  for (const auto& interface : decoder.interfaces()) {
    decoded.interfaces.emplace(interface.ifindex, interface);
    for (const std::uint32_t direction : {PN_INGRESS, PN_EGRESS}) {
      if (interface.judged) {
        decoded.directions.emplace(std::pair(interface.ifindex, direction),
                                   decoder.direction(interface.pod.dir[direction]));
      }
    }
  }
  return decoded;
}

TEST(DecodeLaw, DecodedTablesSayWhatTheDatapathAndTheRulesSay) {
  std::uint64_t asked = 0;
  std::uint64_t nested = 0;
  for (std::uint64_t seed = first_seed(); seed < first_seed() + scaled(kWorlds); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    RandomPolicies world(seed);
    TableCompiler compiler{TableSizes{}};
    for (int change = 0; change < kChanges; ++change) {
      world.change();
      ASSERT_TRUE(compiler.update(world.policy(), world.settings()));
    }
    PolicyTables tables = compiler.tables();
    const ResolvedPolicy policy = world.policy();
    const Decoded decoded = decode(tables);
    for (const auto& question : world.questions()) {
      const auto& interface = decoded.interfaces.at(question.ifindex);
      const std::uint32_t expected = judged(policy, question);
      if (expected == kNotJudged) {
        ASSERT_TRUE(!interface.judged || !decoded.directions.at({question.ifindex, question.direction}).judged)
            << to_string(question);
        continue;
      }
      const auto& direction = decoded.directions.at({question.ifindex, question.direction});
      ASSERT_TRUE(direction.judged) << to_string(question);
      const std::uint32_t step = direction.answer_to(question.peer).step(question.protocol, question.port);
      ASSERT_EQ(step, datapath_step(tables, interface.pod.dir[question.direction], question))
          << to_string(question) << ": decoded as " << step_words(step);
      ASSERT_EQ(pn_step_allows(step), pn_step_allows(expected)) << to_string(question);
      ASSERT_EQ(pn_step_said_rule(step), pn_step_said_rule(expected)) << to_string(question);
      ++asked;
      nested += direction.prefixes.size() > 4 ? 1U : 0U;
    }
  }
  EXPECT_GT(asked, 1000U);
  EXPECT_GT(nested, 100U) << "worlds without blocks show nothing";
}

TEST(DecodeLaw, EveryPrefixSaysSomethingElseThanTheOneAroundIt) {
  for (std::uint64_t seed = first_seed(); seed < first_seed() + scaled(kWorlds); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    RandomPolicies world(seed);
    TableCompiler compiler{TableSizes{}};
    for (int change = 0; change < kChanges; ++change) {
      world.change();
      ASSERT_TRUE(compiler.update(world.policy(), world.settings()));
    }
    for (const auto& [key, direction] : decode(compiler.tables()).directions) {
      for (std::size_t i = 0; i < direction.prefixes.size(); ++i) {
        const auto& inner = direction.prefixes[i];
        const AnswerPrefix* around = nullptr;
        for (std::size_t n = 0; n < i; ++n) {
          if (direction.prefixes[n].prefix.contains(inner.prefix)) around = &direction.prefixes[n];
        }
        ASSERT_EQ(around == nullptr, inner.prefix.prefix_length() == 0) << inner.prefix.to_string();
        if (around != nullptr) {
          ASSERT_NE(around->answer, inner.answer) << inner.prefix.to_string();
        }
      }
    }
  }
}

TEST(DecodeLaw, EveryElementInUseOfEveryTableIsDescribed) {
  std::map<TableId, std::size_t> described;
  for (std::uint64_t seed = first_seed(); seed < first_seed() + 10; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    RandomPolicies world(seed);
    TableSizes sizes;
    sizes.entries[static_cast<std::size_t>(TableId::hosts)] = 4;  // so that some hosts are stored beyond
    TableCompiler compiler{sizes};
    for (int change = 0; change < 2 * kChanges; ++change) {
      world.change();
      ASSERT_TRUE(compiler.update(world.policy(), world.settings()));
    }
    for (std::size_t i = 0; i < kTableCount; ++i) {
      const auto table = static_cast<TableId>(i);
      for (const auto& element : elements_of(compiler.tables(), table)) {
        ++described[table];
        EXPECT_FALSE(element.key.empty()) << name_of(table);
        EXPECT_FALSE(element.fields.empty()) << name_of(table) << ' ' << element.key;
      }
    }
  }
  for (std::size_t i = 0; i < kTableCount; ++i) {
    const auto table = static_cast<TableId>(i);
    if (table == TableId::slots_far) continue;  // takes two interfaces that are 65536 apart
    EXPECT_GT(described[table], 0U) << name_of(table);
  }
}

TEST(PrefixTable, ABlockWithAHoleIsTwoPrefixes) {
  const auto at = [](const char* text) { return number_of(*IpAddress::parse(text)); };
  const std::vector<AnswerSpan> spans{{kFirstV4, 0},           {at("10.0.0.0"), 1}, {at("10.1.0.0"), 0},
                                      {at("10.2.0.0"), 1}, {at("11.0.0.0"), 0}};
  const std::vector<AnswerPrefix> expected{
      {*Cidr::parse("0.0.0.0/0"), 0}, {*Cidr::parse("10.0.0.0/8"), 1}, {*Cidr::parse("10.1.0.0/16"), 0}};
  EXPECT_EQ(prefixes_of(spans, IpFamily::v4), expected);
}

TEST(PrefixTable, TheLastAddressOfIpv6CanStandAlone) {
  const std::vector<AnswerSpan> spans{{0, 3}, {kLastAddress, 5}};
  const std::vector<AnswerPrefix> expected{
      {*Cidr::parse("::/0"), 3}, {*Cidr::parse("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128"), 5}};
  EXPECT_EQ(prefixes_of(spans, IpFamily::v6), expected);
}

}  // namespace
}  // namespace postern
