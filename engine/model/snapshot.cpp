// SPDX-License-Identifier: Apache-2.0
#include "engine/model/snapshot.h"

#include <algorithm>

namespace postern {

namespace {

std::optional<IpAddress> first_of(const std::vector<IpAddress>& addresses, IpFamily family) {
  const auto found = std::find_if(addresses.begin(), addresses.end(),
                                  [&](const IpAddress& address) { return address.family() == family; });
  return found == addresses.end() ? std::nullopt : std::optional(*found);
}

}  // namespace

Labels ClusterSnapshot::namespace_labels(const std::string& name) const {
  const auto found = namespaces.find(name);
  if (found != namespaces.end()) return found->second.labels;
  return {{kNamespaceNameLabel, name}};
}

std::optional<IpAddress> Pod::address(IpFamily family) const { return first_of(addresses, family); }

std::optional<IpAddress> Node::internal_ip(IpFamily family) const {
  for (const auto& entry : addresses) {
    if (entry.type == "InternalIP" && entry.address.family() == family) return entry.address;
  }
  return std::nullopt;
}

bool IpBlock::contains(const IpAddress& address) const {
  return cidr.contains(address) && std::none_of(excepts.begin(), excepts.end(),
                                                [&](const Cidr& except) { return except.contains(address); });
}

}  // namespace postern
