// SPDX-License-Identifier: Apache-2.0
// The oracle against verdicts worked out by hand from the text of the API.
#include "test/oracle/policy.h"

#include <gtest/gtest.h>

#include <functional>

#include "test/oracle/small_cluster.h"

namespace postern::oracle {
namespace {

constexpr auto kIn = Direction::ingress;
constexpr auto kOut = Direction::egress;
using Op = SelectorOperator;

struct Row {
  const char* name;
  std::function<void(SmallCluster&)> arrange;
  Direction direction;
  const char* peer;
  Protocol protocol;
  std::uint16_t port;
  bool allow;
  std::set<Reason> reasons;
  const char* pod = "a";  // of namespace x
  bool strict = false;
};

void check(const std::vector<Row>& rows) {
  for (const auto& row : rows) {
    SCOPED_TRACE(row.name);
    SmallCluster small;
    row.arrange(small);
    const Cluster cluster{small.objects, row.strict, {}};
    const Verdict got =
        verdict(cluster, {{"x", row.pod}, row.direction, ip(row.peer), row.protocol, row.port});
    EXPECT_EQ(got.allow, row.allow);
    EXPECT_EQ(got.reasons, row.reasons);
    EXPECT_EQ(got.rules.empty(), !row.reasons.contains(Reason::rule));
  }
}

TEST(OraclePolicy, IsolatesOnlyWhatAPolicySelectsAndOnlyItsDirections) {
  const auto ingress_nothing = [](SmallCluster& c) { c.ingress({}); };
  check({
      {"no policy, all open",
       [](SmallCluster&) {},
       kIn,
       "10.0.1.1",
       Protocol::tcp,
       80,
       true,
       {Reason::not_isolated}},
      {"no rules, nothing enters",
       ingress_nothing,
       kIn,
       "10.0.1.1",
       Protocol::tcp,
       80,
       false,
       {Reason::isolated}},
      {"the other direction stays open",
       ingress_nothing,
       kOut,
       "10.0.1.1",
       Protocol::tcp,
       80,
       true,
       {Reason::not_isolated}},
      {"egress alone",
       [](SmallCluster& c) { c.egress({}); },
       kOut,
       "8.8.8.8",
       Protocol::udp,
       53,
       false,
       {Reason::isolated}},
      {"egress alone leaves ingress",
       [](SmallCluster& c) { c.egress({}); },
       kIn,
       "8.8.8.8",
       Protocol::udp,
       53,
       true,
       {Reason::not_isolated}},
      {"a policy of another namespace",
       [](SmallCluster& c) { c.policy("y", "p", {}); },
       kIn,
       "10.0.1.1",
       Protocol::tcp,
       80,
       true,
       {Reason::not_isolated}},
      {"a selector that misses",
       [](SmallCluster& c) {
         c.policy("x", "p", labels({{"pod", "b"}}));
       },
       kIn,
       "10.0.1.1",
       Protocol::tcp,
       80,
       true,
       {Reason::not_isolated}},
      {"egress rules of a policy that isolates ingress alone do not count",
       [](SmallCluster& c) {
         c.ingress({}).egress = {{}};
         c.egress({});
       },
       kOut,
       "8.8.8.8",
       Protocol::udp,
       53,
       false,
       {Reason::isolated}},
      {"an empty rule admits all",
       [](SmallCluster& c) { c.ingress({{}}); },
       kIn,
       "8.8.8.8",
       Protocol::icmp,
       0,
       true,
       {Reason::rule}},
      {"policies add up",
       [](SmallCluster& c) {
         c.ingress({});
         c.policy("x", "more", {}).ingress = {{{}, {port(80)}}};
       },
       kIn,
       "8.8.8.8",
       Protocol::tcp,
       80,
       true,
       {Reason::rule}},
      {"hostNetwork is never subject",
       [](SmallCluster& c) {
         c.ingress({});
         c.pod("x", "a").host_network = true;
       },
       kIn,
       "8.8.8.8",
       Protocol::tcp,
       80,
       true,
       {Reason::not_isolated}},
  });
}

TEST(OraclePolicy, SelectorsFollowTheOperators) {
  const auto from = [](PolicyPeer peer) {
    return [peer = std::move(peer)](SmallCluster& c) { c.ingress({{{peer}, {}}}); };
  };
  const std::set<Reason> yes{Reason::rule};
  const std::set<Reason> no{Reason::isolated};
  const std::string name_label = "kubernetes.io/metadata.name";
  check({
      {"own namespace", from(pods({})), kIn, "10.0.0.2", Protocol::tcp, 1, true, yes},
      {"podSelector alone stays at home", from(pods({})), kIn, "10.0.1.1", Protocol::tcp, 1, false, no},
      {"namespaceSelector alone takes every pod", from(namespaces(labels({{"team", "blue"}}))), kIn,
       "10.0.1.2", Protocol::tcp, 1, true, yes},
      {"namespaceSelector that misses", from(namespaces(labels({{"team", "blue"}}))), kIn, "10.0.0.2",
       Protocol::tcp, 1, false, no},
      {"empty namespaceSelector is everywhere", from(namespaces({})), kIn, "10.0.1.2", Protocol::tcp, 1, true,
       yes},
      {"empty namespaceSelector is no outside host", from(namespaces({})), kIn, "8.8.8.8", Protocol::tcp, 1,
       false, no},
      {"both are one condition", from(both(labels({{"team", "blue"}}), labels({{"pod", "a"}}))), kIn,
       "10.0.1.2", Protocol::tcp, 1, false, no},
      {"both hold", from(both(labels({{"team", "blue"}}), labels({{"pod", "a"}}))), kIn, "10.0.1.1",
       Protocol::tcp, 1, true, yes},
      {"In", from(pods(expression("pod", Op::in, {"b", "c"}))), kIn, "10.0.0.2", Protocol::tcp, 1, true, yes},
      {"In misses", from(pods(expression("pod", Op::in, {"c"}))), kIn, "10.0.0.2", Protocol::tcp, 1, false,
       no},
      {"In needs the key", from(pods(expression("none", Op::in, {"b"}))), kIn, "10.0.0.2", Protocol::tcp, 1,
       false, no},
      {"NotIn", from(pods(expression("pod", Op::not_in, {"b"}))), kIn, "10.0.0.2", Protocol::tcp, 1, false,
       no},
      {"NotIn another", from(pods(expression("pod", Op::not_in, {"c"}))), kIn, "10.0.0.2", Protocol::tcp, 1,
       true, yes},
      {"NotIn holds without the key", from(pods(expression("none", Op::not_in, {"b"}))), kIn, "10.0.0.2",
       Protocol::tcp, 1, true, yes},
      {"Exists", from(pods(expression("pod", Op::exists))), kIn, "10.0.0.2", Protocol::tcp, 1, true, yes},
      {"Exists misses", from(pods(expression("none", Op::exists))), kIn, "10.0.0.2", Protocol::tcp, 1, false,
       no},
      {"DoesNotExist", from(pods(expression("none", Op::does_not_exist))), kIn, "10.0.0.2", Protocol::tcp, 1,
       true, yes},
      {"DoesNotExist misses", from(pods(expression("pod", Op::does_not_exist))), kIn, "10.0.0.2",
       Protocol::tcp, 1, false, no},
      {"the name label of a namespace (R34)", from(namespaces(labels({{name_label, "y"}}))), kIn, "10.0.1.1",
       Protocol::tcp, 1, true, yes},
      {"the name label of a namespace nobody applied",
       [&](SmallCluster& c) {
         c.pod("z", "a", {"10.0.2.1"});
         c.ingress({{{namespaces(labels({{name_label, "z"}}))}, {}}});
       },
       kIn, "10.0.2.1", Protocol::tcp, 1, true, yes},
  });
}

TEST(OraclePolicy, PodsThatAreNoPeers) {
  const auto everybody_of = [](std::function<void(Pod&)> change) {
    return [change = std::move(change)](SmallCluster& c) {
      c.ingress({{{namespaces({})}, {}}});
      change(c.pod("x", "b"));
    };
  };
  check({
      {"finished (R23)",
       everybody_of([](Pod& pod) { pod.phase = PodPhase::succeeded; }),
       kIn,
       "10.0.0.2",
       Protocol::tcp,
       1,
       false,
       {Reason::isolated}},
      {"its address belongs to who has it now",
       [](SmallCluster& c) {
         c.ingress({{{namespaces({})}, {}}});
         c.pod("x", "b").phase = PodPhase::failed;
         c.pod("y", "new", {"10.0.0.2"});
       },
       kIn,
       "10.0.0.2",
       Protocol::tcp,
       1,
       true,
       {Reason::rule}},
      {"without address (R24)",
       everybody_of([](Pod& pod) { pod.addresses.clear(); }),
       kIn,
       "10.0.0.2",
       Protocol::tcp,
       1,
       false,
       {Reason::isolated}},
      {"hostNetwork (R3)",
       everybody_of([](Pod& pod) { pod.host_network = true; }),
       kIn,
       "10.0.0.2",
       Protocol::tcp,
       1,
       false,
       {Reason::isolated}},
      {"not ready is a peer",
       everybody_of([](Pod& pod) { pod.ready = false; }),
       kIn,
       "10.0.0.2",
       Protocol::tcp,
       1,
       true,
       {Reason::rule}},
      {"pending with an address is a peer",
       everybody_of([](Pod& pod) { pod.phase = PodPhase::pending; }),
       kIn,
       "10.0.0.2",
       Protocol::tcp,
       1,
       true,
       {Reason::rule}},
  });
}

TEST(OraclePolicy, BlocksAndExcepts) {
  const auto from = [](std::vector<PolicyPeer> peers) {
    return [peers = std::move(peers)](SmallCluster& c) { c.ingress({{peers, {}}}); };
  };
  const std::set<Reason> yes{Reason::rule};
  const std::set<Reason> no{Reason::isolated};
  check({
      {"in the block", from({block("172.16.0.0/12")}), kIn, "172.31.255.255", Protocol::tcp, 1, true, yes},
      {"past the block", from({block("172.16.0.0/12")}), kIn, "172.32.0.0", Protocol::tcp, 1, false, no},
      {"before the block", from({block("172.16.0.0/12")}), kIn, "172.15.255.255", Protocol::tcp, 1, false,
       no},
      {"host bits (R6)", from({block("172.16.9.9/24")}), kIn, "172.16.9.255", Protocol::tcp, 1, true, yes},
      {"pods too (R4)", from({block("10.0.0.0/8")}), kIn, "10.0.1.1", Protocol::tcp, 1, true, yes},
      {"except", from({block("10.0.0.0/8", {"10.0.1.0/24"})}), kIn, "10.0.1.1", Protocol::tcp, 1, false, no},
      {"beside the except", from({block("10.0.0.0/8", {"10.0.1.0/24"})}), kIn, "10.0.2.0", Protocol::tcp, 1,
       true, yes},
      {"an except is no deny (R5)", from({block("10.0.0.0/8", {"10.0.1.0/24"}), block("10.0.1.1/32")}), kIn,
       "10.0.1.1", Protocol::tcp, 1, true, yes},
      {"nested excepts", from({block("10.0.0.0/8", {"10.0.0.0/16", "10.0.1.0/24"})}), kIn, "10.0.1.1",
       Protocol::tcp, 1, false, no},
      {"everything of IPv4", from({block("0.0.0.0/0")}), kIn, "1.2.3.4", Protocol::tcp, 1, true, yes},
      {"0.0.0.0/0 is not everything (R36)", from({block("0.0.0.0/0")}), kIn, "2001:db8::1", Protocol::tcp, 1,
       false, no},
      {"::/0 is not everything", from({block("::/0")}), kIn, "1.2.3.4", Protocol::tcp, 1, false, no},
      {"IPv6 block edge", from({block("2001:db8::/33")}), kIn, "2001:db8:7fff:ffff::1", Protocol::tcp, 1,
       true, yes},
      {"past the IPv6 block", from({block("2001:db8::/33")}), kIn, "2001:db8:8000::", Protocol::tcp, 1, false,
       no},
      {"a pod by its second family", from({pods(labels({{"pod", "b"}}))}), kIn, "fd00::2", Protocol::tcp, 1,
       true, yes},
  });
}

TEST(OraclePolicy, Ports) {
  const auto in = [](std::vector<PolicyPort> list) {
    return [list = std::move(list)](SmallCluster& c) { c.ingress({{{}, list}}); };
  };
  const auto out = [](std::vector<PolicyPort> list) {
    return [list = std::move(list)](SmallCluster& c) { c.egress({{{}, list}}); };
  };
  const std::set<Reason> yes{Reason::rule};
  const std::set<Reason> no{Reason::isolated};
  check({
      {"number", in({port(80)}), kIn, "8.8.8.8", Protocol::tcp, 80, true, yes},
      {"another number", in({port(80)}), kIn, "8.8.8.8", Protocol::tcp, 81, false, no},
      {"another protocol", in({port(80)}), kIn, "8.8.8.8", Protocol::udp, 80, false, no},
      {"SCTP (R22)", in({port(80, Protocol::sctp)}), kIn, "8.8.8.8", Protocol::sctp, 80, true, yes},
      {"range, first", in({ports(80, 90)}), kIn, "8.8.8.8", Protocol::tcp, 80, true, yes},
      {"range, last", in({ports(80, 90)}), kIn, "8.8.8.8", Protocol::tcp, 90, true, yes},
      {"past the range", in({ports(80, 90)}), kIn, "8.8.8.8", Protocol::tcp, 91, false, no},
      {"before the range", in({ports(80, 90)}), kIn, "8.8.8.8", Protocol::tcp, 79, false, no},
      {"{} is every TCP port (R13)", in({any_port()}), kIn, "8.8.8.8", Protocol::tcp, 65535, true, yes},
      {"{} is no UDP", in({any_port()}), kIn, "8.8.8.8", Protocol::udp, 1, false, no},
      {"ports keep ICMP out (R17)", in({any_port()}), kIn, "8.8.8.8", Protocol::icmp, 0, false, no},
      {"ports keep other protocols out (R18)",
       in({any_port()}),
       kIn,
       "8.8.8.8",
       static_cast<Protocol>(47),
       0,
       false,
       {Reason::protocol}},
      {"no ports let them in", in({}), kIn, "8.8.8.8", static_cast<Protocol>(47), 0, true, yes},
      {"named, of the subject (R9)", in({named("http")}), kIn, "10.0.1.2", Protocol::tcp, 80, true, yes},
      {"named, not of the peer", in({named("http")}), kIn, "10.0.1.2", Protocol::tcp, 8080, false, no},
      {"named, each subject by itself", in({named("http")}), kIn, "10.0.1.2", Protocol::tcp, 8080, true, yes,
       "b"},
      {"named, the entry's protocol", in({named("dns")}), kIn, "10.0.1.2", Protocol::tcp, 53, false, no},
      {"named, UDP", in({named("dns", Protocol::udp)}), kIn, "10.0.1.2", Protocol::udp, 53, true, yes},
      {"a name twice (R35)",
       [](SmallCluster& c) {
         c.pod("x", "a").ports.push_back({"http", 81, Protocol::tcp});
         c.ingress({{{}, {named("http")}}});
       },
       kIn, "8.8.8.8", Protocol::tcp, 81, true, yes},
      {"named at egress, of the destination (R10)", out({named("http")}), kOut, "10.0.1.2", Protocol::tcp,
       8080, true, yes},
      {"named at egress, not of the subject", out({named("http")}), kOut, "10.0.1.2", Protocol::tcp, 80,
       false, no},
      {"named at egress, no outside host", out({named("http")}), kOut, "8.8.8.8", Protocol::tcp, 80, false,
       no},
      {"named at egress, no other node", out({named("http")}), kOut, "192.168.0.2", Protocol::tcp, 80, false,
       no},
  });
}

TEST(OraclePolicy, WhatStandsAboveThePolicies) {
  const auto shut = [](SmallCluster& c) {
    c.ingress({});
    c.egress({});
  };
  check({
      {"a pod to itself (R1)", shut, kOut, "10.0.0.1", Protocol::tcp, 80, true, {Reason::self}},
      {"a pod from itself", shut, kIn, "fd00::1", Protocol::tcp, 80, true, {Reason::self}},
      {"from its own node (R2)", shut, kIn, "192.168.0.1", Protocol::tcp, 80, true, {Reason::own_node}},
      {"to its own node", shut, kOut, "192.168.0.1", Protocol::udp, 80, true, {Reason::own_node}},
      {"from another node (R2b)", shut, kIn, "192.168.0.2", Protocol::tcp, 80, false, {Reason::isolated}},
      {"another node in a block",
       [](SmallCluster& c) {
         c.ingress({{{block("192.168.0.0/24")}, {}}});
       },
       kIn,
       "192.168.0.2",
       Protocol::tcp,
       80,
       true,
       {Reason::rule}},
      {"own node and a block: both are true (R41)",
       [](SmallCluster& c) {
         c.ingress({{{block("192.168.0.0/24")}, {}}});
       },
       kIn,
       "192.168.0.1",
       Protocol::tcp,
       80,
       true,
       {Reason::rule, Reason::own_node}},
      {"strict shuts what nothing isolates (R25)",
       [](SmallCluster&) {},
       kIn,
       "8.8.8.8",
       Protocol::tcp,
       80,
       false,
       {Reason::strict},
       "a",
       true},
      {"strict, a policy admits",
       [](SmallCluster& c) { c.ingress({{}}); },
       kIn,
       "8.8.8.8",
       Protocol::tcp,
       80,
       true,
       {Reason::rule},
       "a",
       true},
      {"strict, the other direction",
       [](SmallCluster& c) { c.ingress({{}}); },
       kOut,
       "8.8.8.8",
       Protocol::tcp,
       80,
       false,
       {Reason::strict},
       "a",
       true},
      {"strict, own node",
       [](SmallCluster&) {},
       kIn,
       "192.168.0.1",
       Protocol::tcp,
       80,
       true,
       {Reason::own_node},
       "a",
       true},
      {"isolated says more than strict",
       shut,
       kIn,
       "8.8.8.8",
       Protocol::tcp,
       80,
       false,
       {Reason::isolated},
       "a",
       true},
  });
}

TEST(OraclePolicy, ADenyNamesWhoIsolatesAndAnAllowWhichRules) {
  SmallCluster small;
  small.ingress({{{}, {port(443)}}, {{}, {port(80)}}});
  small.policy("x", "second", labels({{"pod", "a"}})).ingress = {{{pods({})}, {}}};
  small.policy("x", "elsewhere", labels({{"pod", "b"}}));
  const Cluster cluster{small.objects, false, {}};
  const Verdict deny = verdict(cluster, {{"x", "a"}, kIn, ip("8.8.8.8"), Protocol::tcp, 22});
  EXPECT_EQ(deny.isolating, (std::set<NamespacedName>{{"x", "in"}, {"x", "second"}}));
  const Verdict allow = verdict(cluster, {{"x", "a"}, kIn, ip("10.0.0.2"), Protocol::tcp, 80});
  EXPECT_EQ(allow.rules, (std::set<RuleName>{{{"x", "in"}, kIn, 1}, {{"x", "second"}, kIn, 0}}));
}

TEST(OracleServices, BackendsAreReadyPodsAtTheirTargetPort) {
  SmallCluster small;
  Service& service = small.service("y", "s", "10.96.0.1");
  service.selector = Labels{};
  const auto behind = [&](const char* address = "10.96.0.1") {
    return backends(small.objects, ip(address), Protocol::tcp, 80)
        .value_or(std::set<Backend>{{ip("::1"), 1}});
  };
  EXPECT_TRUE(behind().empty()) << "an empty selector selects nothing, slices say";
  service.selector = Labels{{"pod", "a"}};
  EXPECT_EQ(behind(), (std::set<Backend>{{ip("10.0.1.1"), 80}}));
  small.pod("y", "b").labels = {{"pod", "a"}};
  EXPECT_EQ(behind(), (std::set<Backend>{{ip("10.0.1.1"), 80}, {ip("10.0.1.2"), 8080}}))
      << "each at its own port";
  small.pod("y", "b").ready = false;
  EXPECT_EQ(behind(), (std::set<Backend>{{ip("10.0.1.1"), 80}}));
  small.pod("y", "b").ready = true;
  small.pod("y", "b").ports = {
      {"http", 90, Protocol::udp}, {"http", 91, Protocol::tcp}, {"http", 92, Protocol::tcp}};
  EXPECT_EQ(behind(), (std::set<Backend>{{ip("10.0.1.1"), 80}, {ip("10.0.1.2"), 91}}))
      << "the first of the name (R35)";
  small.pod("y", "b").ports.clear();
  EXPECT_EQ(behind(), (std::set<Backend>{{ip("10.0.1.1"), 80}})) << "no port of that name, no backend";
  small.pod("y", "a").phase = PodPhase::succeeded;
  EXPECT_TRUE(behind().empty());
  service.ports[0].target_port = std::uint16_t{7};
  EXPECT_EQ(behind(), (std::set<Backend>{{ip("10.0.1.2"), 7}}));
  service.cluster_ips.push_back(ip("fd96::1"));
  EXPECT_TRUE(behind("fd96::1").empty()) << "the pod has no IPv6 address";
  EXPECT_FALSE(backends(small.objects, ip("10.96.0.1"), Protocol::udp, 80));
  EXPECT_FALSE(backends(small.objects, ip("10.96.0.2"), Protocol::tcp, 80));
}

TEST(OracleServices, WithoutASelectorSlicesSay) {
  SmallCluster small;
  small.service("y", "s", "10.96.0.1");
  EndpointSlice& slice = small.objects.endpoint_slices[{"y", "s-1"}];
  slice = {.key = {"y", "s-1"},
           .service = "s",
           .endpoints = {},
           .ports = {{"web", Protocol::tcp, 9, std::uint16_t{9}}}};
  slice.endpoints = {
      {{ip("10.0.0.1")}, true}, {{ip("10.0.0.2")}, false}, {{ip("fd00::1")}, true}, {{}, true}};
  EXPECT_EQ(backends(small.objects, ip("10.96.0.1"), Protocol::tcp, 80),
            (std::set<Backend>{{ip("10.0.0.1"), 9}}));
  slice.ports[0].name = "other";
  EXPECT_TRUE(backends(small.objects, ip("10.96.0.1"), Protocol::tcp, 80)->empty()) << "ports belong by name";
  slice.ports[0].name = "web";
  small.objects.endpoint_slices[{"x", "s-1"}] = slice;
  small.objects.endpoint_slices.erase({"y", "s-1"});
  EXPECT_TRUE(backends(small.objects, ip("10.96.0.1"), Protocol::tcp, 80)->empty()) << "of another namespace";
}

// x/a is isolated for egress and asks 10.96.0.1, behind which y/a (port 80) and y/b (port 8080) stand.
TEST(OracleServices, EgressIsJudgedOnTheBackends) {
  const auto with_rules = [](std::vector<PolicyRule> rules) {
    return [rules = std::move(rules)](SmallCluster& c) {
      c.service("y", "s", "10.96.0.1").selector = Labels{{"app", "s"}};
      c.pod("y", "a").labels["app"] = c.pod("y", "b").labels["app"] = "s";
      c.egress(rules);
    };
  };
  const auto own_pod = [&](bool and_another) {
    return [=](SmallCluster& c) {
      c.service("x", "s", "10.96.0.1").selector = Labels{{"app", "s"}};
      c.pod("x", "a").labels["app"] = "s";
      if (and_another) c.pod("x", "b").labels["app"] = "s";
      c.egress({});
    };
  };
  const auto empty = [](SmallCluster& c) {
    c.service("y", "s", "10.96.0.1").selector = Labels{{"app", "none"}};
    c.egress({{{block("0.0.0.0/0")}, {}}});
  };
  const std::set<Reason> yes{Reason::rule};
  check({
      {"all backends, by selector", with_rules({{{namespaces({})}, {}}}), kOut, "10.96.0.1", Protocol::tcp,
       80, true, yes},
      {"by block over the pods", with_rules({{{block("10.0.1.0/24")}, {}}}), kOut, "10.96.0.1", Protocol::tcp,
       80, true, yes},
      {"a block over the service range opens nothing",
       with_rules({{{block("10.96.0.0/16")}, {}}}),
       kOut,
       "10.96.0.1",
       Protocol::tcp,
       80,
       false,
       {Reason::isolated}},
      {"the service port is not the target port",
       with_rules({{{}, {port(80)}}}),
       kOut,
       "10.96.0.1",
       Protocol::tcp,
       80,
       false,
       {Reason::backends_differ}},
      {"both target ports", with_rules({{{}, {port(80)}}, {{}, {port(8080)}}}), kOut, "10.96.0.1",
       Protocol::tcp, 80, true, yes},
      {"the named port, of each backend", with_rules({{{}, {named("http")}}}), kOut, "10.96.0.1",
       Protocol::tcp, 80, true, yes},
      {"they disagree",
       with_rules({{{both(labels({{"team", "blue"}}), labels({{"pod", "a"}}))}, {}}}),
       kOut,
       "10.96.0.1",
       Protocol::tcp,
       80,
       false,
       {Reason::backends_differ}},
      {"no backend is allowed",
       with_rules({{{pods({})}, {}}}),
       kOut,
       "10.96.0.1",
       Protocol::tcp,
       80,
       false,
       {Reason::isolated}},
      {"no backend", empty, kOut, "10.96.0.1", Protocol::tcp, 80, false, {Reason::no_backend}},
      {"own pod alone (R1)", own_pod(false), kOut, "10.96.0.1", Protocol::tcp, 80, true, {Reason::self}},
      {"own pod and one that is denied",
       own_pod(true),
       kOut,
       "10.96.0.1",
       Protocol::tcp,
       80,
       false,
       {Reason::backends_differ}},
      {"another port of the ClusterIP, no selector and no block",
       with_rules({{{namespaces({}), block("0.0.0.0/0")}, {}}}),
       kOut,
       "10.96.0.1",
       Protocol::tcp,
       81,
       false,
       {Reason::isolated}},
      {"another port of the ClusterIP, a rule without peers", with_rules({{{}, {port(81)}}}), kOut,
       "10.96.0.1", Protocol::tcp, 81, true, yes},
      {"at ingress an address as any other",
       [](SmallCluster& c) {
         c.service("y", "s", "10.96.0.1");
         c.ingress({{{block("10.96.0.0/16")}, {}}});
       },
       kIn, "10.96.0.1", Protocol::tcp, 80, true, yes},
      {"nobody judges",
       [](SmallCluster& c) { c.service("y", "s", "10.96.0.1"); },
       kOut,
       "10.96.0.1",
       Protocol::tcp,
       80,
       true,
       {Reason::not_isolated}},
      {"strict",
       [](SmallCluster& c) {
         c.service("y", "s", "10.96.0.1").selector = Labels{{"pod", "a"}};
       },
       kOut,
       "10.96.0.1",
       Protocol::tcp,
       80,
       false,
       {Reason::strict},
       "a",
       true},
  });
}

TEST(OracleConnections, BothEndsMustAllow) {
  SmallCluster small;
  const Cluster cluster{small.objects, false, {}};
  const auto outcome = [&](const char* from, const char* to, std::uint16_t port = 80) {
    return connection(cluster, {ip(from), ip(to), Protocol::tcp, port}).outcome;
  };
  EXPECT_EQ(outcome("10.0.1.1", "10.0.0.1"), Outcome::allow);
  small.ingress({{{namespaces(labels({{"team", "blue"}}))}, {port(80)}}});
  EXPECT_EQ(outcome("10.0.1.1", "10.0.0.1"), Outcome::allow);
  EXPECT_EQ(outcome("10.0.1.1", "10.0.0.1", 81), Outcome::deny);
  EXPECT_EQ(outcome("10.0.0.1", "10.0.0.1", 81), Outcome::allow) << "itself";
  NetworkPolicy& leaving = small.policy("y", "out", {});
  leaving.isolates_ingress = false;
  leaving.isolates_egress = true;
  EXPECT_EQ(outcome("10.0.1.1", "10.0.0.1"), Outcome::deny);
  EXPECT_EQ(outcome("192.168.0.1", "10.0.0.1"), Outcome::allow) << "the own node";
  EXPECT_EQ(outcome("192.168.0.2", "10.0.0.1"), Outcome::deny) << "another node";
  EXPECT_EQ(outcome("10.0.0.1", "8.8.8.8"), Outcome::allow);

  small.service("x", "s", "10.96.0.1").selector = Labels{};
  EXPECT_EQ(outcome("8.8.8.8", "10.96.0.1"), Outcome::deny) << "nobody answers";
  small.objects.services.at({"x", "s"}).selector = Labels{{"pod", "a"}};
  EXPECT_EQ(outcome("10.0.0.2", "10.96.0.1"), Outcome::deny) << "the backend's own ingress";
  EXPECT_EQ(outcome("10.0.0.1", "10.96.0.1"), Outcome::allow) << "itself, masqueraded by its node";
  small.pod("x", "b").labels["pod"] = "a";
  EXPECT_EQ(outcome("10.0.0.2", "10.96.0.1"), Outcome::differ) << "itself is one backend of two";
}

}  // namespace
}  // namespace postern::oracle
