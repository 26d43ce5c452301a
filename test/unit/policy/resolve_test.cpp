// SPDX-License-Identifier: Apache-2.0
// Each ruling that the resolver decides, as rows of questions to one small cluster:
//
//   namespace x: a (app=a, 10.0.0.1), b (app=b, 10.0.0.2), host (hostNetwork, on 10.9.0.7),
//                done (Succeeded, 10.0.0.2 before b had it), waiting (no address)
//   namespace y: c (app=c, 10.0.1.3), d (app=d, 10.0.1.4)
//   own node 10.9.0.1
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "engine/policy/resolve.h"
#include "engine/policy/judge.h"

namespace postern::resolve_test {
namespace {

IpAddress ip(const std::string& text) { return *IpAddress::parse(text); }
Cidr cidr(const std::string& text) { return *Cidr::parse(text); }

Pod pod(const std::string& ns, const std::string& name, const std::string& address) {
  Pod out;
  out.key = {ns, name};
  out.labels = {{"app", name}, {"tier", ns == "x" ? "front" : "back"}};
  if (!address.empty()) out.addresses = {ip(address)};
  return out;
}

ClusterSnapshot small_cluster() {
  ClusterSnapshot cluster;
  cluster.namespaces["x"] = {"x", {{kNamespaceNameLabel, "x"}, {"team", "red"}}, {}};
  const auto add = [&](Pod added) { cluster.pods[added.key] = added; };
  Pod a = pod("x", "a", "10.0.0.1");
  a.ports = {{"web", 80, Protocol::tcp}, {"dns", 53, Protocol::udp}, {"web", 8080, Protocol::tcp}};
  add(a);
  Pod b = pod("x", "b", "10.0.0.2");
  b.ports = {{"web", 81, Protocol::tcp}};
  add(b);
  Pod host = pod("x", "host", "10.9.0.7");
  host.host_network = true;
  host.ports = {{"web", 90, Protocol::tcp}};
  add(host);
  Pod done = pod("x", "done", "10.0.0.2");
  done.phase = PodPhase::succeeded;
  done.labels["finished"] = "yes";
  add(done);
  add(pod("x", "waiting", ""));
  Pod c = pod("y", "c", "10.0.1.3");
  c.ports = {{"web", 82, Protocol::tcp}, {"web", 53, Protocol::udp}};
  add(c);
  add(pod("y", "d", "10.0.1.4"));
  return cluster;
}

LabelSelector app(const std::string& value) { return {{{"app", value}}, {}}; }
PodPeer pods(const LabelSelector& selector) { return {std::nullopt, selector}; }
PolicyPort port(std::uint16_t number, Protocol protocol = Protocol::tcp) {
  return {protocol, PortRange{number, number}};
}
PolicyPort named(const std::string& name, Protocol protocol = Protocol::tcp) { return {protocol, name}; }

NetworkPolicy policy(const std::string& ns, const std::string& name) {
  NetworkPolicy out;
  out.key = {ns, name};
  out.isolates_ingress = true;
  return out;
}

NetworkPolicy ingress(std::vector<PolicyRule> rules) {
  NetworkPolicy out = policy("x", "in");
  out.ingress = std::move(rules);
  return out;
}

NetworkPolicy egress(std::vector<PolicyRule> rules) {
  NetworkPolicy out = policy("x", "out");
  out.isolates_ingress = false;
  out.isolates_egress = true;
  out.egress = std::move(rules);
  return out;
}

struct Ask {
  std::string pod;  // of namespace x unless it says otherwise
  Direction direction = Direction::ingress;
  std::string peer;
  Protocol protocol = Protocol::tcp;
  std::uint16_t port = 80;
  std::uint32_t reason = PN_REASON_RULE;
};

struct Row {
  std::string name;
  std::vector<NetworkPolicy> policies;
  std::vector<Ask> asks;
  std::function<void(ClusterSnapshot&, ResolveOptions&)> change = [](ClusterSnapshot&, ResolveOptions&) {};
};

constexpr auto kIn = Direction::ingress;
constexpr auto kOut = Direction::egress;
constexpr auto kTcp = Protocol::tcp;
constexpr auto kUdp = Protocol::udp;
constexpr std::uint32_t kRule = PN_REASON_RULE;
constexpr std::uint32_t kIsolated = PN_REASON_ISOLATED;
constexpr std::uint32_t kOpen = PN_REASON_NOT_ISOLATED;

IpBlock block(const std::string& network, std::vector<std::string> excepts = {}) {
  IpBlock out{cidr(network), {}};
  for (const auto& except : excepts) out.excepts.push_back(cidr(except));
  return out;
}

std::vector<Row> rows() {
  NetworkPolicy only_a = ingress({});
  only_a.pod_selector = app("a");
  NetworkPolicy of_y = ingress({PolicyRule{{}, {}}});
  of_y.key.ns = "y";
  NetworkPolicy both = ingress({PolicyRule{{pods(app("b"))}, {}}});
  both.isolates_egress = true;
  NetworkPolicy second = ingress({PolicyRule{{pods(app("b"))}, {}}});
  second.key.name = "second";
  PodPeer red{LabelSelector{{{"team", "red"}}, {}}, std::nullopt};
  PodPeer named_y{LabelSelector{{{kNamespaceNameLabel, "y"}}, {}}, app("c")};
  PodPeer everywhere{LabelSelector{}, std::nullopt};
  PodPeer front{std::nullopt, LabelSelector{{}, {{"tier", SelectorOperator::not_in, {"back"}}}}};

  return {
      {"R2: the own node comes in whatever policy says",
       {ingress({})},
       {{"a", kIn, "10.9.0.1", kTcp, 80, PN_REASON_OWN_NODE}}},
      {"R2: a NetworkPolicy cannot deny egress to the own node",
       {egress({})},
       {{"a", kOut, "10.9.0.1", kTcp, 80, PN_REASON_OWN_NODE}}},
      {"R2b: another node is an ordinary address",
       {ingress({PolicyRule{{block("10.9.0.2/32")}, {}}})},
       {{"a", kIn, "10.9.0.2", kTcp, 80, kRule}, {"a", kIn, "10.9.0.3", kTcp, 80, kIsolated}}},
      {"R3: a hostNetwork pod is no subject",
       {ingress({})},
       {{"host", kIn, "10.0.0.1", kTcp, 80, kOpen}, {"a", kIn, "10.0.0.2", kTcp, 80, kIsolated}}},
      {"R3: no pod selector matches a hostNetwork pod",
       {ingress({PolicyRule{{everywhere}, {}}})},
       {{"a", kIn, "10.9.0.7", kTcp, 80, kIsolated}, {"a", kIn, "10.0.1.3", kTcp, 80, kRule}}},
      {"R4: a block matches pods too",
       {ingress({PolicyRule{{block("10.0.1.0/24")}, {}}})},
       {{"a", kIn, "10.0.1.3", kTcp, 80, kRule}}},
      {"R5: an except is no deny",
       {ingress({PolicyRule{{block("10.0.0.0/16", {"10.0.1.0/24"}), pods(app("b"))}, {}},
                 PolicyRule{{block("10.0.1.3/32")}, {}}})},
       {{"a", kIn, "10.0.1.3", kTcp, 80, kRule},
        {"a", kIn, "10.0.1.4", kTcp, 80, kIsolated},
        {"a", kIn, "10.0.0.9", kTcp, 80, kRule}}},
      {"R5: excepts overlap, repeat and nest",
       {ingress({PolicyRule{{block("10.0.0.0/8", {"10.1.0.0/16", "10.1.2.0/24", "10.1.0.0/16"})}, {}}})},
       {{"a", kIn, "10.1.2.3", kTcp, 80, kIsolated},
        {"a", kIn, "10.1.3.3", kTcp, 80, kIsolated},
        {"a", kIn, "10.2.0.0", kTcp, 80, kRule}}},
      {"R6: host bits are masked",
       {ingress({PolicyRule{{block("10.0.1.77/24")}, {}}})},
       {{"a", kIn, "10.0.1.3", kTcp, 80, kRule}}},
      {"R9: a named port at ingress is the subject's own",
       {ingress({PolicyRule{{}, {named("web")}}})},
       {{"b", kIn, "10.0.1.3", kTcp, 81, kRule},
        {"b", kIn, "10.0.1.3", kTcp, 80, kIsolated},
        {"a", kIn, "10.0.1.3", kTcp, 81, kIsolated}}},
      {"R9: with the protocol of the entry",
       {ingress({PolicyRule{{}, {named("dns", kUdp), named("dns")}}})},
       {{"a", kIn, "10.0.1.3", kUdp, 53, kRule}, {"a", kIn, "10.0.1.3", kTcp, 53, kIsolated}}},
      {"R10: a named port at egress is each destination's",
       {egress({PolicyRule{{everywhere}, {named("web")}}})},
       {{"a", kOut, "10.0.1.3", kTcp, 82, kRule},
        {"a", kOut, "10.0.0.2", kTcp, 81, kRule},
        {"a", kOut, "10.0.0.2", kTcp, 82, kIsolated},
        {"a", kOut, "10.0.1.3", kUdp, 53, kIsolated}}},
      {"R10: also with an empty to, and only at pods",
       {egress({PolicyRule{{}, {named("web")}}})},
       {{"a", kOut, "10.0.1.3", kTcp, 82, kRule},
        {"a", kOut, "10.9.0.7", kTcp, 90, kIsolated},
        {"a", kOut, "8.8.8.8", kTcp, 82, kIsolated}}},
      {"R10: also for pods inside a block",
       {egress({PolicyRule{{block("10.0.0.0/16", {"10.0.0.0/24"})}, {named("web")}}})},
       {{"a", kOut, "10.0.1.3", kTcp, 82, kRule},
        {"a", kOut, "10.0.0.2", kTcp, 81, kIsolated},
        {"a", kOut, "10.0.1.9", kTcp, 82, kIsolated}}},
      {"R10: beside a numeric port",
       {egress({PolicyRule{{}, {named("web"), port(443)}}})},
       {{"a", kOut, "8.8.8.8", kTcp, 443, kRule},
        {"a", kOut, "10.0.1.3", kTcp, 443, kRule},
        {"a", kOut, "10.0.1.3", kTcp, 82, kRule}}},
      {"R11: no rules allow nothing", {ingress({})}, {{"a", kIn, "10.0.0.2", kTcp, 80, kIsolated}}},
      {"R11: no peers and no ports restrict nothing",
       {ingress({PolicyRule{{}, {}}})},
       {{"a", kIn, "8.8.8.8", Protocol::icmp, 0, kRule}}},
      {"R12: a policy for ingress leaves egress alone",
       {ingress({})},
       {{"a", kOut, "8.8.8.8", kTcp, 80, kOpen}}},
      {"R12: a policy for both isolates both",
       {both},
       {{"a", kOut, "8.8.8.8", kTcp, 80, kIsolated}, {"a", kIn, "10.0.0.2", kTcp, 80, kRule}}},
      {"R13: an entry without a port is every port of its protocol",
       {ingress({PolicyRule{{}, {{kTcp, std::nullopt}}}})},
       {{"a", kIn, "8.8.8.8", kTcp, 65535, kRule},
        {"a", kIn, "8.8.8.8", kTcp, 0, kRule},
        {"a", kIn, "8.8.8.8", kUdp, 80, kIsolated}}},
      {"R17: rules with ports say nothing about ICMP",
       {ingress({PolicyRule{{}, {port(80)}}})},
       {{"a", kIn, "8.8.8.8", Protocol::icmp, 0, kIsolated}}},
      {"R22: SCTP is its own protocol",
       {ingress({PolicyRule{{}, {port(80, Protocol::sctp)}}})},
       {{"a", kIn, "8.8.8.8", Protocol::sctp, 80, kRule}, {"a", kIn, "8.8.8.8", kTcp, 80, kIsolated}}},
      {"R23: a finished pod is no peer",
       {ingress({PolicyRule{{pods(LabelSelector{{{"finished", "yes"}}, {}})}, {}}})},
       {{"a", kIn, "10.0.0.2", kTcp, 80, kIsolated}}},
      {"R23: its address belongs to who has it now",
       {ingress({PolicyRule{{pods(app("b"))}, {}}})},
       {{"a", kIn, "10.0.0.2", kTcp, 80, kRule}}},
      {"R23: a finished pod is no subject", {ingress({})}, {{"done", kIn, "10.0.0.1", kTcp, 80, kOpen}}},
      {"R24: a pod without an address is no subject",
       {ingress({})},
       {{"waiting", kIn, "10.0.0.1", kTcp, 80, kOpen}}},
      {"R25: strict shuts what no tier decides",
       {},
       {{"a", kIn, "10.0.0.2", kTcp, 80, PN_REASON_STRICT},
        {"a", kOut, "10.0.0.2", kTcp, 80, PN_REASON_STRICT},
        {"a", kOut, "10.9.0.1", kTcp, 80, PN_REASON_OWN_NODE}},
       [](ClusterSnapshot&, ResolveOptions& options) { options.strict = true; }},
      {"R25: policies are judged as ever under strict",
       {ingress({PolicyRule{{pods(app("b"))}, {}}})},
       {{"a", kIn, "10.0.0.2", kTcp, 80, kRule},
        {"a", kIn, "10.0.1.3", kTcp, 80, kIsolated},
        {"a", kOut, "10.0.1.3", kTcp, 80, PN_REASON_STRICT}},
       [](ClusterSnapshot&, ResolveOptions& options) { options.strict = true; }},
      {"R25: a pod nobody knows yet is strict too",
       {},
       {{"unknown", kIn, "10.0.0.2", kTcp, 80, PN_REASON_STRICT}},
       [](ClusterSnapshot&, ResolveOptions& options) { options.strict = true; }},
      {"R27: labels are identity, not names",
       {ingress({PolicyRule{{pods(app("b"))}, {}}})},
       {{"a", kIn, "10.0.0.2", kTcp, 80, kIsolated}},
       [](ClusterSnapshot& cluster, ResolveOptions&) {
         cluster.pods.at({"x", "b"}).labels["app"] = "other";
       }},
      {"R34: a namespace that was never applied has its name",
       {ingress({PolicyRule{{named_y}, {}}})},
       {{"a", kIn, "10.0.1.3", kTcp, 80, kRule}, {"a", kIn, "10.0.1.4", kTcp, 80, kIsolated}}},
      {"R35: a port name twice in one pod is both ports",
       {ingress({PolicyRule{{}, {named("web")}}})},
       {{"a", kIn, "10.0.1.3", kTcp, 80, kRule}, {"a", kIn, "10.0.1.3", kTcp, 8080, kRule}}},
      {"R36: 0.0.0.0/0 is no IPv6 address",
       {ingress({PolicyRule{{block("0.0.0.0/0")}, {}}})},
       {{"a", kIn, "8.8.8.8", kTcp, 80, kRule}, {"a", kIn, "2001:db8::1", kTcp, 80, kIsolated}}},
      {"a selector without namespaces stays in its own",
       {ingress({PolicyRule{{pods({})}, {}}})},
       {{"a", kIn, "10.0.0.2", kTcp, 80, kRule}, {"a", kIn, "10.0.1.3", kTcp, 80, kIsolated}}},
      {"a namespace selector alone names every pod there",
       {ingress({PolicyRule{{red}, {}}})},
       {{"a", kIn, "10.0.0.2", kTcp, 80, kRule}, {"a", kIn, "10.0.1.3", kTcp, 80, kIsolated}}},
      {"NotIn matches pods without the label",
       {ingress({PolicyRule{{front}, {}}})},
       {{"a", kIn, "10.0.0.2", kTcp, 80, kRule}},
       [](ClusterSnapshot& cluster, ResolveOptions&) {
         cluster.pods.at({"x", "b"}).labels.clear();
       }},
      {"a policy of another namespace is none of our business",
       {of_y},
       {{"a", kIn, "8.8.8.8", kTcp, 80, kOpen}}},
      {"a policy selects by label",
       {only_a},
       {{"a", kIn, "8.8.8.8", kTcp, 80, kIsolated}, {"b", kIn, "8.8.8.8", kTcp, 80, kOpen}}},
      {"policies add up",
       {only_a, second},
       {{"a", kIn, "10.0.0.2", kTcp, 80, kRule}, {"a", kIn, "10.0.1.3", kTcp, 80, kIsolated}}},
      {"a range includes both ends",
       {ingress({PolicyRule{{}, {{kTcp, PortRange{100, 200}}}}})},
       {{"a", kIn, "8.8.8.8", kTcp, 100, kRule},
        {"a", kIn, "8.8.8.8", kTcp, 200, kRule},
        {"a", kIn, "8.8.8.8", kTcp, 99, kIsolated},
        {"a", kIn, "8.8.8.8", kTcp, 201, kIsolated}}},
  };
}

class Ruling : public ::testing::TestWithParam<Row> {};

TEST_P(Ruling, Holds) {
  ClusterSnapshot cluster = small_cluster();
  ResolveOptions options;
  options.own_node = {ip("10.9.0.1")};
  for (const auto& written : GetParam().policies) cluster.network_policies[written.key] = written;
  GetParam().change(cluster, options);
  for (const auto& ask : GetParam().asks) {
    RuleRegistry rules;
    const std::vector<LocalEndpoint> locals{{EndpointId{1}, 7, {"x", ask.pod}}};
    const auto resolved = resolve(cluster, locals, options, rules);
    ASSERT_TRUE(resolved) << resolved.error().message;
    const auto step = judge(*resolved, resolved->endpoints.at(0), ask.direction, ip(ask.peer),
                            static_cast<std::uint8_t>(ask.protocol), ask.port);
    EXPECT_EQ(pn_step_reason(step), ask.reason)
        << ask.pod << " " << to_string(ask.direction) << " " << ask.peer << " " << to_string(ask.protocol)
        << " " << ask.port;
  }
}

INSTANTIATE_TEST_SUITE_P(Rows, Ruling, ::testing::ValuesIn(rows()), [](const auto& row) {
  std::string name;
  for (const char c : row.param.name) name += std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
  return name;
});

std::vector<LocalEndpoint> locals_of_x() {
  return {{EndpointId{1}, 7, {"x", "a"}}, {EndpointId{2}, 8, {"x", "b"}}};
}

TEST(Resolve, RulesAreNumberedAboveThoseOfAnEarlierProcess) {
  ClusterSnapshot cluster = small_cluster();
  const auto policy = ingress({PolicyRule{{}, {port(80)}}, PolicyRule{{}, {port(81)}}});
  cluster.network_policies[policy.key] = policy;
  for (const std::uint32_t last_used : {0u, 7u, PN_RULE_ID_MAX - 2}) {
    RuleRegistry rules(RuleId{last_used});
    const auto resolved = resolve(cluster, locals_of_x(), {}, rules);
    ASSERT_TRUE(resolved);
    std::vector<std::uint32_t> numbers;
    for (const auto& rule : resolved->endpoints[0].at(kIn).rules) numbers.push_back(rule.id.value);
    EXPECT_EQ(numbers, (std::vector<std::uint32_t>{last_used + 1, last_used + 2}));
    EXPECT_EQ(rules.find(RuleId{last_used}), nullptr) << "of the earlier process: not known here";
  }
}

TEST(Resolve, ARuleKeepsItsNumberWhateverComesBeforeIt) {
  ClusterSnapshot cluster = small_cluster();
  RuleRegistry rules;
  const auto second = ingress({PolicyRule{{}, {port(80)}}, PolicyRule{{}, {port(81)}}});
  cluster.network_policies[second.key] = second;
  const auto before = resolve(cluster, locals_of_x(), {}, rules);
  ASSERT_TRUE(before);
  NetworkPolicy first = ingress({PolicyRule{{}, {port(82)}}});
  first.key.name = "a-first";
  cluster.network_policies[first.key] = first;
  const auto after = resolve(cluster, locals_of_x(), {}, rules);
  ASSERT_TRUE(after);
  const auto& old_rules = before->endpoints[0].at(kIn).rules;
  const auto& new_rules = after->endpoints[0].at(kIn).rules;
  ASSERT_EQ(old_rules.size(), 2u);
  ASSERT_EQ(new_rules.size(), 3u);
  EXPECT_EQ(old_rules[0].id, new_rules[0].id);
  EXPECT_EQ(old_rules[1].id, new_rules[1].id);
  const RuleOrigin* origin = rules.find(new_rules[2].id);
  ASSERT_NE(origin, nullptr);
  EXPECT_EQ(origin->policy.key.name, "a-first");
  EXPECT_EQ(rules.find(RuleId{0}), nullptr);
  EXPECT_EQ(rules.find(RuleId{99}), nullptr);
}

TEST(Resolve, NamesThePoliciesThatIsolate) {
  ClusterSnapshot cluster = small_cluster();
  RuleRegistry rules;
  for (const char* name : {"z", "m"}) {
    NetworkPolicy written = ingress({});
    written.key.name = name;
    cluster.network_policies[written.key] = written;
  }
  const auto resolved = resolve(cluster, locals_of_x(), {}, rules);
  ASSERT_TRUE(resolved);
  const auto& isolating = resolved->endpoints[0].at(kIn).isolating;
  ASSERT_EQ(isolating.size(), 2u);
  EXPECT_EQ(isolating[0].key.name, "m");
  EXPECT_EQ(isolating[1].key.name, "z");
  EXPECT_TRUE(resolved->endpoints[0].at(kOut).isolating.empty());
}

TEST(Resolve, OneSelectorIsOneTermHoweverItIsWritten) {
  ClusterSnapshot cluster = small_cluster();
  RuleRegistry rules;
  const auto written = ingress({PolicyRule{{pods({}), PodPeer{}, block("10.0.0.7/24")}, {}},
                                PolicyRule{{block("10.0.0.0/24"), pods(app("b"))}, {}}});
  cluster.network_policies[written.key] = written;
  const auto resolved = resolve(cluster, locals_of_x(), {}, rules);
  ASSERT_TRUE(resolved);
  EXPECT_EQ(resolved->terms.size(), 3u);
  EXPECT_TRUE(std::is_sorted(resolved->terms.begin(), resolved->terms.end(),
                             [](const Term& a, const Term& b) { return a.key < b.key; }));
}

TEST(Resolve, KeysOfDifferentSelectorsDiffer) {
  // As labels these could not be applied; as text they must not meet all the same.
  const std::vector<LabelSelector> selectors{{{{"a", "b,c=d"}}, {}},
                                             {{{"a", "b"}, {"c", "d"}}, {}},
                                             {{{"a", "b%2c"}}, {}},
                                             {{}, {{"a", SelectorOperator::in, {"b", "c"}}}},
                                             {{}, {{"a", SelectorOperator::in, {"b|c"}}}},
                                             {{}, {{"a", SelectorOperator::exists, {}}}},
                                             {{}, {{"a", SelectorOperator::does_not_exist, {}}}}};
  ClusterSnapshot cluster = small_cluster();
  RuleRegistry rules;
  PolicyRule rule;
  for (const auto& selector : selectors) rule.peers.push_back(pods(selector));
  const auto written = ingress({rule});
  cluster.network_policies[written.key] = written;
  const auto resolved = resolve(cluster, locals_of_x(), {}, rules);
  ASSERT_TRUE(resolved);
  EXPECT_EQ(resolved->terms.size(), selectors.size());
}

TEST(Resolve, APolicyThatSelectsNobodyHereLeavesNoTrace) {
  ClusterSnapshot cluster = small_cluster();
  RuleRegistry rules;
  NetworkPolicy elsewhere = ingress({PolicyRule{{block("1.2.3.0/24")}, {}}});
  elsewhere.pod_selector = app("nobody");
  cluster.network_policies[elsewhere.key] = elsewhere;
  const auto resolved = resolve(cluster, locals_of_x(), {}, rules);
  ASSERT_TRUE(resolved);
  EXPECT_TRUE(resolved->terms.empty());
  EXPECT_FALSE(resolved->endpoints[0].at(kIn).judged());
  EXPECT_EQ(rules.find(RuleId{1}), nullptr);
}

TEST(Resolve, APodWhoseInterfaceIsKnownBeforeItsAddressIsJudgedByWhatStandsThere) {
  ClusterSnapshot cluster = small_cluster();
  NetworkPolicy policy;
  policy.key = {"x", "p"};
  cluster.network_policies[policy.key] = policy;
  RuleRegistry rules;
  for (const bool known : {false, true}) {
    LocalEndpoint local{EndpointId{7}, 3, {"x", "waiting"}};
    if (known) local.addresses = {ip("10.0.0.9")};
    const auto resolved = resolve(cluster, std::vector{local}, {}, rules);
    ASSERT_TRUE(resolved);
    EXPECT_EQ(resolved->endpoints[0].at(Direction::ingress).isolated, known);
    EXPECT_EQ(resolved->endpoints[0].addresses, local.addresses);
  }
  // What the pod itself says counts before what somebody else says of it.
  LocalEndpoint local{EndpointId{7}, 3, {"x", "a"}, {ip("10.0.0.9")}};
  EXPECT_EQ(resolve(cluster, std::vector{local}, {}, rules)->endpoints[0].addresses, std::vector{ip("10.0.0.1")});
}

TEST(Resolve, AFurtherInterfaceIsJudgedAsItsPodWithTheAddressesBehindIt) {
  ClusterSnapshot cluster = small_cluster();
  NetworkPolicy policy;
  policy.key = {"x", "p"};
  cluster.network_policies[policy.key] = policy;
  RuleRegistry rules;
  LocalEndpoint further{EndpointId{8}, 4, {"x", "a"}};
  further.own_addresses = {ip("10.9.9.1")};
  const auto resolved = resolve(cluster, std::vector{LocalEndpoint{EndpointId{7}, 3, {"x", "a"}}, further}, {}, rules);
  ASSERT_TRUE(resolved);
  ASSERT_EQ(resolved->endpoints.size(), 2u);
  for (const auto& endpoint : resolved->endpoints) EXPECT_TRUE(endpoint.at(Direction::ingress).isolated);
  EXPECT_EQ(resolved->endpoints[0].addresses, std::vector{ip("10.0.0.1")});
  EXPECT_EQ(resolved->endpoints[1].addresses, std::vector{ip("10.9.9.1")});
}

TEST(Resolve, TheOrderOfEndpointsMeansNothing) {
  ClusterSnapshot cluster = small_cluster();
  const auto written = ingress({PolicyRule{{pods(app("a")), pods(app("b"))}, {named("web")}}});
  cluster.network_policies[written.key] = written;
  RuleRegistry forward_rules;
  RuleRegistry backward_rules;
  auto backward = locals_of_x();
  std::reverse(backward.begin(), backward.end());
  const auto one = resolve(cluster, locals_of_x(), {}, forward_rules);
  const auto other = resolve(cluster, backward, {}, backward_rules);
  ASSERT_TRUE(one && other);
  ASSERT_EQ(one->endpoints.size(), other->endpoints.size());
  for (std::size_t i = 0; i < one->endpoints.size(); ++i) {
    EXPECT_EQ(one->endpoints[i].pod, other->endpoints[i].pod);
    EXPECT_EQ(one->endpoints[i].at(kIn).rules, other->endpoints[i].at(kIn).rules);
  }
}

// Whether one peer of a policy in namespace `policy_namespace` matches a pod (R3, R23, R24) - by
// selector, or any of the pod's addresses by block (R4).
bool peer_matches(const PolicyPeer& peer, const std::string& policy_namespace, const Pod& pod,
                  const ClusterSnapshot& cluster) {
  if (!pod.live()) return false;
  if (const auto* block = std::get_if<IpBlock>(&peer)) {
    return std::any_of(pod.addresses.begin(), pod.addresses.end(),
                       [&](const IpAddress& address) { return block->contains(address); });
  }
  if (pod.host_network) return false;
  const auto& pods = std::get<PodPeer>(peer);
  const bool in_namespace = pods.namespaces ? pods.namespaces->matches(cluster.namespace_labels(pod.key.ns))
                                            : pod.key.ns == policy_namespace;
  return in_namespace && (!pods.pods || pods.pods->matches(pod.labels));
}

TEST(PeerMatches, SaysOfOnePodWhatTheTermsSayOfAll) {
  const ClusterSnapshot cluster = small_cluster();
  const std::vector<PolicyPeer> peers{pods(app("b")),
                                      pods({}),
                                      PodPeer{LabelSelector{}, std::nullopt},
                                      PodPeer{LabelSelector{{{kNamespaceNameLabel, "y"}}, {}}, std::nullopt},
                                      block("10.0.0.0/23", {"10.0.1.4/32"}),
                                      block("10.9.0.0/16")};
  for (const auto& peer : peers) {
    ClusterSnapshot with_policy = cluster;
    const auto written = ingress({PolicyRule{{peer}, {}}});
    with_policy.network_policies[written.key] = written;
    RuleRegistry rules;
    const auto resolved = resolve(with_policy, locals_of_x(), {}, rules);
    ASSERT_TRUE(resolved);
    for (const auto& [key, other] : cluster.pods) {
      if (!other.live()) {
        EXPECT_FALSE(peer_matches(peer, "x", other, cluster)) << key.to_string();
        continue;
      }
      const auto step = judge(*resolved, resolved->endpoints[0], kIn, other.addresses[0], 6, 80);
      EXPECT_EQ(peer_matches(peer, "x", other, cluster), pn_step_allows(step) != 0) << key.to_string();
    }
  }
}

}  // namespace
}  // namespace postern::resolve_test
