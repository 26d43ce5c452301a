// SPDX-License-Identifier: Apache-2.0
// What explain says of an end is what the resolved rules say of it: random small clusters, every pair
// in every family both have, every Service, a few ports and protocols; policies as they are written, and
// as the PolicyEndpoints that they resolve to. A failure prints the seed that repeats it.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <string_view>

#include "engine/base/prng.h"
#include "engine/explain/explain.h"
#include "engine/policy/to_policy_endpoints.h"
#include "engine/policy/judge.h"

namespace postern {
namespace {

constexpr const char* kNamespaces[] = {"x", "y"};
constexpr const char* kValues[] = {"a", "b", "c"};
constexpr const char* kPortNames[] = {"http", "dns"};
constexpr Protocol kProtocols[] = {Protocol::tcp, Protocol::udp};
constexpr IpFamily kFamilies[] = {IpFamily::v4, IpFamily::v6};

IpAddress v6(std::uint8_t net, std::uint32_t host) {
  return IpAddress::v6({0xfd, net, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, static_cast<std::uint8_t>(host)});
}

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
      cluster.nodes[name] = {
          name, {}, {{"InternalIP", IpAddress::v4(0xac120000u + 10 + i)}, {"InternalIP", v6(1, 10 + i)}}};
    }
    for (std::uint32_t i = 0; i < 5; ++i) add_pod(cluster, i);
    const auto policies = below(4);
    for (std::uint64_t i = 0; i < policies; ++i) add_policy(cluster, static_cast<std::uint32_t>(i));
    for (std::uint32_t i = 0; i < 2; ++i) add_service(cluster, i);
    const auto cluster_policies = one_in(2) ? 0 : below(4);
    for (std::uint64_t i = 0; i < cluster_policies; ++i) add_cluster_policy(cluster, i);
    if (one_in(2)) annotate_some(cluster);
    return cluster;
  }

  std::uint64_t below(std::uint64_t bound) { return prng_.below(bound); }

 private:
  bool one_in(std::uint64_t n) { return below(n) == 0; }
  std::string value() { return kValues[below(3)]; }

  // Enforcement by namespace, and audit (R44, R45).
  void annotate_some(ClusterSnapshot& cluster) {
    for (auto& [name, ns] : cluster.namespaces) {
      for (auto& direction : ns.enforcement) {
        if (one_in(3)) direction = one_in(2) ? Enforcement::strict : Enforcement::standard;
      }
      ns.audit = one_in(4);
    }
    for (auto& [key, policy] : cluster.network_policies) policy.audit = one_in(3);
    for (auto& [name, policy] : cluster.cluster_network_policies) policy.audit = one_in(3);
  }

  void add_pod(ClusterSnapshot& cluster, std::uint32_t index) {
    Pod pod;
    pod.key = {kNamespaces[below(2)], "p" + std::to_string(index)};
    pod.labels = {{"app", value()}};
    if (one_in(2)) pod.labels["tier"] = value();
    pod.node_name = "n" + std::to_string(below(2));
    pod.addresses = {IpAddress::v4(0x0a000000u + 1 + index), v6(0, 1 + index)};
    if (one_in(8)) {
      pod.host_network = true;
      pod.addresses = {*cluster.nodes[pod.node_name].internal_ip(IpFamily::v4),
                       *cluster.nodes[pod.node_name].internal_ip(IpFamily::v6)};
    }
    if (one_in(4)) pod.addresses.erase(pod.addresses.begin() + static_cast<std::ptrdiff_t>(below(2)));
    pod.ready = !one_in(8);
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
      if (one_in(3)) block = {Cidr(v6(0, 0), static_cast<int>(124 + below(3))), {Cidr(v6(0, 2), 127)}};
      if (one_in(6)) block = {Cidr(one_in(2) ? IpAddress::v4(0x0a600000u) : v6(0x96, 0), 12), {}};
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

  ClusterPeer cluster_peer(bool egress) {
    switch (below(egress ? 8 : 5)) {
      case 0: return UnknownPeer{};
      case 1:
      case 2: return ClusterPods{{}, selector()};
      case 5: return ClusterNodes{};
      case 6: return ClusterNetworks{{Cidr(IpAddress::v4(0x0a000000u), static_cast<int>(28 + below(4))),
                                       Cidr(v6(0, 0), 125)}};
      case 7: return ClusterDomainNames{{"example.com"}};
      default: return ClusterPods{LabelSelector{{{"team", value()}}, {}}, {}};
    }
  }

  std::vector<ClusterRule> cluster_rules(bool egress) {
    std::vector<ClusterRule> rules(below(4));
    for (auto& rule : rules) {
      rule.action = static_cast<Action>(below(3));
      for (auto i = 1 + below(2); i > 0; --i) rule.peers.push_back(cluster_peer(egress));
      for (auto i = below(3); i > 0; --i) {
        const auto low = static_cast<std::uint16_t>(80 + below(2));
        const PortRange range{low, static_cast<std::uint16_t>(low + below(2))};
        if (one_in(2)) rule.protocols.emplace_back(NamedPort{kPortNames[below(2)]});
        else rule.protocols.emplace_back(ProtocolPorts{kProtocols[below(2)], range});
      }
    }
    return rules;
  }

  void add_cluster_policy(ClusterSnapshot& cluster, std::uint64_t index) {
    ClusterNetworkPolicy policy;
    policy.name = "cnp" + std::to_string(index);
    policy.tier = one_in(2) ? Tier::admin : Tier::baseline;
    policy.priority = static_cast<std::uint32_t>(below(2));
    policy.subject.pods = selector();
    policy.ingress = cluster_rules(false);
    policy.egress = cluster_rules(true);
    cluster.cluster_network_policies[policy.name] = policy;
  }

  void add_service(ClusterSnapshot& cluster, std::uint32_t index) {
    Service service;
    service.key = {kNamespaces[below(2)], "s" + std::to_string(index)};
    service.selector = Labels{{"app", value()}};
    service.cluster_ips = {IpAddress::v4(0x0a600001u + index), v6(0x96, 1 + index)};
    service.ports = {{"a", kProtocols[below(2)], static_cast<std::uint16_t>(80 + below(2)), target()},
                     {"b", kProtocols[below(2)], static_cast<std::uint16_t>(82 + below(2)), target()}};
    cluster.services[service.key] = service;
  }

  IntOrString target() {
    if (one_in(2)) return std::string(kPortNames[below(2)]);
    return static_cast<std::uint16_t>(80 + below(2));
  }

  Prng prng_;
};

TrafficEnd pod_end(const Pod& pod, IpFamily family) {
  TrafficEnd end;
  end.kind = TrafficEnd::Kind::pod;
  end.pod = pod.key;
  end.address = pod.address(family);
  return end;
}

// How a seed's cluster is enforced.
struct Enforced {
  ClusterSnapshot cluster;
  bool strict = false;
  std::optional<ServiceIpBlocks> service_ip_blocks{};
};

Enforced enforced(ClusterSnapshot cluster, std::uint64_t seed) {
  Enforced out{std::move(cluster), seed % 5 == 0};
  if (seed % 4 == 1) out.service_ip_blocks = ServiceIpBlocks::meaning;
  if (seed % 4 == 2) out.service_ip_blocks = ServiceIpBlocks::compat;
  if (seed % 3 != 0) return out;
  for (auto& [key, policy] : out.cluster.network_policies) policy.audit = false;  // a namespace can be alone
  const auto slices = to_policy_endpoints(out.cluster, {2, ""});
  EXPECT_TRUE(slices.has_value());
  for (const auto& slice : *slices) out.cluster.policy_endpoints[slice.key] = slice;
  out.cluster.network_policies.clear();
  return out;
}

struct Asked {
  IpAddress peer;
  std::uint8_t protocol = 0;
  std::uint16_t port = 0;
};

// What the engine says of a live pod's end, of a resolve made for that pod's node alone.
struct Said {
  bool judged = false;  // else the step is what would be said
  std::uint32_t step = 0;
};
Said engine_says(const Enforced& world, const Pod& pod, Direction direction,
                                              const Asked& asked) {
  const ClusterSnapshot& cluster = world.cluster;
  const LocalEndpoint endpoint{EndpointId{1}, 7, pod.key};
  ResolveOptions options;
  options.strict = world.strict;
  options.service_ip_blocks = world.service_ip_blocks;
  for (const auto& entry : cluster.nodes.at(pod.node_name).addresses)
    options.own_node.push_back(entry.address);
  RuleRegistry rules;
  const auto resolved = resolve(cluster, std::span(&endpoint, 1), options, rules);
  if (!resolved) {
    ADD_FAILURE() << resolved.error().to_string();
    return {};
  }
  const EndpointPolicy& end = resolved->endpoints.front();
  return {end.at(direction).judged(),
          judge(*resolved, end, direction, asked.peer, asked.protocol, asked.port)};
}

// What would be denied is so for the reason that the end's own denial gives.
void expect_same_denial(const EndExplanation& end, std::uint32_t step, const std::string& where) {
  const bool would_deny = pn_step_reason(step) == PN_REASON_WOULD_DENY;
  ASSERT_EQ(end.would_deny != nullptr, would_deny) << where;
  if (!would_deny) return;
  const auto reason = pn_step_said_reason(step);
  if (reason != PN_REASON_NONE) {
    ASSERT_EQ(end.would_deny->reason, reason) << where;
  } else {
    ASSERT_EQ(reason_name(end.would_deny->reason), "denied") << where;
  }
}

TEST(ExplainAgrees, EveryPairOfRandomClustersGetsTheEnginesVerdict) {
  std::size_t compared = 0;
  std::size_t denied = 0;
  std::size_t would_deny = 0;
  for (std::uint64_t seed = 1; seed <= 400; ++seed) {
    RandomCluster random(seed);
    const Enforced world = enforced(random.make(), seed);
    const ClusterSnapshot& cluster = world.cluster;
    for (const auto& [from_key, from] : cluster.pods) {
      for (const auto& [to_key, to] : cluster.pods) {
        const auto family = kFamilies[random.below(2)];
        if (from_key == to_key || !from.live() || !to.live()) continue;
        if (!from.address(family) || !to.address(family)) continue;
        const auto protocol =
            static_cast<std::uint8_t>(random.below(5) == 0 ? Protocol::icmp : kProtocols[random.below(2)]);
        const auto port = static_cast<std::uint16_t>(79 + random.below(5));
        const auto explanation =
            explain(cluster, {pod_end(from, family), pod_end(to, family), protocol, port, world.strict,
                              world.service_ip_blocks});
        ASSERT_TRUE(explanation.has_value());
        const std::string where = "seed " + std::to_string(seed) + ": " + to_text(*explanation);
        if (!from.host_network) {
          const auto step =
              engine_says(world, from, Direction::egress, {*to.address(family), protocol, port}).step;
          ASSERT_EQ(explanation->egress.allowed, pn_step_allows(step) != 0) << where;
          ASSERT_EQ(explanation->egress.reason, pn_step_reason(step)) << where;
          expect_same_denial(explanation->egress, step, where);
          would_deny += explanation->egress.would_deny ? 1u : 0u;
          ++compared;
          denied += pn_step_allows(step) ? 0u : 1u;
        }
        if (!to.host_network) {
          const auto step =
              engine_says(world, to, Direction::ingress, {*from.address(family), protocol, port}).step;
          ASSERT_EQ(explanation->ingress.allowed, pn_step_allows(step) != 0) << where;
          ASSERT_EQ(explanation->ingress.reason, pn_step_reason(step)) << where;
          expect_same_denial(explanation->ingress, step, where);
          would_deny += explanation->ingress.would_deny ? 1u : 0u;
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
  EXPECT_GT(would_deny, compared / 50);
}

// The client's end of a Service; its backends' ends are held by the law above.
TEST(ExplainAgrees, EveryServiceOfRandomClustersGetsTheEnginesVerdict) {
  std::map<std::string_view, std::size_t> reasons;
  for (std::uint64_t seed = 1; seed <= 1500; ++seed) {
    RandomCluster random(seed);
    const Enforced world = enforced(random.make(), seed);
    const ClusterSnapshot& cluster = world.cluster;
    for (const auto& [from_key, from] : cluster.pods) {
      for (const auto& [key, service] : cluster.services) {
        const auto family = kFamilies[random.below(2)];
        const auto protocol =
            static_cast<std::uint8_t>(random.below(5) == 0 ? Protocol::icmp : kProtocols[random.below(2)]);
        const auto port = static_cast<std::uint16_t>(80 + random.below(4));
        if (!from.live() || !from.address(family) || from.host_network) continue;
        TrafficEnd to;
        to.address = service.cluster_ips[family == IpFamily::v4 ? 0 : 1];
        const auto explanation = explain(
            cluster, {pod_end(from, family), to, protocol, port, world.strict, world.service_ip_blocks});
        ASSERT_TRUE(explanation.has_value());
        const std::string where = "seed " + std::to_string(seed) + ": " + to_text(*explanation);
        ASSERT_EQ(explanation->service, "Service " + key.to_string()) << where;
        // Where no egress is judged a Service without backend is left to the network.
        const auto said = engine_says(world, from, Direction::egress, {*to.address, protocol, port});
        const auto step = said.step;
        if (!said.judged) {
          ASSERT_TRUE(explanation->egress.allowed) << where;
          ++reasons["not judged"];
          continue;
        }
        ASSERT_EQ(explanation->egress.allowed, pn_step_allows(step) != 0) << where;
        expect_same_denial(explanation->egress, step, where);
        ++reasons[reason_name(pn_step_reason(step))];
        // Where only what is in audit judges, the tables do not ask the backends why they are allowed.
        if (pn_step_reason(step) == PN_REASON_NOT_ISOLATED) continue;
        ASSERT_EQ(reason_name(explanation->egress.reason), reason_name(pn_step_reason(step))) << where;
      }
    }
  }
  for (const auto* reason : {"not judged", "rule", "isolated", "self", "own-node", "strict",
                             "backends-differ", "no-backend", "denied", "would-deny"}) {
    EXPECT_GT(reasons[reason], 5u) << reason;
  }
}

}  // namespace
}  // namespace postern
