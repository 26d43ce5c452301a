// SPDX-License-Identifier: Apache-2.0
#include "cli/commands/cluster.h"

#include "cli/commands/output.h"
#include "sim/replay/manifest_cluster.h"

namespace postern::cli {

std::optional<ClusterSnapshot> load_manifests(std::span<const std::string> paths, bool ignore_unsupported) {
  manifest::ReadOptions reading;
  reading.ignore_unsupported = ignore_unsupported;
  const auto loaded = sim::load_cluster(paths, reading);
  if (!loaded) {
    for (const auto& error : loaded.error()) refuse(error.to_string());
    return std::nullopt;
  }
  for (const auto& left_out : loaded->unsupported) {
    refuse(left_out.location.file + ": " + left_out.kind + ' ' + left_out.name +
           " is not supported and left out");
  }
  return loaded->cluster;
}

}  // namespace postern::cli
