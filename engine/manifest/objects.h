// SPDX-License-Identifier: Apache-2.0
// One Kubernetes object as read from a manifest: one of the kinds that policy depends on.
#pragma once

#include <cstdint>
#include <string>
#include <variant>

#include "engine/base/result.h"
#include "engine/model/cluster_network_policy.h"
#include "engine/model/objects.h"

namespace postern::manifest {

// A workload's pod template; expanded into pods once the nodes are known (engine/manifest/workloads.h).
struct Workload {
  std::string kind;  // Deployment, StatefulSet, DaemonSet, ReplicaSet, ReplicationController, Job, CronJob
  NamespacedName key;
  std::uint32_t replicas = 1;
  Pod pod_template;  // name and addresses empty
  friend bool operator==(const Workload&, const Workload&) = default;
};

// A Pod as written. A pod without status.podIP gets an address assigned; one with podIP "" has none yet.
// Nothing is assigned in objects of an API server (ReadOptions::live).
struct PodObject {
  Pod pod;
  bool assign_address = false;
  friend bool operator==(const PodObject&, const PodObject&) = default;
};

// A Service as written. One of a type that has a ClusterIP gets one assigned where it names none;
// `None` (headless) and ExternalName leave it without.
struct ServiceObject {
  Service service;
  bool assign_address = false;
  friend bool operator==(const ServiceObject&, const ServiceObject&) = default;
};

struct Object {
  Location location;
  // As the object writes it; of two groups' kinds with one name the second is KIND.GROUP.
  std::string kind;
  std::variant<Namespace, Node, PodObject, Workload, ServiceObject, EndpointSlice, NetworkPolicy,
               ClusterNetworkPolicy, PolicyEndpoint, ClusterPolicyEndpoint>
      value;
};

// An object by its identity, as a delete names it; kinds as in Object. `ns` is empty for cluster-wide kinds.
struct ObjectRef {
  std::string kind;
  std::string ns;
  std::string name;
  Location location{};
};

}  // namespace postern::manifest
