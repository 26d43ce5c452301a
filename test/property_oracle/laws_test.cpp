// SPDX-License-Identifier: Apache-2.0
// Laws that need no oracle: worlds that mean the same get the same verdicts, and the same bytes where
// nothing but the order differs.
#include <algorithm>

#include "test/property_oracle/ground.h"
#include "test/property_oracle/run.h"

namespace postern::property {
namespace {

// What a node that starts with this world answers, question by question.
std::vector<Classified> answers(const World& world, const std::vector<oracle::Question>& questions) {
  Ground ground;
  const auto refused = ground.follow(world);
  EXPECT_FALSE(refused) << *refused;
  std::vector<Classified> out;
  for (const auto& question : questions) out.push_back(ground.ask(world, question));
  return out;
}

std::vector<oracle::Question> some_questions(const World& world) {
  return random_questions(world, borders_of(world), 40);
}

std::string first_change(const World& before, const World& after,
                         const std::vector<oracle::Question>& questions) {
  const auto old_answers = answers(before, questions);
  const auto new_answers = answers(after, questions);
  for (std::size_t i = 0; i < questions.size(); ++i) {
    if (old_answers[i].allow == new_answers[i].allow) continue;
    return to_string(questions[i]) + ": " + to_string(old_answers[i]) + ", then " + to_string(new_answers[i]);
  }
  return {};
}

PolicyTables tables_of(const World& world) {
  Ground ground;
  const auto refused = ground.follow(world);
  EXPECT_FALSE(refused) << *refused;
  return ground.enforcer().tables();
}

template <typename List>
void shuffle(List& list, Dice& dice) {
  for (std::size_t i = list.size(); i > 1; --i) std::swap(list[i - 1], list[dice.below(i)]);
}

template <typename Map>
void insert_in_another_order(Map& map, Dice& dice) {
  std::vector<typename Map::key_type> keys;
  for (const auto& [key, value] : map) keys.push_back(key);
  shuffle(keys, dice);
  Map again;
  for (const auto& key : keys) again[key] = map.at(key);
  map = std::move(again);
}

TEST(Laws, OrderOfDocumentsAndOfListsInThemReachesNoTable) {
  check(1500, any_world(), [](const World& world, bool) -> std::string {
    Dice dice(world.questions);
    World other = world;
    insert_in_another_order(other.objects.pods, dice);
    insert_in_another_order(other.objects.network_policies, dice);
    insert_in_another_order(other.objects.services, dice);
    for (auto& [key, policy] : other.objects.network_policies) {
      for (auto* rules : {&policy.ingress, &policy.egress}) {
        for (auto& rule : *rules) {
          shuffle(rule.peers, dice);
          shuffle(rule.ports, dice);
          for (auto& peer : rule.peers) {
            if (auto* block = std::get_if<IpBlock>(&peer)) shuffle(block->excepts, dice);
          }
        }
      }
    }
    for (auto& [key, pod] : other.objects.pods) shuffle(pod.addresses, dice);
    if (tables_of(world) == tables_of(other)) return {};
    return "the tables differ";
  });
}

TEST(Laws, APolicyThatSelectsNothingChangesNothing) {
  check(1500, any_world(), [](const World& world, bool) -> std::string {
    Dice dice(world.questions);
    World other = world;
    NetworkPolicy policy = random_policy(dice);
    policy.key.name = "selects-nothing";
    policy.pod_selector = {.match_labels = {{"nobody", "has this"}}, .match_expressions = {}};
    other.objects.network_policies[policy.key] = policy;
    if (tables_of(world) == tables_of(other)) return {};
    return "the tables differ";
  });
}

TEST(Laws, AnotherRuleNeverTurnsAllowIntoDenyWhereAPolicyAlreadyIsolates) {
  std::size_t opened = 0;
  check(3000, any_world(), [&](const World& world, bool thorough) -> std::string {
    if (world.objects.network_policies.empty()) return {};
    Dice dice(world.questions);
    World other = world;
    NetworkPolicy& policy =
        other.objects.network_policies.at(dice.pick(world.objects.network_policies).first);
    if (policy.isolates_ingress) policy.ingress.push_back(random_rule(dice));
    if (policy.isolates_egress) policy.egress.push_back(random_rule(dice));
    const auto questions = thorough ? every_question(world) : some_questions(world);
    const auto before = answers(world, questions);
    const auto after = answers(other, questions);
    for (std::size_t i = 0; i < questions.size(); ++i) {
      if (before[i].allow && !after[i].allow) {
        return to_string(questions[i]) + ": " + to_string(before[i]) + ", then " + to_string(after[i]);
      }
      if (!before[i].allow && after[i].allow) ++opened;
    }
    return {};
  });
  EXPECT_GT(static_cast<double>(opened), 500 * std::min(1.0, scale()))
      << "rules that open nothing prove nothing";
}

// ---- Splitting ----------------------------------------------------------------------------------

Cidr half(const Cidr& block, bool upper) {
  auto bytes = block.network().bytes();
  const auto bit = static_cast<std::size_t>(block.prefix_length());
  if (upper) bytes[bit / 8] = static_cast<std::uint8_t>(bytes[bit / 8] | 0x80u >> (bit % 8));
  const IpAddress address = block.network().is_v4()
                                ? IpAddress::v4(static_cast<std::uint32_t>(bytes[0]) << 24 |
                                                static_cast<std::uint32_t>(bytes[1]) << 16 |
                                                static_cast<std::uint32_t>(bytes[2]) << 8 | bytes[3])
                                : IpAddress::v6(bytes);
  return {address, block.prefix_length() + 1};
}

std::vector<PolicyPeer> split(const IpBlock& block) {
  if (block.cidr.prefix_length() == block.cidr.network().bits()) return {block};
  std::vector<PolicyPeer> halves;
  for (const bool upper : {false, true}) {
    IpBlock part{.cidr = half(block.cidr, upper), .excepts = {}};
    bool nothing_left = false;
    for (const auto& except : block.excepts) {
      nothing_left = nothing_left || except == part.cidr;
      if (part.cidr.contains(except)) part.excepts.push_back(except);
    }
    if (!nothing_left) halves.emplace_back(part);
  }
  return halves;
}

void split(PolicyRule& rule) {
  std::vector<PolicyPeer> peers;
  for (const auto& peer : rule.peers) {
    const auto* block = std::get_if<IpBlock>(&peer);
    const auto parts = block == nullptr ? std::vector{peer} : split(*block);
    peers.insert(peers.end(), parts.begin(), parts.end());
  }
  // A rule whose excepts left nothing must not become one without peers.
  if (!peers.empty()) rule.peers = peers;
  std::vector<PolicyPort> ports;
  for (const auto& port : rule.ports) {
    const auto* range = port.port ? std::get_if<PortRange>(&*port.port) : nullptr;
    if (range == nullptr || range->lo == range->hi) {
      ports.push_back(port);
      continue;
    }
    const auto middle = static_cast<std::uint16_t>((range->lo + range->hi) / 2);
    ports.push_back({port.protocol, PortRange{range->lo, middle}});
    ports.push_back({port.protocol, PortRange{static_cast<std::uint16_t>(middle + 1), range->hi}});
  }
  rule.ports = ports;
}

TEST(Laws, SplittingBlocksAndRangesChangesNoVerdict) {
  check(3000, any_world(), [](const World& world, bool thorough) -> std::string {
    World other = world;
    for (auto& [key, policy] : other.objects.network_policies) {
      for (auto& rule : policy.ingress) split(rule);
      for (auto& rule : policy.egress) split(rule);
    }
    return first_change(world, other, thorough ? every_question(world) : some_questions(world));
  });
}

}  // namespace
}  // namespace postern::property
