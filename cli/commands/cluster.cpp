// SPDX-License-Identifier: Apache-2.0
#include "cli/commands/cluster.h"

#include <cstdio>

#include "sim/replay/manifest_cluster.h"

namespace postern::cli {

int refuse(const std::string& message) {
  std::fprintf(stderr, "postern: %s\n", message.c_str());
  return 2;
}

std::optional<ClusterSnapshot> load_manifests(std::span<const std::string> paths, bool ignore_unsupported) {
  manifest::ReadOptions reading;
  reading.ignore_unsupported = ignore_unsupported;
  const auto loaded = sim::load_cluster(paths, reading);
  if (!loaded) {
    for (const auto& error : loaded.error()) refuse(error.to_string());
    return std::nullopt;
  }
  for (const auto& left_out : loaded->unsupported) {
    std::fprintf(stderr, "postern: %s: %s %s is not supported and left out\n", left_out.location.file.c_str(),
                 left_out.kind.c_str(), left_out.name.c_str());
  }
  return loaded->cluster;
}

}  // namespace postern::cli
