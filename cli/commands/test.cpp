// SPDX-License-Identifier: Apache-2.0
#include "cli/commands/test.h"

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "cli/build_info.h"
#include "cli/commands/interrupt.h"
#include "cli/commands/output.h"
#include "cli/commands/test_backends.h"
#include "cli/commands/test_files.h"
#include "engine/policy/policy_warnings.h"
#include "sim/runner/plan.h"
#include "sim/runner/report_files.h"
#include "sim/runner/report_text.h"
#include "sim/runner/run.h"
#include "sim/runner/selection.h"

namespace postern::cli {

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// fmt::print throws when a disk is full; here that is found out at the end.
template <typename... Args>
void say(std::FILE* stream, fmt::format_string<Args...> format, Args&&... args) {
  std::fputs(fmt::format(format, std::forward<Args>(args)...).c_str(), stream);
}

// One line that is written over, only for people who watch.
class Progress {
 public:
  Progress() : shown_(takes_escapes(STDERR_FILENO)) {}
  ~Progress() { clear(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  void show(std::size_t number, std::size_t total, const std::string& name) const {
    if (shown_) say(stderr, "\r\x1b[K[{}/{}] {}", number, total, name);
  }
  void clear() const {
    if (shown_) say(stderr, "\r\x1b[K");
  }

 private:
  bool shown_;
};

class TestRun {
 public:
  explicit TestRun(const TestOptions& options) : options_(options), colour_(takes_escapes(STDOUT_FILENO)) {}

  int run();

 private:
  Result<void> prepare();
  void tell_idle(const sim::Plan& plan) const;
  void tell_warnings(const sim::Plan& plan) const;
  void refuse(const std::string& file, std::vector<std::string> messages);
  bool run_scenario(const sim::Scenario& scenario);
  std::optional<sim::ScenarioResult> run_on(std::size_t cluster, const sim::Plan& plan,
                                            sim::Outcome& outcome);
  void compare(const sim::ScenarioResult& first, const sim::ScenarioResult& other, std::size_t cluster,
               sim::Outcome& outcome);
  void report(const sim::ScenarioResult& result, const std::string& backend, sim::Outcome& outcome);
  int finish();

  const TestOptions& options_;
  bool colour_;
  std::vector<std::unique_ptr<sim::Cluster>> clusters_;
  std::vector<double> seconds_;  // by cluster
  sim::RunOptions run_options_;
  LoadedScenarios loaded_;
  std::vector<sim::Outcome> outcomes_;
  std::optional<std::size_t> interrupted_after_;  // so many scenarios
  std::vector<sim::Difference> differences_;
  Progress progress_;
  Clock::time_point started_ = Clock::now();
};

void TestRun::refuse(const std::string& file, std::vector<std::string> messages) {
  progress_.clear();
  refuse_file(loaded_.refusals, file, std::move(messages));
}

// A line that judges nothing holds whatever the policies say: a misspelt port name, most likely. So
// does a scenario without any line.
void TestRun::tell_idle(const sim::Plan& plan) const {
  bool judges = false;
  for (const auto& step : plan.steps) {
    judges = judges || !step.step->probes.empty() || !step.packets.empty() || step.step->replay;
    for (const sim::ProbeLine* line : step.idle) {
      progress_.clear();
      const Error idle{ErrorCode::invalid_input, "this probe judges no pair", line->location};
      note(fmt::format("{} ({} -> {})", idle.to_string(), line->from_text, line->to_text));
    }
  }
  if (judges) return;
  progress_.clear();
  note(plan.scenario->file + ": no step has a probe, a packet or a replay, so nothing is judged");
}

// What the objects of some step say that probably nobody means, each once.
void TestRun::tell_warnings(const sim::Plan& plan) const {
  std::set<std::string> told;
  for (const auto& step : plan.steps) {
    for (auto& warning : policy_warnings(step.placement.cluster)) {
      if (!told.insert(warning).second) continue;
      progress_.clear();
      note(plan.scenario->file + ": " + warning);
    }
  }
}

void TestRun::report(const sim::ScenarioResult& result, const std::string& backend, sim::Outcome& outcome) {
  sim::TextOptions text;
  text.backend = clusters_.size() > 1 ? backend : "";
  if (!result.passed()) outcome.notes.push_back(sim::text_report(result, text));
  const bool single = loaded_.chosen.size() == 1;
  if (result.passed() && !options_.verbose && !single) return;
  text.colour = colour_;
  progress_.clear();
  say(stdout, "{}\n", sim::text_report(result, text));
}

std::optional<sim::ScenarioResult> TestRun::run_on(std::size_t cluster, const sim::Plan& plan,
                                                   sim::Outcome& outcome) {
  const auto start = Clock::now();
  auto result = sim::run_plan(plan, *clusters_[cluster], run_options_);
  seconds_[cluster] += seconds_since(start);
  if (interrupted()) return std::nullopt;
  if (result) return std::move(*result);
  const std::string backend(clusters_[cluster]->name());
  // What is wrong with the file itself, though only its run could tell.
  if (result.error().code == ErrorCode::unsupported || result.error().code == ErrorCode::invalid_input) {
    outcome.refused = true;
    refuse(plan.scenario->file, {result.error().to_string()});
    return std::nullopt;
  }
  outcome.error = backend + ": " + result.error().to_string();
  outcome.notes.push_back(outcome.error);
  progress_.clear();
  say(stdout, "FAIL  {}  ({})\n  {}\n\n", plan.scenario->name, plan.scenario->file, outcome.error);
  return std::nullopt;
}

void TestRun::compare(const sim::ScenarioResult& first, const sim::ScenarioResult& other, std::size_t cluster,
                      sim::Outcome& outcome) {
  const auto found = sim::differences(first, std::string(clusters_[0]->name()), other,
                                      std::string(clusters_[cluster]->name()));
  for (const auto& difference : found) {
    outcome.passed = false;
    outcome.notes.push_back("difference: step \"" + difference.step + "\": " + difference.what);
    progress_.clear();
    say(stdout, "DIFFERENCE  {}  step \"{}\": {}\n", difference.scenario, difference.step, difference.what);
    differences_.push_back(difference);
  }
}

// False: a signal came before it was judged.
bool TestRun::run_scenario(const sim::Scenario& scenario) {
  const auto plan = sim::make_plan(scenario, {.via_service = !options_.via.empty()});
  if (!plan) {
    refuse(scenario.file, {plan.error().to_string()});
    return true;
  }
  tell_idle(*plan);
  tell_warnings(*plan);
  sim::Outcome outcome;
  outcome.result.file = scenario.file;
  outcome.result.name = scenario.name;
  outcome.result.labels = scenario.labels;
  outcome.passed = true;
  bool have_first = false;
  for (std::size_t i = 0; i < clusters_.size(); ++i) {
    auto result = run_on(i, *plan, outcome);
    if (interrupted()) return false;
    if (outcome.refused) return true;
    if (!result) {
      outcome.passed = false;
      continue;
    }
    report(*result, std::string(clusters_[i]->name()), outcome);
    outcome.passed = outcome.passed && result->passed();
    if (have_first) compare(outcome.result, *result, i, outcome);
    if (!have_first) outcome.result = std::move(*result);
    have_first = true;
  }
  outcomes_.push_back(std::move(outcome));
  return true;
}

int TestRun::finish() {
  std::size_t passed = 0;
  std::size_t cells = 0;
  for (const auto& outcome : outcomes_) {
    passed += outcome.passed ? 1 : 0;
    cells += outcome.result.cells();
  }
  sim::RunInfo info;
  info.backend = options_.backend;
  info.version = POSTERN_VERSION "+" POSTERN_COMMIT;
  info.duration_ms = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - started_).count();
  info.differences = differences_;
  info.via = options_.via;
  info.interrupted = interrupted_after_.has_value();
  bool written = write_file(options_.json, options_.json.empty() ? "" : sim::json_report(info, outcomes_));
  const std::string junit =
      options_.junit.empty() ? "" : sim::junit_report(outcomes_, loaded_.refusals);
  written = write_file(options_.junit, junit) && written;
  const std::size_t refused = loaded_.refusals.size();
  std::fflush(stdout);
  if (refused != 0) note(fmt::format("{} file{} refused", refused, refused == 1 ? "" : "s"));
  if (interrupted_after_) {
    note(fmt::format("interrupted after {} of {} scenarios", *interrupted_after_, loaded_.chosen.size()));
  }
  if (clusters_.size() > 1) {
    std::string times;
    for (std::size_t i = 0; i < clusters_.size(); ++i)
      times += fmt::format(", {} {:.1f} s", clusters_[i]->name(), seconds_[i]);
    say(stdout, "{} scenarios, {} cells, {} differences{}\n", outcomes_.size(), cells, differences_.size(),
        times);
  }
  say(stdout, "{} passed, {} failed", passed, outcomes_.size() - passed);
  if (loaded_.skipped != 0) say(stdout, ", {} skipped", loaded_.skipped);
  say(stdout, "\n");
  if (refused != 0 || loaded_.chosen.empty() || interrupted_after_ || !written) return 2;
  return passed == outcomes_.size() ? 0 : 1;
}

// Everything that comes before the first scenario. Errors: what the command line asks for cannot be.
Result<void> TestRun::prepare() {
  for (const auto& path : {options_.json, options_.junit}) {
    if (path == "-") {
      return fail(ErrorCode::invalid_input, "results go to a file of their own, found -, expected a path");
    }
  }
  if (!options_.json.empty() && !options_.junit.empty() && same_file(options_.json, options_.junit)) {
    return fail(ErrorCode::invalid_input,
                "--json and --junit both name " + options_.json + ", expected two files");
  }
  const auto selection = sim::make_selection(options_.filters, options_.labels, options_.shard);
  if (!selection) return fail_as(selection);
  if (auto prepared = prepare_backends(options_.backend, options_.argv); !prepared) return prepared;
  catch_interrupts();
  loaded_ = load_scenarios(options_, *selection);
  for (const auto& path : {options_.json, options_.junit}) {
    if (auto checked = check_output(path, loaded_.inputs); !checked) return checked;
  }
  if (loaded_.chosen.empty()) {
    if (loaded_.refusals.empty()) {
      note(fmt::format("nothing selected: none of {} scenarios matches", loaded_.skipped));
    }
    return {};
  }
  auto clusters = make_clusters(options_.backend, options_.agent);
  if (!clusters) return fail_as(clusters);
  clusters_ = std::move(*clusters);
  run_options_.replay_backend = replay_backend();
  run_options_.stopped = interrupted;
  seconds_.assign(clusters_.size(), 0.0);
  return {};
}

int TestRun::run() {
  if (auto prepared = prepare(); !prepared) return cli::refuse(prepared.error().to_string());
  for (std::size_t i = 0; i < loaded_.chosen.size(); ++i) {
    progress_.show(i + 1, loaded_.chosen.size(), loaded_.chosen[i]->name);
    if (interrupted() || !run_scenario(*loaded_.chosen[i])) {
      interrupted_after_ = i;
      break;
    }
    // What has been found stands, whatever ends the run.
    std::fflush(stdout);
  }
  progress_.clear();
  return finish();
}

}  // namespace

int run_test(const TestOptions& options) { return TestRun(options).run(); }

}  // namespace postern::cli
