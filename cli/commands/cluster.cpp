// SPDX-License-Identifier: Apache-2.0
#include "cli/commands/cluster.h"

#include <algorithm>
#include <cstdio>
#include <utility>
#include <vector>

#include "cli/commands/output.h"
#include "engine/policy/policy_warnings.h"

namespace postern::cli {

namespace {

// All of standard input, up to one byte beyond what the reader takes, which then says so.
std::optional<sim::ManifestText> read_standard_input() {
  constexpr std::size_t kMost = (std::size_t{16} << 20) + 1;
  sim::ManifestText input;
  char buffer[65536];
  while (input.text.size() < kMost) {
    const std::size_t count = std::fread(buffer, 1, sizeof buffer, stdin);
    if (count == 0) break;
    input.text.append(buffer, count);
  }
  if (std::ferror(stdin) != 0) return refuse("cannot read standard input"), std::nullopt;
  const auto first = input.text.find_first_not_of(" \t\r\n");
  const bool json = first != std::string::npos && input.text[first] == '{';
  input.name = json ? "stdin.json" : "stdin.yaml";
  return input;
}

}  // namespace

std::optional<sim::ManifestCluster> load_manifests(std::span<const std::string> paths, bool ignore_unsupported) {
  manifest::ReadOptions reading;
  reading.ignore_unsupported = ignore_unsupported;
  std::vector<std::string> files(paths.begin(), paths.end());
  std::vector<sim::ManifestText> texts;
  if (const auto inputs = std::erase(files, "-"); inputs != 0) {
    auto input = read_standard_input();
    if (!input) return std::nullopt;
    texts.push_back(std::move(*input));
  }
  auto loaded = sim::load_cluster(files, reading, texts);
  if (!loaded) {
    for (const auto& error : loaded.error()) refuse(error.to_string());
    return std::nullopt;
  }
  for (const auto& left_out : loaded->unsupported) {
    refuse(left_out.location.file + ": " + left_out.kind + ' ' + left_out.name +
           " is not supported and left out");
  }
  for (const auto& warning : policy_warnings(loaded->cluster)) note(warning);
  return std::move(*loaded);
}

}  // namespace postern::cli
