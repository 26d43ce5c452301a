// SPDX-License-Identifier: Apache-2.0
// The pods of this node and the interface of each: which of the cluster's pods are here, where they
// stand, and the number (endpoint) under which their connections are kept. Pure: cluster and network come
// in as values.
//
// An interface that was found stays found as long as it exists, also when the ways to find it are gone
// for a while (a neighbour entry that has expired) or contradict each other. A pod that comes back with
// another address or another interface is another endpoint, so it inherits no connections; what an
// earlier process enforced on the same interface for the same addresses keeps its number.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent/interfaces/locate.h"
#include "agent/interfaces/network_picture.h"
#include "engine/enforce/backend.h"
#include "engine/model/snapshot.h"
#include "engine/policy/resolve.h"

namespace postern::agent {

// Another veth of the host that leads into the pod's namespace, beside the one with the pod's address.
struct FurtherInterface {
  InterfaceIdentity interface;
  std::vector<IpAddress> addresses;  // on its far end; empty: not known, or none
  EndpointId endpoint;               // zero: it is not enforced
};

struct LocalPod {
  std::vector<IpAddress> addresses;
  bool from_route = false;  // the addresses are the host's routes; the API server has none yet
  std::optional<InterfaceIdentity> interface;
  EndpointId endpoint;  // with an interface
  InterfaceMatch match;  // what the last look said
  std::vector<FurtherInterface> further;  // by ifindex; only with an interface
};

class LocalPods {
 public:
  // `any_node`: pods that name no node are this node's too, if an interface is found for them (a folder
  // of manifests need not name nodes).
  LocalPods(std::string node_name, bool any_node, LocateOptions options)
      : node_name_(std::move(node_name)), any_node_(any_node), options_(std::move(options)) {}

  // Interfaces beside the one with the pod's address are enforced too, each as an endpoint of its own.
  void enforce_all_interfaces() { all_interfaces_ = true; }
  void inherit(const Inheritance& inheritance);
  // A pod that a CNI plug-in has announced: the API server may know no address of it yet.
  void announce(const NamespacedName& pod) { announced_.insert(pod); }
  void withdraw(const NamespacedName& pod) { announced_.erase(pod); }

  void update(const ClusterSnapshot& cluster, const NetworkPicture& picture);

  [[nodiscard]] const std::map<NamespacedName, LocalPod>& pods() const { return pods_; }
  // Those whose interface is known, sorted by pod; of each its further interfaces that are enforced.
  [[nodiscard]] std::vector<LocalEndpoint> endpoints() const;
  // Addresses of pods that only an answer of theirs can lead to (HostNetwork::provoke_neighbour).
  [[nodiscard]] std::vector<IpAddress> unheard() const;

 private:
  [[nodiscard]] bool is_local(const Pod& pod) const;
  [[nodiscard]] std::vector<IpAddress> routed_to(const NamespacedName& pod, const NetworkPicture& picture) const;
  [[nodiscard]] std::optional<InterfaceIdentity> inherited_place(const LocalPod& pod,
                                                                 const NetworkPicture& picture) const;
  void place(LocalPod& pod, const LocalPod* before, const NetworkPicture& picture);
  void place_further(LocalPod& pod, const LocalPod* before, const NetworkPicture& picture);
  EndpointId number_for(std::uint32_t ifindex, const std::vector<IpAddress>& addresses);

  std::string node_name_;
  bool any_node_;
  LocateOptions options_;
  bool all_interfaces_ = false;
  std::map<NamespacedName, LocalPod> pods_;
  std::set<NamespacedName> announced_;
  std::map<std::uint32_t, InheritedInterface> inherited_;  // by ifindex, until somebody takes it up
  std::set<std::uint32_t> used_;                           // endpoint numbers of pods_ and inherited_
  std::uint32_t last_ = 0;
};

}  // namespace postern::agent
