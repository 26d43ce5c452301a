// SPDX-License-Identifier: Apache-2.0
// What the runner asks of a cluster, in what order, and what it makes of the answers; the cluster is
// a script.
#include "sim/runner/run.h"

#include "engine/policy/services.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

namespace postern::sim {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class ScriptedCluster final : public Cluster {
 public:
  std::vector<std::string> calls;
  ClusterSettings settings;
  std::vector<Instant> packet_times;
  std::function<bool(const ProbeRequest&)> allows = [](const ProbeRequest&) { return true; };

  [[nodiscard]] std::string_view name() const override { return "script"; }
  Result<void> begin(const ClusterSettings& given) override {
    settings = given;
    calls.push_back("begin");
    return {};
  }
  Result<void> place(const Placement& placement) override {
    calls.push_back("place" + std::string(placement.trace_all ? " traced" : "") +
                    (placement.outside.empty() ? "" : " outside " + placement.outside.front().to_string()));
    return {};
  }
  Result<void> advance(Duration by) override {
    calls.push_back("advance " + std::to_string(by.ns / 1'000'000) + " ms");
    return {};
  }
  Result<std::vector<ProbeOutcome>> probe(std::span<const ProbeRequest> requests) override {
    calls.push_back("probe " + std::to_string(requests.size()));
    std::vector<ProbeOutcome> outcomes(requests.size());
    for (std::size_t i = 0; i < requests.size(); ++i) outcomes[i].allowed = allows(requests[i]);
    return outcomes;
  }
  Result<std::vector<PacketOutcome>> send(std::span<const PacketRequest> requests) override {
    calls.push_back("send " + std::to_string(requests.size()));
    for (const auto& request : requests) packet_times.push_back(request.at);
    return std::vector<PacketOutcome>(requests.size(), PacketOutcome{true, std::nullopt, std::nullopt});
  }
  [[nodiscard]] VerdictNames names_of(const EndVerdict&) const override { return {}; }
};

manifest::Object pod(const char* name, const char* address) {
  manifest::PodObject object;
  object.pod.key = {"x", name};
  object.pod.addresses = {*IpAddress::parse(address)};
  return {{}, "Pod", object};
}

ProbeLine probe_line(const char* from, const char* to, Expectation expect) {
  ProbeLine line;
  const auto end = [](const std::string& text) -> End {
    if (const auto address = IpAddress::parse(text)) return *address;
    return PodGlob{text.substr(0, text.find('/')), text.substr(text.find('/') + 1)};
  };
  line.location = {"s.yaml", 9, 5};
  line.from_text = from;
  line.to_text = to;
  line.from = end(from);
  line.to = end(to);
  line.port = std::uint16_t{80};
  line.expect = expect;
  return line;
}

PacketLine packet_line(std::int64_t at_ms) {
  const ProbeLine ends = probe_line("x/a", "x/b", Expectation::allow);
  PacketLine line;
  line.at = milliseconds(at_ms);
  line.from_text = ends.from_text;
  line.to_text = ends.to_text;
  line.from = ends.from;
  line.to = ends.to;
  line.part = UdpPart{1, 2};
  return line;
}

Scenario two_steps() {
  Scenario scenario;
  scenario.file = "s.yaml";
  scenario.name = "two-steps";
  scenario.strict = true;
  scenario.established_flows = EstablishedFlows::keep;
  scenario.steps.resize(2);
  scenario.steps[0].name = "first";
  scenario.steps[0].applies = {pod("a", "10.0.0.1"), pod("b", "10.0.0.2")};
  scenario.steps[0].probes = {probe_line("*/*", "*/*", Expectation::allow)};
  scenario.steps[0].packets = {packet_line(0), packet_line(1500)};
  scenario.steps[1].name = "second";
  scenario.steps[1].advance = seconds(30);
  scenario.steps[1].probes = {probe_line("203.0.113.7", "x/a", Expectation::deny)};
  scenario.steps[1].packets = {packet_line(10)};
  return scenario;
}

ScenarioResult run(const Scenario& scenario, ScriptedCluster& cluster) {
  const auto plan = make_plan(scenario);
  EXPECT_TRUE(plan) << (plan ? "" : plan.error().to_string());
  auto result = run_plan(*plan, cluster);
  EXPECT_TRUE(result) << (result ? "" : result.error().to_string());
  return result.value_or(ScenarioResult{});
}

TEST(Run, EachStepPlacesThenLetsTimePassThenProbesThenSends) {
  ScriptedCluster cluster;
  run(two_steps(), cluster);
  EXPECT_THAT(cluster.calls,
              ElementsAre("begin", "place traced", "probe 2", "send 2", "place traced outside 203.0.113.7",
                          "advance 30000 ms", "probe 1", "send 1"));
}

TEST(Run, PacketTimesCountFromTheirStepsAdvanceOnTheScenariosClock) {
  ScriptedCluster cluster;
  run(two_steps(), cluster);
  // The second step begins when the last packet of the first was sent.
  EXPECT_THAT(cluster.packet_times, ElementsAre(Instant{} + milliseconds(0), Instant{} + milliseconds(1500),
                                                Instant{} + milliseconds(31510)));
}

TEST(Run, TheScenariosSettingsReachTheCluster) {
  ScriptedCluster cluster;
  run(two_steps(), cluster);
  EXPECT_TRUE(cluster.settings.enforcer.strict);
  EXPECT_EQ(cluster.settings.enforcer.established_flows, EstablishedFlows::keep);
}

TEST(Run, AWrongCellFailsTheScenarioAndSaysWhyAndWhere) {
  ScriptedCluster cluster;
  const ScenarioResult result = run(two_steps(), cluster);
  EXPECT_FALSE(result.passed());
  EXPECT_TRUE(result.steps[0].passed());
  ASSERT_EQ(result.steps[1].cells.size(), 1u);
  const CellResult& cell = result.steps[1].cells[0];
  EXPECT_TRUE(cell.wrong());
  EXPECT_EQ(cell.line.line, 9u);
  EXPECT_FALSE(cell.why.empty());
}

TEST(Run, ADatapathThatContradictsThePoliciesIsCalledADefect) {
  ScriptedCluster cluster;
  cluster.allows = [](const ProbeRequest&) { return false; };
  Scenario scenario = two_steps();
  scenario.strict = false;
  const ScenarioResult result = run(scenario, cluster);
  const auto& why = result.steps[0].cells[0].why;
  ASSERT_FALSE(why.empty());
  EXPECT_THAT(why.back(), HasSubstr("defect of Postern"));
}

TEST(Plan, AScenarioThatNamesWhatDoesNotExistIsRunNotAtAll) {
  Scenario scenario = two_steps();
  scenario.steps[1].probes.push_back(probe_line("x/c", "x/a", Expectation::deny));
  EXPECT_FALSE(make_plan(scenario));
}

TEST(Plan, MoreThanAPlanMayHoldIsRefusedAtTheStepThatIsTooMuch) {
  struct Row {
    const char* name;
    PlanLimits limits;
    const char* said;  // null: it fits
  };
  // Two pods at either step; two cells at the first, which two lines name, and one at the second.
  const Row rows[] = {
      {"just as much as fits", {1 << 20, 3, 9}, nullptr},
      {"a cell too many", {1 << 20, 2, 9}, "the cells of the steps so far are more than 2, expected at most"},
      {"bytes", {3000, 3, 9}, "counted at each step so far with all that exist then, are more than 3000"},
      {"pairs", {1 << 20, 3, 8}, "that the probes so far name, overridden ones counted, are more than 8"},
  };
  Scenario scenario = two_steps();
  scenario.steps[0].probes.push_back(scenario.steps[0].probes[0]);
  scenario.steps[1].location = {"s.yaml", 20, 3};
  for (const Row& row : rows) {
    const auto plan = make_plan(scenario, {.limits = row.limits});
    ASSERT_EQ(plan.has_value(), row.said == nullptr) << row.name;
    if (plan) continue;
    EXPECT_THAT(plan.error().to_string(), HasSubstr("s.yaml:20:3: "));
    EXPECT_THAT(plan.error().to_string(), HasSubstr(row.said));
  }
}

TEST(Plan, APodOfTheOtherFamilyTakesNoPart) {
  Scenario scenario = two_steps();
  scenario.steps[0].applies.push_back(pod("six", "fd00::1"));
  const auto plan = make_plan(scenario);
  ASSERT_TRUE(plan) << plan.error().to_string();
  EXPECT_EQ(plan->steps[0].cells.size(), 2u);
  scenario.steps[0].probes.push_back(probe_line("x/six", "x/a", Expectation::deny));
  const auto named = make_plan(scenario);
  ASSERT_FALSE(named);
  EXPECT_EQ(named.error().to_string(),
            "s.yaml:9:5: pod x/six has no IPv4 address at this step, so it is no end point");
}

manifest::Object bare_pod(const char* name) {
  manifest::PodObject object;
  object.pod.key = {"x", name};
  object.pod.labels = {{"app", "web"}};
  object.assign_address = true;
  return {{}, "Pod", object};
}

manifest::Object web_service() {
  manifest::ServiceObject object;
  object.service.key = {"x", "web"};
  object.service.selector = Labels{{"app", "web"}};
  object.service.ports = {{"http", Protocol::tcp, 80, std::uint16_t{8080}}};
  object.assign_address = true;
  return {{}, "Service", object};
}

Scenario one_step(ScenarioFamily family, std::vector<ProbeLine> probes) {
  Scenario scenario;
  scenario.file = "s.yaml";
  scenario.name = "one-step";
  scenario.family = family;
  scenario.steps.resize(1);
  scenario.steps[0].name = "only";
  scenario.steps[0].applies = {bare_pod("a"), bare_pod("b"), web_service()};
  scenario.steps[0].probes = std::move(probes);
  return scenario;
}

ProbeLine to_service(const char* from, Expectation expect) {
  ProbeLine line = probe_line(from, "x/a", expect);
  line.to_text = "service:x/web";
  line.to = ServiceEnd{{"x", "web"}};
  return line;
}

struct CombineRow {
  const char* name;
  bool a;  // what the backends answer
  bool b;
  Expectation expect;
  CellVerdict got;
  const char* why;  // empty: not wrong
};

TEST(Run, AServiceCellIsWhatAllItsBackendsSayElseWrongWhateverWasExpected) {
  const CombineRow rows[] = {
      {"all answer", true, true, Expectation::allow, CellVerdict::allow, ""},
      {"none answers", false, false, Expectation::deny, CellVerdict::deny, ""},
      {"one of two, allow expected", true, false, Expectation::allow, CellVerdict::differ,
       "backends differ: x/a allowed; x/b denied, "},
      {"one of two, deny expected", false, true, Expectation::deny, CellVerdict::differ,
       "backends differ: x/a denied, "},
  };
  for (const CombineRow& row : rows) {
    ScriptedCluster cluster;
    cluster.allows = [&](const ProbeRequest& request) { return request.to.pod.name == "a" ? row.a : row.b; };
    const Scenario scenario = one_step(ScenarioFamily::v4, {to_service("x/b", row.expect)});
    const ScenarioResult result = run(scenario, cluster);
    ASSERT_EQ(result.steps[0].cells.size(), 1u) << row.name;
    const CellResult& cell = result.steps[0].cells[0];
    EXPECT_EQ(cell.got, row.got) << row.name;
    EXPECT_EQ(cell.wrong(), *row.why != '\0') << row.name;
    if (*row.why != '\0') {
      ASSERT_FALSE(cell.why.empty()) << row.name;
      EXPECT_THAT(cell.why.front(), HasSubstr(row.why)) << row.name;
    }
  }
}

TEST(Run, FamiliesThatDifferAreWrongAndNamed) {
  ScriptedCluster cluster;
  cluster.allows = [](const ProbeRequest& request) { return request.to.address.is_v4(); };
  const ScenarioResult result =
      run(one_step(ScenarioFamily::dual, {probe_line("x/a", "x/b", Expectation::allow)}), cluster);
  EXPECT_EQ(cluster.calls, (std::vector<std::string>{"begin", "place", "probe 2"}));
  const CellResult& cell = result.steps[0].cells[0];
  EXPECT_EQ(cell.got, CellVerdict::differ);
  EXPECT_THAT(cell.why.front(), HasSubstr("families differ: IPv4 allowed; IPv6 denied, "));
}

TEST(Run, BackendsOfTwoFamiliesAreNamedWithTheirFamily) {
  ScriptedCluster cluster;
  cluster.allows = [](const ProbeRequest& request) {
    return request.to.address.is_v4() || request.to.pod.name == "a";
  };
  const ScenarioResult result =
      run(one_step(ScenarioFamily::dual, {to_service("x/b", Expectation::allow)}), cluster);
  EXPECT_THAT(result.steps[0].cells[0].why.front(),
              HasSubstr("backends differ: x/a over IPv4 allowed; x/b over IPv4 allowed; "
                        "x/a over IPv6 allowed; x/b over IPv6 denied, "));
}

TEST(Run, OutcomesFindTheirCellsThoughAClientsFamiliesAreAskedTogether) {
  ScriptedCluster cluster;
  std::vector<std::string> order;
  cluster.allows = [&](const ProbeRequest& request) {
    order.push_back(request.from.pod.name + (request.from.address.is_v4() ? "4" : "6"));
    return request.to.pod.name != "c";
  };
  Scenario scenario = one_step(ScenarioFamily::dual, {probe_line("*/*", "*/*", Expectation::allow),
                                                      probe_line("*/*", "x/c", Expectation::deny)});
  scenario.steps[0].applies.push_back(bare_pod("c"));
  EXPECT_TRUE(run(scenario, cluster).passed());
  EXPECT_THAT(order, ElementsAre("a4", "a4", "a6", "a6", "b4", "b4", "b6", "b6", "c4", "c4", "c6", "c6"));
}

TEST(Run, AStoppedRunEndsBeforeItsNextStep) {
  ScriptedCluster cluster;
  const Scenario scenario = two_steps();
  const auto plan = make_plan(scenario);
  ASSERT_TRUE(plan);
  RunOptions options;
  options.stopped = [&] { return cluster.calls.size() > 1; };
  EXPECT_FALSE(run_plan(*plan, cluster, options));
  EXPECT_THAT(cluster.calls, ElementsAre("begin", "place traced", "probe 2", "send 2"));
}

struct DetourRow {
  const char* name;
  ProbeLine line;
  bool detour;
};

TEST(ViaService, OnlyPairsOfPodsGoThroughAService) {
  ProbeLine icmp = probe_line("x/a", "x/b", Expectation::allow);
  icmp.protocol = ProbeProtocol::icmp;
  icmp.port.reset();
  ProbeLine node = probe_line("x/a", "x/b", Expectation::allow);
  node.from_text = "node:n1";
  node.from = NodeEnd{"n1"};
  const DetourRow rows[] = {
      {"two pods", probe_line("x/a", "x/b", Expectation::allow), true},
      {"a pod to itself", probe_line("x/a", "x/a", Expectation::allow), false},
      {"ICMP", icmp, false},
      {"from a node", node, false},
      {"from a host network pod", probe_line("x/h", "x/a", Expectation::allow), false},
      {"to a host network pod", probe_line("x/a", "x/h", Expectation::allow), false},
      {"to an address that is a pod", probe_line("x/a", "10.244.0.2", Expectation::allow), false},
      {"from an outside host", probe_line("203.0.113.7", "x/a", Expectation::allow), false},
      {"to a Service", to_service("x/a", Expectation::allow), false},
  };
  for (const DetourRow& row : rows) {
    Scenario scenario = one_step(ScenarioFamily::v4, {row.line});
    manifest::Object host = bare_pod("h");
    auto& object = std::get<manifest::PodObject>(host.value);
    object.pod.host_network = true;
    object.pod.node_name = "n1";
    scenario.steps[0].applies.push_back(host);
    const auto plain = make_plan(scenario);
    const auto via = make_plan(scenario, {.via_service = true});
    ASSERT_TRUE(plain && via) << row.name << (plain ? "" : plain.error().to_string());
    ASSERT_EQ(plain->steps[0].cells.size(), 1u) << row.name;
    EXPECT_EQ(via->steps[0].cells.begin()->first, plain->steps[0].cells.begin()->first) << row.name;
    const auto& before = plain->steps[0].cells.begin()->second.requests;
    const auto& after = via->steps[0].cells.begin()->second.requests;
    ASSERT_EQ(before.size(), after.size()) << row.name;
    for (std::size_t i = 0; i < before.size(); ++i) {
      EXPECT_EQ(after[i].to, before[i].to) << row.name;
      EXPECT_EQ(after[i].port, before[i].port) << row.name;
      EXPECT_EQ(after[i].via.has_value(), row.detour || before[i].via.has_value()) << row.name;
    }
    EXPECT_EQ(via->steps[0].placement.cluster.services.size(), row.detour ? 2u : 1u) << row.name;
  }
}

TEST(ViaService, TheServiceHasNoSelectorOneEndPointAndAPortForEachThatIsAsked) {
  ProbeLine udp = probe_line("x/a", "x/b", Expectation::allow);
  udp.protocol = ProbeProtocol::udp;
  const ProbeLine tcp = probe_line("x/a", "x/b", Expectation::allow);
  const Scenario scenario = one_step(ScenarioFamily::dual, {tcp, udp});
  const auto plan = make_plan(scenario, {.via_service = true});
  ASSERT_TRUE(plan);
  const ClusterSnapshot& cluster = plan->steps[0].placement.cluster;
  const Service& service = cluster.services.at({"x", "(b)"});
  EXPECT_FALSE(service.selector);
  ASSERT_EQ(service.ports.size(), 2u);
  for (const ServicePort& port : service.ports) {
    for (const IpFamily family : {IpFamily::v4, IpFamily::v6}) {
      const auto backends = backends_of(cluster, service, port, family);
      ASSERT_EQ(backends.size(), 1u);
      EXPECT_EQ(backends[0].address, *cluster.pods.at({"x", "b"}).address(family));
      EXPECT_EQ(backends[0].port, 80);
    }
  }
  for (const auto& [key, cell] : plan->steps[0].cells) {
    for (const ProbeRequest& request : cell.requests) {
      ASSERT_TRUE(request.via);
      EXPECT_EQ(request.via->port, 80);
      EXPECT_EQ(request.via->address.family(), request.to.address.family());
    }
  }
}

TEST(ViaService, TheNextStepStartsWithoutTheServicesAndGivesThemTheSameAddresses) {
  Scenario scenario = one_step(ScenarioFamily::v4, {probe_line("*/*", "*/*", Expectation::allow)});
  scenario.steps.push_back(scenario.steps[0]);
  scenario.steps[1].applies.clear();
  scenario.steps[1].probes = {probe_line("x/a", "x/b", Expectation::allow)};
  const auto plan = make_plan(scenario, {.via_service = true});
  ASSERT_TRUE(plan);
  const auto& first = plan->steps[0].placement.cluster.services;
  const auto& second = plan->steps[1].placement.cluster.services;
  EXPECT_EQ(first.size(), 3u);
  EXPECT_EQ(second.size(), 2u);
  EXPECT_EQ(second.at({"x", "(b)"}).cluster_ips, first.at({"x", "(b)"}).cluster_ips);
}

PacketLine packet_to_service(const char* from, std::uint16_t port) {
  PacketLine line = packet_line(0);
  line.location = {"s.yaml", 12, 5};
  line.from_text = from;
  line.from = PodGlob{"x", from + 2};
  line.to_text = "service:x/web";
  line.to = ServiceEnd{{"x", "web"}};
  line.part = TcpPart{1, port, "S"};
  return line;
}

TEST(Plan, APacketToAServiceGoesToItsOnlyBackend) {
  Scenario scenario = one_step(ScenarioFamily::dual, {});
  std::get<manifest::PodObject>(scenario.steps[0].applies[0].value).pod.labels.clear();
  scenario.steps[0].packets = {packet_to_service("x/a", 80)};
  const auto plan = make_plan(scenario);
  ASSERT_TRUE(plan) << plan.error().to_string();
  const PlannedPacket& packet = plan->steps[0].packets[0];
  EXPECT_EQ(packet.to.pod.name, "b");
  ASSERT_TRUE(packet.via);
  EXPECT_EQ(packet.via->address.to_string(), "10.96.0.1");
  EXPECT_EQ(packet.via->port, 80);
  EXPECT_EQ(packet.target_port, 8080);
}

TEST(Plan, OfSeveralBackendsThePacketGoesToTheFirstByAddress) {
  Scenario scenario = one_step(ScenarioFamily::v4, {});
  scenario.steps[0].packets = {packet_to_service("x/a", 80)};
  const auto plan = make_plan(scenario);
  ASSERT_TRUE(plan) << plan.error().to_string();
  EXPECT_EQ(plan->steps[0].packets[0].to.pod.name, "a");
  EXPECT_TRUE(plan->steps[0].packets[0].via);
}

TEST(Plan, WithoutABackendThePacketLeavesForTheService) {
  Scenario scenario = one_step(ScenarioFamily::v4, {});
  scenario.steps[0].packets = {packet_to_service("x/a", 80)};
  std::get<manifest::ServiceObject>(scenario.steps[0].applies[2].value).service.selector = Labels{{"app", "none"}};
  const auto plan = make_plan(scenario);
  ASSERT_TRUE(plan) << plan.error().to_string();
  EXPECT_EQ(plan->steps[0].packets[0].to.kind, Party::Kind::service);
  EXPECT_FALSE(plan->steps[0].packets[0].via);
}

TEST(Plan, APacketToAServiceMustNameOneOfItsPorts) {
  struct Row {
    const char* name;
    std::function<void(Scenario&)> change;
    const char* says;
  };
  const Row rows[] = {
      {"no such port", [](Scenario& scenario) { scenario.steps[0].packets = {packet_to_service("x/a", 81)}; },
       "has no TCP port 81"},
      {"no port at all",
       [](Scenario& scenario) { scenario.steps[0].packets[0].part = IcmpPart{8, 0, 1}; },
       "names no port of it"},
      {"a later fragment",
       [](Scenario& scenario) { scenario.steps[0].packets[0].fragment = FragmentPart{1, 8, false}; },
       "names no port of it"},
  };
  for (const Row& row : rows) {
    Scenario scenario = one_step(ScenarioFamily::v4, {});
    scenario.steps[0].packets = {packet_to_service("x/a", 80)};
    row.change(scenario);
    const auto plan = make_plan(scenario);
    ASSERT_FALSE(plan) << row.name;
    EXPECT_THAT(plan.error().to_string(), HasSubstr(row.says)) << row.name;
    EXPECT_THAT(plan.error().to_string(), HasSubstr("s.yaml:12:5")) << row.name;
  }
}

TEST(Plan, APacketIsOfTheFirstFamilyThatItsEndsAndItsPartsAllow) {
  struct Row {
    const char* name;
    std::function<void(PacketLine&)> change;
    bool v4;
  };
  const Row rows[] = {
      {"nothing says", [](PacketLine&) {}, true},
      {"an IPv6 source", [](PacketLine& line) { line.source = IpAddress::parse("fd00::9"); }, false},
      {"an extension header",
       [](PacketLine& line) { line.extensions = {ExtensionHeader::hop_by_hop}; }, false},
      {"an IPv6 receiver",
       [](PacketLine& line) {
         line.to_text = "2001:db8::1";
         line.to = *IpAddress::parse("2001:db8::1");
       },
       false},
  };
  for (const Row& row : rows) {
    Scenario scenario = one_step(ScenarioFamily::dual, {});
    scenario.steps[0].packets = {packet_line(0)};
    row.change(scenario.steps[0].packets[0]);
    const auto plan = make_plan(scenario);
    ASSERT_TRUE(plan) << row.name << plan.error().to_string();
    const PlannedPacket& packet = plan->steps[0].packets[0];
    EXPECT_EQ(packet.from.address.is_v4(), row.v4) << row.name;
    EXPECT_EQ(packet.to.address.is_v4(), row.v4) << row.name;
  }
  Scenario scenario = one_step(ScenarioFamily::dual, {});
  scenario.steps[0].packets = {packet_line(0)};
  scenario.steps[0].packets[0].extensions = {ExtensionHeader::routing};
  scenario.steps[0].packets[0].ip_options = {0, 0, 0, 0};
  EXPECT_FALSE(make_plan(scenario));
}

TEST(Plan, QuotedEndsHaveTheAddressesOfThePacketsFamily) {
  Scenario scenario = one_step(ScenarioFamily::v6, {});
  scenario.steps[0].packets = {packet_line(0)};
  PacketLine& line = scenario.steps[0].packets[0];
  line.part = IcmpPart{1, 4, 0};
  line.quotes = QuotedPacket{
      "x/b", "service:x/web", PodGlob{"x", "b"}, ServiceEnd{{"x", "web"}}, UdpPart{1, 2}};
  const auto plan = make_plan(scenario);
  ASSERT_TRUE(plan) << plan.error().to_string();
  const auto& quoted = plan->steps[0].packets[0].quoted;
  ASSERT_TRUE(quoted);
  EXPECT_EQ(quoted->source.to_string(), "fd00:10:244::2");
  EXPECT_EQ(quoted->destination.to_string(), "fd00:10:96::1");
}

TEST(Plan, APacketHasOneSenderAndOneReceiver) {
  Scenario scenario = two_steps();
  scenario.steps[0].packets[0].from = PodGlob{"x", "*"};
  scenario.steps[0].packets[0].from_text = "x/*";
  const auto plan = make_plan(scenario);
  ASSERT_FALSE(plan);
  EXPECT_THAT(plan.error().message, HasSubstr("matches 2 pods"));
}

}  // namespace
}  // namespace postern::sim
