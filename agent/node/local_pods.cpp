// SPDX-License-Identifier: Apache-2.0
#include "agent/node/local_pods.h"

#include <algorithm>
#include <utility>

namespace postern::agent {
namespace {

bool same_addresses(std::vector<IpAddress> a, std::vector<IpAddress> b) {
  std::sort(a.begin(), a.end());
  std::sort(b.begin(), b.end());
  return a == b;
}

bool exists(const InterfaceIdentity& interface, const NetworkPicture& picture) {
  const auto found = picture.links.find(interface.ifindex);
  return found != picture.links.end() && found->second.incarnation == interface.incarnation;
}

}  // namespace

void LocalPods::inherit(const Inheritance& inheritance) {
  last_ = inheritance.last_endpoint.value;
  for (const auto& interface : inheritance.interfaces) {
    if (interface.endpoint.value == 0) continue;
    inherited_[interface.ifindex] = interface;
    used_.insert(interface.endpoint.value);
  }
}

bool LocalPods::is_local(const Pod& pod) const {
  if (pod.host_network || pod.phase == PodPhase::succeeded || pod.phase == PodPhase::failed) return false;
  return pod.node_name == node_name_ || (any_node_ && pod.node_name.empty());
}

// Addresses that the host routes to the interface whose name says that it is this pod's: what a CNI
// plug-in has set up before the API server knows of it.
std::vector<IpAddress> LocalPods::routed_to(const NamespacedName& pod, const NetworkPicture& picture) const {
  std::set<std::uint32_t> named;
  for (const auto& names : options_.names) {
    const auto name = names.name_of(pod);
    for (const auto& [ifindex, link] : picture.links) {
      if (name && link.name == *name) named.insert(ifindex);
    }
  }
  std::vector<IpAddress> addresses;
  for (const auto& [cidr, routes] : picture.routes) {
    if (!(cidr == Cidr::host(cidr.network()))) continue;
    const bool leads = std::any_of(routes.begin(), routes.end(),
                                   [&](const DirectRoute& route) { return named.contains(route.ifindex); });
    if (leads) addresses.push_back(cidr.network());
  }
  return addresses;
}

// The next number that nobody has: one that was given up is used again only after all others.
EndpointId LocalPods::number_for(std::uint32_t ifindex, const std::vector<IpAddress>& addresses) {
  const auto inherited = inherited_.find(ifindex);
  if (inherited != inherited_.end()) {
    const InheritedInterface before = std::move(inherited->second);
    inherited_.erase(inherited);
    if (same_addresses(before.addresses, addresses)) return before.endpoint;
    used_.erase(before.endpoint.value);
  }
  do {
    last_ = last_ >= kMaxEndpoint ? 1 : last_ + 1;
  } while (used_.contains(last_));
  used_.insert(last_);
  return EndpointId{last_};
}

std::optional<InterfaceIdentity> LocalPods::inherited_place(const LocalPod& pod,
                                                            const NetworkPicture& picture) const {
  for (const auto& [ifindex, inherited] : inherited_) {
    const auto link = picture.links.find(ifindex);
    if (link == picture.links.end() || !same_addresses(inherited.addresses, pod.addresses)) continue;
    const Link& found = link->second;
    return InterfaceIdentity{ifindex, found.incarnation, found.name, found.peer, found.netns_id};
  }
  return std::nullopt;
}

void LocalPods::place(LocalPod& pod, const LocalPod* before, const NetworkPicture& picture) {
  pod.interface = pod.match.interface;
  // Where an earlier process had it: its attachment there has lived on, so it is the same interface.
  if (!pod.interface && before == nullptr) pod.interface = inherited_place(pod, picture);
  const bool same_pod = before != nullptr && before->interface && same_addresses(before->addresses, pod.addresses);
  if (same_pod && !pod.interface && exists(*before->interface, picture)) pod.interface = before->interface;
  if (!pod.interface) return;
  const bool same_place = same_pod && *before->interface == *pod.interface;
  pod.endpoint = same_place ? before->endpoint : number_for(pod.interface->ifindex, pod.addresses);
}

// What leads into the namespace is known by the interface's own netns id. While the interface itself is
// only kept from before, so are they.
void LocalPods::place_further(LocalPod& pod, const LocalPod* before, const NetworkPicture& picture) {
  if (!pod.interface) return;
  const auto known = [&](std::uint32_t ifindex) -> const FurtherInterface* {
    if (before == nullptr) return nullptr;
    for (const auto& further : before->further) {
      if (further.interface.ifindex == ifindex && exists(further.interface, picture)) return &further;
    }
    return nullptr;
  };
  std::vector<std::uint32_t> indexes = pod.match.further;
  if (!pod.match.interface && before != nullptr && before->interface && *before->interface == *pod.interface) {
    for (const auto& further : before->further) indexes.push_back(further.interface.ifindex);
  }
  for (const std::uint32_t ifindex : indexes) {
    const auto link = picture.links.find(ifindex);
    if (link == picture.links.end()) continue;
    const Link& found = link->second;
    FurtherInterface further{{ifindex, found.incarnation, found.name, found.peer, found.netns_id}, {}, {}};
    if (found.netns_id) {
      const auto far = picture.far_addresses.find({*found.netns_id, found.peer});
      if (far != picture.far_addresses.end()) further.addresses.assign(far->second.begin(), far->second.end());
    }
    if (all_interfaces_) {
      const FurtherInterface* same = known(ifindex);
      const bool keeps = same != nullptr && same->endpoint.value != 0 &&
                         same_addresses(same->addresses, further.addresses);
      further.endpoint = keeps ? same->endpoint : number_for(ifindex, further.addresses);
    }
    pod.further.push_back(std::move(further));
  }
}

void LocalPods::update(const ClusterSnapshot& cluster, const NetworkPicture& picture) {
  std::map<NamespacedName, LocalPod> next;
  std::vector<PodAddresses> wanted;
  for (const auto& [key, pod] : cluster.pods) {
    if (!is_local(pod)) continue;
    LocalPod local;
    local.addresses = pod.addresses;
    if (local.addresses.empty() && announced_.contains(key)) {
      local.addresses = routed_to(key, picture);
      local.from_route = true;
    }
    if (local.addresses.empty()) continue;
    wanted.push_back({key, local.addresses, std::nullopt});
    next.emplace(key, std::move(local));
  }
  for (auto& [key, match] : locate_all(picture, wanted, options_)) next.at(key).match = std::move(match);
  for (auto& [key, pod] : next) {
    const auto before = pods_.find(key);
    place(pod, before == pods_.end() ? nullptr : &before->second, picture);
    place_further(pod, before == pods_.end() ? nullptr : &before->second, picture);
  }
  // In a folder of manifests every pod may be here; those without an interface are somewhere else.
  pods_ = std::move(next);
  used_.clear();
  for (const auto& [key, pod] : pods_) {
    if (pod.interface) used_.insert(pod.endpoint.value);
    for (const auto& further : pod.further) {
      if (further.endpoint.value != 0) used_.insert(further.endpoint.value);
    }
  }
  for (const auto& [ifindex, inherited] : inherited_) used_.insert(inherited.endpoint.value);
  std::erase_if(announced_, [&](const NamespacedName& key) {
    const auto found = cluster.pods.find(key);
    return found != cluster.pods.end() && !found->second.addresses.empty();
  });
}

std::vector<LocalEndpoint> LocalPods::endpoints() const {
  std::vector<LocalEndpoint> endpoints;
  for (const auto& [key, pod] : pods_) {
    if (!pod.interface) continue;
    LocalEndpoint endpoint{pod.endpoint, pod.interface->ifindex, key};
    if (pod.from_route) endpoint.addresses = pod.addresses;
    endpoints.push_back(std::move(endpoint));
    for (const auto& further : pod.further) {
      if (further.endpoint.value == 0) continue;
      LocalEndpoint other{further.endpoint, further.interface.ifindex, key};
      if (pod.from_route) other.addresses = pod.addresses;
      other.own_addresses = further.addresses;
      endpoints.push_back(std::move(other));
    }
  }
  return endpoints;
}

std::vector<IpAddress> LocalPods::unheard() const {
  std::vector<IpAddress> addresses;
  for (const auto& [key, pod] : pods_) {
    if (pod.interface) continue;
    addresses.insert(addresses.end(), pod.match.unheard.begin(), pod.match.unheard.end());
  }
  return addresses;
}

}  // namespace postern::agent
