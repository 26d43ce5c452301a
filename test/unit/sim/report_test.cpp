// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "sim/runner/report_files.h"
#include "sim/runner/report_text.h"

namespace postern::sim {
namespace {

using testing::HasSubstr;
using testing::Not;

CellResult cell(const char* from, const char* to, Expectation expected, CellVerdict got) {
  return {{from, to, ProbeProtocol::tcp, 80}, expected, got, {"s.yaml", 4, 1}, {}};
}

StepResult two_by_two() {
  StepResult step;
  step.name = "one";
  step.cells = {cell("x/a", "x/b", Expectation::allow, CellVerdict::allow),
                cell("x/b", "x/a", Expectation::allow, CellVerdict::deny)};
  return step;
}

TEST(TruthTable, MarksAllowDenyWrongAndUnprobed) {
  EXPECT_EQ(truth_tables(two_by_two()),
            "    TCP 80\n"
            "           x/a  x/b\n"
            "      x/a  -    .\n"
            "      x/b  X!   -\n");
}

TEST(TruthTable, ACellWhoseBackendsDifferIsNeitherAllowNorDenyAndAlwaysWrong) {
  for (const Expectation expected : {Expectation::allow, Expectation::deny}) {
    StepResult step = two_by_two();
    step.cells[1] = cell("x/b", "service:x/web", expected, CellVerdict::differ);
    EXPECT_EQ(step.wrong_cells(), 1u);
    EXPECT_THAT(truth_tables(step), HasSubstr("x/b  ?!   "));
    ScenarioResult result{"s.yaml", "n", {}, {step}};
    EXPECT_THAT(text_report(result), HasSubstr("? backends or families differ"));
  }
  ScenarioResult plain{"s.yaml", "n", {}, {two_by_two()}};
  EXPECT_THAT(text_report(plain), Not(HasSubstr("differ")));
}

TEST(TruthTable, WideColumnsAreNumberedAndEveryNumberIsExplained) {
  StepResult step;
  std::string last;
  for (int i = 10; i < 20; ++i) {
    last = "a-namespace-with-a-name/pod-" + std::to_string(i);
    step.cells.push_back(cell("x/a", last.c_str(), Expectation::allow, CellVerdict::allow));
  }
  const std::string text = truth_tables(step);
  EXPECT_THAT(text, HasSubstr("[10] = " + last));
  EXPECT_THAT(text, HasSubstr("x/a [11]"));
}

TEST(TruthTable, AVeryWideTableShowsOnlyWhatIsWrong) {
  StepResult step;
  for (int i = 100; i < 160; ++i) {
    step.cells.push_back(cell("x/a", ("p/" + std::to_string(i)).c_str(), Expectation::allow,
                              i == 130 ? CellVerdict::deny : CellVerdict::allow));
  }
  const std::string text = truth_tables(step);
  EXPECT_THAT(text, HasSubstr("p/130"));
  EXPECT_THAT(text, Not(HasSubstr("p/131")));
}

TEST(TextReport, ColourIsOnlyThereWhenAskedFor) {
  ScenarioResult result{"s.yaml", "n", {}, {two_by_two()}};
  EXPECT_THAT(text_report(result), Not(HasSubstr("\x1b")));
  TextOptions options;
  options.colour = true;
  EXPECT_THAT(text_report(result, options), HasSubstr("\x1b[31m"));
}

Outcome outcome_of(StepResult step) {
  Outcome outcome;
  outcome.result = {"s.yaml", "a \"name\"", {{"suite", "t"}}, {std::move(step)}};
  outcome.passed = outcome.result.passed();
  outcome.notes = {"1 < 2 & 3\x01"};
  return outcome;
}

TEST(JsonReport, IsJsonWithEveryCellAndOnlyRunDependsOnTheRun) {
  StepResult step = two_by_two();
  step.packets.push_back({0, "x/a", "x/b", std::nullopt, Expectation::deny, "isolated", {}, {}});
  const std::vector<Outcome> outcomes{outcome_of(step)};
  const auto one = nlohmann::json::parse(json_report({"sim", "1", 5, {}}, outcomes));
  const auto other = nlohmann::json::parse(json_report({"all", "2", 9, {}}, outcomes));
  EXPECT_EQ(one["apiVersion"], "postern.dev/v1alpha1");
  EXPECT_EQ(one["kind"], "TestResult");
  EXPECT_EQ(one["run"]["duration_ms"], 5);
  EXPECT_EQ(one["scenarios"], other["scenarios"]);
  const auto& scenario = one["scenarios"][0];
  EXPECT_EQ(scenario["name"], "a \"name\"");
  EXPECT_EQ(scenario["passed"], false);
  const auto& probe = scenario["steps"][0]["probes"][1];
  EXPECT_EQ(probe, (nlohmann::json{{"from", "x/b"},
                                   {"to", "x/a"},
                                   {"port", 80},
                                   {"protocol", "TCP"},
                                   {"expected", "allow"},
                                   {"got", "deny"}}));
  const auto& packet = scenario["steps"][0]["packets"][0];
  EXPECT_EQ(packet,
            (nlohmann::json{{"index", 0}, {"expected", nullptr}, {"got", "deny"}, {"reason", "isolated"}}));
}

TEST(JsonReport, SaysDifferAndWhatTheRunWas) {
  StepResult step = two_by_two();
  step.cells[1].got = CellVerdict::differ;
  const std::vector<Outcome> outcomes{outcome_of(step)};
  const auto plain = nlohmann::json::parse(json_report({"sim", "1", 5, {}}, outcomes));
  const auto via = nlohmann::json::parse(json_report({"sim", "1", 5, {}, "service", true}, outcomes));
  EXPECT_EQ(plain["scenarios"][0]["steps"][0]["probes"][1]["got"], "differ");
  EXPECT_EQ(plain["scenarios"], via["scenarios"]);
  EXPECT_EQ(plain["run"].count("via") + plain["run"].count("interrupted"), 0u);
  EXPECT_EQ(via["run"]["via"], "service");
  EXPECT_EQ(via["run"]["interrupted"], true);
}

TEST(JunitReport, CountsCellsAndPacketsApart) {
  StepResult step = two_by_two();
  EXPECT_THAT(junit_report({outcome_of(step)}, {}), HasSubstr("message=\"1 wrong of 2 cells\""));
  step.packets.push_back({0, "x/a", "x/b", std::nullopt, Expectation::deny, "isolated", {}, {"no"}});
  step.packets.push_back({1, "x/a", "x/b", std::nullopt, Expectation::deny, "isolated", {}, {}});
  EXPECT_THAT(junit_report({outcome_of(step)}, {}),
              HasSubstr("message=\"1 wrong of 2 cells, 1 wrong of 2 packets\""));
}

TEST(JunitReport, HasNoTimes) {
  EXPECT_THAT(junit_report({outcome_of(two_by_two())}, {}), Not(HasSubstr("time")));
}

TEST(JunitReport, CountsFailuresAndRefusedFilesAndEscapes) {
  const std::string text = junit_report({outcome_of(two_by_two())}, {{"bad.yaml", {"bad.yaml:1: no"}}});
  EXPECT_THAT(text, HasSubstr("<testsuites tests=\"2\" failures=\"1\" errors=\"1\">"));
  EXPECT_THAT(text, HasSubstr("name=\"a &quot;name&quot;\""));
  EXPECT_THAT(text, HasSubstr("1 &lt; 2 &amp; 3?"));
  EXPECT_THAT(text, HasSubstr("bad.yaml:1: no"));
}

}  // namespace
}  // namespace postern::sim
