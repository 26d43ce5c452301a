// SPDX-License-Identifier: Apache-2.0
#include "cli/commands/test.h"

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <memory>
#include <optional>
#include <utility>

#include "cli/build_info.h"
#include "cli/commands/output.h"
#include "cli/commands/test_backends.h"
#include "sim/runner/plan.h"
#include "sim/runner/report_files.h"
#include "sim/runner/report_text.h"
#include "sim/runner/run.h"
#include "sim/runner/selection.h"
#include "sim/scenario/scenario_reader.h"

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
  int load(const sim::Selection& selection);
  void read_file(const std::string& path, bool named);
  void tell_skipped(const sim::Scenario& scenario) const;
  void tell_idle(const sim::Plan& plan) const;
  void refuse(const std::string& file, std::vector<std::string> messages);
  void run_scenario(const sim::Scenario& scenario);
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
  std::vector<std::unique_ptr<sim::Scenario>> scenarios_;
  std::size_t skipped_ = 0;
  std::vector<sim::Outcome> outcomes_;
  std::vector<sim::Refusal> refusals_;
  std::vector<sim::Difference> differences_;
  Progress progress_;
  Clock::time_point started_ = Clock::now();
};

void TestRun::refuse(const std::string& file, std::vector<std::string> messages) {
  progress_.clear();
  for (const auto& message : messages) say(stderr, "postern: {}\n", message);
  refusals_.push_back({file, std::move(messages)});
}

// Loud where policies may be among what was left out, else only for those who want to know.
void TestRun::tell_skipped(const sim::Scenario& scenario) const {
  if (scenario.skipped_kinds.empty() || !(options_.ignore_unsupported || options_.verbose)) return;
  std::string list;
  for (const auto& [kind, count] : scenario.skipped_kinds)
    list += fmt::format("{}{} {}", list.empty() ? "" : ", ", count, kind);
  say(stderr, "postern: {}: left out: {}\n", scenario.file, list);
}

// A line that judges nothing holds whatever the policies say: a misspelt port name, most likely.
void TestRun::tell_idle(const sim::Plan& plan) const {
  for (const auto& step : plan.steps) {
    for (const sim::ProbeLine* line : step.idle) {
      progress_.clear();
      const Error note{ErrorCode::invalid_input, "this probe judges no pair", line->location};
      say(stderr, "postern: {} ({} -> {})\n", note.to_string(), line->from_text, line->to_text);
    }
  }
}

void TestRun::read_file(const std::string& path, bool named) {
  sim::ScenarioReadOptions reading;
  reading.ignore_unsupported = options_.ignore_unsupported;
  sim::ScenarioFile file = sim::read_scenario_file(path, reading);
  if (!file.errors.empty()) {
    std::vector<std::string> messages;
    for (const auto& error : file.errors) messages.push_back(error.to_string());
    refuse(path, std::move(messages));
  } else if (!file.is_scenario) {
    // Folders hold manifests too; a file that was asked for by name must be a scenario.
    if (named) refuse(path, {file.no_scenario->to_string()});
  } else if (file.scenario) {
    tell_skipped(*file.scenario);
    scenarios_.push_back(std::make_unique<sim::Scenario>(std::move(*file.scenario)));
  }
}

int TestRun::load(const sim::Selection& selection) {
  for (const auto& path : options_.paths) {
    const auto files = sim::list_scenario_files(path);
    if (!files) {
      refuse(path, {files.error().to_string()});
      continue;
    }
    for (const auto& file : *files) read_file(file, file == path);
  }
  std::vector<std::unique_ptr<sim::Scenario>> chosen;
  std::size_t index = 0;
  for (auto& scenario : scenarios_) {
    if (sim::selects(selection, scenario->name, scenario->labels) && sim::in_shard(selection, index++)) {
      chosen.push_back(std::move(scenario));
    } else {
      ++skipped_;
    }
  }
  scenarios_ = std::move(chosen);
  if (scenarios_.empty() && refusals_.empty()) {
    return cli::refuse(skipped_ == 0 ? "no scenario found below the given paths"
                                  : fmt::format("nothing selected: none of {} scenarios matches", skipped_));
  }
  return 0;
}

void TestRun::report(const sim::ScenarioResult& result, const std::string& backend, sim::Outcome& outcome) {
  sim::TextOptions text;
  text.backend = clusters_.size() > 1 ? backend : "";
  if (!result.passed()) outcome.notes.push_back(sim::text_report(result, text));
  const bool single = scenarios_.size() == 1;
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
  if (result) return std::move(*result);
  const std::string backend(clusters_[cluster]->name());
  if (result.error().code == ErrorCode::unsupported) {
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

void TestRun::run_scenario(const sim::Scenario& scenario) {
  const auto plan = sim::make_plan(scenario);
  if (!plan) return refuse(scenario.file, {plan.error().to_string()});
  tell_idle(*plan);
  sim::Outcome outcome;
  outcome.result.file = scenario.file;
  outcome.result.name = scenario.name;
  outcome.result.labels = scenario.labels;
  outcome.passed = true;
  bool have_first = false;
  for (std::size_t i = 0; i < clusters_.size(); ++i) {
    auto result = run_on(i, *plan, outcome);
    if (outcome.refused) return;
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
  bool written = write_file(options_.json, options_.json.empty() ? "" : sim::json_report(info, outcomes_));
  written =
      write_file(options_.junit, options_.junit.empty() ? "" : sim::junit_report(outcomes_, refusals_)) &&
      written;
  if (!refusals_.empty()) {
    std::fflush(stdout);
    say(stderr, "postern: {} file{} refused\n", refusals_.size(), refusals_.size() == 1 ? "" : "s");
  }
  if (clusters_.size() > 1) {
    std::string times;
    for (std::size_t i = 0; i < clusters_.size(); ++i)
      times += fmt::format(", {} {:.1f} s", clusters_[i]->name(), seconds_[i]);
    say(stdout, "{} scenarios, {} cells, {} differences{}\n", outcomes_.size(), cells, differences_.size(),
        times);
  }
  say(stdout, "{} passed, {} failed", passed, outcomes_.size() - passed);
  if (skipped_ != 0) say(stdout, ", {} skipped", skipped_);
  say(stdout, "\n");
  if (!refusals_.empty() || !written) return 2;
  return passed == outcomes_.size() ? 0 : 1;
}

int TestRun::run() {
  if (!options_.via.empty()) return cli::refuse("--via " + options_.via + " is not supported yet");
  for (const auto& path : {options_.json, options_.junit}) {
    if (path == "-") return cli::refuse("results go to a file of their own, found -, expected a path");
  }
  if (!options_.json.empty() && options_.json == options_.junit) {
    return cli::refuse("--json and --junit both name " + options_.json + ", expected two files");
  }
  const auto selection = sim::make_selection(options_.filters, options_.labels, options_.shard);
  if (!selection) return cli::refuse(selection.error().to_string());
  if (auto prepared = prepare_backends(options_.backend, options_.argv); !prepared) {
    return cli::refuse(prepared.error().message);
  }
  if (const int status = load(*selection); status != 0) return status;
  auto clusters = make_clusters(options_.backend);
  if (!clusters) return cli::refuse(clusters.error().to_string());
  clusters_ = std::move(*clusters);
  run_options_.replay_backend = replay_backend();
  seconds_.assign(clusters_.size(), 0.0);
  for (std::size_t i = 0; i < scenarios_.size(); ++i) {
    progress_.show(i + 1, scenarios_.size(), scenarios_[i]->name);
    run_scenario(*scenarios_[i]);
    // What has been found stands, whatever ends the run.
    std::fflush(stdout);
  }
  progress_.clear();
  return finish();
}

}  // namespace

int run_test(const TestOptions& options) { return TestRun(options).run(); }

}  // namespace postern::cli
