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

std::size_t pods_of(const Workload& workload, std::size_t nodes) {
  return workload.kind == "DaemonSet" ? nodes : workload.replicas;
}

std::size_t weight_of(const Pod& pod) {
  constexpr std::size_t kEntry = 64;  // of a tree, beside the text
  std::size_t bytes = pod.ports.size() * kEntry;
  for (const auto* texts : {&pod.labels, &pod.annotations}) {
    for (const auto& [key, value] : *texts) bytes += kEntry + key.size() + value.size();
  }
  return bytes;
}

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
