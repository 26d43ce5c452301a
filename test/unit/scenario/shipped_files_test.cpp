// SPDX-License-Identifier: Apache-2.0
// Every file under scenarios/ is read, and every step of every scenario has a snapshot.
#include <gtest/gtest.h>

#include "engine/manifest/cluster_state.h"
#include "files/manifest_files.h"
#include "sim/scenario/scenario_reader.h"

namespace postern::sim {
namespace {

void expect_snapshots(const Scenario& scenario) {
  manifest::ClusterState state;
  state.reserve(scenario.manifests);
  for (const auto& step : scenario.steps) state.reserve(step.applies);
  const auto loaded = state.apply({}, scenario.manifests);
  EXPECT_TRUE(loaded.has_value()) << loaded.error().to_string();
  for (const auto& step : scenario.steps) {
    const auto snapshot = state.apply(step.deletes, step.applies);
    ASSERT_TRUE(snapshot.has_value()) << snapshot.error().to_string();
    for (const auto& entry : snapshot->pods) {
      if (!entry.second.live()) continue;
      EXPECT_TRUE(snapshot->nodes.count(entry.second.node_name) == 1) << entry.first.to_string();
    }
  }
}

TEST(ShippedFiles, every_scenario_loads_or_says_that_it_is_not_supported_yet) {
  const auto files = list_scenario_files("scenarios");
  ASSERT_TRUE(files.has_value()) << files.error().to_string();
  std::size_t loaded = 0;
  for (const auto& path : *files) {
    SCOPED_TRACE(path);
    const auto file = read_scenario_file(path);
    if (!file.is_scenario) continue;
    for (const auto& error : file.errors) {
      EXPECT_EQ(error.code, ErrorCode::unsupported) << error.to_string();
      EXPECT_NE(error.message.find("not supported yet"), std::string::npos) << error.to_string();
    }
    if (!file.scenario) continue;
    ++loaded;
    expect_snapshots(*file.scenario);
  }
  EXPECT_GE(loaded, 230u);
}

TEST(ShippedFiles, files_that_are_no_scenarios_are_manifests) {
  const auto files = list_scenario_files("scenarios");
  ASSERT_TRUE(files.has_value());
  for (const auto& path : *files) {
    SCOPED_TRACE(path);
    if (read_scenario_file(path).is_scenario) continue;
    const auto manifest = load_manifests(path);
    EXPECT_TRUE(manifest.has_value()) << manifest.error().front().to_string();
  }
}

}  // namespace
}  // namespace postern::sim
