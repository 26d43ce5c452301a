// SPDX-License-Identifier: Apache-2.0
// What the runner asks of a cluster, in what order, and what it makes of the answers; the cluster is
// a script.
#include "sim/runner/run.h"

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
  [[nodiscard]] const NodeEnforcer* enforcer(const std::string&) const override { return nullptr; }
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

TEST(Plan, APodOfTheOtherFamilyIsRefusedBeforeAnyBackendSeesIt) {
  Scenario scenario = two_steps();
  ASSERT_TRUE(make_plan(scenario));
  scenario.steps[1].applies.push_back(pod("six", "fd00::1"));
  scenario.steps[1].location = {"s.yaml", 20, 5};
  const auto plan = make_plan(scenario);
  ASSERT_FALSE(plan);
  EXPECT_EQ(plan.error().code, ErrorCode::unsupported);
  EXPECT_EQ(plan.error().to_string(),
            "s.yaml:20:5: pod x/six has address fd00::1: IPv6 is not supported yet");
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
