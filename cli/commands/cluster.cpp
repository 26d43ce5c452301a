// SPDX-License-Identifier: Apache-2.0
#include "cli/commands/cluster.h"

#include <utility>

#include "cli/commands/output.h"

namespace postern::cli {

std::optional<sim::ManifestCluster> load_manifests(std::span<const std::string> paths, bool ignore_unsupported) {
  manifest::ReadOptions reading;
  reading.ignore_unsupported = ignore_unsupported;
  auto loaded = sim::load_cluster(paths, reading);
  if (!loaded) {
    for (const auto& error : loaded.error()) refuse(error.to_string());
    return std::nullopt;
  }
  for (const auto& left_out : loaded->unsupported) {
    refuse(left_out.location.file + ": " + left_out.kind + ' ' + left_out.name +
           " is not supported and left out");
  }
  return std::move(*loaded);
}

}  // namespace postern::cli
