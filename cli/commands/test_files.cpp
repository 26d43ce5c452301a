// SPDX-License-Identifier: Apache-2.0
#include "cli/commands/test_files.h"

#include <map>
#include <utility>

#include "cli/commands/output.h"
#include "sim/scenario/scenario_reader.h"

namespace postern::cli {

namespace {

// Loud where policies may be among what was left out, else only for those who want to know.
void tell_skipped(const sim::Scenario& scenario, const TestOptions& options) {
  if (scenario.skipped_kinds.empty() || !(options.ignore_unsupported || options.verbose)) return;
  std::string list;
  for (const auto& [kind, count] : scenario.skipped_kinds) {
    list += (list.empty() ? "" : ", ") + std::to_string(count) + ' ' + kind;
  }
  note(scenario.file + ": left out: " + list);
}

// One name for two scenarios makes a report that nobody can tell apart.
void tell_duplicates(const std::vector<std::unique_ptr<sim::Scenario>>& scenarios) {
  std::map<std::string, const sim::Scenario*> known;
  for (const auto& scenario : scenarios) {
    const auto [first, fresh] = known.emplace(scenario->name, scenario.get());
    if (!fresh) {
      note(scenario->file + ": the name " + scenario->name + " is also that of " + first->second->file);
    }
  }
}

class Loader {
 public:
  explicit Loader(const TestOptions& options) : options_(options) {}

  void read_path(const std::string& path) {
    const auto files = sim::list_scenario_files(path);
    if (!files) return refuse_file(loaded.refusals, path, {files.error().to_string()});
    const std::size_t before = found();
    for (const auto& file : *files) read_file(file, file == path);
    // A folder named by mistake must not read as a pass.
    if (found() == before) refuse_file(loaded.refusals, path, {path + ": found no scenario in this folder"});
  }

  LoadedScenarios loaded;

 private:
  [[nodiscard]] std::size_t found() const { return loaded.chosen.size() + loaded.refusals.size(); }

  void read_file(const std::string& path, bool named) {
    sim::ScenarioReadOptions reading;
    reading.ignore_unsupported = options_.ignore_unsupported;
    sim::ScenarioFile file = sim::read_scenario_file(path, reading);
    loaded.inputs.push_back(path);
    if (!file.errors.empty()) {
      std::vector<std::string> messages;
      for (const auto& error : file.errors) messages.push_back(error.to_string());
      refuse_file(loaded.refusals, path, std::move(messages));
    } else if (!file.is_scenario) {
      // Folders hold manifests too; a file that was asked for by name must be a scenario.
      if (named) refuse_file(loaded.refusals, path, {file.no_scenario->to_string()});
    } else if (file.scenario) {
      tell_skipped(*file.scenario, options_);
      note_inputs(*file.scenario);
      loaded.chosen.push_back(std::make_unique<sim::Scenario>(std::move(*file.scenario)));
    }
  }

  void note_inputs(const sim::Scenario& scenario) {
    for (const auto& object : scenario.manifests) {
      if (loaded.inputs.back() != object.location.file) loaded.inputs.push_back(object.location.file);
    }
    for (const auto& step : scenario.steps) {
      if (step.replay) loaded.inputs.push_back(step.replay->capture);
    }
  }

  const TestOptions& options_;
};

}  // namespace

void refuse_file(std::vector<sim::Refusal>& refusals, const std::string& file,
                 std::vector<std::string> messages) {
  for (const auto& message : messages) note(message);
  refusals.push_back({file, std::move(messages)});
}

LoadedScenarios load_scenarios(const TestOptions& options, const sim::Selection& selection) {
  Loader loader(options);
  for (const auto& path : options.paths) loader.read_path(path);
  auto all = std::exchange(loader.loaded.chosen, {});
  std::size_t index = 0;
  for (auto& scenario : all) {
    if (sim::selects(selection, scenario->name, scenario->labels) && sim::in_shard(selection, index++)) {
      loader.loaded.chosen.push_back(std::move(scenario));
    } else {
      ++loader.loaded.skipped;
    }
  }
  tell_duplicates(loader.loaded.chosen);
  return std::move(loader.loaded);
}

}  // namespace postern::cli
