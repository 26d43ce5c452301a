// SPDX-License-Identifier: Apache-2.0
// PolicyEndpoints as policies (R25c, R46), as rows of questions to one small cluster:
//
//   namespace x: a (10.0.0.1 and fd00::1), b (10.0.0.2), host (hostNetwork, on 10.9.0.7)
//   namespace y: c (10.0.1.3)
//   Service x/web: 10.96.0.1 TCP 80 -> b 8080
//   own node 10.9.0.1
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "engine/policy/policy_endpoints.h"
#include "engine/policy/resolve.h"
#include "engine/policy/judge.h"

namespace postern::policy_endpoints_test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

IpAddress ip(const std::string& text) { return *IpAddress::parse(text); }

ClusterSnapshot small_cluster() {
  ClusterSnapshot cluster;
  const auto add = [&](const char* ns, const char* name, const std::vector<const char*>& addresses) -> Pod& {
    Pod& pod = cluster.pods[{ns, name}];
    pod.key = {ns, name};
    pod.labels = {{"app", name}};
    for (const char* address : addresses) pod.addresses.push_back(ip(address));
    return pod;
  };
  add("x", "a", {"10.0.0.1", "fd00::1"});
  add("x", "b", {"10.0.0.2"});
  add("x", "host", {"10.9.0.7"}).host_network = true;
  add("y", "c", {"10.0.1.3"});
  Service& service = cluster.services[{"x", "web"}];
  service.key = {"x", "web"};
  service.selector = Labels{{"app", "b"}};
  service.cluster_ips = {ip("10.96.0.1")};
  service.ports = {{"http", Protocol::tcp, 80, std::uint16_t{8080}}};
  return cluster;
}

PolicyPort port(std::uint16_t lo, std::uint16_t hi = 0, Protocol protocol = Protocol::tcp) {
  return {protocol, PortRange{lo, hi == 0 ? lo : hi}};
}

// "10.0.0.1" or "10.0.0.0/8".
EndpointInfo to(const std::string& block, std::vector<PolicyPort> ports = {},
                const std::vector<std::string>& excepts = {}) {
  EndpointInfo info;
  const auto host = IpAddress::parse(block);
  info.block = IpBlock{host ? Cidr::host(*host) : *Cidr::parse(block), {}};
  for (const auto& except : excepts) info.block->excepts.push_back(*Cidr::parse(except));
  info.ports = std::move(ports);
  return info;
}

EndpointInfo domain(const std::string& name) {
  EndpointInfo info;
  info.domain_name = name;
  return info;
}

struct Slice {
  const char* name;
  const char* policy = "p";
  std::vector<PodEndpoint> pods{};
  std::vector<EndpointInfo> ingress{};
  std::vector<EndpointInfo> egress{};
  const char* isolates = "both";
};

PodEndpoint entry(const std::string& name, const std::string& address = "") {
  return {{"x", name}, address.empty() ? std::nullopt : IpAddress::parse(address), ip("10.9.0.1")};
}

void add(ClusterSnapshot& cluster, const std::vector<Slice>& slices) {
  for (const auto& from : slices) {
    PolicyEndpoint& slice = cluster.policy_endpoints[{"x", from.name}];
    slice.key = {"x", from.name};
    slice.policy = {"x", from.policy};
    slice.isolates_ingress = std::string(from.isolates) != "egress";
    slice.isolates_egress = std::string(from.isolates) != "ingress";
    slice.pods = from.pods;
    slice.ingress = from.ingress;
    slice.egress = from.egress;
  }
}

struct Ask {
  std::string pod;
  Direction direction = Direction::ingress;
  std::string peer;
  std::uint16_t port = 80;
  std::uint32_t reason = PN_REASON_RULE;
  Protocol protocol = Protocol::tcp;
};

struct Row {
  std::string name;
  std::vector<Slice> slices;
  std::vector<Ask> asks;
  std::function<void(ClusterSnapshot&, ResolveOptions&)> change = [](ClusterSnapshot&, ResolveOptions&) {};
};

constexpr auto kIn = Direction::ingress;
constexpr auto kOut = Direction::egress;
constexpr std::uint32_t kRule = PN_REASON_RULE;
constexpr std::uint32_t kIsolated = PN_REASON_ISOLATED;
constexpr std::uint32_t kOpen = PN_REASON_NOT_ISOLATED;

std::vector<Row> rows() {
  const PodEndpoint a = entry("a", "10.0.0.1");
  return {
      {"R25c: slices of one policy are the union of pods and rules",
       {{"p-1", "p", {a}, {to("10.0.1.3")}, {}},
        {"p-2", "p", {entry("b", "10.0.0.2")}, {to("10.0.0.9")}, {to("10.0.0.8")}}},
       {{"a", kIn, "10.0.1.3"},
        {"a", kIn, "10.0.0.9"},
        {"b", kIn, "10.0.1.3"},
        {"b", kOut, "10.0.0.8"},
        {"a", kIn, "10.0.0.8", 80, kIsolated},
        {"b", kOut, "10.0.0.9", 80, kIsolated}}},
      {"policies of two names add up, each for its own pods",
       {{"p-1", "p", {a}, {to("10.0.1.3")}, {}}, {"q-1", "q", {entry("b")}, {to("10.0.0.9")}, {}}},
       {{"a", kIn, "10.0.1.3"}, {"a", kIn, "10.0.0.9", 80, kIsolated}, {"b", kIn, "10.0.0.9"}}},
      {"an isolation that is not named isolates not, whatever rules there are",
       {{"p-1", "p", {a}, {to("10.0.1.3")}, {to("10.0.1.3")}, "egress"}},
       {{"a", kIn, "10.0.0.9", 80, kOpen}, {"a", kOut, "10.0.1.3"}, {"a", kOut, "10.0.0.9", 80, kIsolated}}},
      {"a pod that no slice lists is not selected",
       {{"p-1", "p", {a}, {}, {}}},
       {{"b", kIn, "10.0.1.3", 80, kOpen}, {"a", kIn, "10.0.1.3", 80, kIsolated}}},
      {"a pod made anew with another address is not the one that is listed",
       {{"p-1", "p", {entry("a", "10.0.0.77")}, {}, {}}},
       {{"a", kIn, "10.0.1.3", 80, kOpen}}},
      {"an entry without podIP means the pod of that name",
       {{"p-1", "p", {entry("a")}, {}, {}}},
       {{"a", kIn, "10.0.1.3", 80, kIsolated}}},
      {"one address of a pod stands for both of its families",
       {{"p-1", "p", {entry("a", "fd00::1")}, {to("10.0.1.3")}, {}}},
       {{"a", kIn, "10.0.1.3"}, {"a", kIn, "10.0.0.9", 80, kIsolated}, {"a", kIn, "fd00::9", 80, kIsolated}}},
      {"R3: a hostNetwork pod that is listed is no subject",
       {{"p-1", "p", {entry("host", "10.9.0.7")}, {}, {}}},
       {{"host", kIn, "10.0.1.3", 80, kOpen}}},
      {"a pod of another namespace that is listed is not selected",
       {{"p-1", "p", {{{"y", "c"}, std::nullopt, std::nullopt}}, {}, {}}},
       {{"c", kIn, "10.0.0.1", 80, kOpen}}},
      {"R2: the own node comes in, and is reached",
       {{"p-1", "p", {a}, {}, {}}},
       {{"a", kIn, "10.9.0.1", 80, PN_REASON_OWN_NODE}, {"a", kOut, "10.9.0.1", 80, PN_REASON_OWN_NODE}}},
      {"R5: an except belongs to its own entry",
       {{"p-1", "p", {a}, {to("10.1.0.0/16", {}, {"10.1.2.0/24"}), to("10.1.2.7")}, {}}},
       {{"a", kIn, "10.1.1.1"}, {"a", kIn, "10.1.2.7"}, {"a", kIn, "10.1.2.8", 80, kIsolated}}},
      {"ports: none is every protocol, a protocol alone is all of its ports, endPort ends a range",
       {{"p-1",
         "p",
         {a},
         {to("10.0.0.11"), to("10.0.0.12", {{Protocol::udp, std::nullopt}}), to("10.0.0.13", {port(90, 99)})},
         {}}},
       {{"a", kIn, "10.0.0.11", 0, kRule, Protocol::icmp},
        {"a", kIn, "10.0.0.12", 65535, kRule, Protocol::udp},
        {"a", kIn, "10.0.0.12", 65535, kIsolated, Protocol::tcp},
        {"a", kIn, "10.0.0.12", 0, kIsolated, Protocol::icmp},
        {"a", kIn, "10.0.0.13", 99},
        {"a", kIn, "10.0.0.13", 100, kIsolated}}},
      {"a name of a domain matches nothing",
       {{"p-1", "p", {a}, {}, {domain("example.com")}}},
       {{"a", kOut, "192.0.2.1", 443, kIsolated}}},
      {"a name beside an address is the address",
       {{"p-1",
         "p",
         {a},
         {},
         {[] {
           EndpointInfo both = to("192.0.2.1");
           both.domain_name = "example.com";
           return both;
         }()}}},
       {{"a", kOut, "192.0.2.1", 443}}},
      {"every address of both families is every peer",
       {{"p-1", "p", {a}, {to("0.0.0.0/0"), to("::/0"), to("10.0.0.9")}, {}}},
       {{"a", kIn, "10.0.0.9"}, {"a", kIn, "192.0.2.1"}, {"a", kIn, "2001:db8::1"}}},
      {"R36: every address of one family is not every peer",
       {{"p-1", "p", {a}, {to("0.0.0.0/0")}, {}}},
       {{"a", kIn, "192.0.2.1"}, {"a", kIn, "2001:db8::1", 80, kIsolated}}},
      {"parts of a policy are policies of their own",
       {{"p-1", "p", {a, entry("b")}, {}, {}},
        {"p-2", "p#one", {a}, {to("10.0.1.3", {port(80)})}, {}},
        {"p-3", "p#two", {entry("b")}, {to("10.0.1.3", {port(81)})}, {}}},
       {{"a", kIn, "10.0.1.3", 80},
        {"a", kIn, "10.0.1.3", 81, kIsolated},
        {"b", kIn, "10.0.1.3", 81},
        {"b", kIn, "10.0.1.3", 80, kIsolated}}},
      {"R46: an egress entry names a ClusterIP and the Service's own port",
       {{"p-1", "p", {a}, {}, {to("10.96.0.0/16", {port(80)})}}},
       {{"a", kOut, "10.96.0.1", 80}, {"a", kOut, "10.0.0.2", 8080, kIsolated}}},
      {"R46: either way of permission suffices",
       {{"p-1", "p", {a}, {}, {to("10.0.0.2", {port(8080)})}}},
       {{"a", kOut, "10.96.0.1", 80}, {"a", kOut, "10.96.0.1", 81, kIsolated}}},
      {"R46: by their meaning the backends decide",
       {{"p-1", "p", {a}, {}, {to("10.96.0.0/16", {port(80)})}}},
       {{"a", kOut, "10.96.0.1", 80, kIsolated}},
       [](ClusterSnapshot&, ResolveOptions& options) { options.service_ip_blocks = ServiceIpBlocks::meaning; }},
      {"R46: without Services a ClusterIP is an address",
       {{"p-1", "p", {a}, {}, {to("10.96.0.1", {port(80)})}}},
       {{"a", kOut, "10.96.0.1", 80}, {"a", kOut, "10.96.0.1", 81, kIsolated}},
       [](ClusterSnapshot& cluster, ResolveOptions&) { cluster.services.clear(); }},
      {"NetworkPolicies and PolicyEndpoints of one snapshot are enforced together",
       {{"p-1", "p", {a}, {to("10.0.1.3")}, {}}},
       {{"a", kIn, "10.0.1.3"}, {"a", kIn, "10.0.0.9"}, {"b", kIn, "10.0.1.3", 80, kIsolated}},
       [](ClusterSnapshot& cluster, ResolveOptions&) {
         NetworkPolicy& policy = cluster.network_policies[{"x", "p"}];
         policy.key = {"x", "p"};
         policy.ingress = {{{IpBlock{*Cidr::parse("10.0.0.9/32"), {}}}, {}}};
       }},
  };
}

struct Resolved {
  ResolvedPolicy policy;
  RuleRegistry rules;

  [[nodiscard]] const EndpointPolicy& of(const std::string& pod) const {
    for (const auto& endpoint : policy.endpoints) {
      if (endpoint.pod.name == pod) return endpoint;
    }
    ADD_FAILURE() << "no endpoint " << pod;
    return policy.endpoints.front();
  }
  // "x/p 0" of every rule of a direction.
  [[nodiscard]] std::vector<std::string> origins(const std::string& pod, Direction direction) const {
    std::vector<std::string> out;
    for (const auto& rule : of(pod).at(direction).rules) {
      const RuleOrigin* origin = rules.find(rule.id);
      out.push_back(origin->policy.key.to_string() + " " + std::to_string(origin->index));
    }
    return out;
  }
};

const std::vector<LocalEndpoint> kLocal{{EndpointId{1}, 11, {"x", "a"}},
                                        {EndpointId{2}, 12, {"x", "b"}},
                                        {EndpointId{3}, 13, {"x", "host"}},
                                        {EndpointId{4}, 14, {"y", "c"}}};

Resolved resolved(const ClusterSnapshot& cluster, ResolveOptions options = {}) {
  options.own_node = {ip("10.9.0.1")};
  Resolved out;
  auto policy = resolve(cluster, kLocal, options, out.rules);
  EXPECT_TRUE(policy) << policy.error().to_string();
  if (policy) out.policy = std::move(*policy);
  return out;
}

TEST(PolicyEndpoints, EveryRowSaysWhatItsEntriesSay) {
  for (const auto& row : rows()) {
    ClusterSnapshot cluster = small_cluster();
    add(cluster, row.slices);
    ResolveOptions options;
    row.change(cluster, options);
    const Resolved got = resolved(cluster, options);
    for (const auto& ask : row.asks) {
      const auto step = judge(got.policy, got.of(ask.pod), ask.direction, ip(ask.peer),
                              static_cast<std::uint8_t>(ask.protocol), ask.port);
      EXPECT_EQ(pn_step_reason(step), ask.reason)
          << row.name << ": " << ask.pod << " " << to_string(ask.direction) << " " << ask.peer << " " << ask.port;
    }
  }
}

TEST(PolicyEndpoints, ADenialNamesThePolicyAndNotItsParts) {
  ClusterSnapshot cluster = small_cluster();
  add(cluster, {{"p-1", "p", {entry("a")}}, {"p-2", "p#one", {entry("a")}}, {"q-1", "q", {entry("a")}}});
  const Resolved got = resolved(cluster);
  EXPECT_THAT(got.of("a").at(kIn).isolating,
              ElementsAre(PolicyRef{PolicyKind::network_policy, {"x", "p"}},
                          PolicyRef{PolicyKind::network_policy, {"x", "q"}}));
}

TEST(PolicyEndpoints, RulesAreNumberedByTheirPortsOverAllPartsOfAPolicy) {
  ClusterSnapshot cluster = small_cluster();
  add(cluster, {{"p-1", "p", {entry("a")}, {to("10.0.0.9", {port(90)}), to("10.0.0.8", {port(70)})}, {}},
                {"p-2", "p", {}, {to("10.0.0.7", {port(70)}), to("10.0.0.7")}, {}},
                {"p-3", "p#one", {entry("a")}, {to("10.0.0.9", {port(80)})}, {}},
                {"p-4", "p-more", {entry("a")}, {to("10.0.0.9", {port(1)})}, {}}});
  EXPECT_THAT(resolved(cluster).origins("a", kIn),
              ElementsAre("x/p 0", "x/p 1", "x/p 3", "x/p 2", "x/p-more 0"));
}

TEST(PolicyEndpoints, TheAddressesOfARuleAreOneTermThatKeepsItsKey) {
  const auto terms_with = [](const std::vector<std::string>& addresses) {
    ClusterSnapshot cluster = small_cluster();
    Slice slice{"p-1", "p", {entry("a")}, {}, {}};
    for (const auto& address : addresses) slice.ingress.push_back(to(address, {port(80)}));
    slice.ingress.push_back(to("10.1.0.0/16", {port(80)}));
    add(cluster, {slice});
    return resolved(cluster).policy.terms;
  };
  const auto before = terms_with({"10.0.0.7", "10.0.0.8", "10.0.0.7"});
  ASSERT_EQ(before.size(), 2u);
  EXPECT_EQ(before[0].kind, TermKind::block);
  EXPECT_EQ(before[1].kind, TermKind::addresses);
  EXPECT_THAT(before[1].addresses, ElementsAre(ip("10.0.0.7"), ip("10.0.0.8")));
  const auto after = terms_with({"10.0.0.8", "10.0.0.9"});
  ASSERT_EQ(after.size(), 2u);
  EXPECT_EQ(after[1].key, before[1].key);
  EXPECT_THAT(after[1].addresses, ElementsAre(ip("10.0.0.8"), ip("10.0.0.9")));
}

std::vector<std::string> messages_of(const ClusterSnapshot& cluster) {
  std::vector<std::string> messages;
  for (const auto& found : inconsistent_policies(cluster.policy_endpoints)) messages.push_back(found.message);
  return messages;
}

TEST(PolicyEndpoints, SlicesThatDisagreeAreNamedAndNeverReadInPart) {
  ClusterSnapshot cluster = small_cluster();
  add(cluster, {{"p-1", "p", {entry("a")}}, {"p-2", "p", {}, {}, {}, "ingress"}, {"q-1", "q", {entry("b")}}});
  const std::string isolation =
      "PolicyEndpoints x/p-1 and x/p-2 of x/p disagree on podIsolation: found [Ingress, Egress] and [Ingress], "
      "expected one of them in both";
  EXPECT_THAT(messages_of(cluster), ElementsAre(isolation));
  EXPECT_THAT(inconsistent_policies(cluster.policy_endpoints).front().slices,
              ElementsAre(NamespacedName{"x", "p-1"}, NamespacedName{"x", "p-2"}));
  RuleRegistry rules;
  const auto refused = resolve(cluster, kLocal, {}, rules);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message, isolation);
  // Where it selects nobody it stops nothing.
  const std::vector<LocalEndpoint> others{{EndpointId{2}, 12, {"x", "b"}}};
  EXPECT_TRUE(resolve(cluster, others, {}, rules));

  cluster.policy_endpoints.at({"x", "p-2"}).isolates_egress = true;
  EXPECT_THAT(messages_of(cluster), IsEmpty());
  cluster.policy_endpoints.at({"x", "p-2"}).pod_selector = LabelSelector{{{"app", "a"}}, {}};
  EXPECT_THAT(messages_of(cluster),
              ElementsAre("PolicyEndpoints x/p-1 and x/p-2 of x/p disagree on podSelector: found nothing and "
                          "app=a, expected one of them in both"));
  EXPECT_FALSE(resolve(cluster, kLocal, {}, rules));
}

TEST(PolicyEndpoints, PartsOfAPolicyNeedNotAgree) {
  ClusterSnapshot cluster = small_cluster();
  add(cluster, {{"p-1", "p", {entry("a")}}, {"p-2", "p#one", {entry("a")}, {}, {}, "ingress"}});
  EXPECT_THAT(messages_of(cluster), IsEmpty());
  EXPECT_TRUE(resolved(cluster).of("a").at(kOut).isolated);
}

TEST(PolicyEndpoints, NamesOfDomainsAreReported) {
  ClusterSnapshot cluster = small_cluster();
  EndpointInfo both = to("192.0.2.1");
  both.domain_name = "b.example";
  add(cluster, {{"p-1", "p", {entry("a")}, {}, {domain("a.example"), both, to("10.0.0.9")}}});
  const auto found = domain_rules(cluster.policy_endpoints);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].slice.to_string(), "x/p-1");
  EXPECT_EQ(found[0].direction, kOut);
  EXPECT_EQ(found[0].domain_name, "a.example");
}

TEST(ServiceIpBlocks, NetworkPoliciesNameClusterIpsOnlyWhenAsked) {
  struct Case {
    std::vector<PolicyPeer> peers;
    std::optional<ServiceIpBlocks> option;
    std::uint32_t reason;
  };
  const IpBlock services{*Cidr::parse("10.96.0.0/16"), {}};
  const PodPeer others{std::nullopt, LabelSelector{{{"app", "host"}}, {}}};
  const std::vector<Case> cases{
      {{services}, std::nullopt, kIsolated},
      {{services}, ServiceIpBlocks::meaning, kIsolated},
      {{services}, ServiceIpBlocks::compat, kRule},
      {{}, std::nullopt, kIsolated},
      {{}, ServiceIpBlocks::compat, kRule},
      {{others}, ServiceIpBlocks::compat, kIsolated},
  };
  for (std::size_t i = 0; i < cases.size(); ++i) {
    ClusterSnapshot cluster = small_cluster();
    NetworkPolicy& policy = cluster.network_policies[{"x", "p"}];
    policy.key = {"x", "p"};
    policy.isolates_ingress = false;
    policy.isolates_egress = true;
    policy.egress = {{cases[i].peers, {port(80)}}};
    ResolveOptions options;
    options.service_ip_blocks = cases[i].option;
    const Resolved got = resolved(cluster, options);
    const auto step = judge(got.policy, got.of("a"), kOut, ip("10.96.0.1"), 6, 80);
    EXPECT_EQ(pn_step_reason(step), cases[i].reason) << "case " << i;
  }
}

}  // namespace
}  // namespace postern::policy_endpoints_test
