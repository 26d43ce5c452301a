// SPDX-License-Identifier: Apache-2.0
// Who stands behind a ClusterIP (R7, R35).
#include "test/oracle/sight.h"

namespace postern::oracle {

namespace {

// core/v1 ServicePort.targetPort: "If this is a string, it will be looked up as a named port in the target
// Pod's container ports." R35: the first of that name, with the Service port's protocol.
std::optional<std::uint16_t> target_on(const Pod& pod, const ServicePort& port) {
  if (const auto* number = std::get_if<std::uint16_t>(&port.target_port)) return *number;
  for (const auto& candidate : pod.ports) {
    if (candidate.name == std::get<std::string>(port.target_port) && candidate.protocol == port.protocol) {
      return candidate.port;
    }
  }
  return std::nullopt;
}

// "Route service traffic to pods with label keys and values matching this selector." hostNetwork pods are
// backends as any other; a pod that is not ready, finished, or without address is none.
std::set<Backend> selected_backends(const ClusterSnapshot& objects, const Service& service,
                                    const ServicePort& port, IpFamily family) {
  std::set<Backend> found;
  const LabelSelector selector{.match_labels = *service.selector, .match_expressions = {}};
  for (const auto& [key, pod] : objects.pods) {
    if (key.ns != service.key.ns || !is_live(pod) || !pod.ready || !selects(selector, pod.labels)) continue;
    const auto target = target_on(pod, port);
    for (const auto& address : pod.addresses) {
      if (target && address.family() == family) found.insert({address, *target});
    }
  }
  return found;
}

// discovery/v1: a slice's port belongs to the Service port of the same name and protocol. Of an endpoint's
// addresses, "No semantics are defined for additional addresses beyond the first".
std::set<Backend> sliced_backends(const ClusterSnapshot& objects, const Service& service,
                                  const ServicePort& port, IpFamily family) {
  std::set<Backend> found;
  for (const auto& [key, slice] : objects.endpoint_slices) {
    if (key.ns != service.key.ns || slice.service != service.key.name) continue;
    for (const auto& slice_port : slice.ports) {
      if (slice_port.name != port.name || slice_port.protocol != port.protocol) continue;
      for (const auto& endpoint : slice.endpoints) {
        if (!endpoint.ready || endpoint.addresses.empty()) continue;
        if (endpoint.addresses[0].family() == family) found.insert({endpoint.addresses[0], slice_port.port});
      }
    }
  }
  return found;
}

}  // namespace

const Service* service_at(const ClusterSnapshot& objects, const IpAddress& address) {
  for (const auto& [key, service] : objects.services) {
    for (const auto& cluster_ip : service.cluster_ips) {
      if (cluster_ip == address) return &service;
    }
  }
  return nullptr;
}

std::optional<std::set<Backend>> backends(const ClusterSnapshot& objects, const IpAddress& cluster_ip,
                                          Protocol protocol, std::uint16_t port) {
  const Service* service = service_at(objects, cluster_ip);
  if (service == nullptr) return std::nullopt;
  for (const auto& candidate : service->ports) {
    if (candidate.protocol != protocol || candidate.port != port) continue;
    // "If empty or not present, the service is assumed to have an external process managing its endpoints".
    const bool selected = service->selector && !service->selector->empty();
    return selected ? selected_backends(objects, *service, candidate, cluster_ip.family())
                    : sliced_backends(objects, *service, candidate, cluster_ip.family());
  }
  return std::nullopt;
}

}  // namespace postern::oracle
