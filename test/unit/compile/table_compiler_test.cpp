// SPDX-License-Identifier: Apache-2.0
#include "engine/compile/table_compiler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "test/unit/compile/small_policy.h"

namespace postern::table_compiler_test {
namespace {

using namespace compile_test;

std::uint32_t allow(std::uint32_t reason, std::uint32_t rule_id) { return pn_step_allow(reason, rule_id); }
std::uint32_t deny(std::uint32_t reason, std::uint32_t rule_id = 0) { return pn_step_deny(reason, rule_id); }

// Pod db 10.0.0.9 with port pg = TCP 5432; the node is 10.2.0.1. NetworkPolicy db-in: from app=web to
// pg (rule 17), from 10.1.0.0/16 except 10.1.4.0/24 to 9100-9199 (18). ClusterNetworkPolicy no-dev in
// the Admin tier: deny from namespace dev to 5432 (3).
ResolvedPolicy database_example() {
  ResolvedPolicy policy;
  policy.terms = {block("block", "10.1.0.0/16", {"10.1.4.0/24"}), pods("dev", {"10.0.0.20"}),
                  pods("web", {"10.0.0.5"})};
  policy.own_node = {ip("10.2.0.1")};
  EndpointPolicy db = endpoint(1, 7);
  db.addresses = {ip("10.0.0.9")};
  auto& in = db.directions[0];
  in.isolated = true;
  ResolvedRule no_dev = rule(3, {1}, {tcp(5432)});
  no_dev.tier = Tier::admin;
  no_dev.action = Action::deny;
  no_dev.priority = 10;
  in.rules = {no_dev, rule(17, {2}, {tcp(5432)}), rule(18, {0}, {tcp(9100, 9199)})};
  policy.endpoints = {db};
  return policy;
}

TEST(TableCompiler, TheDatabaseExampleIsWhatTheLayoutDocumentSays) {
  TableCompiler compiler{TableSizes{}};
  ASSERT_TRUE(compiler.update(database_example(), {}));
  const PolicyTables& tables = compiler.tables();
  struct Row {
    const char* name;
    const char* peer;
    std::uint16_t port;
    std::uint32_t step;
  };
  const std::vector<Row> rows{
      {"web to pg", "10.0.0.5", 5432, allow(PN_REASON_RULE, 17)},
      {"web elsewhere", "10.0.0.5", 80, deny(PN_REASON_ISOLATED)},
      {"the block, first port", "10.1.0.0", 9100, allow(PN_REASON_RULE, 18)},
      {"the block, last port", "10.1.255.255", 9199, allow(PN_REASON_RULE, 18)},
      {"the block, a port further", "10.1.255.255", 9200, deny(PN_REASON_ISOLATED)},
      {"the except", "10.1.4.0", 9100, deny(PN_REASON_ISOLATED)},
      {"its last address", "10.1.4.255", 9100, deny(PN_REASON_ISOLATED)},
      {"after the except", "10.1.5.0", 9100, allow(PN_REASON_RULE, 18)},
      {"dev to pg", "10.0.0.20", 5432, deny(PN_REASON_DENIED_ADMIN, 3)},
      {"dev elsewhere", "10.0.0.20", 80, deny(PN_REASON_ISOLATED)},
      {"own node", "10.2.0.1", 80, allow(PN_REASON_OWN_NODE, 0)},
      {"a stranger", "8.8.8.8", 5432, deny(PN_REASON_ISOLATED)},
  };
  for (const auto& row : rows) EXPECT_EQ(verdict(tables, 7, row.peer, row.port), row.step) << row.name;
  EXPECT_EQ(verdict(tables, 7, "8.8.8.8", 53, PN_EGRESS, 17), kNotJudged);

  // One class each for nobody, web, the block, dev and the node.
  const TableWalk walk(tables);
  std::set<std::uint32_t> classes;
  for (const char* peer : {"8.8.8.8", "10.0.0.5", "10.1.0.1", "10.0.0.20", "10.2.0.1"}) {
    classes.insert(walk.class_of(ip(peer), true));
  }
  EXPECT_EQ(classes, (std::set<std::uint32_t>{0, 1, 2, 3, 4}));
  EXPECT_EQ(pn_high(entry<std::uint64_t>(tables, TableId::idx, 0x0a01)), 3u);
  // Ingress judged only: policy first, and every list of one port is inline.
  const pn_pod record = record_of(tables, 7);
  EXPECT_EQ(record.flags & PN_POD_CT_FIRST, 0u);
  EXPECT_EQ(record.v4, ip("10.0.0.9").v4_host_order());
  EXPECT_EQ(entry<pn_port_steps>(tables, TableId::portdirs, 0).steps[0], 0u);
}

// Two endpoints under one rule for two selectors, so that every simple change has something to do.
struct World {
  World() {
    policy.terms = {pods("other", {"10.0.0.40"}), pods("web", {"10.0.0.5", "10.0.0.6"})};
    for (const std::uint32_t id : {1u, 2u}) {
      EndpointPolicy added = endpoint(id, 10 + id);
      added.directions[0].isolated = true;
      added.directions[0].rules = {rule(1, {1}, {tcp(80)}), rule(2, {0}, {tcp(443)})};
      policy.endpoints.push_back(added);
    }
  }
  TableDelta update() {
    auto delta = compiler.update(policy, settings);
    EXPECT_TRUE(delta) << delta.error().message;
    return delta ? *delta : TableDelta{};
  }
  ResolvedPolicy policy;
  CompileSettings settings;
  TableCompiler compiler{TableSizes{}};
};

std::size_t writes_to(const TableDelta& delta, TableId table) {
  return static_cast<std::size_t>(
      std::count_if(delta.writes.begin(), delta.writes.end(),
                    [&](const TableWrite& write) { return write.table == table; }));
}

TEST(TableCompilerUpdate, APeerThatJoinsAKnownClassIsItsAddressAndOneWord) {
  World world;
  world.update();
  world.policy.terms[1] = pods("web", {"10.0.0.5", "10.0.0.6", "10.0.0.7"});
  const auto delta = world.update();
  ASSERT_EQ(delta.writes.size(), 2u);
  EXPECT_EQ(writes_to(delta, TableId::hosts), 2u);
  // The address first: only the word makes it seen.
  EXPECT_EQ(delta.writes[0].bytes.size(), sizeof(pn_address));
  EXPECT_EQ(delta.writes[1].bytes.size(), sizeof(std::uint64_t));
  EXPECT_EQ(verdict(world.compiler.tables(), 11, "10.0.0.7", 80), allow(PN_REASON_RULE, 1));
}

TEST(TableCompilerUpdate, APeerThatLeavesIsOneWordAndTheEpoch) {
  World world;
  world.update();
  world.policy.terms[1] = pods("web", {"10.0.0.5"});
  const auto delta = world.update();
  EXPECT_EQ(delta.writes.size(), 2u);
  ASSERT_EQ(writes_to(delta, TableId::hosts), 1u);
  // Older connections are judged again only when the word is in place.
  EXPECT_EQ(delta.writes.back().table, TableId::node);
  EXPECT_EQ(verdict(world.compiler.tables(), 11, "10.0.0.6", 80), deny(PN_REASON_ISOLATED));
}

TEST(TableCompilerUpdate, APeerWithANewMixOfLabelsIsOneColumnAndOneWord) {
  World world;
  world.update();
  world.policy.terms[0] = pods("other", {"10.0.0.40", "10.0.0.5"});
  const auto delta = world.update();
  EXPECT_EQ(writes_to(delta, TableId::rows), 1u);  // the two endpoints share their row
  EXPECT_EQ(writes_to(delta, TableId::hosts), 1u);
  EXPECT_EQ(writes_to(delta, TableId::slots), 0u);
  EXPECT_EQ(verdict(world.compiler.tables(), 11, "10.0.0.5", 443), allow(PN_REASON_RULE, 2));
  EXPECT_EQ(verdict(world.compiler.tables(), 12, "10.0.0.5", 80), allow(PN_REASON_RULE, 1));
}

TEST(TableCompilerUpdate, AnEndpointWithKnownRulesIsARecordAndASlot) {
  World world;
  world.update();
  world.policy.endpoints.push_back(world.policy.endpoints[0]);
  world.policy.endpoints.back().endpoint = EndpointId{3};
  world.policy.endpoints.back().ifindex = 30;
  const auto delta = world.update();
  ASSERT_EQ(delta.writes.size(), 2u);
  EXPECT_EQ(delta.writes[0].table, TableId::pods);
  EXPECT_EQ(delta.writes[1].table, TableId::slots);
}

TEST(TableCompilerUpdate, AnEndpointThatGoesIsItsSlot) {
  World world;
  world.update();
  world.policy.endpoints.pop_back();
  const auto delta = world.update();
  ASSERT_EQ(delta.writes.size(), 1u);
  EXPECT_EQ(delta.writes[0].table, TableId::slots);
  EXPECT_EQ(entry<std::uint64_t>(world.compiler.tables(), TableId::slots, 12), 0u);
}

TEST(TableCompilerUpdate, AnotherPortIsSwitchedByOneSlotWordPerEndpoint) {
  World world;
  world.update();
  for (auto& changed : world.policy.endpoints) changed.directions[0].rules[0].ports = {tcp(81)};
  const auto delta = world.update();
  EXPECT_EQ(writes_to(delta, TableId::slots), 2u);
  EXPECT_EQ(writes_to(delta, TableId::hosts), 0u);
  EXPECT_EQ(delta.writes.back().table, TableId::node);  // it may have narrowed
  EXPECT_EQ(verdict(world.compiler.tables(), 11, "10.0.0.5", 81), allow(PN_REASON_RULE, 1));
  EXPECT_EQ(verdict(world.compiler.tables(), 11, "10.0.0.5", 80), deny(PN_REASON_ISOLATED));
}

TEST(TableCompilerUpdate, NothingNewIsNoWrite) {
  World world;
  EXPECT_FALSE(world.update().empty());
  EXPECT_TRUE(world.update().empty());
}

TEST(TableCompilerUpdate, WhatAnUpdateFreesIsNotWrittenBeforeTheNext) {
  World world;
  world.update();
  const std::uint32_t first = record_of(world.compiler.tables(), 11).dir[0].row;
  std::set<std::uint32_t> rows{first};
  for (int i = 0; i < 5; ++i) {
    for (auto& changed : world.policy.endpoints) {
      changed.directions[0].rules[0].ports = {tcp(static_cast<std::uint16_t>(100 + i))};
    }
    const auto delta = world.update();
    // There is room that was never used, so nobody has to wait.
    EXPECT_FALSE(delta.reuses_freed);
    EXPECT_TRUE(rows.insert(record_of(world.compiler.tables(), 11).dir[0].row).second);
  }
}

TEST(TableCompilerUpdate, ABlockThatIsGoneLeavesNoRunOfSegments) {
  ResolvedPolicy policy = database_example();
  ResolvedPolicy without = policy;
  without.terms.erase(without.terms.begin());
  auto& rules = without.endpoints[0].directions[0].rules;
  rules.pop_back();
  rules[0].peers = {0};
  rules[1].peers = {1};
  TableSizes sizes;
  sizes.entries[static_cast<std::size_t>(TableId::seg)] = 9;  // three runs
  TableCompiler compiler(sizes);
  for (int round = 0; round < 4; ++round) {
    const auto with_block = compiler.update(policy, {});
    ASSERT_TRUE(with_block) << with_block.error().message;
    EXPECT_EQ(pn_high(entry<std::uint64_t>(compiler.tables(), TableId::idx, 0x0a01)), 3u);
    ASSERT_TRUE(compiler.update(without, {}));
    EXPECT_EQ(entry<std::uint64_t>(compiler.tables(), TableId::idx, 0x0a01), 0u) << "round " << round;
    EXPECT_EQ(verdict(compiler.tables(), 7, "10.1.0.0", 9100), deny(PN_REASON_ISOLATED));
  }
}

TEST(TableCompilerUpdate, FreedSpaceIsUsedAgainAndTheDeltaSaysSo) {
  TableSizes sizes;
  sizes.entries[static_cast<std::size_t>(TableId::pods)] = 4;
  TableCompiler compiler(sizes);
  World world;
  world.policy.endpoints.pop_back();
  std::vector<bool> reuses;
  for (int i = 0; i < 6; ++i) {
    world.policy.endpoints[0].directions[0].rules[0].ports = {tcp(static_cast<std::uint16_t>(100 + i))};
    const auto delta = compiler.update(world.policy, {});
    ASSERT_TRUE(delta) << delta.error().message;
    reuses.push_back(delta->reuses_freed);
  }
  // Records 1, 2 and 3, then 1 or 2 again.
  EXPECT_EQ(reuses, (std::vector<bool>{false, false, false, true, true, true}));
}

struct FlagRow {
  const char* name;
  bool ingress;
  bool egress;
  EstablishedFlows flows;
  EventMode events;
  bool spoof_check;
  std::uint32_t flags;
};

TEST(TableCompiler, RecordsSayInWhichOrderAPacketIsJudged) {
  constexpr auto kReevaluate = EstablishedFlows::reevaluate;
  constexpr auto kKeep = EstablishedFlows::keep;
  const std::vector<FlagRow> rows{
      {"one direction", true, false, kReevaluate, EventMode::off, false, 0},
      {"the other", false, true, kReevaluate, EventMode::denied, false, PN_POD_EVENT_DENY},
      {"both", true, true, kReevaluate, EventMode::off, false, PN_POD_CT_FIRST},
      {"keep", true, false, kKeep, EventMode::off, false, PN_POD_KEEP | PN_POD_CT_FIRST},
      {"new flows are logged", true, false, kReevaluate, EventMode::new_flows, false,
       PN_POD_EVENT_DENY | PN_POD_EVENT_NEW | PN_POD_CT_FIRST},
      {"trace", true, false, kReevaluate, EventMode::all, true, PN_POD_EVENT_ALL | PN_POD_SPOOF_CHECK},
  };
  for (const auto& row : rows) {
    ResolvedPolicy policy;
    policy.endpoints = {endpoint(1, 7)};
    policy.endpoints[0].directions[0].isolated = row.ingress;
    policy.endpoints[0].directions[1].isolated = row.egress;
    CompileSettings settings;
    settings.established_flows = row.flows;
    settings.events = row.events;
    settings.spoof_check = row.spoof_check;
    TableCompiler compiler{TableSizes{}};
    ASSERT_TRUE(compiler.update(policy, settings));
    EXPECT_EQ(record_of(compiler.tables(), 7).flags, row.flags) << row.name;
  }
}

TEST(TableCompiler, APodWithoutPolicyHasASlotThatSaysSo) {
  ResolvedPolicy policy;
  policy.endpoints = {endpoint(1, 7)};
  TableCompiler compiler{TableSizes{}};
  ASSERT_TRUE(compiler.update(policy, {}));
  EXPECT_EQ(entry<std::uint64_t>(compiler.tables(), TableId::slots, 7), pn_slot(7, 0, 0));
}

TEST(TableCompiler, InterfacesThatShareASlotAreAllFound) {
  ResolvedPolicy policy;
  for (const std::uint32_t id : {1u, 2u, 3u}) {
    policy.endpoints.push_back(endpoint(id, 65536 * (id - 1) + 7));
    policy.endpoints.back().directions[0].isolated = true;
  }
  TableCompiler compiler{TableSizes{}};
  ASSERT_TRUE(compiler.update(policy, {}));
  EXPECT_EQ(compiler.tables().hash(TableId::slots_far).size(), 2u);
  // The one that stands in the array goes: another takes its place, none is lost.
  policy.endpoints.erase(policy.endpoints.begin());
  ASSERT_TRUE(compiler.update(policy, {}));
  EXPECT_EQ(compiler.tables().hash(TableId::slots_far).size(), 1u);
  for (const std::uint32_t ifindex : {65536u + 7, 2 * 65536u + 7}) {
    EXPECT_EQ(verdict(compiler.tables(), ifindex, "8.8.8.8", 80), deny(PN_REASON_ISOLATED)) << ifindex;
  }
  EXPECT_EQ(verdict(compiler.tables(), 7, "8.8.8.8", 80), kNotJudged);
}

TEST(TableCompiler, SaysHowFullItsTablesAre) {
  TableCompiler compiler{TableSizes{}};
  const auto pods_of = [&] {
    for (const auto& one : compiler.use()) {
      if (one.table == TableId::pods) return one;
    }
    return TableUse{};
  };
  const auto before = pods_of();
  EXPECT_EQ(before.used, 1u) << "record 0 is nobody's";
  EXPECT_EQ(before.size, TableSizes{}.of(TableId::pods));
  for (const auto& one : compiler.use()) EXPECT_LE(one.used, one.size) << name_of(one.table);
}

TEST(TableCompiler, TheNodeTableHoldsTicksRoundedUp) {
  CompileSettings settings;
  settings.strict = true;
  settings.hash_secret = 0x1234567890abcdef;
  settings.clock = {28, 1'048'576'000};
  settings.timeouts.tcp_rst = milliseconds(1);
  TableCompiler compiler{TableSizes{}};
  ASSERT_TRUE(compiler.update({}, settings));
  const auto node = entry<pn_node>(compiler.tables(), TableId::node, 0);
  EXPECT_EQ(node.epoch, 1u);
  EXPECT_EQ(node.flags, PN_NODE_STRICT);
  EXPECT_EQ(node.hash_secret, 0x1234567890abcdefu);
  EXPECT_EQ(node.hosts_mask, 32767u);
  EXPECT_EQ(node.ct_mask, 32767u);
  EXPECT_EQ(node.tick_shift, 28u);
  EXPECT_EQ(node.timeouts[PN_TIMEOUT_TCP_RST], 1u);
  EXPECT_EQ(node.timeouts[PN_TIMEOUT_TCP_ESTABLISHED], 82398u);  // 86400 s / 1.048576 s
  // One more change is one word.
  settings.timeouts.udp = seconds(10);
  const auto delta = compiler.update({}, settings);
  ASSERT_TRUE(delta);
  ASSERT_EQ(delta->writes.size(), 1u);
  EXPECT_EQ(delta->writes[0].bytes.size(), 4u);
  settings.hash_secret = 5;
  const auto refused = compiler.update({}, settings);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::unsupported);
}

TEST(TableCompiler, AFullTableIsNamedWithItsSizeAndTheNeed) {
  struct Row {
    TableId table;
    std::uint32_t entries;
    const char* message;
  };
  const std::vector<Row> rows{
      {TableId::pods, 2, "table pods is full: it has 2 records, 3 are needed"},
      {TableId::rows, 0, "table rows is full: it has 0 chunks of 16 classes, 1 are needed"},
      {TableId::bodies, 1, "table bodies is full: it has 1 bodies, 2 are needed"},
  };
  for (const auto& row : rows) {
    TableSizes sizes;
    sizes.entries[static_cast<std::size_t>(row.table)] = row.entries;
    TableCompiler compiler(sizes);
    const PolicyTables empty = compiler.tables();
    const auto delta = compiler.update(World().policy, {});
    ASSERT_FALSE(delta) << row.message;
    EXPECT_EQ(delta.error().code, ErrorCode::table_full);
    EXPECT_EQ(delta.error().message, row.message);
    EXPECT_TRUE(compiler.tables() == empty);
  }
}

TEST(TableCompiler, ManyAddressesInOneBucketAreFoundBesideIt) {
  TableSizes sizes;
  sizes.entries[static_cast<std::size_t>(TableId::hosts)] = 1;
  TableCompiler compiler(sizes);
  World world;
  std::vector<std::string> many;
  for (int i = 1; i <= 40; ++i) many.push_back("10.7.0." + std::to_string(i));
  world.policy.terms[1] = pods("web", many);
  ASSERT_TRUE(compiler.update(world.policy, {}));
  EXPECT_EQ(compiler.tables().hash(TableId::hosts_far).size(), 41u - PN_HOSTS_WAYS);
  for (const auto& address : many) {
    EXPECT_EQ(verdict(compiler.tables(), 11, address, 80), allow(PN_REASON_RULE, 1)) << address;
  }
  // When they leave, nothing says that more are to be found elsewhere.
  world.policy.terms[1] = pods("web", {});
  world.policy.terms[0] = pods("other", {});
  ASSERT_TRUE(compiler.update(world.policy, {}));
  EXPECT_TRUE(compiler.tables().hash(TableId::hosts_far).empty());
  EXPECT_EQ(entry<pn_hosts_bucket>(compiler.tables(), TableId::hosts, 0).head, 0u);
}

TEST(TableCompiler, MoreAddressesThanThereIsRoomForChangeNothing) {
  TableSizes sizes;
  sizes.entries[static_cast<std::size_t>(TableId::hosts)] = 1;
  sizes.entries[static_cast<std::size_t>(TableId::hosts_far)] = 4;
  TableCompiler compiler(sizes);
  World world;
  ASSERT_TRUE(compiler.update(world.policy, {}));
  const PolicyTables before = compiler.tables();
  std::vector<std::string> many;
  for (int i = 1; i <= 40; ++i) many.push_back("10.7.0." + std::to_string(i));
  world.policy.terms[1] = pods("web", many);
  const auto delta = compiler.update(world.policy, {});
  ASSERT_FALSE(delta);
  EXPECT_EQ(delta.error().code, ErrorCode::table_full);
  // The two of before keep their places until all the new ones stand.
  EXPECT_EQ(delta.error().message,
            "table hosts_far is full: it has 4 addresses beyond full buckets of hosts, " +
                std::to_string(41 + 2 - PN_HOSTS_WAYS) + " are needed");
  EXPECT_TRUE(compiler.tables() == before);
  world.policy.terms[1] = pods("web", {many.begin(), many.begin() + 6});
  ASSERT_TRUE(compiler.update(world.policy, {})) << "what fits counts again";
  EXPECT_EQ(verdict(compiler.tables(), 11, many[5], 80), allow(PN_REASON_RULE, 1));
}

// However many blocks a rule has, no rule tells one from another: one class.
TEST(TableCompiler, BlocksOfOneRuleAreOneClassUntilARuleTellsThemApart) {
  ResolvedPolicy policy;
  std::vector<TermIndex> all;
  for (int i = 0; i < 200; ++i) {
    const std::string number = std::to_string(i);
    policy.terms.push_back(
        block("block " + std::string(3 - number.size(), '0') + number, "10." + number + ".0.0/17"));
    all.push_back(static_cast<TermIndex>(i));
  }
  policy.endpoints = {endpoint(1, 7)};
  policy.endpoints[0].directions[0].isolated = true;
  policy.endpoints[0].directions[0].rules = {rule(1, all, {tcp(80)})};
  TableCompiler compiler{TableSizes{}};
  ASSERT_TRUE(compiler.update(policy, {}));
  const auto class_of = [&](const char* peer) {
    return TableWalk(compiler.tables()).class_of(ip(peer), true);
  };
  EXPECT_EQ(class_of("10.3.0.1"), 1u);
  EXPECT_EQ(class_of("10.199.0.1"), 1u);
  EXPECT_EQ(class_of("10.3.128.1"), 0u);

  policy.endpoints[0].directions[0].rules.push_back(rule(2, {3}, {tcp(443)}));
  ASSERT_TRUE(compiler.update(policy, {}));
  EXPECT_NE(class_of("10.3.0.1"), class_of("10.199.0.1"));
  EXPECT_EQ(verdict(compiler.tables(), 7, "10.3.0.1", 443), allow(PN_REASON_RULE, 2));
  EXPECT_EQ(verdict(compiler.tables(), 7, "10.4.0.1", 443), deny(PN_REASON_ISOLATED));
}

TEST(TableCompiler, TablesThatReplaceOthersBeginWhereThoseLeftOff) {
  World world;
  TableCompiler compiler{TableSizes{}, TableStart{41, RuleId{1000}}};
  const auto node = [&] { return entry<pn_node>(compiler.tables(), TableId::node, 0); };
  ResolvedPolicy bare = world.policy;
  for (auto& one : bare.endpoints) one.directions = {};
  ASSERT_TRUE(compiler.update(bare, {}));
  EXPECT_EQ(node().epoch, 42u) << "connections of the tables before are judged again";
  EXPECT_EQ(node().last_rule, 1000u) << "no rule yet";
  for (auto& one : world.policy.endpoints) {
    for (auto& direction : one.directions) {
      for (auto& rule : direction.rules) rule.id.value += 1000;
    }
  }
  ASSERT_TRUE(compiler.update(world.policy, {}));
  const std::uint32_t with_rules = node().last_rule;
  EXPECT_GT(with_rules, 1000u);
  ASSERT_TRUE(compiler.update(bare, {}));
  EXPECT_EQ(node().last_rule, with_rules) << "it says what ever was";
}

TEST(TableCompiler, InputThatNoResolverMakesIsRefused) {
  const auto refused = [](ResolvedPolicy policy) {
    TableCompiler compiler{TableSizes{}};
    return !compiler.update(policy, {}).has_value();
  };
  World world;
  ResolvedPolicy policy = world.policy;
  policy.endpoints[1].ifindex = policy.endpoints[0].ifindex;
  EXPECT_TRUE(refused(policy)) << "two endpoints on one interface";
  policy = world.policy;
  policy.endpoints[0].endpoint = EndpointId{0};
  EXPECT_TRUE(refused(policy)) << "endpoint 0";
  policy = world.policy;
  policy.endpoints[0].directions[0].rules[0].peers = {17};
  EXPECT_TRUE(refused(policy)) << "a term that does not exist";
  policy = world.policy;
  policy.endpoints[0].directions[0].rules[0].id = RuleId{PN_RULE_ID_MAX + 1};
  EXPECT_TRUE(refused(policy)) << "a rule number of 25 bits";
}

}  // namespace
}  // namespace postern::table_compiler_test
