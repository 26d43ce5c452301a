// SPDX-License-Identifier: Apache-2.0
#include "sim/replay/manifest_cluster.h"

#include <iterator>
#include <set>
#include <utility>
#include <variant>

#include "engine/manifest/cluster_state.h"
#include "files/manifest_files.h"

namespace postern::sim {

namespace {

std::size_t count_assigned(const ClusterSnapshot& cluster, const std::vector<manifest::Object>& objects) {
  std::set<NamespacedName> written;
  for (const auto& object : objects) {
    const auto* pod = std::get_if<manifest::PodObject>(&object.value);
    if (pod != nullptr && !pod->assign_address) written.insert(pod->pod.key);
  }
  std::size_t count = 0;
  for (const auto& [key, pod] : cluster.pods) {
    if (pod.live() && !pod.host_network && !written.contains(key)) ++count;
  }
  return count;
}

}  // namespace

tl::expected<ManifestCluster, manifest::Errors> load_cluster(std::span<const std::string> paths,
                                                             const manifest::ReadOptions& options,
                                                             std::span<const ManifestText> texts) {
  ManifestCluster loaded;
  manifest::Errors errors;
  std::vector<manifest::Object> objects;
  const auto add = [&](tl::expected<manifest::Manifest, manifest::Errors> manifest) {
    if (!manifest) {
      std::move(manifest.error().begin(), manifest.error().end(), std::back_inserter(errors));
      return;
    }
    std::move(manifest->objects.begin(), manifest->objects.end(), std::back_inserter(objects));
    std::move(manifest->unsupported.begin(), manifest->unsupported.end(),
              std::back_inserter(loaded.unsupported));
    for (const auto& [kind, count] : manifest->skipped_kinds) loaded.skipped_kinds[kind] += count;
  };
  for (const auto& path : paths) {
    add(load_manifests(path, options));
    if (const auto files = list_manifest_files(path)) {
      loaded.files.insert(loaded.files.end(), files->begin(), files->end());
    }
  }
  for (const auto& text : texts) add(manifest::read_manifest(text.text, text.name, options));
  if (!errors.empty()) return tl::unexpected(std::move(errors));
  manifest::ClusterState state;
  state.reserve(objects);
  auto cluster = state.apply({}, objects);
  if (!cluster) return tl::unexpected(manifest::Errors{cluster.error()});
  loaded.cluster = std::move(*cluster);
  loaded.assigned_pods = count_assigned(loaded.cluster, objects);
  return loaded;
}

}  // namespace postern::sim
