// SPDX-License-Identifier: Apache-2.0
// What policy needs of each resource. A field that a reader reads and a mask leaves out would silently
// be absent, so test/unit/agent_kube reads whole objects with and without the mask.
#include "agent/kube/object_decoder.h"

namespace postern::agent::kube {

namespace {

FieldMask with_metadata(std::initializer_list<FieldMask::Path> paths) {
  FieldMask mask{{"kind"},
                 {"apiVersion"},
                 {"metadata", "name"},
                 {"metadata", "namespace"},
                 {"metadata", "uid"},
                 {"metadata", "resourceVersion"},
                 {"metadata", "deletionTimestamp"},
                 {"metadata", "labels"},
                 {"metadata", "annotations", "postern.dev/*"},
                 {"metadata", "annotations", "vpc.amazonaws.com/pod-ips"},
                 {"metadata", "annotations", "networking.k8s.aws/last-change-trigger-time"}};
  for (const auto& path : paths) mask.add(path);
  return mask;
}

FieldMask pod_mask() {
  return with_metadata({{"metadata", "ownerReferences", "kind"},
                        {"metadata", "ownerReferences", "name"},
                        {"metadata", "ownerReferences", "controller"},
                        {"spec", "nodeName"},
                        {"spec", "hostNetwork"},
                        {"spec", "containers", "ports", "name"},
                        {"spec", "containers", "ports", "containerPort"},
                        {"spec", "containers", "ports", "protocol"},
                        {"spec", "initContainers", "restartPolicy"},
                        {"spec", "initContainers", "ports", "name"},
                        {"spec", "initContainers", "ports", "containerPort"},
                        {"spec", "initContainers", "ports", "protocol"},
                        {"status", "phase"},
                        {"status", "podIP"},
                        {"status", "podIPs"},
                        {"status", "hostIP"},
                        {"status", "conditions", "type"},
                        {"status", "conditions", "status"}});
}

FieldMask service_mask() {
  return with_metadata({{"spec", "type"},
                        {"spec", "clusterIP"},
                        {"spec", "clusterIPs"},
                        {"spec", "selector"},
                        {"spec", "ports", "name"},
                        {"spec", "ports", "protocol"},
                        {"spec", "ports", "port"},
                        {"spec", "ports", "targetPort"}});
}

FieldMask endpoint_slice_mask() {
  return with_metadata({{"addressType"},
                        {"endpoints", "addresses"},
                        {"endpoints", "conditions", "ready"},
                        {"ports", "name"},
                        {"ports", "protocol"},
                        {"ports", "port"}});
}

}  // namespace

const FieldMask& mask_of(ResourceKind kind) {
  // All annotations of a namespace: they may say how it is enforced, and cost little.
  static const FieldMask kNamespaces = with_metadata({{"metadata", "annotations"}});
  static const FieldMask kNodes = with_metadata({{"status", "addresses"}});
  static const FieldMask kPods = pod_mask();
  static const FieldMask kServices = service_mask();
  static const FieldMask kEndpointSlices = endpoint_slice_mask();
  static const FieldMask kSpec = with_metadata({{"spec"}});
  switch (kind) {
    case ResourceKind::namespaces:
      return kNamespaces;
    case ResourceKind::nodes:
      return kNodes;
    case ResourceKind::pods:
      return kPods;
    case ResourceKind::services:
      return kServices;
    case ResourceKind::endpoint_slices:
      return kEndpointSlices;
    case ResourceKind::network_policies:
    case ResourceKind::cluster_network_policies:
    case ResourceKind::admin_network_policies:
    case ResourceKind::baseline_admin_network_policies:
    case ResourceKind::amazon_cluster_network_policies:
    case ResourceKind::cluster_policy_endpoints:
    case ResourceKind::policy_endpoints:
      return kSpec;
  }
  return kSpec;
}

}  // namespace postern::agent::kube
