// SPDX-License-Identifier: Apache-2.0
#include "sim/runner/via_service.h"

#include <algorithm>

namespace postern::sim {

namespace {

// No Service object can have this name.
NamespacedName detour_name(const NamespacedName& pod) { return {pod.ns, "(" + pod.name + ")"}; }

class Detours {
 public:
  Detours(manifest::ClusterState& state, ClusterSnapshot& cluster) : state_(state), cluster_(cluster) {}

  [[nodiscard]] bool takes(const ProbeRequest& request) const {
    if (request.protocol == ProbeProtocol::icmp || request.via) return false;
    return is_pod(request.from) && is_pod(request.to) && request.from.pod != request.to.pod;
  }

  Result<void> redirect(ProbeRequest& request) {
    Service& service = service_of(request.to.pod);
    const auto address = state_.detour_address(request.to.pod.to_string(), request.to.address.family());
    if (!address) return fail_as(address);
    add_unique(service.cluster_ips, *address);
    EndpointSlice& slice = cluster_.endpoint_slices.at(service.key);
    add_unique(slice.endpoints.front().addresses, request.to.address);
    add_port(service, slice, ip_protocol(request.protocol), request.port);
    request.via = ServiceHop{*address, request.port};
    return {};
  }

 private:
  [[nodiscard]] bool is_pod(const Party& party) const {
    return party.kind == Party::Kind::pod && !cluster_.pods.at(party.pod).host_network;
  }

  static void add_unique(std::vector<IpAddress>& addresses, const IpAddress& address) {
    if (std::find(addresses.begin(), addresses.end(), address) == addresses.end()) {
      addresses.push_back(address);
    }
  }

  static void add_port(Service& service, EndpointSlice& slice, Protocol protocol, std::uint16_t number) {
    const std::string name = std::string(to_string(protocol)) + '-' + std::to_string(number);
    const auto same = [&](const ServicePort& port) { return port.name == name; };
    if (std::any_of(service.ports.begin(), service.ports.end(), same)) return;
    service.ports.push_back({name, protocol, number, number});
    slice.ports.push_back({name, protocol, number, number});
  }

  Service& service_of(const NamespacedName& pod) {
    const NamespacedName key = detour_name(pod);
    const auto [entry, made] = cluster_.services.try_emplace(key);
    if (!made) return entry->second;
    entry->second.key = key;
    cluster_.endpoint_slices.emplace(key, EndpointSlice{key, key.name, {{{}, true}}, {}});
    return entry->second;
  }

  manifest::ClusterState& state_;
  ClusterSnapshot& cluster_;
};

}  // namespace

Result<void> ask_through_services(manifest::ClusterState& state, PlannedStep& planned) {
  Detours detours(state, planned.placement.cluster);
  for (auto& [key, cell] : planned.cells) {
    if (cell.literal) continue;
    for (ProbeRequest& request : cell.requests) {
      if (!detours.takes(request)) continue;
      if (auto redirected = detours.redirect(request); !redirected) return redirected;
    }
  }
  return {};
}

}  // namespace postern::sim
