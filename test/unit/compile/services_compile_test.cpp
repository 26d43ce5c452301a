// SPDX-License-Identifier: Apache-2.0
// What a pod's egress rules say to a ClusterIP: what they say to the backends of its ports (R7, R1).
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "test/unit/compile/small_policy.h"

namespace postern::services_compile_test {
namespace {

using namespace compile_test;

constexpr std::uint32_t kSelf = PN_STEP_ALLOW | PN_REASON_SELF << PN_STEP_REASON_SHIFT;
constexpr std::uint32_t kIsolated = PN_REASON_ISOLATED << PN_STEP_REASON_SHIFT;
constexpr std::uint32_t kDiffer = PN_REASON_BACKENDS_DIFFER << PN_STEP_REASON_SHIFT;
constexpr std::uint32_t kNobody = PN_REASON_NO_BACKEND << PN_STEP_REASON_SHIFT;
std::uint32_t by_rule(std::uint32_t id) { return pn_step_allow(PN_REASON_RULE, id); }

struct To {
  const char* address;
  std::uint16_t port;
  std::uint32_t endpoint = 0;
};

ResolvedServicePort service_port(std::uint16_t port, const std::vector<To>& backends,
                                 Protocol protocol = Protocol::tcp) {
  ResolvedServicePort out{protocol, port, {"x", "web"}, {}};
  for (const auto& to : backends) out.backends.push_back({ip(to.address), to.port, EndpointId{to.endpoint}});
  return out;
}

// Endpoints 1 and 2 (interfaces 11 and 12, 10.0.0.1 and 10.0.0.2) are isolated for egress: rule 1
// lets them to 8080 of the web pods, rule 2 to 9090 of 10.3.0.0/16. The node is 10.2.0.1.
struct World {
  World() {
    policy.terms = {block("block", "10.3.0.0/16"), pods("web", {"10.0.0.5", "10.0.0.6", "fd00::5"})};
    policy.own_node = {ip("10.2.0.1")};
    for (const std::uint32_t id : {1u, 2u}) {
      EndpointPolicy added = endpoint(id, 10 + id);
      added.directions[PN_EGRESS].isolated = true;
      added.directions[PN_EGRESS].rules = {rule(1, {1}, {tcp(8080)}), rule(2, {0}, {tcp(9090)})};
      policy.endpoints.push_back(added);
    }
  }
  void serve(const char* address, std::vector<ResolvedServicePort> ports) {
    policy.services.push_back({ip(address), std::move(ports)});
  }
  TableDelta update() {
    auto delta = compiler.update(policy, {});
    EXPECT_TRUE(delta) << delta.error().message;
    return delta ? *delta : TableDelta{};
  }
  [[nodiscard]] std::uint32_t says(const char* peer, std::uint16_t port, std::uint8_t protocol = 6) const {
    return verdict(compiler.tables(), 11, peer, port, PN_EGRESS, protocol);
  }
  ResolvedPolicy policy;
  TableCompiler compiler{TableSizes{}};
};

TEST(ServiceCompile, APortSaysWhatItsBackendsSayAtTheirTargetPorts) {
  struct Row {
    const char* name;
    std::vector<To> backends;
    std::uint32_t step;
  };
  const std::vector<Row> rows{
      {"all allow", {{"10.0.0.5", 8080}, {"10.0.0.6", 8080}}, by_rule(1)},
      {"by different rules: the smallest names the allow",
       {{"10.3.0.1", 9090}, {"10.0.0.5", 8080}},
       by_rule(1)},
      {"the target port decides", {{"10.0.0.5", 80}}, kIsolated},
      {"all deny", {{"10.0.0.7", 8080}, {"10.0.0.5", 80}}, kIsolated},
      {"backends disagree", {{"10.0.0.5", 8080}, {"10.0.0.7", 8080}}, kDiffer},
      {"one backend, two target ports, of which one is allowed",
       {{"10.0.0.5", 8080}, {"10.0.0.5", 80}},
       kDiffer},
      {"no backend", {}, kNobody},
      {"the own node is always allowed", {{"10.2.0.1", 22}}, pn_step_allow(PN_REASON_OWN_NODE, 0)},
      {"itself alone", {{"10.0.0.1", 80, 1}}, kSelf},
      {"itself and one that a rule allows", {{"10.0.0.1", 80, 1}, {"10.0.0.5", 8080}}, by_rule(1)},
      {"itself and one that no rule allows", {{"10.0.0.1", 80, 1}, {"10.0.0.7", 80}}, kDiffer},
      {"another endpoint is no self", {{"10.0.0.2", 80, 2}}, kIsolated},
      {"an external address", {{"192.0.2.1", 443}}, kIsolated},
      {"a backend that is a ClusterIP is an address in no term", {{"10.96.0.1", 9090}}, kIsolated},
  };
  for (const auto& row : rows) {
    World world;
    world.serve("10.96.0.1", {service_port(80, row.backends)});
    world.update();
    EXPECT_EQ(world.says("10.96.0.1", 80), row.step) << row.name;
    EXPECT_EQ(world.says("10.96.0.1", 81), kIsolated) << row.name;
    EXPECT_EQ(world.says("10.96.0.1", 80, 17), kIsolated) << row.name;
    EXPECT_EQ(world.says("10.96.0.1", 0, 1), kIsolated) << row.name;
  }
}

TEST(ServiceCompile, EveryPortIsJudgedByItself) {
  World world;
  const std::vector<To> web{{"10.0.0.5", 8080}};
  world.serve("10.96.0.1", {service_port(0, web), service_port(79, {}), service_port(80, web),
                            service_port(81, {{"10.0.0.5", 8080}, {"10.0.0.7", 1}}), service_port(65535, web),
                            service_port(80, {}, Protocol::udp)});
  world.update();
  EXPECT_EQ(world.says("10.96.0.1", 0), by_rule(1));
  EXPECT_EQ(world.says("10.96.0.1", 1), kIsolated);
  EXPECT_EQ(world.says("10.96.0.1", 79), kNobody);
  EXPECT_EQ(world.says("10.96.0.1", 80), by_rule(1));
  EXPECT_EQ(world.says("10.96.0.1", 81), kDiffer);
  EXPECT_EQ(world.says("10.96.0.1", 65534), kIsolated);
  EXPECT_EQ(world.says("10.96.0.1", 65535), by_rule(1));
  EXPECT_EQ(world.says("10.96.0.1", 80, 17), kNobody);
  EXPECT_EQ(world.says("10.96.0.1", 80, 132), kIsolated);
}

TEST(ServiceCompile, AClusterIpIsInNoBlockAndIsNoPod) {
  for (const char* address : {"10.3.0.9", "10.0.0.6"}) {
    World world;
    world.serve(address, {service_port(80, {{"10.0.0.5", 8080}})});
    world.update();
    EXPECT_EQ(world.says(address, 80), by_rule(1)) << address;
    for (const std::uint16_t port : {std::uint16_t{9090}, std::uint16_t{8080}, std::uint16_t{22}}) {
      EXPECT_EQ(world.says(address, port), kIsolated) << address << " " << port;
    }
  }
}

// R46: rules 1 and 2 as they are, and rule 4, which names the ClusterIPs of 10.96.0.0/16 on 443 and 53.
TEST(ServiceCompile, ARuleThatNamesClusterIpsAdmitsThemOnTheServicesOwnPort) {
  struct Row {
    const char* name;
    std::uint16_t port;
    std::vector<To> backends;
    std::uint32_t step;
  };
  const std::vector<Row> rows{
      {"what the backends deny", 443, {{"10.0.0.7", 8443}}, by_rule(4)},
      {"what the backends allow too", 443, {{"10.0.0.5", 8080}}, by_rule(1)},
      {"what one of them denies", 443, {{"10.0.0.5", 8080}, {"10.0.0.7", 8443}}, by_rule(1)},
      {"what nobody answers", 443, {}, by_rule(4)},
      {"another port is what its backends say", 80, {{"10.0.0.7", 443}}, kIsolated},
  };
  for (const auto& row : rows) {
    World world;
    world.policy.terms.push_back(block("cluster IPs", "10.96.0.0/16"));
    for (auto& changed : world.policy.endpoints) {
      changed.directions[PN_EGRESS].rules.push_back(rule(4, {2}, {tcp(443), tcp(53)}));
      changed.directions[PN_EGRESS].rules.back().names_cluster_ips = true;
    }
    world.serve("10.96.0.1", {service_port(row.port, row.backends)});
    world.serve("10.97.0.1", {service_port(443, {{"10.0.0.7", 8443}})});
    world.update();
    EXPECT_EQ(world.says("10.96.0.1", row.port), row.step) << row.name;
    EXPECT_EQ(world.says("10.96.0.1", 53), by_rule(4)) << "a port that the Service does not have";
    EXPECT_EQ(world.says("10.96.0.1", 54), kIsolated);
    EXPECT_EQ(world.says("10.97.0.1", 443), kIsolated) << "a ClusterIP in no such rule";
    EXPECT_EQ(world.says("10.96.0.2", 443), by_rule(4)) << "an address that is no ClusterIP";
  }
}

TEST(ServiceCompile, WhatAnotherTierDeniesToABackendNoRuleForItsClusterIpAdmits) {
  World world;
  for (auto& changed : world.policy.endpoints) {
    auto& rules = changed.directions[PN_EGRESS].rules;
    rules.push_back(rule(4, {}, {tcp(443)}));
    rules.back().names_cluster_ips = true;
    rules.push_back(rule(5, {1}));
    rules.back().tier = Tier::admin;
    rules.back().action = Action::deny;
  }
  world.serve("10.96.0.1", {service_port(443, {{"10.0.0.5", 8443}})});
  world.serve("10.96.0.2", {service_port(443, {{"10.0.0.7", 8443}})});
  world.update();
  EXPECT_EQ(world.says("10.96.0.1", 443), pn_step_deny(PN_REASON_DENIED_ADMIN, 5));
  EXPECT_EQ(world.says("10.96.0.2", 443), by_rule(4));
}

// R2: "every address configured in the node's host namespace (... node-local DNS included)".
TEST(ServiceCompile, WhatTheOwnNodeHasItselfStaysTheOwnNode) {
  World world;
  world.serve("10.2.0.1", {service_port(53, {{"10.0.0.7", 53}})});
  world.update();
  EXPECT_EQ(world.says("10.2.0.1", 53), pn_step_allow(PN_REASON_OWN_NODE, 0));
}

TEST(ServiceCompile, RulesForEveryPeerHoldForOtherPortsAndProtocols) {
  World world;
  for (auto& changed : world.policy.endpoints) {
    changed.directions[PN_EGRESS].rules.push_back(rule(3, {}, {tcp(443), {Protocol::udp, {0, 65535}}}));
  }
  world.serve("10.96.0.1", {service_port(443, {{"10.0.0.7", 80}})});
  world.update();
  EXPECT_EQ(world.says("10.96.0.1", 443), kIsolated) << "the backend's port is another";
  EXPECT_EQ(world.says("10.96.0.1", 53, 17), by_rule(3));
  EXPECT_EQ(world.says("10.96.0.1", 0, 1), kIsolated);
}

TEST(ServiceCompile, BothFamiliesHaveServices) {
  World world;
  world.serve("10.96.0.1", {service_port(80, {{"10.0.0.7", 8080}})});
  world.serve("fd00:96::1", {service_port(80, {{"fd00::5", 8080}})});
  world.update();
  EXPECT_EQ(world.says("10.96.0.1", 80), kIsolated);
  EXPECT_EQ(world.says("fd00:96::1", 80), by_rule(1));
}

// R8: the address on the packet; R4: a block matches any address.
TEST(ServiceCompile, AtIngressAClusterIpIsAnAddressLikeAnyOther) {
  World world;
  auto& ingress = world.policy.endpoints[0].directions[PN_INGRESS];
  ingress.isolated = true;
  ingress.rules = {rule(4, {0}, {})};
  // What stands behind it says nothing of it.
  world.serve("10.3.0.9", {service_port(80, {{"10.0.0.7", 8080}})});
  world.serve("10.96.0.9", {service_port(80, {{"10.3.0.8", 8080}})});
  world.update();
  EXPECT_EQ(verdict(world.compiler.tables(), 11, "10.3.0.9", 80), by_rule(4));
  EXPECT_EQ(verdict(world.compiler.tables(), 11, "10.96.0.9", 80), kIsolated);
  // And so it is where nobody's egress is judged.
  for (auto& endpoint : world.policy.endpoints) endpoint.directions[PN_EGRESS] = {};
  world.update();
  EXPECT_EQ(verdict(world.compiler.tables(), 11, "10.3.0.9", 80), by_rule(4));
  EXPECT_EQ(verdict(world.compiler.tables(), 11, "10.96.0.9", 80), kIsolated);
}

std::size_t writes_to(const TableDelta& delta, TableId table) {
  return static_cast<std::size_t>(std::count_if(delta.writes.begin(), delta.writes.end(),
                                                [&](const auto& write) { return write.table == table; }));
}

TEST(ServiceCompile, ServicesThatMeanTheSameShareAClass) {
  World world;
  world.serve("10.96.0.1", {service_port(80, {{"10.0.0.5", 8080}})});
  world.serve("10.96.0.2", {service_port(80, {{"10.0.0.6", 8080}})});
  world.serve("10.96.0.3", {service_port(80, {{"10.0.0.6", 8080}, {"10.0.0.5", 8080}})});
  world.serve("10.96.0.4", {service_port(81, {{"10.0.0.5", 8080}})});
  world.update();
  const TableWalk walk(world.compiler.tables());
  const auto class_of = [&](const char* address) { return walk.class_of(ip(address), true); };
  EXPECT_EQ(class_of("10.96.0.1"), class_of("10.96.0.2"));
  EXPECT_EQ(class_of("10.96.0.1"), class_of("10.96.0.3"));
  EXPECT_NE(class_of("10.96.0.1"), class_of("10.96.0.4"));
  EXPECT_NE(class_of("10.96.0.1"), class_of("10.0.0.5"));
}

TEST(ServiceCompile, ABackendThatComesOrGoesIsOneHostWordOrOneColumn) {
  struct Row {
    const char* name;
    std::vector<To> backends;
    std::size_t host_words;
    std::size_t columns;
  };
  World world;
  world.serve("10.96.0.1", {service_port(80, {{"10.0.0.5", 8080}})});
  world.serve("10.96.0.2", {service_port(80, {})});
  world.update();
  const std::vector<Row> rows{
      {"one more of the same kind", {{"10.0.0.5", 8080}, {"10.0.0.6", 8080}}, 0, 0},
      {"one that differs: the class of this ClusterIP alone changes",
       {{"10.0.0.5", 8080}, {"10.0.0.7", 8080}},
       0,
       1},
      {"none left: another ClusterIP is like that already", {}, 1, 0},
  };
  for (const auto& row : rows) {
    world.policy.services[0].ports = {service_port(80, row.backends)};
    const auto delta = world.update();
    EXPECT_EQ(writes_to(delta, TableId::hosts), row.host_words) << row.name;
    EXPECT_EQ(writes_to(delta, TableId::rows), row.columns) << row.name;
    EXPECT_EQ(writes_to(delta, TableId::slots), 0u) << row.name;
  }
}

TEST(ServiceCompile, DisagreeingBackendsAreListedForTheEndpointsTheyConcern) {
  World world;
  // Endpoint 1 is one of the backends and allowed to itself; for endpoint 2 it is a stranger.
  world.serve("10.96.0.1", {service_port(80, {{"10.0.0.1", 80, 1}, {"10.0.0.5", 8080}})});
  world.update();
  EXPECT_EQ(world.says("10.96.0.1", 80), by_rule(1));
  EXPECT_EQ(verdict(world.compiler.tables(), 12, "10.96.0.1", 80, PN_EGRESS), kDiffer);
  const std::vector<BackendsDiffer> expected{
      {{"x", "web"}, ip("10.96.0.1"), Protocol::tcp, 80, {EndpointId{2}}}};
  EXPECT_TRUE(world.compiler.backends_differ() == expected);
  // Again after an update that has nothing to do with it.
  world.policy.terms[0] = block("block", "10.4.0.0/16");
  world.update();
  EXPECT_TRUE(world.compiler.backends_differ() == expected);
  world.policy.services.clear();
  world.update();
  EXPECT_TRUE(world.compiler.backends_differ().empty());
}

// So many that the compiler drops and renumbers signatures on the way.
TEST(ServiceCompile, ManyChangesOfServicesLeaveNothingBehind) {
  World world;
  world.serve("10.96.0.2", {service_port(80, {{"10.0.0.5", 8080}})});
  for (std::uint16_t port = 1; port <= 5000; ++port) {
    // In the midst of it, so that its number is another afterwards.
    if (port == 2000) {
      world.serve("10.96.0.1", {service_port(80, {{"10.0.0.5", 8080}, {"10.0.0.7", 8080}})});
    }
    world.policy.services[0].ports = {service_port(port, {{"10.0.0.5", 8080}})};
    world.update();
    ASSERT_EQ(world.says("10.96.0.2", port), by_rule(1)) << port;
    ASSERT_EQ(world.compiler.backends_differ().size(), port < 2000 ? 0u : 1u) << port;
  }
  EXPECT_EQ(world.says("10.96.0.1", 80), kDiffer);
  EXPECT_TRUE(world.update().empty());
}

}  // namespace
}  // namespace postern::services_compile_test
