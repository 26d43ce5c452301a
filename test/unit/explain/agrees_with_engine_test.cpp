// SPDX-License-Identifier: Apache-2.0
// What explain says of an end is what the resolved rules say of it: random small clusters, every pair,
// a few ports and protocols. A failure prints the seed that repeats it.
#include <gtest/gtest.h>

#include "engine/base/prng.h"
#include "engine/explain/explain.h"
#include "test/support/judge.h"

namespace postern {
namespace {

constexpr const char* kNamespaces[] = {"x", "y"};
constexpr const char* kValues[] = {"a", "b", "c"};
constexpr const char* kPortNames[] = {"http", "dns"};
constexpr Protocol kProtocols[] = {Protocol::tcp, Protocol::udp};

class RandomCluster {
 public:
  explicit RandomCluster(std::uint64_t seed) : prng_(seed) {}

  ClusterSnapshot make() {
    ClusterSnapshot cluster;
    for (const auto* ns : kNamespaces) {
      cluster.namespaces[ns] = {ns, {{kNamespaceNameLabel, ns}, {"team", value()}}, {}};
    }
    for (std::uint32_t i = 0; i < 2; ++i) {
      const std::string name = "n" + std::to_string(i);
      cluster.nodes[name] = {name, {}, {{"InternalIP", IpAddress::v4(0xac120000u + 10 + i)}}};
    }
    for (std::uint32_t i = 0; i < 5; ++i) add_pod(cluster, i);
    const auto policies = below(4);
    for (std::uint64_t i = 0; i < policies; ++i) add_policy(cluster, static_cast<std::uint32_t>(i));
    return cluster;
  }

  std::uint64_t below(std::uint64_t bound) { return prng_.below(bound); }

 private:
  bool one_in(std::uint64_t n) { return below(n) == 0; }
  std::string value() { return kValues[below(3)]; }

  void add_pod(ClusterSnapshot& cluster, std::uint32_t index) {
    Pod pod;
    pod.key = {kNamespaces[below(2)], "p" + std::to_string(index)};
    pod.labels = {{"app", value()}};
    if (one_in(2)) pod.labels["tier"] = value();
    pod.node_name = "n" + std::to_string(below(2));
    pod.addresses = {IpAddress::v4(0x0a000000u + 1 + index)};
    if (one_in(8)) {
      pod.host_network = true;
      pod.addresses = {*cluster.nodes[pod.node_name].internal_ip(IpFamily::v4)};
    }
    if (one_in(10)) pod.phase = PodPhase::succeeded;
    const auto ports = below(3);
    for (std::uint64_t i = 0; i < ports; ++i) {
      pod.ports.push_back(
          {kPortNames[below(2)], static_cast<std::uint16_t>(80 + below(2)), kProtocols[below(2)]});
    }
    cluster.pods[pod.key] = pod;
  }

  LabelSelector selector() {
    LabelSelector selector;
    if (one_in(3)) return selector;
    if (one_in(2)) selector.match_labels["app"] = value();
    if (one_in(2)) {
      LabelRequirement requirement{one_in(2) ? "tier" : "app", static_cast<SelectorOperator>(below(4)), {}};
      if (requirement.op == SelectorOperator::in || requirement.op == SelectorOperator::not_in) {
        requirement.values = {value()};
      }
      selector.match_expressions.push_back(requirement);
    }
    return selector;
  }

  PolicyPeer peer() {
    if (one_in(3)) {
      IpBlock block{Cidr(IpAddress::v4(0x0a000000u), static_cast<int>(24 + below(7))), {}};
      if (one_in(2))
        block.excepts.push_back(Cidr(IpAddress::v4(0x0a000000u + static_cast<std::uint32_t>(below(6))), 31));
      if (one_in(4)) block.cidr = Cidr(IpAddress::v4(0xac120000u), 16);
      return block;
    }
    PodPeer pods;
    if (one_in(2)) {
      pods.namespaces = LabelSelector{};
      if (one_in(2)) pods.namespaces->match_labels["team"] = value();
    }
    if (!pods.namespaces || one_in(2)) pods.pods = selector();
    return pods;
  }

  PolicyPort port() {
    PolicyPort entry{kProtocols[below(2)], {}};
    if (one_in(3)) entry.port = std::string(kPortNames[below(2)]);
    else if (one_in(2)) {
      const auto low = static_cast<std::uint16_t>(80 + below(2));
      entry.port = PortRange{low, static_cast<std::uint16_t>(low + below(2))};
    }
    return entry;
  }

  std::vector<PolicyRule> rules() {
    std::vector<PolicyRule> rules(below(3));
    for (auto& rule : rules) {
      for (auto i = below(3); i > 0; --i) rule.peers.push_back(peer());
      for (auto i = below(3); i > 0; --i) rule.ports.push_back(port());
    }
    return rules;
  }

  void add_policy(ClusterSnapshot& cluster, std::uint32_t index) {
    NetworkPolicy policy;
    policy.key = {kNamespaces[below(2)], "np" + std::to_string(index)};
    policy.pod_selector = selector();
    policy.isolates_ingress = !one_in(4);
    policy.isolates_egress = one_in(2);
    policy.ingress = rules();
    policy.egress = rules();
    cluster.network_policies[policy.key] = policy;
  }

  Prng prng_;
};

// What the engine says of a live pod's end, of a resolve made for that pod's node alone.
std::uint32_t engine_says(const ClusterSnapshot& cluster, const Pod& pod, Direction direction,
                          const IpAddress& peer, std::uint8_t protocol, std::uint16_t port, bool strict) {
  const LocalEndpoint endpoint{EndpointId{1}, 7, pod.key};
  ResolveOptions options;
  options.strict = strict;
  for (const auto& entry : cluster.nodes.at(pod.node_name).addresses)
    options.own_node.push_back(entry.address);
  RuleRegistry rules;
  const auto resolved = resolve(cluster, std::span(&endpoint, 1), options, rules);
  if (!resolved) {
    ADD_FAILURE() << resolved.error().to_string();
    return 0;
  }
  return judge(*resolved, resolved->endpoints.front(), direction, peer, protocol, port);
}

TEST(ExplainAgrees, EveryPairOfRandomClustersGetsTheEnginesVerdict) {
  std::size_t compared = 0;
  std::size_t denied = 0;
  for (std::uint64_t seed = 1; seed <= 400; ++seed) {
    RandomCluster random(seed);
    const auto cluster = random.make();
    const bool strict = seed % 5 == 0;
    for (const auto& [from_key, from] : cluster.pods) {
      for (const auto& [to_key, to] : cluster.pods) {
        if (from_key == to_key || !from.live() || !to.live()) continue;
        const auto protocol =
            static_cast<std::uint8_t>(random.below(5) == 0 ? Protocol::icmp : kProtocols[random.below(2)]);
        const auto port = static_cast<std::uint16_t>(79 + random.below(5));
        TrafficEnd from_end;
        from_end.kind = TrafficEnd::Kind::pod;
        from_end.pod = from_key;
        TrafficEnd to_end = from_end;
        to_end.pod = to_key;
        const auto explanation = explain(cluster, {from_end, to_end, protocol, port, strict});
        ASSERT_TRUE(explanation.has_value());
        const std::string where = "seed " + std::to_string(seed) + ": " + to_text(*explanation);
        if (!from.host_network) {
          const auto step =
              engine_says(cluster, from, Direction::egress, to.addresses.front(), protocol, port, strict);
          ASSERT_EQ(explanation->egress.allowed, pn_step_allows(step) != 0) << where;
          ASSERT_EQ(reason_name(explanation->egress.reason), reason_name(pn_step_reason(step))) << where;
          ++compared;
          denied += pn_step_allows(step) ? 0u : 1u;
        }
        if (!to.host_network) {
          const auto step =
              engine_says(cluster, to, Direction::ingress, from.addresses.front(), protocol, port, strict);
          ASSERT_EQ(explanation->ingress.allowed, pn_step_allows(step) != 0) << where;
          ASSERT_EQ(reason_name(explanation->ingress.reason), reason_name(pn_step_reason(step))) << where;
          ++compared;
          denied += pn_step_allows(step) ? 0u : 1u;
        }
      }
    }
  }
  // Both verdicts must have been met often, or the clusters say nothing.
  EXPECT_GT(compared, 5000u);
  EXPECT_GT(denied, compared / 10);
  EXPECT_LT(denied, compared * 9 / 10);
}

}  // namespace
}  // namespace postern
