// SPDX-License-Identifier: Apache-2.0
// Objects over time: what is held, by identity, and the snapshot that follows from it.
//
// A batch (deletes, then applies) takes effect whole or not at all, and the order inside it means
// nothing except that a later apply of the same object wins. Workloads become pods, pods and nodes
// that were given no address get one, and a pod or node keeps what it was given once, so a scenario
// means the same whenever and wherever it runs.
//
// Typical use:
//   ClusterState state;
//   state.reserve(objects of the whole file); state.reserve(address literals);
//   auto snapshot = state.apply(deletes, applies);
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/manifest/objects.h"
#include "engine/model/snapshot.h"

namespace postern::manifest {

// The node of pods that name none. No Node object can have this name, no hostNetwork pod is on it.
inline constexpr const char* kDefaultNodeName = "(pods)";

// Addresses are assigned from these: pods 10.244.0.1 and up, nodes 172.18.0.2 and up.
inline constexpr const char* kPodRange = "10.244.0.0/16";
inline constexpr const char* kNodeRange = "172.18.0.0/16";

class ClusterState {
 public:
  // Addresses written anywhere in these objects are never assigned to something else. Call it with
  // all objects of a file, also those of later steps, before the first apply.
  void reserve(std::span<const Object> objects);
  void reserve(const IpAddress& address);

  // Errors (nothing has changed then): a delete of what does not exist, with the nearest names; two
  // live pods with one address; a workload's pod that has another object's name; a hostNetwork Pod
  // that names no node; no address left to assign.
  //
  // In the snapshot every live pod has a node (kDefaultNodeName if it names none), every node of a
  // pod is in `nodes`, and every node has an IPv4 InternalIP. A hostNetwork pod has its node's
  // InternalIP; one that a workload makes on no named node has neither node nor address.
  Result<ClusterSnapshot> apply(std::span<const ObjectRef> deletes, std::span<const Object> applies);

 private:
  struct WorkloadKey {
    std::string ns;
    std::string name;
    std::string kind;
    friend auto operator<=>(const WorkloadKey&, const WorkloadKey&) = default;
  };
  struct HeldPod {
    PodObject object;
    Location location;
  };
  struct HeldWorkload {
    Workload workload;
    Location location;
  };
  struct Held {
    std::map<std::string, Namespace> namespaces;
    std::map<std::string, Node> nodes;
    std::map<NamespacedName, HeldPod> pods;
    std::map<WorkloadKey, HeldWorkload> workloads;
    std::map<NamespacedName, Service> services;
    std::map<NamespacedName, EndpointSlice> endpoint_slices;
    std::map<NamespacedName, NetworkPolicy> network_policies;
    std::map<NamespacedName, IpAddress> pod_addresses;  // assigned, kept for good
    std::map<std::string, IpAddress> node_addresses;
    std::set<IpAddress> taken;    // reserved and assigned
    std::uint32_t next_pod = 1;   // the first of the range is no host
    std::uint32_t next_node = 2;  // the first is commonly a bridge
  };

  static Result<void> check_delete(const Held& held, const ObjectRef& ref);
  static void remove(Held& held, const ObjectRef& ref);
  static void put(Held& held, const Object& object);
  static Result<std::map<NamespacedName, HeldPod>> all_pods(const Held& held);
  static Result<void> give_addresses(Held& held, std::map<NamespacedName, HeldPod>& pods);
  static Result<void> make_nodes(Held& held, std::map<NamespacedName, HeldPod>& pods,
                                 std::map<std::string, Node>& nodes);

  Held held_;
};

}  // namespace postern::manifest
