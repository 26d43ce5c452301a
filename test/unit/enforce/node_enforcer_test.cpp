// SPDX-License-Identifier: Apache-2.0
#include "engine/enforce/node_enforcer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "test/property/table_walk.h"

namespace postern {
namespace {

// Holds tables, writes down what it is asked to do, and fails where it is told to.
class FakeBackend final : public Backend {
 public:
  std::string_view name() const override { return "fake"; }
  TickClock clock() const override { return {}; }
  const TableSizes& sizes() const override { return tables.sizes(); }
  Result<void> apply(const TableDelta& delta) override {
    calls.push_back("apply");
    for (const auto& write : delta.writes) {
      if (fail_after_writes && (*fail_after_writes)-- == 0) {
        fail_after_writes.reset();
        return fail(ErrorCode::io, "the kernel said no");
      }
      if (auto done = tables.apply(write); !done) return done;
      if (after_write) after_write();
    }
    return {};
  }
  Result<PolicyTables> dump() const override { return tables; }
  Result<void> attach(std::uint32_t ifindex) override { return note("attach ", ifindex); }
  Result<void> detach(std::uint32_t ifindex) override { return note("detach ", ifindex); }
  const Inheritance& inheritance() const override { return inherited; }
  Result<std::vector<ConntrackEntry>> conntrack() const override { return entries; }
  Result<void> forget_connections(EndpointId endpoint) override { return note("forget ", endpoint.value); }
  Result<void> age_connections(Duration) override { return {}; }
  Result<std::vector<pn_counter>> counters() const override { return std::vector<pn_counter>{}; }
  Result<std::size_t> drain_events(EventSink&) override { return std::size_t{0}; }
  int event_fd() const override { return -1; }
  PacketInjector* injector() override { return nullptr; }

  std::vector<std::string> take_calls() { return std::exchange(calls, {}); }

  PolicyTables tables;
  std::vector<std::string> calls;
  std::optional<std::size_t> fail_after_writes;
  std::string refuses;  // a call that fails once
  Inheritance inherited;
  std::vector<ConntrackEntry> entries;
  std::function<void()> after_write;

 private:
  Result<void> note(const char* what, std::uint32_t number) {
    calls.push_back(what + std::to_string(number));
    if (calls.back() != refuses) return {};
    refuses.clear();
    return fail(ErrorCode::io, "not now");
  }
};

class NodeEnforcerTest : public ::testing::Test {
 protected:
  NodeEnforcerTest() {
    start();
    add_pod("a", "10.0.0.1");
    add_pod("b", "10.0.0.2");
    NetworkPolicy policy;
    policy.key = {"x", "p"};
    policy.ingress = {PolicyRule{{PodPeer{}}, {}}};
    cluster_.network_policies[policy.key] = policy;
  }

  void start(const Inheritance& inherited = {}, const EnforcerSettings& settings = {}) {
    auto owned = std::make_unique<FakeBackend>();
    backend_ = owned.get();
    backend_->inherited = inherited;
    enforcer_ = std::make_unique<NodeEnforcer>(std::move(owned), settings);
  }
  [[nodiscard]] pn_node node() const {
    pn_node node{};
    const auto bytes = backend_->tables.array(TableId::node);
    std::memcpy(&node, bytes.data(), sizeof node);
    return node;
  }

  void add_pod(const std::string& name, const std::string& address) {
    Pod pod;
    pod.key = {"x", name};
    pod.addresses = {*IpAddress::parse(address)};
    cluster_.pods[pod.key] = pod;
  }
  Result<void> reconcile() { return enforcer_->reconcile(cluster_, endpoints_, {}); }

  ClusterSnapshot cluster_;
  std::vector<LocalEndpoint> endpoints_{{EndpointId{1}, 7, {"x", "a"}}};
  FakeBackend* backend_ = nullptr;
  std::unique_ptr<NodeEnforcer> enforcer_;
};

using Calls = std::vector<std::string>;

TEST_F(NodeEnforcerTest, TablesComeBeforeInterfaces) {
  ASSERT_TRUE(reconcile());
  EXPECT_EQ(backend_->take_calls(), (Calls{"apply", "attach 7"}));
  EXPECT_TRUE(backend_->tables == enforcer_->tables());
  EXPECT_EQ(enforcer_->generation().value, 1u);
  EXPECT_EQ(enforcer_->policy().endpoints.size(), 1u);
}

TEST_F(NodeEnforcerTest, NothingNewIsNoCallAtAll) {
  ASSERT_TRUE(reconcile());
  backend_->take_calls();
  ASSERT_TRUE(reconcile());
  EXPECT_TRUE(backend_->calls.empty());
  EXPECT_EQ(enforcer_->generation().value, 1u);
}

TEST_F(NodeEnforcerTest, AnInterfaceThatGoesLosesItsSlotFirst) {
  endpoints_.push_back({EndpointId{2}, 8, {"x", "b"}});
  ASSERT_TRUE(reconcile());
  backend_->take_calls();
  endpoints_.erase(endpoints_.begin());
  ASSERT_TRUE(reconcile());
  EXPECT_EQ(backend_->take_calls(), (Calls{"apply", "detach 7", "forget 1"}));
}

TEST_F(NodeEnforcerTest, AnInterfaceThatChangesHandsForgetsItsConnections) {
  ASSERT_TRUE(reconcile());
  backend_->take_calls();
  endpoints_[0].endpoint = EndpointId{5};
  ASSERT_TRUE(reconcile());
  EXPECT_EQ(backend_->take_calls(), (Calls{"apply", "forget 1", "attach 7"}));
}

// Wherever the backend stops, the next call brings it to the same bytes.
TEST_F(NodeEnforcerTest, ABackendThatStopsHalfWayIsRepaired) {
  ASSERT_TRUE(reconcile());
  for (std::size_t writes = 0; writes < 3; ++writes) {
    const std::string name = "late" + std::to_string(writes);
    add_pod(name, "10.0.1." + std::to_string(writes));
    endpoints_.push_back({EndpointId{10 + static_cast<std::uint32_t>(writes)},
                          100 + static_cast<std::uint32_t>(writes),
                          {"x", name}});
    const auto policy_before = enforcer_->policy().endpoints.size();
    const auto generation_before = enforcer_->generation();
    backend_->take_calls();
    backend_->fail_after_writes = writes;
    const auto failed = reconcile();
    ASSERT_FALSE(failed) << writes;
    EXPECT_EQ(failed.error().message, "the kernel said no");
    EXPECT_EQ(backend_->take_calls(), (Calls{"apply"})) << "no interface is attached to half a policy";
    EXPECT_EQ(enforcer_->policy().endpoints.size(), policy_before);
    EXPECT_EQ(enforcer_->generation(), generation_before);
    EXPECT_FALSE(backend_->tables == enforcer_->tables());

    ASSERT_TRUE(reconcile());
    EXPECT_TRUE(backend_->tables == enforcer_->tables()) << writes;
    EXPECT_EQ(backend_->take_calls(), (Calls{"apply", "attach " + std::to_string(100 + writes)}));
    EXPECT_EQ(enforcer_->policy().endpoints.size(), policy_before + 1);
  }
}

// Not even while it is repaired does a packet find anything but the old policy or the new one.
TEST_F(NodeEnforcerTest, ARepairShowsNoPacketAThirdPolicy) {
  ASSERT_TRUE(reconcile());
  const auto verdict = [&] {
    return TableWalk(backend_->tables).verdict({7, PN_INGRESS, *IpAddress::parse("10.0.0.2"), 6, 80});
  };
  NetworkPolicy& policy = cluster_.network_policies.begin()->second;
  bool finished = false;
  std::size_t failures = 0;
  for (std::size_t writes = 0; !finished; ++writes) {
    // Every other time the rule has ports, so that a body, a row and a record are written aside.
    auto& ports = policy.ingress[0].ports;
    ports.clear();
    if (writes % 2 == 0) ports = {{Protocol::tcp, PortRange{80, 80}}};
    const std::uint32_t before = verdict();
    std::set<std::uint32_t> seen;
    backend_->after_write = [&] { seen.insert(verdict()); };
    backend_->fail_after_writes = writes;
    finished = reconcile().has_value();
    if (!finished) {
      ++failures;
      ASSERT_TRUE(reconcile()) << writes;
    }
    ASSERT_TRUE(backend_->tables == enforcer_->tables()) << writes;
    seen.erase(before);
    seen.erase(verdict());
    EXPECT_TRUE(seen.empty()) << writes << " writes, then a failure: " << seen.size() << " other verdicts";
    backend_->after_write = nullptr;
    backend_->fail_after_writes.reset();
  }
  EXPECT_GT(failures, 3u);
}

TEST_F(NodeEnforcerTest, WhatFailedOnAnInterfaceIsDoneTheNextTime) {
  backend_->refuses = "attach 7";
  EXPECT_FALSE(reconcile());
  backend_->take_calls();
  ASSERT_TRUE(reconcile());
  EXPECT_EQ(backend_->take_calls(), (Calls{"attach 7"}));

  endpoints_.clear();
  backend_->refuses = "forget 1";
  EXPECT_FALSE(reconcile());
  backend_->take_calls();
  ASSERT_TRUE(reconcile());
  EXPECT_EQ(backend_->take_calls(), (Calls{"detach 7", "forget 1"}));
}

TEST_F(NodeEnforcerTest, WhatFailsOnOneInterfaceKeepsNoOtherWaiting) {
  endpoints_.push_back({EndpointId{2}, 8, {"x", "b"}});
  backend_->refuses = "attach 7";
  const auto failed = reconcile();
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().message, "not now");
  EXPECT_EQ(backend_->take_calls(), (Calls{"apply", "attach 7", "attach 8"}));
  ASSERT_TRUE(reconcile());
  EXPECT_EQ(backend_->take_calls(), (Calls{"attach 7"}));

  endpoints_.clear();
  backend_->refuses = "detach 7";
  EXPECT_FALSE(reconcile());
  EXPECT_EQ(backend_->take_calls(), (Calls{"apply", "detach 7", "detach 8", "forget 2"}));
}

TEST_F(NodeEnforcerTest, AServiceWhoseBackendsDisagreeIsThereToWarnOf) {
  NetworkPolicy& policy = cluster_.network_policies.begin()->second;
  policy.pod_selector.match_labels = {{"pod", "a"}};
  policy.isolates_egress = true;
  policy.egress = {PolicyRule{{IpBlock{*Cidr::parse("10.0.0.2/32"), {}}}, {}}};
  add_pod("c", "10.0.0.3");
  cluster_.pods.at({"x", "a"}).labels = {{"pod", "a"}};
  for (const auto* name : {"b", "c"}) cluster_.pods.at({"x", name}).labels = {{"app", "web"}};
  Service& service = cluster_.services[{"x", "web"}];
  service.key = {"x", "web"};
  service.selector = Labels{{"app", "web"}};
  service.cluster_ips = {*IpAddress::parse("10.96.0.1")};
  service.ports = {{"http", Protocol::tcp, 80, std::uint16_t{8080}}};
  ASSERT_TRUE(reconcile());
  const std::vector<BackendsDiffer> expected{
      {{"x", "web"}, service.cluster_ips[0], Protocol::tcp, 80, {EndpointId{1}}}};
  EXPECT_TRUE(enforcer_->backends_differ() == expected);
  // The one that was denied is gone.
  cluster_.pods.at({"x", "c"}).ready = false;
  ASSERT_TRUE(reconcile());
  EXPECT_TRUE(enforcer_->backends_differ().empty());
}

TEST_F(NodeEnforcerTest, ARefusedPolicyLeavesTheLastOneInForce) {
  ASSERT_TRUE(reconcile());
  const PolicyTables before = backend_->tables;
  backend_->take_calls();
  for (std::uint32_t i = 0; i < 5000; ++i) {
    add_pod("many" + std::to_string(i), "10.1." + std::to_string(i / 250) + "." + std::to_string(i % 250));
    endpoints_.push_back({EndpointId{100 + i}, 1000 + i, {"x", "many" + std::to_string(i)}});
  }
  const auto refused = reconcile();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::table_full);
  EXPECT_TRUE(backend_->calls.empty());
  EXPECT_TRUE(backend_->tables == before);
  EXPECT_EQ(enforcer_->policy().endpoints.size(), 1u);
}

// Interfaces 7 (which stays), 8 and 9 of an earlier process.
Inheritance three_interfaces() {
  Inheritance inherited;
  inherited.interfaces = {{7, EndpointId{1}, {}, {true, false}},
                          {8, EndpointId{2}, {}, {true, false}},
                          {9, EndpointId{}, {}, {}}};
  inherited.connections = true;
  inherited.epoch = 20;
  inherited.hash_secret = 0x5ec7e7;
  inherited.last_rule = RuleId{100};
  inherited.last_endpoint = EndpointId{3};
  return inherited;
}

ConntrackEntry entry_of(std::uint32_t endpoint) {
  ConntrackEntry entry;
  entry.key.endpoint_protocol = endpoint << 8 | 6;
  return entry;
}

TEST_F(NodeEnforcerTest, WhatWasInheritedIsSwitchedAfterTheTablesAndTheRestIsTakenOff) {
  EnforcerSettings settings;
  settings.hash_secret = 5;
  start(three_interfaces(), settings);
  for (const std::uint32_t endpoint : {1u, 2u, 3u, 3u}) backend_->entries.push_back(entry_of(endpoint));
  ASSERT_TRUE(reconcile());
  EXPECT_EQ(backend_->take_calls(),
            (Calls{"apply", "attach 7", "detach 8", "detach 9", "forget 2", "forget 3"}));
  EXPECT_EQ(node().epoch, 21u) << "older connections are judged again";
  EXPECT_EQ(node().hash_secret, 0x5ec7e7u) << "or nobody finds the connections any more";
  ASSERT_EQ(enforcer_->policy().endpoints[0].directions[0].rules.size(), 1u);
  EXPECT_EQ(enforcer_->policy().endpoints[0].directions[0].rules[0].id.value, 101u);
  ASSERT_TRUE(reconcile());
  EXPECT_TRUE(backend_->calls.empty()) << "once";
}

TEST_F(NodeEnforcerTest, WithoutItsConnectionsAnInheritanceIsInterfacesAlone) {
  Inheritance inherited;
  inherited.interfaces = three_interfaces().interfaces;
  EnforcerSettings settings;
  settings.hash_secret = 5;
  start(inherited, settings);
  backend_->entries = {entry_of(9)};
  ASSERT_TRUE(reconcile());
  EXPECT_EQ(backend_->take_calls(), (Calls{"apply", "attach 7", "detach 8", "detach 9"}));
  EXPECT_EQ(node().epoch, 1u);
  EXPECT_EQ(node().hash_secret, 5u);
}

TEST_F(NodeEnforcerTest, WhatWasInheritedStaysWhileThereIsNoWholePolicy) {
  start(three_interfaces());
  backend_->fail_after_writes = 2;
  EXPECT_FALSE(reconcile());
  EXPECT_EQ(backend_->take_calls(), (Calls{"apply"}));
  ASSERT_TRUE(reconcile());
  EXPECT_EQ(backend_->take_calls(), (Calls{"apply", "attach 7", "detach 8", "detach 9"}));
}

TEST_F(NodeEnforcerTest, WhatFailsWithAnInheritedInterfaceIsDoneTheNextTime) {
  for (const char* refused : {"attach 7", "detach 8", "forget 2"}) {
    start(three_interfaces());
    backend_->entries = {entry_of(2)};
    backend_->refuses = refused;
    EXPECT_FALSE(reconcile()) << refused;
    backend_->take_calls();
    ASSERT_TRUE(reconcile()) << refused;
    const Calls calls = backend_->take_calls();
    EXPECT_NE(std::find(calls.begin(), calls.end(), refused), calls.end()) << refused;
    ASSERT_TRUE(reconcile());
    EXPECT_TRUE(backend_->calls.empty()) << refused;
  }
}

TEST_F(NodeEnforcerTest, RulesAreNumberedFromTheStartAgainWhenHalfTheNumbersAreUsedUp) {
  Inheritance inherited = three_interfaces();
  inherited.last_rule = RuleId{PN_RULE_ID_MAX / 2 + 1};
  start(inherited);
  ASSERT_TRUE(reconcile());
  EXPECT_EQ(enforcer_->policy().endpoints[0].directions[0].rules[0].id.value, 1u);
  EXPECT_EQ(node().last_rule, 1u);
}

}  // namespace
}  // namespace postern
