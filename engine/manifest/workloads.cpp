// SPDX-License-Identifier: Apache-2.0
#include "engine/manifest/workloads.h"

namespace postern::manifest {

namespace {

PodObject pod_of(const Workload& workload, std::size_t number) {
  PodObject made;
  made.pod = workload.pod_template;
  made.pod.key = {workload.key.ns, workload.key.name + "-" + std::to_string(number)};
  made.pod.workload = workload.kind + "/" + workload.key.name;
  made.assign_address = true;
  return made;
}

}  // namespace

std::vector<PodObject> expand(const Workload& workload, const std::vector<std::string>& nodes) {
  std::vector<PodObject> pods;
  if (workload.kind != "DaemonSet") {
    for (std::size_t i = 0; i < workload.replicas; ++i) pods.push_back(pod_of(workload, i));
    return pods;
  }
  const std::string& only = workload.pod_template.node_name;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    if (!only.empty() && nodes[i] != only) continue;
    pods.push_back(pod_of(workload, pods.size()));
    pods.back().pod.node_name = nodes[i];
  }
  return pods;
}

}  // namespace postern::manifest
