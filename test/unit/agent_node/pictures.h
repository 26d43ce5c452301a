// SPDX-License-Identifier: Apache-2.0
// Small host networks for tests of the agent's node: veths that host routes lead to, as ptp makes them.
#pragma once

#include <string>
#include <vector>

#include "agent/interfaces/network_picture.h"
#include "engine/model/snapshot.h"

namespace postern::agent {

inline IpAddress ip(const std::string& text) { return *IpAddress::parse(text); }

struct SmallHost {
  NetworkPicture picture;
  std::uint64_t next_incarnation = 1;

  SmallHost() { picture.addresses[1] = {ip("172.18.0.2")}; }

  void add_veth(std::uint32_t ifindex, const std::string& name) {
    Link link;
    link.ifindex = ifindex;
    link.name = name;
    link.kind = "veth";
    link.up = true;
    link.netns_id = static_cast<NetnsId>(ifindex);
    link.incarnation = next_incarnation++;
    picture.links[ifindex] = link;
  }
  void add_route(const std::string& address, std::uint32_t ifindex) {
    picture.routes[Cidr::host(ip(address))].insert({ifindex, 254, 0, std::nullopt});
  }
  void remove(std::uint32_t ifindex) {
    picture.links.erase(ifindex);
    for (auto it = picture.routes.begin(); it != picture.routes.end();) {
      std::erase_if(it->second, [&](const DirectRoute& route) { return route.ifindex == ifindex; });
      it = it->second.empty() ? picture.routes.erase(it) : std::next(it);
    }
  }
};

inline Pod pod_at(const std::string& name, const std::string& address, const std::string& node = "n1") {
  Pod pod;
  pod.key = {"x", name};
  pod.labels = {{"app", name}};
  pod.node_name = node;
  if (!address.empty()) pod.addresses = {ip(address)};
  return pod;
}

inline ClusterSnapshot cluster_of(const std::vector<Pod>& pods) {
  ClusterSnapshot cluster;
  for (const auto& pod : pods) cluster.pods[pod.key] = pod;
  return cluster;
}

}  // namespace postern::agent
