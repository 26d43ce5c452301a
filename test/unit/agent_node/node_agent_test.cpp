// SPDX-License-Identifier: Apache-2.0
// The node's agent over the datapath in memory: a source and a host network of variables, a real loop.
#include "agent/node/node_agent.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>

#include "backends/native/native_backend.h"
#include "test/unit/agent_node/fakes.h"
#include "test/unit/agent_node/pictures.h"

namespace postern::agent::node_agent_test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const NamespacedName kA{"x", "a"};
const NamespacedName kB{"x", "b"};

class NodeAgentTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto made = EventLoop::make();
    ASSERT_TRUE(made);
    loop = std::move(*made);
    host.small.add_veth(5, "veth5");
    host.small.add_route("10.0.0.1", 5);
    source.snapshot = cluster_of({pod_at("a", "10.0.0.1")});
    add_policy("p");
  }
  void TearDown() override { agent.reset(); }

  void add_policy(const std::string& name, std::size_t ports = 0) {
    NetworkPolicy policy;
    policy.key = {"x", name};
    PolicyRule rule;
    for (std::size_t i = 0; i < ports; ++i) {
      const auto port = static_cast<std::uint16_t>(1 + 3 * i);
      rule.ports.push_back({Protocol::tcp, PortRange{port, port}});
    }
    if (ports != 0) policy.ingress.push_back(rule);
    source.snapshot.network_policies[policy.key] = policy;
  }
  void start(const TableSizes& sizes = {}) {
    auto backend = make_native_backend(sizes);
    ASSERT_TRUE(backend);
    enforcer = std::make_unique<NodeEnforcer>(std::move(*backend), EnforcerSettings{});
    NodeAgentOptions options;
    options.node_name = "n1";
    options.after_attach = [this](std::uint32_t ifindex, const NamespacedName&) -> Result<void> {
      taken_over.push_back(ifindex);
      if (takeover_fails) return fail(ErrorCode::io, "not now");
      return {};
    };
    options.in_force = [this](std::optional<Duration> waited) { in_force.push_back(waited); };
    agent = std::make_unique<NodeAgent>(*loop, host, source, *enforcer, options);
    ASSERT_TRUE(agent->start());
  }
  void sync() {
    source.is_synced = true;
    source.listener->cluster_changed();
  }
  void run(Duration duration = milliseconds(60)) {
    loop->after(duration, [this] { loop->stop(); });
    ASSERT_TRUE(loop->run());
  }
  const DirectionPolicy* ingress_of(const NamespacedName& pod) const {
    for (const auto& endpoint : enforcer->policy().endpoints) {
      if (endpoint.pod == pod) return &endpoint.at(Direction::ingress);
    }
    return nullptr;
  }

  std::unique_ptr<EventLoop> loop;
  FakeSource source;
  FakeHost host;
  std::unique_ptr<NodeEnforcer> enforcer;
  std::unique_ptr<NodeAgent> agent;
  std::vector<std::uint32_t> taken_over;
  bool takeover_fails = false;
  std::vector<std::optional<Duration>> in_force;
};

TEST_F(NodeAgentTest, NothingIsTouchedBeforeTheSourceHasReadEverything) {
  start();
  agent->network_changed();
  source.listener->cluster_changed();
  run();
  EXPECT_EQ(enforcer->generation().value, 0u);
  EXPECT_FALSE(agent->status().ready);
  EXPECT_EQ(agent->waits_for(kA), "the fake source has not read fakes yet (not now)");
}

TEST_F(NodeAgentTest, PolicyIsInForceOnceTheSourceIsSyncedAndFollowsEachChange) {
  start();
  sync();
  run();
  EXPECT_TRUE(agent->status().ready);
  ASSERT_NE(ingress_of(kA), nullptr);
  EXPECT_TRUE(ingress_of(kA)->isolated);
  EXPECT_EQ(enforcer->policy().own_node, std::vector{ip("172.18.0.2")});
  source.snapshot.network_policies.clear();
  source.listener->cluster_changed();
  run();
  EXPECT_FALSE(ingress_of(kA)->isolated);
  host.small.add_veth(6, "veth6");
  host.small.add_route("10.0.0.2", 6);
  source.snapshot.pods[kB] = pod_at("b", "10.0.0.2");
  agent->network_changed();
  run();
  EXPECT_NE(ingress_of(kB), nullptr);
}

TEST_F(NodeAgentTest, ABurstOfChangesIsOneAttempt) {
  start();
  sync();
  run();
  const auto before = agent->status().reconciles;
  for (int i = 0; i < 50; ++i) source.listener->cluster_changed();
  EXPECT_TRUE(agent->status().pending);
  run();
  EXPECT_EQ(agent->status().reconciles, before + 1);
  EXPECT_FALSE(agent->status().pending);
}

TEST_F(NodeAgentTest, ItTellsHowLongTheOldestChangeHasWaited) {
  start();
  EXPECT_THAT(in_force, IsEmpty());
  sync();
  loop->after(milliseconds(3), [this] { source.listener->cluster_changed(); });
  run();
  ASSERT_EQ(in_force.size(), 1u);
  ASSERT_TRUE(in_force[0]);
  EXPECT_GE(*in_force[0], milliseconds(8)) << "the second change has moved the attempt, not the first change";
  EXPECT_LT(*in_force[0], seconds(5));
}

TEST_F(NodeAgentTest, PoliciesInForceAreThoseOfBothKinds) {
  for (const char* slice : {"q-1", "q-2"}) {
    PolicyEndpoint endpoint;
    endpoint.key = {"x", slice};
    endpoint.policy = {"x", "q"};
    endpoint.isolates_ingress = true;
    source.snapshot.policy_endpoints[endpoint.key] = endpoint;
  }
  start();
  sync();
  run();
  EXPECT_EQ(agent->status().policies, 2u) << "p, and q in two slices";
}

TEST_F(NodeAgentTest, AnAnnouncedPodIsAnsweredWhenItsPolicyIsInForce) {
  start();
  std::vector<std::string> answers;
  const auto answer = [&](const std::string& name) {
    return [&answers, name](Result<void> done) { answers.push_back(name + (done ? "" : done.error().message)); };
  };
  agent->announce(kA, answer("a"));
  agent->announce(kB, answer("b"));
  run();
  EXPECT_THAT(answers, IsEmpty());
  sync();
  run();
  EXPECT_THAT(answers, ElementsAre("a"));
  EXPECT_EQ(agent->waits_for(kB), "the pod is not known to the fake source yet");
  source.snapshot.pods[kB] = pod_at("b", "");
  source.listener->cluster_changed();
  run();
  EXPECT_THAT(agent->waits_for(kB), HasSubstr("no address yet"));
  source.snapshot.pods[kB] = pod_at("b", "10.0.0.2");
  source.listener->cluster_changed();
  run();
  EXPECT_THAT(agent->waits_for(kB), HasSubstr("its interface is not known"));
  host.small.add_veth(6, "veth6");
  host.small.add_route("10.0.0.2", 6);
  agent->network_changed();
  run();
  EXPECT_THAT(answers, ElementsAre("a", "b"));
}

TEST_F(NodeAgentTest, WhoeverStopsWaitingIsNotAnswered) {
  start();
  int answers = 0;
  const auto ticket = agent->announce(kA, [&](const Result<void>&) { ++answers; });
  agent->announce(kA, [&](const Result<void>&) { ++answers; });
  agent->cancel(ticket);
  sync();
  run();
  EXPECT_EQ(answers, 1);
  agent->announce(kB, [&](const Result<void>&) { ++answers; });
  agent->withdraw(kB);
  source.snapshot.pods[kB] = pod_at("b", "10.0.0.1");
  source.listener->cluster_changed();
  run();
  EXPECT_EQ(answers, 1);
}

TEST_F(NodeAgentTest, APodWithoutAnInterfaceIsLookedForAgainAndAgain) {
  start();
  source.snapshot.pods[kB] = pod_at("b", "10.0.0.2");
  sync();
  run(milliseconds(2200));
  EXPECT_GE(host.looks, 2);
  EXPECT_LE(host.looks, 3);
  // Nothing tells that it has come.
  host.small.add_veth(6, "veth6");
  host.small.add_route("10.0.0.2", 6);
  run(milliseconds(2200));
  EXPECT_NE(ingress_of(kB), nullptr);
  const int before = host.looks;
  run(milliseconds(2200));
  EXPECT_EQ(host.looks, before);
}

TEST_F(NodeAgentTest, AFullTableIsRefusedLoudlyAndTheLastCompletePolicyStays) {
  TableSizes sizes;
  sizes.entries[static_cast<std::size_t>(TableId::portdirs)] = 1;
  sizes.entries[static_cast<std::size_t>(TableId::portpages)] = 2;
  start(sizes);
  sync();
  run();
  ASSERT_TRUE(agent->status().failure.empty());
  add_policy("large", 2000);
  source.listener->cluster_changed();
  run();
  EXPECT_THAT(agent->status().failure, HasSubstr("full"));
  EXPECT_TRUE(agent->status().ready) << "what was complete is still in force";
  EXPECT_TRUE(ingress_of(kA)->isolated);
  EXPECT_THAT(ingress_of(kA)->rules, IsEmpty());
  int answers = 0;
  agent->announce(kA, [&](const Result<void>&) { ++answers; });
  run();
  EXPECT_EQ(answers, 0) << "its policy is not in force";
  EXPECT_THAT(agent->waits_for(kA), HasSubstr("full"));
  const auto failures = agent->status().failures;
  run(milliseconds(900));
  EXPECT_GT(agent->status().failures, failures) << "it is tried again";
  EXPECT_LE(agent->status().failures, failures + 3) << "but not in a hurry";
  source.snapshot.network_policies.erase({"x", "large"});
  source.listener->cluster_changed();
  run();
  EXPECT_EQ(agent->status().failure, "");
  EXPECT_EQ(answers, 1);
}

TEST_F(NodeAgentTest, TheAgentBeforeIsTakenOffOnceAndAgainWhereThatFailed) {
  takeover_fails = true;
  start();
  sync();
  run();
  EXPECT_THAT(taken_over, ElementsAre(5u));
  EXPECT_TRUE(agent->status().ready) << "ours stands all the same";
  takeover_fails = false;
  source.listener->cluster_changed();
  run();
  EXPECT_THAT(taken_over, ElementsAre(5u, 5u));
  source.listener->cluster_changed();
  run();
  EXPECT_THAT(taken_over, ElementsAre(5u, 5u));
}

}  // namespace
}  // namespace postern::agent::node_agent_test
