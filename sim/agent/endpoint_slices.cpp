// SPDX-License-Identifier: Apache-2.0
#include "sim/agent/endpoint_slices.h"

#include <map>
#include <string>

#include "engine/policy/services.h"

namespace postern::sim {
namespace {

// The slices of one port in one family. Pods that call different numbers by the name that targetPort gives stand in
// different slices, as a slice has its ports once.
void add_slices_of(const std::vector<ServiceBackend>& backends, const Service& service, const ServicePort& port,
                   std::vector<EndpointSlice>& slices) {
  std::map<std::uint16_t, EndpointSlice> by_target;
  for (const auto& backend : backends) {
    EndpointSlice& slice = by_target[backend.port];
    slice.service = service.key.name;
    slice.ports = {{port.name, port.protocol, backend.port, backend.port}};
    slice.endpoints.push_back({{backend.address}, true});
  }
  for (auto& [target, slice] : by_target) slices.push_back(std::move(slice));
}

}  // namespace

std::vector<EndpointSlice> controller_slices(const ClusterSnapshot& cluster) {
  std::vector<EndpointSlice> all;
  const BackendIndex index(cluster);
  for (const auto& [key, service] : cluster.services) {
    if (!service.selector) continue;
    std::vector<EndpointSlice> slices;
    for (const auto& port : service.ports) {
      for (const auto family : {IpFamily::v4, IpFamily::v6}) {
        add_slices_of(index.backends_of(service, port, family), service, port, slices);
      }
    }
    std::size_t number = 0;
    for (auto& slice : slices) {
      slice.key = {key.ns, key.name + "-endpoints-" + std::to_string(++number)};
      all.push_back(std::move(slice));
    }
  }
  return all;
}

}  // namespace postern::sim
