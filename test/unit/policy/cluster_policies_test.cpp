// SPDX-License-Identifier: Apache-2.0
// What the resolver makes of ClusterNetworkPolicies where a scenario cannot look: that written order holds
// whatever numbers rules have, and what is warned of.
#include <gtest/gtest.h>

#include "engine/policy/judge.h"
#include "engine/policy/policy_warnings.h"
#include "engine/policy/resolve.h"

namespace postern::cluster_policies_test {
namespace {

IpAddress ip(const std::string& text) { return *IpAddress::parse(text); }

ClusterSnapshot two_pods() {
  ClusterSnapshot cluster;
  for (const auto& [name, address] : {std::pair{"a", "10.0.0.1"}, std::pair{"b", "10.0.0.2"}}) {
    Pod pod;
    pod.key = {"x", name};
    pod.labels = {{"app", name}};
    pod.addresses = {ip(address)};
    cluster.pods[pod.key] = pod;
  }
  return cluster;
}

ClusterRule rule(Action action, std::vector<ClusterPeer> peers, std::vector<ClusterPort> protocols = {}) {
  return {"", action, std::move(peers), std::move(protocols)};
}

ClusterNetworkPolicy policy(const std::string& name, std::vector<ClusterRule> ingress) {
  ClusterNetworkPolicy out;
  out.name = name;
  out.ingress = std::move(ingress);
  return out;
}

std::uint32_t reason(const ClusterSnapshot& cluster, RuleRegistry& rules, std::uint16_t port) {
  const LocalEndpoint endpoint{EndpointId{1}, 7, {"x", "a"}};
  const auto resolved = resolve(cluster, std::span(&endpoint, 1), {}, rules);
  if (!resolved) return PN_REASON_NONE;
  rules.forget_unused(*resolved);
  const auto step = judge(*resolved, resolved->endpoints.front(), Direction::ingress, ip("10.0.0.2"), 6, port);
  return pn_step_reason(step);
}

// The first rule names a port that nobody has yet, so it is in no table and its number is forgotten; when
// the pod gets the port the rule has a higher number than the one below it.
TEST(ClusterPolicies, written_order_holds_whatever_numbers_the_rules_have) {
  ClusterSnapshot cluster = two_pods();
  const ClusterPods everyone;
  cluster.cluster_network_policies["p"] =
      policy("p", {rule(Action::accept, {everyone}, {NamedPort{"web"}}), rule(Action::deny, {everyone})});
  RuleRegistry rules;
  EXPECT_EQ(reason(cluster, rules, 80), std::uint32_t{PN_REASON_DENIED_ADMIN});
  // Enough numbers for the registry to forget those that are not in use, twice.
  for (int round = 0; round < 3; ++round) {
    for (std::uint32_t i = 0; i < 2 * RuleRegistry::kUnused; ++i) {
      rules.id_of({{PolicyKind::network_policy, {"y", "n" + std::to_string(round)}}, Direction::ingress, i});
    }
    EXPECT_EQ(reason(cluster, rules, 80), std::uint32_t{PN_REASON_DENIED_ADMIN});
  }
  cluster.pods[{"x", "a"}].ports = {{"web", 80, Protocol::tcp}};
  EXPECT_EQ(reason(cluster, rules, 80), std::uint32_t{PN_REASON_RULE_ADMIN});
  EXPECT_EQ(reason(cluster, rules, 81), std::uint32_t{PN_REASON_DENIED_ADMIN});
}

TEST(ClusterPolicies, a_policy_without_rules_of_a_direction_leaves_it_unjudged) {
  ClusterSnapshot cluster = two_pods();
  cluster.cluster_network_policies["p"] = policy("p", {rule(Action::deny, {ClusterPods{}})});
  const LocalEndpoint endpoint{EndpointId{1}, 7, {"x", "a"}};
  RuleRegistry rules;
  const auto resolved = resolve(cluster, std::span(&endpoint, 1), {}, rules);
  ASSERT_TRUE(resolved.has_value());
  EXPECT_TRUE(resolved->endpoints.front().at(Direction::ingress).judged());
  EXPECT_FALSE(resolved->endpoints.front().at(Direction::egress).judged());
  EXPECT_FALSE(resolved->endpoints.front().at(Direction::ingress).isolated);
}

// As with PolicyEndpoints: pods that come and go behind a rule are addresses of a term, and never a new one.
TEST(ClusterPolicies, single_addresses_of_a_policy_whose_pods_are_listed_are_one_term) {
  ClusterSnapshot cluster = two_pods();
  auto listed = policy("ClusterPolicyEndpoint/p", {});
  listed.listed = {{PodEndpoint{{"x", "a"}, ip("10.0.0.1"), {}}}};
  const std::vector<Cidr> hosts{Cidr::host(ip("10.0.0.2")), Cidr::host(ip("10.0.0.3")), Cidr::host(ip("10.0.0.4"))};
  std::vector<Cidr> mixed = hosts;
  mixed.push_back(*Cidr::parse("10.1.0.0/16"));
  const ProtocolPorts web{Protocol::tcp, PortRange{80, 80}};
  listed.ingress = {rule(Action::deny, {ClusterNetworks{hosts}}, {web}), rule(Action::accept, {ClusterNetworks{mixed}}, {web})};
  cluster.cluster_network_policies[listed.name] = listed;
  const LocalEndpoint endpoints[] = {{EndpointId{1}, 7, {"x", "a"}}, {EndpointId{2}, 8, {"x", "b"}}};
  RuleRegistry rules;
  const auto resolved = resolve(cluster, endpoints, {}, rules);
  ASSERT_TRUE(resolved.has_value());
  ASSERT_EQ(resolved->terms.size(), 3u) << "of each rule its hosts, and the block";
  const auto& of_a = resolved->endpoints.front().at(Direction::ingress).rules;
  ASSERT_EQ(of_a.size(), 2u);
  EXPECT_EQ(of_a[0].peers.size(), 1u);
  EXPECT_EQ(of_a[1].peers.size(), 2u);
  EXPECT_EQ(resolved->terms[of_a[0].peers.front()].addresses.size(), 3u);
  EXPECT_TRUE(resolved->endpoints.back().at(Direction::ingress).rules.empty()) << "it is not listed";
  // The pod made anew is another one.
  cluster.pods.at({"x", "a"}).addresses = {ip("10.0.0.9")};
  const auto anew = resolve(cluster, endpoints, {}, rules);
  ASSERT_TRUE(anew.has_value());
  EXPECT_TRUE(anew->endpoints.front().at(Direction::ingress).rules.empty());
}

TEST(PolicyWarnings, name_what_is_probably_not_meant) {
  ClusterSnapshot cluster = two_pods();
  const ClusterPods of_a{{}, LabelSelector{{{"app", "a"}}, {}}};
  const ClusterPods of_b{{}, LabelSelector{{{"app", "b"}}, {}}};
  auto one = policy("one", {});
  auto two = policy("two", {});
  one.subject = two.subject = of_a;
  cluster.cluster_network_policies = {{"one", one}, {"two", two}};
  EXPECT_EQ(policy_warnings(cluster),
            std::vector<std::string>{"ClusterNetworkPolicies one and two both have priority 0 in one tier and select "
                                     "x/a: where they disagree, Deny goes before Accept before Pass"});
  auto of_another_kind = two;
  of_another_kind.name = "AdminNetworkPolicy/two";
  cluster.cluster_network_policies = {{"one", one}, {of_another_kind.name, of_another_kind}};
  EXPECT_EQ(policy_warnings(cluster),
            std::vector<std::string>{"AdminNetworkPolicy two and ClusterNetworkPolicy one both have priority 0 in one "
                                     "tier and select x/a: where they disagree, Deny goes before Accept before Pass"});
  cluster.cluster_network_policies.erase(of_another_kind.name);
  two.subject = of_b;
  cluster.cluster_network_policies["two"] = two;
  EXPECT_TRUE(policy_warnings(cluster).empty()) << "no pod is in both";
  two.subject = of_a;
  two.tier = Tier::baseline;
  cluster.cluster_network_policies["two"] = two;
  EXPECT_TRUE(policy_warnings(cluster).empty()) << "tiers are read one after the other";

  one.egress = {rule(Action::accept, {ClusterDomainNames{{"example.com"}}})};
  one.ingress = {rule(Action::accept, {UnknownPeer{{"zones"}}}), rule(Action::pass, {of_a, UnknownPeer{}})};
  cluster.cluster_network_policies = {{"one", one}};
  EXPECT_EQ(policy_warnings(cluster),
            (std::vector<std::string>{
                "ClusterNetworkPolicy one ingress rule 1: a peer of an unknown kind (zones): the rule matches nothing",
                "ClusterNetworkPolicy one ingress rule 2: a peer of an unknown kind (no field): the rule denies every "
                "peer",
                "ClusterNetworkPolicy one egress rule 1: domainNames are not enforced, they match nothing"}));
}

}  // namespace
}  // namespace postern::cluster_policies_test
