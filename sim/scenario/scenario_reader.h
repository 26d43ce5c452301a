// SPDX-License-Identifier: Apache-2.0
// Scenario file -> sim::Scenario, checked strictly: a key that the format does not know is an error,
// so a misspelt expectation can never pass by being ignored. Objects inside are read as manifests are.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/manifest/reader.h"
#include "sim/scenario/scenario.h"

namespace postern::sim {

struct ScenarioReadOptions {
  bool ignore_unsupported = false;  // leave out policy kinds that are not supported
  // Gets the text of a file named under `manifests:`; the path is already relative to the working
  // directory. Absent: load_text_file.
  std::function<Result<std::string>(const std::string& path)> load;
};

// What a file turned out to be. Exactly one holds: it is no scenario (then `found_kind` says what
// its first document is, and it is for the caller to skip it or to refuse it with `no_scenario`),
// `scenario` has a value, or `errors` is not empty. A document with an apiVersion of ours or of the
// kind Scenario, wherever it stands in the file, is never passed over.
struct ScenarioFile {
  std::string file;
  bool is_scenario = true;
  std::string found_kind;
  std::optional<Error> no_scenario;  // with the place of the kind; only when it is no scenario
  std::optional<Scenario> scenario;
  std::vector<Error> errors;  // all of the file; code unsupported: "not supported yet"
};

ScenarioFile read_scenario(std::string_view text, const std::string& file,
                           const ScenarioReadOptions& options = {});
// The same from disk. An unreadable file has one error of code io.
ScenarioFile read_scenario_file(const std::string& path, const ScenarioReadOptions& options = {});

// The files that PATH stands for: a file itself, or every *.yaml below a folder, sorted. Folders
// hold other files too: those have `is_scenario` false when read.
Result<std::vector<std::string>> list_scenario_files(const std::string& path);

// "30s", "1m30s", "250ms", "0": whole numbers with h, m, s, ms, us, ns, largest unit first.
std::optional<Duration> parse_duration(std::string_view text);

}  // namespace postern::sim
