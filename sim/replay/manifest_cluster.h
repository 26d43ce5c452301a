// SPDX-License-Identifier: Apache-2.0
// Files and folders of Kubernetes manifests as one cluster: all objects of all of them in one batch,
// so neither the order of files nor of documents means anything.
#pragma once

#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/manifest/reader.h"
#include "engine/model/snapshot.h"

namespace postern::sim {

struct ManifestCluster {
  ClusterSnapshot cluster;
  std::map<std::string, std::size_t> skipped_kinds;      // kinds that no policy depends on, how often
  std::vector<manifest::UnsupportedPolicy> unsupported;  // only with ignore_unsupported
  std::vector<std::string> files;                        // that were read
  std::size_t assigned_pods = 0;  // live pods of the pod network that were given their address here
};

// What came by another way than a file. The name stands in messages, and its ending says the syntax.
struct ManifestText {
  std::string name;
  std::string text;
};

// Errors: all of all files and texts; never empty on failure.
tl::expected<ManifestCluster, manifest::Errors> load_cluster(std::span<const std::string> paths,
                                                             const manifest::ReadOptions& options = {},
                                                             std::span<const ManifestText> texts = {});

}  // namespace postern::sim
