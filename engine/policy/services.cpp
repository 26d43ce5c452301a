// SPDX-License-Identifier: Apache-2.0
#include "engine/policy/services.h"

#include <algorithm>
#include <map>
#include <tuple>

namespace postern {

namespace {

bool selected(const Service& service, const Pod& pod) {
  return std::all_of(service.selector->begin(), service.selector->end(), [&](const auto& wanted) {
    const auto found = pod.labels.find(wanted.first);
    return found != pod.labels.end() && found->second == wanted.second;
  });
}

std::optional<std::uint16_t> target_port(const Pod& pod, const ServicePort& port) {
  if (const auto* number = std::get_if<std::uint16_t>(&port.target_port)) return *number;
  const auto& name = std::get<std::string>(port.target_port);
  for (const ContainerPort& candidate : pod.ports) {
    if (candidate.name == name && candidate.protocol == port.protocol) return candidate.port;
  }
  return std::nullopt;
}

void add_if_backend(const Pod& pod, const Service& service, const ServicePort& port, IpFamily family,
                    std::vector<ServiceBackend>& out) {
  if (!pod.live() || !pod.ready || !selected(service, pod)) return;
  const auto address = pod.address(family);
  const auto number = target_port(pod, port);
  if (address && number) out.push_back({*address, *number, &pod});
}

// Live pods by address; of hostNetwork pods none, since their address is the node's.
std::map<IpAddress, const Pod*> pods_by_address(const ClusterSnapshot& cluster) {
  std::map<IpAddress, const Pod*> pods;
  for (const auto& [key, pod] : cluster.pods) {
    if (!pod.live() || pod.host_network) continue;
    for (const IpAddress& address : pod.addresses) pods.emplace(address, &pod);
  }
  return pods;
}

void add_slice(const EndpointSlice& slice, const ServicePort& port, IpFamily family,
               const std::map<IpAddress, const Pod*>& pods, std::vector<ServiceBackend>& out) {
  for (const ServicePort& target : slice.ports) {
    const auto* number = std::get_if<std::uint16_t>(&target.target_port);
    if (target.name != port.name || target.protocol != port.protocol || number == nullptr) continue;
    for (const auto& endpoint : slice.endpoints) {
      if (!endpoint.ready) continue;
      for (const IpAddress& address : endpoint.addresses) {
        if (address.family() != family) continue;
        const auto pod = pods.find(address);
        out.push_back({address, *number, pod == pods.end() ? nullptr : pod->second});
      }
    }
  }
}

void sort_unique(std::vector<ServiceBackend>& backends) {
  const auto place = [](const ServiceBackend& backend) { return std::tie(backend.address, backend.port); };
  std::sort(backends.begin(), backends.end(),
            [&](const ServiceBackend& a, const ServiceBackend& b) { return place(a) < place(b); });
  const auto same = [&](const ServiceBackend& a, const ServiceBackend& b) { return place(a) == place(b); };
  backends.erase(std::unique(backends.begin(), backends.end(), same), backends.end());
}

}  // namespace

std::vector<ServiceBackend> backends_of(const ClusterSnapshot& cluster, const Service& service,
                                        const ServicePort& port, IpFamily family) {
  std::vector<ServiceBackend> out;
  if (service.selector) {
    for (auto it = cluster.pods.lower_bound({service.key.ns, ""});
         it != cluster.pods.end() && it->first.ns == service.key.ns; ++it) {
      add_if_backend(it->second, service, port, family, out);
    }
  } else {
    const auto pods = pods_by_address(cluster);
    for (auto it = cluster.endpoint_slices.lower_bound({service.key.ns, ""});
         it != cluster.endpoint_slices.end() && it->first.ns == service.key.ns; ++it) {
      if (it->second.service == service.key.name) add_slice(it->second, port, family, pods, out);
    }
  }
  sort_unique(out);
  return out;
}

BackendIndex::BackendIndex(const ClusterSnapshot& cluster) {
  bool has_selectorless = false;
  for (const auto& [key, service] : cluster.services) {
    if (!service.selector) {
      has_selectorless = true;
    } else if (service.selector->empty()) {
      pods_[{key.ns, {}, {}}];
    } else {
      const auto& [name, value] = *service.selector->begin();
      pods_[{key.ns, name, value}];
    }
  }
  for (const auto& [key, pod] : cluster.pods) {
    if (pods_.empty()) break;
    // clang 14 takes no structured binding into a lambda by reference.
    const auto add = [&, backend = &pod](const Label& label) {
      const auto found = pods_.find(label);
      if (found != pods_.end()) found->second.push_back(backend);
    };
    add({key.ns, {}, {}});
    for (const auto& [name, value] : pod.labels) add({key.ns, name, value});
  }
  if (!has_selectorless) return;
  for (const auto& [key, slice] : cluster.endpoint_slices) slices_[{key.ns, slice.service}].push_back(&slice);
  if (!slices_.empty()) pods_by_address_ = pods_by_address(cluster);
}

std::vector<ServiceBackend> BackendIndex::backends_of(const Service& service, const ServicePort& port,
                                                      IpFamily family) const {
  std::vector<ServiceBackend> out;
  if (service.selector) {
    Label label{service.key.ns, {}, {}};
    if (!service.selector->empty()) {
      const auto& [name, value] = *service.selector->begin();
      label = {service.key.ns, name, value};
    }
    for (const Pod* pod : pods_.at(label)) add_if_backend(*pod, service, port, family, out);
  } else {
    const auto slices = slices_.find({service.key.ns, service.key.name});
    if (slices == slices_.end()) return out;
    for (const EndpointSlice* slice : slices->second) add_slice(*slice, port, family, pods_by_address_, out);
  }
  sort_unique(out);
  return out;
}

}  // namespace postern
