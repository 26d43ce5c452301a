// SPDX-License-Identifier: Apache-2.0
// Any text at all: the readers neither crash nor hang, what they accept can be put in place, and a
// failure always has a message with the file's name. The first byte picks YAML, JSON or a scenario.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "engine/manifest/cluster_state.h"
#include "sim/scenario/scenario_reader.h"

namespace {

using namespace postern;

void require(bool holds) {
  if (!holds) std::abort();
}

void check_errors(const std::vector<Error>& errors) {
  require(!errors.empty());
  for (const auto& error : errors) require(!error.message.empty() && !error.location.file.empty());
}

void check_manifest(std::string_view text, const std::string& file) {
  const auto read = manifest::read_manifest(text, file);
  if (!read) return check_errors(read.error());
  manifest::ClusterState state;
  state.reserve(read->objects);
  const auto snapshot = state.apply({}, read->objects);
  if (!snapshot) return;
  for (const auto& entry : snapshot->pods) {
    const Pod& pod = entry.second;
    require(!pod.live() || snapshot->nodes.count(pod.node_name) == 1);
  }
  for (const auto& entry : snapshot->nodes) require(entry.second.internal_ip(IpFamily::v4).has_value());
}

void check_scenario(std::string_view text) {
  sim::ScenarioReadOptions options;
  options.load = [](const std::string& path) -> Result<std::string> {
    return fail(ErrorCode::io, "no files here", {path, 0, 0});
  };
  const auto read = sim::read_scenario(text, "fuzz.yaml", options);
  if (!read.is_scenario) return require(!read.scenario && read.errors.empty());
  if (!read.scenario) return check_errors(read.errors);
  require(read.errors.empty() && !read.scenario->steps.empty());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 3) {
    case 0: check_manifest(text, "fuzz.yaml"); break;
    case 1: check_manifest(text, "fuzz.json"); break;
    case 2: check_scenario(text); break;
  }
  return 0;
}
