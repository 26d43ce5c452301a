// SPDX-License-Identifier: Apache-2.0
// The oracle's tiers of ClusterNetworkPolicies, strictness and audit against verdicts worked out by hand from
// the text of policy.networking.k8s.io/v1alpha2 and the rulings that each row names.
#include <gtest/gtest.h>

#include <functional>

#include "test/oracle/policy.h"
#include "test/oracle/small_cluster.h"

namespace postern::oracle {
namespace {

constexpr auto kIn = Direction::ingress;
constexpr auto kOut = Direction::egress;
constexpr auto kTcp = Protocol::tcp;
constexpr auto kUdp = Protocol::udp;
constexpr auto kGre = static_cast<Protocol>(47);
constexpr auto kAdmin = Tier::admin;
constexpr auto kBaseline = Tier::baseline;
constexpr auto kAccept = Action::accept;
constexpr auto kDeny = Action::deny;
constexpr auto kPass = Action::pass;
constexpr auto strict = Enforcement::strict;
constexpr auto standard = Enforcement::standard;

struct Ask {
  Direction direction;
  const char* peer;
  std::uint16_t port;
  Protocol protocol;
};
Ask from(const char* peer, std::uint16_t port, Protocol protocol = kTcp) { return {kIn, peer, port, protocol}; }
Ask to(const char* peer, std::uint16_t port, Protocol protocol = kTcp) { return {kOut, peer, port, protocol}; }

struct Row {
  const char* name;
  std::function<void(SmallCluster&)> arrange;
  Ask ask;                    // of x/a
  std::set<Reason> reasons;   // allow or deny, as they say
  std::set<std::string> rules = {};  // "policy 0", where rules decide
  bool strict_cluster = false;
  bool would_deny = false;
};

std::set<std::string> texts(const std::set<RuleName>& rules) {
  std::set<std::string> out;
  for (const auto& rule : rules) out.insert(rule.policy.name + " " + std::to_string(rule.index));
  return out;
}

void check(const std::vector<Row>& rows) {
  for (const auto& row : rows) {
    SCOPED_TRACE(row.name);
    SmallCluster small;
    row.arrange(small);
    const Cluster cluster{small.objects, row.strict_cluster, {{"n1", {ip("169.254.20.10")}}}};
    const Verdict got =
        verdict(cluster, {{"x", "a"}, row.ask.direction, ip(row.ask.peer), row.ask.protocol, row.ask.port});
    EXPECT_EQ(got.allow, *row.reasons.begin() < Reason::isolated);
    EXPECT_EQ(got.reasons, row.reasons);
    EXPECT_EQ(texts(got.rules), row.rules);
    EXPECT_EQ(got.would_deny, row.would_deny);
    for (const auto& rule : got.rules) EXPECT_TRUE(!got.tier || rule.tier == *got.tier);
  }
}

// One policy with rules of one direction.
std::function<void(SmallCluster&)> one(Tier tier, Direction direction, std::vector<ClusterRule> rules) {
  return [=](SmallCluster& c) {
    auto& policy = c.cluster("p", tier);
    (direction == kIn ? policy.ingress : policy.egress) = rules;
  };
}
std::function<void(SmallCluster&)> both(const std::function<void(SmallCluster&)>& first,
                                        const std::function<void(SmallCluster&)>& second) {
  return [=](SmallCluster& c) {
    first(c);
    second(c);
  };
}
void shut_in(SmallCluster& c) { c.ingress({}); }
void shut_out(SmallCluster& c) { c.egress({}); }
void open_in(SmallCluster& c) { c.ingress({{}}); }
void open_out(SmallCluster& c) { c.egress({{}}); }

const ClusterPeer kAnyPod = cluster_pods();
const ClusterPeer kOutside = networks({"0.0.0.0/0"});
const ClusterPeer kUnknown = UnknownPeer{{"planets"}};

TEST(OracleClusterTiers, AreAskedInOrder) {
  check({
      {"R42: an Admin Deny stands before a NetworkPolicy that allows",
       both(one(kAdmin, kIn, {rule(kDeny, {kAnyPod})}), open_in), from("10.0.1.1", 80), {Reason::denied}, {"p 0"}},
      {"R42: an Admin Accept stands before a NetworkPolicy that isolates",
       both(one(kAdmin, kIn, {rule(kAccept, {kAnyPod})}), shut_in), from("10.0.1.1", 80), {Reason::rule}, {"p 0"}},
      {"R42: Pass goes on to the NetworkPolicies", both(one(kAdmin, kIn, {rule(kPass, {kAnyPod})}), shut_in),
       from("10.0.1.1", 80), {Reason::isolated}},
      {"R42: no match goes on as well",
       both(one(kAdmin, kIn, {rule(kDeny, {kAnyPod}, {each(kTcp, 81)})}), open_in), from("10.0.1.1", 80),
       {Reason::rule}, {"in 0"}},
      {"R42: a Baseline Deny is for where nobody isolates", one(kBaseline, kIn, {rule(kDeny, {kAnyPod})}),
       from("10.0.1.1", 80), {Reason::denied}, {"p 0"}},
      {"R42: an isolated direction ends in its tier, allowed",
       both(one(kBaseline, kIn, {rule(kDeny, {kAnyPod})}), open_in), from("10.0.1.1", 80), {Reason::rule}, {"in 0"}},
      {"R42: an isolated direction ends in its tier, denied",
       both(one(kBaseline, kIn, {rule(kAccept, {kAnyPod})}), shut_in), from("10.0.1.1", 80), {Reason::isolated}},
      {"R28: the Baseline is asked for the other direction",
       both(one(kBaseline, kOut, {rule(kDeny, {kAnyPod})}), shut_in), to("10.0.1.1", 80), {Reason::denied}, {"p 0"}},
      {"R30: Pass in the Baseline is the default",
       one(kBaseline, kIn, {rule(kPass, {kAnyPod}), rule(kDeny, {kAnyPod})}),
       from("10.0.1.1", 80), {Reason::not_isolated}},
      {"R30, R25: which is deny where it is strict", one(kBaseline, kIn, {rule(kPass, {kAnyPod})}),
       from("10.0.1.1", 80), {Reason::strict}, {}, true},
      {"R25: an Accept opens a strict direction", one(kBaseline, kIn, {rule(kAccept, {kAnyPod})}),
       from("10.0.1.1", 80), {Reason::rule}, {"p 0"}, true},
      {"R42: no rules of a direction leave it alone", one(kAdmin, kOut, {rule(kDeny, {kAnyPod})}),
       from("10.0.1.1", 80), {Reason::not_isolated}},
      {"R42: the first rule that matches decides",
       one(kAdmin, kIn, {rule(kAccept, {kAnyPod}, {each(kTcp, 81)}), rule(kDeny, {kAnyPod}), rule(kAccept, {kAnyPod})}),
       from("10.0.1.1", 80), {Reason::denied}, {"p 1"}},
  });
}

std::function<void(SmallCluster&)> two(std::uint32_t first, std::vector<ClusterRule> of_first, std::uint32_t second,
                                       std::vector<ClusterRule> of_second) {
  return [=](SmallCluster& c) {
    c.cluster("p", kAdmin, first).ingress = of_first;
    c.cluster("q", kAdmin, second).ingress = of_second;
  };
}

TEST(OracleClusterTiers, PrioritiesRankAndEqualOnesAreReadSideBySide) {
  const auto accept = rule(kAccept, {kAnyPod});
  const auto deny = rule(kDeny, {kAnyPod});
  const auto pass = rule(kPass, {kAnyPod});
  const auto elsewhere = rule(kDeny, {kAnyPod}, {each(kTcp, 81)});
  check({
      {"the lower number first", two(7, {accept}, 6, {deny}), from("10.0.1.1", 80), {Reason::denied}, {"q 0"}},
      {"and not the name", two(6, {accept}, 7, {deny}), from("10.0.1.1", 80), {Reason::rule}, {"p 0"}},
      {"Pass skips the rest of the tier", two(6, {pass}, 7, {deny}), from("10.0.1.1", 80), {Reason::not_isolated}},
      {"no match does not", two(6, {elsewhere}, 7, {deny}), from("10.0.1.1", 80), {Reason::denied}, {"q 0"}},
      {"R29: Deny before Accept", two(7, {accept}, 7, {deny}), from("10.0.1.1", 80), {Reason::denied}, {"q 0"}},
      {"R29: Accept before Pass", two(7, {pass}, 7, {accept}), from("10.0.1.1", 80), {Reason::rule}, {"q 0"}},
      {"R29: Deny before Pass", two(7, {pass}, 7, {deny}), from("10.0.1.1", 80), {Reason::denied}, {"q 0"}},
      {"R29: each to its first match, so a Deny behind an Accept is not reached", two(7, {accept, deny}, 7, {pass}),
       from("10.0.1.1", 80), {Reason::rule}, {"p 0"}},
      {"R29: a policy without a match leaves the other", two(7, {elsewhere}, 7, {pass}), from("10.0.1.1", 80),
       {Reason::not_isolated}},
      {"R29: two that say the same", two(7, {elsewhere, deny}, 7, {deny}), from("10.0.1.1", 80), {Reason::denied},
       {"p 1", "q 0"}},
      {"R29: tiers do not mix",
       [](SmallCluster& c) {
         c.cluster("p", kBaseline, 1).ingress = {rule(kDeny, {kAnyPod})};
         c.cluster("q", kAdmin, 1000).ingress = {rule(kAccept, {kAnyPod})};
       },
       from("10.0.1.1", 80), {Reason::rule}, {"q 0"}},
  });
}

TEST(OracleClusterTiers, SubjectsAreSelectedByLabels) {
  const auto of = [](ClusterPods subject) {
    return [=](SmallCluster& c) {
      auto& policy = c.cluster("p", kAdmin);
      policy.subject = subject;
      policy.ingress = {rule(kDeny, {kAnyPod})};
    };
  };
  const auto red = labels({{"team", "red"}});
  const auto ask = from("10.0.1.1", 80);
  check({
      {"R33: empty selectors are everybody", of({}), ask, {Reason::denied}, {"p 0"}},
      {"a namespace by its labels", of({red, {}}), ask, {Reason::denied}, {"p 0"}},
      {"another one", of({labels({{"team", "blue"}}), {}}), ask, {Reason::not_isolated}},
      {"R34: by the name label", of({labels({{"kubernetes.io/metadata.name", "x"}}), {}}), ask,
       {Reason::denied}, {"p 0"}},
      {"pods in it", of({red, labels({{"pod", "a"}})}), ask, {Reason::denied}, {"p 0"}},
      {"other pods in it", of({red, labels({{"pod", "b"}})}), ask, {Reason::not_isolated}},
      {"R3: hostNetwork pods never",
       both(of({}), [](SmallCluster& c) { c.pod("x", "a").host_network = true; }), ask, {Reason::not_isolated}},
  });
}

TEST(OracleClusterTiers, PeersOfEveryKind) {
  const auto deny_to = [](ClusterPeer peer) { return one(kAdmin, kOut, {rule(kDeny, {peer})}); };
  const auto deny_from = [](ClusterPeer peer) { return one(kAdmin, kIn, {rule(kDeny, {peer})}); };
  const auto blue = labels({{"team", "blue"}});
  check({
      {"pods of a namespace", deny_from(cluster_pods(blue)), from("10.0.1.1", 80), {Reason::denied}, {"p 0"}},
      {"not of another", deny_from(cluster_pods(blue)), from("10.0.0.2", 80), {Reason::not_isolated}},
      {"pods by both", deny_from(cluster_pods(blue, labels({{"pod", "b"}}))), from("10.0.1.1", 80),
       {Reason::not_isolated}},
      {"R36: a pod in both families", deny_to(cluster_pods()), to("fd00::2", 80), {Reason::denied}, {"p 0"}},
      {"no pod is outside", deny_to(kAnyPod), to("8.8.8.8", 80), {Reason::not_isolated}},
      {"R32: ingress from outside has no peer", deny_from(kAnyPod), from("8.8.8.8", 80), {Reason::not_isolated}},
      {"R32: nor has another node", deny_from(kAnyPod), from("192.168.0.2", 80), {Reason::not_isolated}},
      {"R3: a hostNetwork pod is no pod",
       both(deny_to(kAnyPod), [](SmallCluster& c) { c.pod("y", "b").host_network = true; }), to("10.0.1.2", 80),
       {Reason::not_isolated}},
      {"R23: nor is one that has finished",
       both(deny_to(kAnyPod), [](SmallCluster& c) { c.pod("y", "b").phase = PodPhase::failed; }), to("10.0.1.2", 80),
       {Reason::not_isolated}},
      {"R43: networks match outside", deny_to(networks({"8.8.0.0/16"})), to("8.8.8.8", 80), {Reason::denied}, {"p 0"}},
      {"R43: networks match pods", deny_to(networks({"1.0.0.0/8", "10.0.1.1/32"})), to("10.0.1.1", 80),
       {Reason::denied}, {"p 0"}},
      {"R43: networks match ICMP", deny_to(kOutside), to("8.8.8.8", 0, Protocol::icmp), {Reason::denied}, {"p 0"}},
      {"R36: not of the other family", deny_to(kOutside), to("2001:db8::1", 80), {Reason::not_isolated}},
      {"R6: host bits are masked", deny_to(networks({"8.8.8.9/24"})), to("8.8.8.8", 80), {Reason::denied}, {"p 0"}},
      {"R43: nodes match an address in their status", deny_to(cluster_nodes()), to("192.168.0.2", 80),
       {Reason::denied}, {"p 0"}},
      {"R43: any kind of address",
       both(deny_to(cluster_nodes()),
            [](SmallCluster& c) { c.objects.nodes["n2"].addresses.push_back({"ExternalIP", ip("203.0.113.2")}); }),
       to("203.0.113.2", 80), {Reason::denied}, {"p 0"}},
      {"nodes by their labels", deny_to(cluster_nodes(labels({{"zone", "a"}}))), to("192.168.0.2", 80),
       {Reason::not_isolated}},
      {"nodes are no pods", deny_to(cluster_nodes()), to("10.0.1.2", 80), {Reason::not_isolated}},
      {"any one peer is enough", one(kAdmin, kOut, {rule(kDeny, {cluster_nodes(), kOutside})}), to("8.8.8.8", 80),
       {Reason::denied}, {"p 0"}},
      {"names of domains match nothing",
       both(one(kAdmin, kOut, {rule(kAccept, {ClusterDomainNames{{"*.example.com"}}})}), shut_out), to("8.8.8.8", 443),
       {Reason::isolated}},
      {"and leave the peers beside them alone",
       both(one(kAdmin, kOut, {rule(kAccept, {ClusterDomainNames{{"example.com"}}, kOutside})}), shut_out),
       to("8.8.8.8", 443), {Reason::rule}, {"p 0"}},
  });
}

TEST(OracleClusterTiers, AnUnknownPeerClosesItsWholeRule) {
  const auto out = [](Action action, std::vector<ClusterPeer> peers, std::vector<ClusterPort> ports = {}) {
    return one(kAdmin, kOut, {rule(action, peers, ports)});
  };
  check({
      {"R31: Accept matches nothing", both(out(kAccept, {kUnknown}), shut_out), to("8.8.8.8", 80), {Reason::isolated}},
      {"R31: not for the peers beside it either", both(out(kAccept, {kOutside, kUnknown}), shut_out), to("8.8.8.8", 80),
       {Reason::isolated}},
      {"R31: Deny is for every peer", out(kDeny, {kUnknown}), to("8.8.8.8", 80), {Reason::denied}, {"p 0"}},
      {"R31: pods as well", out(kDeny, {kUnknown, cluster_nodes()}), to("10.0.1.1", 80), {Reason::denied}, {"p 0"}},
      {"R31: and from outside", one(kAdmin, kIn, {rule(kDeny, {kUnknown})}), from("8.8.8.8", 80),
       {Reason::denied}, {"p 0"}},
      {"R31: Pass becomes Deny", out(kPass, {kUnknown}), to("8.8.8.8", 80), {Reason::denied}, {"p 0"}},
      {"R31: in the Baseline too", one(kBaseline, kOut, {rule(kPass, {kUnknown})}), to("8.8.8.8", 80),
       {Reason::denied}, {"p 0"}},
      {"R31: protocols still narrow it", out(kDeny, {kUnknown}, {each(kTcp, 81)}), to("8.8.8.8", 80),
       {Reason::not_isolated}},
      {"R31: and match", out(kDeny, {kUnknown}, {each(kTcp, 80)}), to("8.8.8.8", 80), {Reason::denied}, {"p 0"}},
      {"R31: a rule before it decides",
       one(kAdmin, kOut, {rule(kAccept, {kOutside}), rule(kDeny, {kUnknown})}), to("8.8.8.8", 80),
       {Reason::rule}, {"p 0"}},
      {"R1: never a pod to itself", out(kDeny, {kUnknown}), to("10.0.0.1", 80), {Reason::self}},
  });
}

TEST(OracleClusterTiers, PortsOfEveryForm) {
  const auto out = [](std::vector<ClusterPort> ports) {
    return one(kAdmin, kOut, {rule(kDeny, {kOutside, kAnyPod}, ports)});
  };
  const auto in = [](std::vector<ClusterPort> ports) { return one(kAdmin, kIn, {rule(kDeny, {kAnyPod}, ports)}); };
  const auto out_named = [](const char* name) {
    return one(kAdmin, kOut, {rule(kDeny, {kAnyPod}, {NamedPort{name}})});
  };
  const auto denied = std::set<Reason>{Reason::denied};
  const auto open = std::set<Reason>{Reason::not_isolated};
  const auto p0 = std::set<std::string>{"p 0"};
  check({
      {"absent: every protocol", out({}), to("8.8.8.8", 0, kGre), denied, p0},
      {"absent: ICMP", out({}), to("8.8.8.8", 0, Protocol::icmp), denied, p0},
      {"a number", out({each(kTcp, 80)}), to("8.8.8.8", 80), denied, p0},
      {"another number", out({each(kTcp, 80)}), to("8.8.8.8", 81), open},
      {"another protocol", out({each(kTcp, 80)}), to("8.8.8.8", 80, kUdp), open},
      {"the first of a range", out({each(kTcp, 80, 90)}), to("8.8.8.8", 80), denied, p0},
      {"the last of a range", out({each(kTcp, 80, 90)}), to("8.8.8.8", 90), denied, p0},
      {"behind a range", out({each(kTcp, 80, 90)}), to("8.8.8.8", 91), open},
      {"every port of a protocol", out({each(kUdp)}), to("8.8.8.8", 9, kUdp), denied, p0},
      {"protocols are no ICMP", out({each(kTcp), each(kUdp)}), to("8.8.8.8", 0, Protocol::icmp), open},
      {"any one is enough", out({each(kTcp, 1), each(kUdp, 53)}), to("8.8.8.8", 53, kUdp), denied, p0},
      {"R43: a name at ingress is the subject's", in({NamedPort{"http"}}), from("10.0.1.2", 80), denied, p0},
      {"R43: not the peer's", in({NamedPort{"http"}}), from("10.0.1.2", 8080), open},
      {"R43: with the protocol of the container port", in({NamedPort{"dns"}}), from("10.0.1.2", 53, kUdp), denied, p0},
      {"R43: and no other", in({NamedPort{"dns"}}), from("10.0.1.2", 53), open},
      {"R43: a name that nobody has", in({NamedPort{"none"}}), from("10.0.1.2", 53), open},
      {"R43: a name at egress is each destination's", out_named("http"), to("10.0.1.2", 8080), denied, p0},
      {"R43: each its own", out_named("http"), to("10.0.1.1", 8080), open},
      {"R43, R35: every port of a name given twice",
       both(in({NamedPort{"http"}}),
            [](SmallCluster& c) { c.pod("x", "a").ports.push_back({"http", 99, Protocol::sctp}); }),
       from("10.0.1.2", 99, Protocol::sctp), denied, p0},
  });
}

TEST(OracleClusterTiers, ThePodItselfAndItsNode) {
  const auto shut_all = [](Tier tier) {
    return [=](SmallCluster& c) {
      c.cluster("p", tier).ingress = {rule(kDeny, {kUnknown})};
      c.cluster("p", tier).egress = {rule(kDeny, {kOutside, kAnyPod})};
    };
  };
  const auto node_out = [](Tier tier, Action action) { return one(tier, kOut, {rule(action, {cluster_nodes()})}); };
  check({
      {"R1: a pod reaches itself", shut_all(kAdmin), to("10.0.0.1", 80), {Reason::self}},
      {"R2: its node enters above every tier", shut_all(kAdmin), from("192.168.0.1", 80), {Reason::own_node}},
      {"R2: by every address it has", shut_all(kAdmin), from("169.254.20.10", 80), {Reason::own_node}},
      {"R2: other nodes do not", shut_all(kAdmin), from("192.168.0.2", 80), {Reason::denied}, {"p 0"}},
      {"R2: an Admin rule denies it at egress", node_out(kAdmin, kDeny), to("192.168.0.1", 80),
       {Reason::denied}, {"p 0"}},
      {"R2: a Baseline rule too", node_out(kBaseline, kDeny), to("192.168.0.1", 80), {Reason::denied}, {"p 0"}},
      {"R2: networks match it, whatever its address", one(kAdmin, kOut, {rule(kDeny, {kOutside})}),
       to("169.254.20.10", 53), {Reason::denied}, {"p 0"}},
      {"R43: nodes match the addresses of the status alone", node_out(kAdmin, kDeny), to("169.254.20.10", 53),
       {Reason::not_isolated, Reason::own_node}},
      {"R2: Pass leads to a NetworkPolicy that cannot deny it", both(node_out(kAdmin, kPass), shut_out),
       to("192.168.0.1", 80), {Reason::own_node}},
      {"R2: a Baseline rule applies beside a NetworkPolicy too", both(node_out(kBaseline, kDeny), shut_out),
       to("192.168.0.1", 80), {Reason::denied}, {"p 0"}},
      {"R2: which has no say there, whatever it says", both(node_out(kBaseline, kDeny), open_out),
       to("192.168.0.1", 80), {Reason::denied}, {"p 0"}},
      {"R2: an Accept opens it", node_out(kAdmin, kAccept), to("192.168.0.1", 80), {Reason::rule}, {"p 0"}},
      {"R25: strict excepts it", node_out(kAdmin, kPass), to("192.168.0.1", 80), {Reason::own_node}, {}, true},
  });
}

TEST(OracleClusterTiers, TheTierThatDecidesIsNamed) {
  SmallCluster small;
  const Cluster cluster{small.objects, false, {}};
  const auto tier = [&] { return verdict(cluster, {{"x", "a"}, kIn, ip("10.0.1.1"), kTcp, 80}).tier; };
  EXPECT_EQ(tier(), std::nullopt);
  small.cluster("p", kBaseline).ingress = {rule(kAccept, {kAnyPod})};
  EXPECT_EQ(tier(), kBaseline);
  small.ingress({});
  EXPECT_EQ(tier(), Tier::network_policy);
  small.cluster("q", kAdmin).ingress = {rule(kDeny, {kAnyPod})};
  EXPECT_EQ(tier(), kAdmin);
}

// s of y at 10.96.0.1: y/a at 80 and y/b at 8080.
void with_service(SmallCluster& c) {
  c.service("y", "s", "10.96.0.1").selector = Labels{};
  c.objects.services[{"y", "s"}].selector = Labels{{"side", "back"}};
  for (const auto* name : {"a", "b"}) c.pod("y", name).labels["side"] = "back";
}

TEST(OracleClusterTiers, ServicesAreJudgedByTheirBackends) {
  const auto out = [](std::vector<ClusterRule> rules) {
    return both(with_service, one(kAdmin, kOut, std::move(rules)));
  };
  const auto to_a = networks({"10.0.1.1/32"});
  check({
      {"R7: all denied by one rule", out({rule(kDeny, {kAnyPod})}), to("10.96.0.1", 80), {Reason::denied}, {"p 0"}},
      {"R7: at the target port", out({rule(kDeny, {kAnyPod}, {each(kTcp, 80)})}), to("10.96.0.1", 80),
       {Reason::backends_differ}},
      {"R7: by name, each at its own", out({rule(kDeny, {kAnyPod}, {NamedPort{"http"}})}), to("10.96.0.1", 80),
       {Reason::denied}, {"p 0"}},
      {"R7: networks see the backends", out({rule(kDeny, {to_a})}), to("10.96.0.1", 80), {Reason::backends_differ}},
      {"R7: and not the address of the Service", out({rule(kDeny, {networks({"10.96.0.0/16"})})}), to("10.96.0.1", 80),
       {Reason::not_isolated}},
      {"R7: all denied, for more than one reason",
       both(out({rule(kDeny, {to_a})}), shut_out), to("10.96.0.1", 80),
       {Reason::isolated, Reason::denied, Reason::backends_differ}, {"p 0"}},
      {"R7: all accepted, by more than one rule",
       both(out({rule(kAccept, {to_a}), rule(kAccept, {kAnyPod})}), shut_out), to("10.96.0.1", 80), {Reason::rule},
       {"p 0", "p 1"}},
      {"R7: nobody behind it",
       both(out({rule(kDeny, {kOutside}, {each(kTcp, 1)})}),
            [](SmallCluster& c) { for (const auto* name : {"a", "b"}) c.pod("y", name).ready = false; }),
       to("10.96.0.1", 80), {Reason::no_backend}},
      {"a port the Service does not have is nobody's", out({rule(kDeny, {kOutside, kAnyPod})}), to("10.96.0.1", 81),
       {Reason::not_isolated}},
      {"R31: but an unknown peer is everybody", out({rule(kDeny, {kUnknown})}), to("10.96.0.1", 81),
       {Reason::denied}, {"p 0"}},
      {"R8: at ingress it is an address", both(with_service, one(kAdmin, kIn, {rule(kDeny, {kAnyPod})})),
       from("10.96.0.1", 80), {Reason::not_isolated}},
  });
}

std::function<void(SmallCluster&)> ns_x(std::optional<Enforcement> in, std::optional<Enforcement> out,
                                        bool audit = false) {
  return [=](SmallCluster& c) {
    c.objects.namespaces["x"].enforcement = {in, out};
    c.objects.namespaces["x"].audit = audit;
  };
}

TEST(OracleEnforcement, ThePodsNamespaceStandsOverTheCluster) {
  const auto peer_is_strict = [](SmallCluster& c) { c.objects.namespaces["y"].enforcement = {strict, strict}; };
  check({
      {"R45: strict at ingress", ns_x(strict, {}), from("10.0.1.1", 80), {Reason::strict}},
      {"R45: each direction by itself", ns_x(strict, {}), to("10.0.1.1", 80), {Reason::not_isolated}},
      {"R45: standard in a strict cluster", ns_x(standard, {}), from("10.0.1.1", 80), {Reason::not_isolated}, {}, true},
      {"R45: the cluster's setting where it says nothing", ns_x(standard, {}), to("10.0.1.1", 80),
       {Reason::strict}, {}, true},
      {"R45: the pod's namespace, not the peer's", peer_is_strict, from("10.0.1.1", 80), {Reason::not_isolated}},
      {"R25: an isolated direction is judged as ever", both(ns_x(strict, strict), open_out), to("10.0.1.1", 80),
       {Reason::rule}, {"out 0"}},
      {"R25: the own node is excepted", ns_x(strict, strict), to("192.168.0.1", 80), {Reason::own_node}},
      {"R44: in audit it denies nothing, and says so", ns_x(strict, {}, true), from("10.0.1.1", 80),
       {Reason::not_isolated}, {}, false, true},
      {"R44: nor does what it has from the cluster", ns_x({}, {}, true), from("10.0.1.1", 80),
       {Reason::not_isolated}, {},
       true, true},
  });
}

std::function<void(SmallCluster&)> audited(const std::function<void(SmallCluster&)>& arrange) {
  return [=](SmallCluster& c) {
    arrange(c);
    for (auto& [key, policy] : c.objects.network_policies) policy.audit = true;
    for (auto& [name, policy] : c.objects.cluster_network_policies) policy.audit = true;
  };
}

TEST(OracleAudit, IsolatesNobodyAllowsNothingAndSaysWhatItWouldDeny) {
  const auto deny = one(kAdmin, kIn, {rule(kDeny, {kAnyPod})});
  const auto accept = one(kAdmin, kIn, {rule(kAccept, {kAnyPod})});
  const auto x_in_audit = ns_x({}, {}, true);
  check({
      {"R44: a NetworkPolicy", audited(shut_in), from("10.0.1.1", 80), {Reason::not_isolated}, {}, false, true},
      {"R44: that would allow", audited(open_in), from("10.0.1.1", 80), {Reason::not_isolated}},
      {"R44: it opens nothing", both(audited(open_in), [](SmallCluster& c) { c.policy("x", "shut", {}); }),
       from("10.0.1.1", 80), {Reason::isolated}},
      {"R44: with the others it would allow",
       both(audited(shut_in), [](SmallCluster& c) { c.policy("x", "open", {}).ingress = {{}}; }),
       from("10.0.1.1", 80), {Reason::rule}, {"open 0"}},
      {"R44: a namespace's policies", both(x_in_audit, shut_in), from("10.0.1.1", 80),
       {Reason::not_isolated}, {}, false, true},
      {"R44: a ClusterNetworkPolicy", audited(deny), from("10.0.1.1", 80), {Reason::not_isolated}, {}, false, true},
      {"R44: one stays in force in a namespace in audit", both(x_in_audit, deny), from("10.0.1.1", 80),
       {Reason::denied}, {"p 0"}},
      {"R44: an audited Accept does not open", both(audited(accept), [](SmallCluster& c) { c.ingress({}); }),
       from("10.0.1.1", 80), {Reason::isolated}},
      {"R44: what is denied in force would be denied by nobody else", both(audited(shut_in), deny),
       from("10.0.1.1", 80),
       {Reason::denied}, {"p 0"}},
      {"R44: two in audit are enforced together",
       [](SmallCluster& c) {
         c.ingress({}).audit = true;
         auto& policy = c.cluster("p", kAdmin);
         policy.ingress = {rule(kAccept, {kAnyPod})};
         policy.audit = true;
       },
       from("10.0.1.1", 80), {Reason::not_isolated}},
      {"R2: nobody denies the own node", audited(deny), from("192.168.0.1", 80),
       {Reason::not_isolated, Reason::own_node}},
  });
}

TEST(OracleAudit, WhoIsOnlyInAuditIsNotJudged) {
  SmallCluster small;
  const Cluster cluster{small.objects, false, {}};
  const auto is_judged = [&](Direction direction) { return judged(cluster, {"x", "a"}, direction); };
  EXPECT_FALSE(is_judged(kIn));
  auto& policy = small.cluster("p", kBaseline);
  policy.ingress = {rule(kPass, {kAnyPod})};
  EXPECT_TRUE(is_judged(kIn));
  EXPECT_FALSE(is_judged(kOut)) << "no rules leave a direction alone";
  policy.audit = true;
  EXPECT_FALSE(is_judged(kIn));
  small.objects.namespaces["x"].enforcement[1] = Enforcement::strict;
  EXPECT_TRUE(is_judged(kOut));
}

}  // namespace
}  // namespace postern::oracle
