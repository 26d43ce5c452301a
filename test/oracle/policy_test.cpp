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

constexpr auto kGre = static_cast<Protocol>(47);

struct Ask {
  Direction direction;
  const char* peer;
  std::uint16_t port;
  Protocol protocol;
};
Ask from(const char* peer, std::uint16_t port, Protocol protocol = Protocol::tcp) {
  return {kIn, peer, port, protocol};
}
Ask to(const char* peer, std::uint16_t port, Protocol protocol = Protocol::tcp) {
  return {kOut, peer, port, protocol};
}

struct Row {
  const char* name;
  std::function<void(SmallCluster&)> arrange;
  Ask ask;
  std::set<Reason> reasons;  // allow or deny, as they say
  const char* pod = "a";     // of namespace x
  bool strict = false;
};

void check(const std::vector<Row>& rows) {
  for (const auto& row : rows) {
    SCOPED_TRACE(row.name);
    SmallCluster small;
    row.arrange(small);
    const Cluster cluster{small.objects, row.strict, {}};
    const Verdict got = verdict(
        cluster, {{"x", row.pod}, row.ask.direction, ip(row.ask.peer), row.ask.protocol, row.ask.port});
    EXPECT_EQ(got.allow, *row.reasons.begin() < Reason::isolated);
    EXPECT_EQ(got.reasons, row.reasons);
    EXPECT_EQ(got.rules.empty(), !row.reasons.contains(Reason::rule));
  }
}

TEST(OraclePolicy, IsolatesOnlyWhatAPolicySelectsAndOnlyItsDirections) {
  const auto ingress_nothing = [](SmallCluster& c) { c.ingress({}); };
  check({
      {"no policy, all open", [](SmallCluster&) {}, from("10.0.1.1", 80), {Reason::not_isolated}},
      {"no rules, nothing enters", ingress_nothing, from("10.0.1.1", 80), {Reason::isolated}},
      {"the other direction stays open", ingress_nothing, to("10.0.1.1", 80), {Reason::not_isolated}},
      {"egress alone",
       [](SmallCluster& c) { c.egress({}); },
       to("8.8.8.8", 53, Protocol::udp),
       {Reason::isolated}},
      {"egress alone leaves ingress",
       [](SmallCluster& c) { c.egress({}); },
       from("8.8.8.8", 53, Protocol::udp),
       {Reason::not_isolated}},
      {"a policy of another namespace",
       [](SmallCluster& c) { c.policy("y", "p", {}); },
       from("10.0.1.1", 80),
       {Reason::not_isolated}},
      {"a selector that misses",
       [](SmallCluster& c) {
         c.policy("x", "p", labels({{"pod", "b"}}));
       },
       from("10.0.1.1", 80),
       {Reason::not_isolated}},
      {"egress rules of a policy that isolates ingress alone do not count",
       [](SmallCluster& c) {
         c.ingress({}).egress = {{}};
         c.egress({});
       },
       to("8.8.8.8", 53, Protocol::udp),
       {Reason::isolated}},
      {"an empty rule admits all",
       [](SmallCluster& c) { c.ingress({{}}); },
       from("8.8.8.8", 0, Protocol::icmp),
       {Reason::rule}},
      {"policies add up",
       [](SmallCluster& c) {
         c.ingress({});
         c.policy("x", "more", {}).ingress = {{{}, {port(80)}}};
       },
       from("8.8.8.8", 80),
       {Reason::rule}},
      {"hostNetwork is never subject",
       [](SmallCluster& c) {
         c.ingress({});
         c.pod("x", "a").host_network = true;
       },
       from("8.8.8.8", 80),
       {Reason::not_isolated}},
  });
}

TEST(OraclePolicy, SelectorsFollowTheOperators) {
  const auto admit = [](PolicyPeer peer) {
    return [peer = std::move(peer)](SmallCluster& c) { c.ingress({{{peer}, {}}}); };
  };
  const std::set<Reason> yes{Reason::rule};
  const std::set<Reason> no{Reason::isolated};
  const std::string name_label = "kubernetes.io/metadata.name";
  check({
      {"own namespace", admit(pods({})), from("10.0.0.2", 1), yes},
      {"podSelector alone stays at home", admit(pods({})), from("10.0.1.1", 1), no},
      {"namespaceSelector alone takes every pod", admit(namespaces(labels({{"team", "blue"}}))),
       from("10.0.1.2", 1), yes},
      {"namespaceSelector that misses", admit(namespaces(labels({{"team", "blue"}}))), from("10.0.0.2", 1),
       no},
      {"empty namespaceSelector is everywhere", admit(namespaces({})), from("10.0.1.2", 1), yes},
      {"empty namespaceSelector is no outside host", admit(namespaces({})), from("8.8.8.8", 1), no},
      {"both are one condition", admit(both(labels({{"team", "blue"}}), labels({{"pod", "a"}}))),
       from("10.0.1.2", 1), no},
      {"both hold", admit(both(labels({{"team", "blue"}}), labels({{"pod", "a"}}))), from("10.0.1.1", 1),
       yes},
      {"In", admit(pods(expression("pod", Op::in, {"b", "c"}))), from("10.0.0.2", 1), yes},
      {"In misses", admit(pods(expression("pod", Op::in, {"c"}))), from("10.0.0.2", 1), no},
      {"In needs the key", admit(pods(expression("none", Op::in, {"b"}))), from("10.0.0.2", 1), no},
      {"NotIn", admit(pods(expression("pod", Op::not_in, {"b"}))), from("10.0.0.2", 1), no},
      {"NotIn another", admit(pods(expression("pod", Op::not_in, {"c"}))), from("10.0.0.2", 1), yes},
      {"NotIn holds without the key", admit(pods(expression("none", Op::not_in, {"b"}))), from("10.0.0.2", 1),
       yes},
      {"Exists", admit(pods(expression("pod", Op::exists))), from("10.0.0.2", 1), yes},
      {"Exists misses", admit(pods(expression("none", Op::exists))), from("10.0.0.2", 1), no},
      {"DoesNotExist", admit(pods(expression("none", Op::does_not_exist))), from("10.0.0.2", 1), yes},
      {"DoesNotExist misses", admit(pods(expression("pod", Op::does_not_exist))), from("10.0.0.2", 1), no},
      {"the name label of a namespace (R34)", admit(namespaces(labels({{name_label, "y"}}))),
       from("10.0.1.1", 1), yes},
      {"the name label of a namespace nobody applied",
       [&](SmallCluster& c) {
         c.pod("z", "a", {"10.0.2.1"});
         c.ingress({{{namespaces(labels({{name_label, "z"}}))}, {}}});
       },
       from("10.0.2.1", 1), yes},
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
       from("10.0.0.2", 1),
       {Reason::isolated}},
      {"its address belongs to who has it now",
       [](SmallCluster& c) {
         c.ingress({{{namespaces({})}, {}}});
         c.pod("x", "b").phase = PodPhase::failed;
         c.pod("y", "new", {"10.0.0.2"});
       },
       from("10.0.0.2", 1),
       {Reason::rule}},
      {"without address (R24)",
       everybody_of([](Pod& pod) { pod.addresses.clear(); }),
       from("10.0.0.2", 1),
       {Reason::isolated}},
      {"hostNetwork (R3)",
       everybody_of([](Pod& pod) { pod.host_network = true; }),
       from("10.0.0.2", 1),
       {Reason::isolated}},
      {"not ready is a peer",
       everybody_of([](Pod& pod) { pod.ready = false; }),
       from("10.0.0.2", 1),
       {Reason::rule}},
      {"pending with an address is a peer",
       everybody_of([](Pod& pod) { pod.phase = PodPhase::pending; }),
       from("10.0.0.2", 1),
       {Reason::rule}},
  });
}

TEST(OraclePolicy, BlocksAndExcepts) {
  const auto admit = [](std::vector<PolicyPeer> peers) {
    return [peers = std::move(peers)](SmallCluster& c) { c.ingress({{peers, {}}}); };
  };
  const std::set<Reason> yes{Reason::rule};
  const std::set<Reason> no{Reason::isolated};
  check({
      {"in the block", admit({block("172.16.0.0/12")}), from("172.31.255.255", 1), yes},
      {"past the block", admit({block("172.16.0.0/12")}), from("172.32.0.0", 1), no},
      {"before the block", admit({block("172.16.0.0/12")}), from("172.15.255.255", 1), no},
      {"host bits (R6)", admit({block("172.16.9.9/24")}), from("172.16.9.255", 1), yes},
      {"pods too (R4)", admit({block("10.0.0.0/8")}), from("10.0.1.1", 1), yes},
      {"except", admit({block("10.0.0.0/8", {"10.0.1.0/24"})}), from("10.0.1.1", 1), no},
      {"beside the except", admit({block("10.0.0.0/8", {"10.0.1.0/24"})}), from("10.0.2.0", 1), yes},
      {"an except is no deny (R5)", admit({block("10.0.0.0/8", {"10.0.1.0/24"}), block("10.0.1.1/32")}),
       from("10.0.1.1", 1), yes},
      {"nested excepts", admit({block("10.0.0.0/8", {"10.0.0.0/16", "10.0.1.0/24"})}), from("10.0.1.1", 1),
       no},
      {"everything of IPv4", admit({block("0.0.0.0/0")}), from("1.2.3.4", 1), yes},
      {"0.0.0.0/0 is not everything (R36)", admit({block("0.0.0.0/0")}), from("2001:db8::1", 1), no},
      {"::/0 is not everything", admit({block("::/0")}), from("1.2.3.4", 1), no},
      {"IPv6 block edge", admit({block("2001:db8::/33")}), from("2001:db8:7fff:ffff::1", 1), yes},
      {"past the IPv6 block", admit({block("2001:db8::/33")}), from("2001:db8:8000::", 1), no},
      {"a pod by its second family", admit({pods(labels({{"pod", "b"}}))}), from("fd00::2", 1), yes},
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
      {"number", in({port(80)}), from("8.8.8.8", 80), yes},
      {"another number", in({port(80)}), from("8.8.8.8", 81), no},
      {"another protocol", in({port(80)}), from("8.8.8.8", 80, Protocol::udp), no},
      {"SCTP (R22)", in({port(80, Protocol::sctp)}), from("8.8.8.8", 80, Protocol::sctp), yes},
      {"range, first", in({ports(80, 90)}), from("8.8.8.8", 80), yes},
      {"range, last", in({ports(80, 90)}), from("8.8.8.8", 90), yes},
      {"past the range", in({ports(80, 90)}), from("8.8.8.8", 91), no},
      {"before the range", in({ports(80, 90)}), from("8.8.8.8", 79), no},
      {"{} is every TCP port (R13)", in({any_port()}), from("8.8.8.8", 65535), yes},
      {"{} is no UDP", in({any_port()}), from("8.8.8.8", 1, Protocol::udp), no},
      {"ports keep ICMP out (R17)", in({any_port()}), from("8.8.8.8", 0, Protocol::icmp), no},
      {"ports keep other protocols out (R18)",
       in({any_port()}),
       from("8.8.8.8", 0, kGre),
       {Reason::protocol}},
      {"no ports let them in", in({}), from("8.8.8.8", 0, kGre), yes},
      {"named, of the subject (R9)", in({named("http")}), from("10.0.1.2", 80), yes},
      {"named, not of the peer", in({named("http")}), from("10.0.1.2", 8080), no},
      {"named, each subject by itself", in({named("http")}), from("10.0.1.2", 8080), yes, "b"},
      {"named, the entry's protocol", in({named("dns")}), from("10.0.1.2", 53), no},
      {"named, UDP", in({named("dns", Protocol::udp)}), from("10.0.1.2", 53, Protocol::udp), yes},
      {"a name twice (R35)",
       [](SmallCluster& c) {
         c.pod("x", "a").ports.push_back({"http", 81, Protocol::tcp});
         c.ingress({{{}, {named("http")}}});
       },
       from("8.8.8.8", 81), yes},
      {"named at egress, of the destination (R10)", out({named("http")}), to("10.0.1.2", 8080), yes},
      {"named at egress, not of the subject", out({named("http")}), to("10.0.1.2", 80), no},
      {"named at egress, no outside host", out({named("http")}), to("8.8.8.8", 80), no},
      {"named at egress, no other node", out({named("http")}), to("192.168.0.2", 80), no},
  });
}

TEST(OraclePolicy, WhatStandsAboveThePolicies) {
  const auto shut = [](SmallCluster& c) {
    c.ingress({});
    c.egress({});
  };
  check({
      {"a pod to itself (R1)", shut, to("10.0.0.1", 80), {Reason::self}},
      {"a pod from itself", shut, from("fd00::1", 80), {Reason::self}},
      {"from its own node (R2)", shut, from("192.168.0.1", 80), {Reason::own_node}},
      {"to its own node", shut, to("192.168.0.1", 80, Protocol::udp), {Reason::own_node}},
      {"from another node (R2b)", shut, from("192.168.0.2", 80), {Reason::isolated}},
      {"another node in a block",
       [](SmallCluster& c) {
         c.ingress({{{block("192.168.0.0/24")}, {}}});
       },
       from("192.168.0.2", 80),
       {Reason::rule}},
      {"own node and a block: both are true (R41)",
       [](SmallCluster& c) {
         c.ingress({{{block("192.168.0.0/24")}, {}}});
       },
       from("192.168.0.1", 80),
       {Reason::rule, Reason::own_node}},
      {"strict shuts what nothing isolates (R25)",
       [](SmallCluster&) {},
       from("8.8.8.8", 80),
       {Reason::strict},
       "a",
       true},
      {"strict, a policy admits",
       [](SmallCluster& c) { c.ingress({{}}); },
       from("8.8.8.8", 80),
       {Reason::rule},
       "a",
       true},
      {"strict, the other direction",
       [](SmallCluster& c) { c.ingress({{}}); },
       to("8.8.8.8", 80),
       {Reason::strict},
       "a",
       true},
      {"strict, own node", [](SmallCluster&) {}, from("192.168.0.1", 80), {Reason::own_node}, "a", true},
      {"isolated says more than strict", shut, from("8.8.8.8", 80), {Reason::isolated}, "a", true},
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
      {"all backends, by selector", with_rules({{{namespaces({})}, {}}}), to("10.96.0.1", 80), yes},
      {"by block over the pods", with_rules({{{block("10.0.1.0/24")}, {}}}), to("10.96.0.1", 80), yes},
      {"a block over the service range opens nothing",
       with_rules({{{block("10.96.0.0/16")}, {}}}),
       to("10.96.0.1", 80),
       {Reason::isolated}},
      {"the service port is not the target port",
       with_rules({{{}, {port(80)}}}),
       to("10.96.0.1", 80),
       {Reason::backends_differ}},
      {"both target ports", with_rules({{{}, {port(80)}}, {{}, {port(8080)}}}), to("10.96.0.1", 80), yes},
      {"the named port, of each backend", with_rules({{{}, {named("http")}}}), to("10.96.0.1", 80), yes},
      {"they disagree",
       with_rules({{{both(labels({{"team", "blue"}}), labels({{"pod", "a"}}))}, {}}}),
       to("10.96.0.1", 80),
       {Reason::backends_differ}},
      {"no backend is allowed", with_rules({{{pods({})}, {}}}), to("10.96.0.1", 80), {Reason::isolated}},
      {"no backend", empty, to("10.96.0.1", 80), {Reason::no_backend}},
      {"own pod alone (R1)", own_pod(false), to("10.96.0.1", 80), {Reason::self}},
      {"own pod and one that is denied", own_pod(true), to("10.96.0.1", 80), {Reason::backends_differ}},
      {"another port of the ClusterIP, no selector and no block",
       with_rules({{{namespaces({}), block("0.0.0.0/0")}, {}}}),
       to("10.96.0.1", 81),
       {Reason::isolated}},
      {"another port of the ClusterIP, a rule without peers", with_rules({{{}, {port(81)}}}),
       to("10.96.0.1", 81), yes},
      {"at ingress an address as any other",
       [](SmallCluster& c) {
         c.service("y", "s", "10.96.0.1");
         c.ingress({{{block("10.96.0.0/16")}, {}}});
       },
       from("10.96.0.1", 80), yes},
      {"nobody judges",
       [](SmallCluster& c) { c.service("y", "s", "10.96.0.1"); },
       to("10.96.0.1", 80),
       {Reason::not_isolated}},
      {"strict",
       [](SmallCluster& c) {
         c.service("y", "s", "10.96.0.1").selector = Labels{{"pod", "a"}};
       },
       to("10.96.0.1", 80),
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
