// SPDX-License-Identifier: Apache-2.0
// Texts that name one end of the traffic.
#include <algorithm>

#include "engine/base/nearest_names.h"
#include "engine/explain/explain.h"

namespace postern {

namespace {

constexpr std::string_view kNodePrefix = "node:";
constexpr std::string_view kServicePrefix = "service:";

bool has_address(const std::vector<IpAddress>& addresses, const IpAddress& address) {
  return std::find(addresses.begin(), addresses.end(), address) != addresses.end();
}

Result<TrafficEnd> end_of_address(const ClusterSnapshot& cluster, const IpAddress& address) {
  TrafficEnd end;
  end.address = address;
  for (const auto& [key, service] : cluster.services) {
    if (!has_address(service.cluster_ips, address)) continue;
    end.kind = TrafficEnd::Kind::service;
    end.service = key;
    return end;
  }
  for (const auto& [key, pod] : cluster.pods) {
    if (!pod.live() || pod.host_network || !has_address(pod.addresses, address)) continue;
    end.kind = TrafficEnd::Kind::pod;
    end.pod = key;
    return end;
  }
  for (const auto& [name, node] : cluster.nodes) {
    for (const auto& entry : node.addresses) {
      if (entry.address != address) continue;
      end.kind = TrafficEnd::Kind::node;
      end.node = name;
      return end;
    }
  }
  return end;
}

Result<TrafficEnd> end_of_node(const ClusterSnapshot& cluster, std::string_view name) {
  TrafficEnd end;
  end.kind = TrafficEnd::Kind::node;
  end.node = name;
  if (cluster.nodes.contains(end.node)) return end;
  std::vector<std::string> names;
  for (const auto& [known, node] : cluster.nodes) names.push_back(known);
  return fail(ErrorCode::not_found, "no node " + end.node + did_you_mean(name, names));
}

Result<TrafficEnd> end_of_service(const ClusterSnapshot& cluster, std::string_view name) {
  TrafficEnd end;
  end.kind = TrafficEnd::Kind::service;
  std::vector<std::string> names;
  for (const auto& [key, service] : cluster.services) {
    if (key.to_string() == name) {
      end.service = key;
      return end;
    }
    names.push_back(key.to_string());
  }
  return fail(ErrorCode::not_found, "no Service " + std::string(name) + did_you_mean(name, names));
}

// The pods of a workload are named after it by number: web-0, web-1, …, web-10.
bool numbered_before(const Pod& left, const Pod& right) {
  const auto& a = left.key.name;
  const auto& b = right.key.name;
  return a.size() != b.size() ? a.size() < b.size() : a < b;
}

Result<TrafficEnd> end_of_pod(const ClusterSnapshot& cluster, std::string_view text, std::size_t slash) {
  TrafficEnd end;
  end.kind = TrafficEnd::Kind::pod;
  end.pod = {std::string(text.substr(0, slash)), std::string(text.substr(slash + 1))};
  if (cluster.pods.contains(end.pod)) return end;

  const Pod* first = nullptr;
  std::vector<std::string> names;
  for (const auto& [key, pod] : cluster.pods) {
    names.push_back(key.to_string());
    const auto kind_end = pod.workload.find('/');
    if (kind_end == std::string::npos) continue;
    names.push_back(key.ns + pod.workload.substr(kind_end));
    if (key.ns != end.pod.ns || pod.workload.substr(kind_end + 1) != end.pod.name) continue;
    if (first == nullptr || numbered_before(pod, *first)) first = &pod;
  }
  if (first != nullptr) {
    end.pod = first->key;
    return end;
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return fail(ErrorCode::not_found, "no pod or workload " + end.pod.to_string() + did_you_mean(text, names));
}

}  // namespace

Result<TrafficEnd> find_traffic_end(const ClusterSnapshot& cluster, std::string_view text) {
  if (const auto address = IpAddress::parse(text)) return end_of_address(cluster, *address);
  if (text.substr(0, kNodePrefix.size()) == kNodePrefix)
    return end_of_node(cluster, text.substr(kNodePrefix.size()));
  if (text.substr(0, kServicePrefix.size()) == kServicePrefix) {
    return end_of_service(cluster, text.substr(kServicePrefix.size()));
  }
  const auto slash = text.find('/');
  if (slash == std::string_view::npos || slash == 0 || slash + 1 == text.size() ||
      text.find('/', slash + 1) != std::string_view::npos) {
    return fail(ErrorCode::invalid_input,
                "\"" + std::string(text) +
                    "\": expected namespace/pod, service:namespace/name, node:NAME or an address");
  }
  return end_of_pod(cluster, text, slash);
}

}  // namespace postern
