// SPDX-License-Identifier: Apache-2.0
#include "engine/policy/resolve_services.h"

#include <map>
#include <utility>

#include "engine/policy/services.h"

namespace postern {

std::vector<ResolvedService> resolve_services(const ClusterSnapshot& cluster,
                                              const std::vector<EndpointPolicy>& endpoints) {
  if (cluster.services.empty()) return {};
  std::map<NamespacedName, EndpointId> judged;
  for (const auto& endpoint : endpoints) {
    if (endpoint.at(Direction::egress).judged()) judged.emplace(endpoint.pod, endpoint.endpoint);
  }
  const BackendIndex index(cluster);
  using Ports = std::map<std::pair<Protocol, std::uint16_t>, ResolvedServicePort>;
  std::map<IpAddress, Ports> services;
  for (const auto& [key, service] : cluster.services) {
    for (const IpAddress& address : service.cluster_ips) {
      Ports& ports = services[address];
      for (const ServicePort& port : service.ports) {
        const auto [found, first] = ports.try_emplace({port.protocol, port.port});
        if (!first) continue;
        found->second = {port.protocol, port.port, key, {}};
        for (const auto& backend : index.backends_of(service, port, address.family())) {
          const auto own = backend.pod == nullptr ? judged.end() : judged.find(backend.pod->key);
          const EndpointId endpoint = own == judged.end() ? EndpointId{} : own->second;
          found->second.backends.push_back({backend.address, backend.port, endpoint});
        }
      }
    }
  }
  std::vector<ResolvedService> out;
  for (auto& [address, ports] : services) {
    ResolvedService& service = out.emplace_back();
    service.address = address;
    for (auto& [place, port] : ports) service.ports.push_back(std::move(port));
  }
  return out;
}

}  // namespace postern
