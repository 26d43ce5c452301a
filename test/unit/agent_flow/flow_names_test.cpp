// SPDX-License-Identifier: Apache-2.0
#include "agent/flow/flow_names.h"

#include <gtest/gtest.h>

#include "agent/flow/flow_text.h"
#include "test/unit/agent_flow/events.h"

namespace postern::agent {
namespace {

class FlowNamesTest : public testing::Test {
 protected:
  FlowNamesTest() {
    put_pod("db-0", "10.0.0.9", "StatefulSet/db");
    put_pod("web-1", "10.0.0.5", "Deployment/web");
    EndpointPolicy endpoint;
    endpoint.endpoint = EndpointId{7};
    endpoint.pod = {"shop", "db-0"};
    endpoint.directions[0].isolated = true;
    endpoint.directions[0].isolating = {{PolicyKind::network_policy, {"shop", "lock"}}};
    policy_.endpoints.push_back(endpoint);
    rule_ = rules_.id_of({{PolicyKind::network_policy, {"shop", "open"}}, Direction::ingress, 2});
  }

  void put_pod(const char* name, const char* address, const char* workload) {
    Pod pod;
    pod.key = {"shop", name};
    pod.workload = workload;
    pod.addresses = {*IpAddress::parse(address)};
    cluster_.pods[pod.key] = pod;
  }

  FlowNames make() {
    FlowSources sources;
    sources.node = "node-1";
    sources.policy = [this]() -> const ResolvedPolicy& { return policy_; };
    sources.rules = [this]() -> const RuleRegistry& { return rules_; };
    sources.cluster = [this]() -> const ClusterSnapshot& { return cluster_; };
    sources.interface_name = [](std::uint32_t ifindex) { return "eni" + std::to_string(ifindex); };
    return FlowNames(std::move(sources));
  }

  ResolvedPolicy policy_;
  RuleRegistry rules_;
  ClusterSnapshot cluster_;
  RuleId rule_;
};

TEST_F(FlowNamesTest, a_denial_by_isolation_names_both_pods_and_the_isolating_policies) {
  FlowNames names = make();
  const FlowRecord record = names.name(denied_event(40000, 2), 5'000'000'000);
  EXPECT_EQ(record.unix_ns, 7'000'000'000);
  EXPECT_EQ(record.node, "node-1");
  EXPECT_EQ(record.source.pod.to_string(), "shop/web-1");
  EXPECT_EQ(record.source.workload, "Deployment/web");
  EXPECT_EQ(record.source.address.to_string(), "10.0.0.5");
  EXPECT_EQ(record.source.port, 40000);
  EXPECT_EQ(record.destination.pod.to_string(), "shop/db-0");
  EXPECT_EQ(record.destination.workload, "StatefulSet/db");
  EXPECT_FALSE(record.allowed);
  EXPECT_EQ(record.tier, PN_TIER_NETWORK_POLICY);
  EXPECT_FALSE(record.rule);
  ASSERT_EQ(record.isolating.size(), 1u);
  EXPECT_EQ(record.isolating[0].to_string(), "shop/lock");
  EXPECT_EQ(record.interface, "eni12");
}

TEST_F(FlowNamesTest, a_rule_is_named_by_its_policy_and_its_number_from_1) {
  FlowNames names = make();
  pn_event event = denied_event(1);
  event.step = pn_step_allow(PN_REASON_RULE, rule_.value);
  const FlowRecord record = names.name(event, 0);
  EXPECT_TRUE(record.allowed);
  ASSERT_TRUE(record.rule);
  EXPECT_EQ(record.rule->policy.key.to_string(), "shop/open");
  EXPECT_EQ(record.rule->rule, 3u);
  EXPECT_TRUE(record.isolating.empty());
  event.step = pn_step_allow(PN_REASON_RULE, 999);
  EXPECT_FALSE(names.name(event, 0).rule) << "of tables before: it names nothing rather than another";
}

TEST_F(FlowNamesTest, a_policy_of_the_whole_cluster_is_named_with_its_tier_and_without_a_namespace) {
  for (const auto& [name, tier] : {std::pair{"guard", Tier::admin}, std::pair{"floor", Tier::baseline}}) {
    ClusterNetworkPolicy policy;
    policy.name = name;
    policy.tier = tier;
    cluster_.cluster_network_policies[name] = policy;
  }
  struct Row {
    const char* policy;
    bool allowed;
    std::uint32_t reason;
    pn_tier tier;
  };
  const Row rows[] = {
      {"guard", false, PN_REASON_DENIED_ADMIN, PN_TIER_ADMIN},
      {"guard", true, PN_REASON_RULE_ADMIN, PN_TIER_ADMIN},
      {"guard", true, PN_REASON_ESTABLISHED, PN_TIER_ADMIN},
      {"guard", true, PN_REASON_GRACE, PN_TIER_ADMIN},
      {"floor", false, PN_REASON_DENIED_BASELINE, PN_TIER_BASELINE},
      {"floor", true, PN_REASON_RULE_BASELINE, PN_TIER_BASELINE},
      {"floor", true, PN_REASON_ESTABLISHED, PN_TIER_BASELINE},
      {"guard", true, PN_REASON_WOULD_DENY, PN_TIER_ADMIN},
      {"floor", true, PN_REASON_WOULD_DENY, PN_TIER_BASELINE},
      {"gone", true, PN_REASON_ESTABLISHED, PN_TIER_DEFAULT},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(std::string(row.policy) + " " + std::to_string(row.reason));
    const RuleId rule = rules_.id_of({{PolicyKind::cluster_network_policy, {"", row.policy}}, Direction::ingress, 1});
    FlowNames names = make();
    pn_event event = denied_event(1);
    event.step = row.allowed ? pn_step_allow(row.reason, rule.value) : pn_step_deny(row.reason, rule.value);
    const FlowRecord record = names.name(event, 0);
    EXPECT_EQ(record.allowed, row.allowed);
    EXPECT_EQ(record.tier, row.tier);
    EXPECT_EQ(record.would_deny, row.reason == PN_REASON_WOULD_DENY ? "denied" : "");
    ASSERT_TRUE(record.rule);
    EXPECT_EQ(record.rule->policy.key, (NamespacedName{"", row.policy}));
    EXPECT_EQ(record.rule->rule, 2u);
    EXPECT_TRUE(record.isolating.empty());
    const std::string line = json_flow_line(record);
    EXPECT_NE(line.find(R"("policy":")" + std::string(row.policy) + R"(","rule":2)"), std::string::npos) << line;
    EXPECT_EQ(line.find("policy_namespace"), std::string::npos) << line;
  }
}

TEST_F(FlowNamesTest, the_judged_pod_is_known_by_its_number_whatever_address_it_used) {
  FlowNames names = make();
  pn_event event = denied_event(1);
  event.direction = PN_EGRESS;
  event.source[3] = 200;  // spoofed
  event.step = pn_step_deny(PN_REASON_SPOOFED_SOURCE, 0);
  const FlowRecord record = names.name(event, 0);
  EXPECT_EQ(record.source.pod.to_string(), "shop/db-0");
  EXPECT_EQ(record.tier, PN_TIER_ERROR);
}

TEST_F(FlowNamesTest, pods_of_the_hosts_network_and_finished_ones_have_no_address_of_their_own) {
  cluster_.pods.at({"shop", "web-1"}).host_network = true;
  FlowNames names = make();
  EXPECT_EQ(names.name(denied_event(1), 0).source.pod.name, "");
}

TEST_F(FlowNamesTest, the_index_is_made_anew_only_when_the_cluster_changed_and_not_too_often) {
  FlowNames names = make();
  for (int i = 0; i < 5; ++i) (void)names.name(denied_event(1, 1 + i), 0);
  EXPECT_EQ(names.indexes(), 1u);
  put_pod("web-1", "10.0.0.77", "Deployment/web");
  names.cluster_changed();
  EXPECT_EQ(names.name(denied_event(1, 1.1), 0).source.pod.name, "web-1") << "a tenth of a second old";
  EXPECT_EQ(names.name(denied_event(1, 9), 0).source.pod.name, "");
  EXPECT_EQ(names.indexes(), 2u);
}

TEST_F(FlowNamesTest, an_echo_has_type_and_code_and_no_ports) {
  FlowNames names = make();
  pn_event event = denied_event(8 << 8 | 3);
  event.protocol = 1;
  event.destination_port = 77;
  const FlowRecord record = names.name(event, 0);
  EXPECT_EQ(record.icmp_type, 8);
  EXPECT_EQ(record.icmp_code, 3);
  EXPECT_EQ(record.source.port, 0);
  EXPECT_EQ(record.destination.port, 0);
}

}  // namespace
}  // namespace postern::agent
