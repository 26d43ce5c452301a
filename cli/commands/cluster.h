// SPDX-License-Identifier: Apache-2.0
// What explain, record, replay and resolve share: the cluster of manifests.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "sim/replay/manifest_cluster.h"

namespace postern::cli {

// The objects of files, of folders and, for "-", of standard input (what `kubectl get -o yaml` prints). Every
// error has been said when it is empty; what is left out with --ignore-unsupported is named.
std::optional<sim::ManifestCluster> load_manifests(std::span<const std::string> paths, bool ignore_unsupported);

}  // namespace postern::cli
