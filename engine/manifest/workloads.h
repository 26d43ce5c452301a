// SPDX-License-Identifier: Apache-2.0
// Workloads -> pods with stable names: web-0, web-1… A controller's random suffixes would make a
// scenario unrepeatable.
#pragma once

#include <string>
#include <vector>

#include "engine/manifest/objects.h"

namespace postern::manifest {

// More replicas than any test means; the reader refuses them.
inline constexpr std::uint32_t kMaxReplicas = 10'000;

// How many pods `expand` will make, at most.
std::size_t pods_of(const Workload& workload, std::size_t nodes);
// Roughly the bytes that labels, annotations and ports of a pod take.
std::size_t weight_of(const Pod& pod);

// The pods of a workload. `nodes`: where a DaemonSet runs, in order of name; a template that names
// a node itself keeps to it. Addresses are left to be assigned.
std::vector<PodObject> expand(const Workload& workload, const std::vector<std::string>& nodes);

}  // namespace postern::manifest
