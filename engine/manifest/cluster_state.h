// SPDX-License-Identifier: Apache-2.0
// Objects over time: what is held, by identity, and the snapshot that follows from it.
//
// A batch (deletes, then applies) takes effect whole or not at all, and the order inside it means
// nothing except that a later apply of the same object wins. Workloads become pods, pods and nodes
// that were given no address get one, and a pod or node keeps what it was given once, so a scenario
// means the same whenever and wherever it runs.
//
// Typical use:
//   ClusterState state(AddressFamilies::v4);
//   state.reserve(objects of the whole file); state.reserve(address literals);
//   auto snapshot = state.apply(deletes, applies);
#pragma once

#include <compare>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/manifest/address_book.h"
#include "engine/manifest/cluster_slices.h"
#include "engine/manifest/objects.h"
#include "engine/model/snapshot.h"

namespace postern::manifest {

// The node of pods that name none. No Node object can have this name, no hostNetwork pod is on it.
inline constexpr const char* kDefaultNodeName = "(pods)";

// Which families a cluster has. Written addresses of another family are as if they were not written:
// a pod that has no other has none, and takes no part.
enum class AddressFamilies : std::uint8_t {
  v4,
  v6,
  dual,        // what is assigned gets one address of each
  as_written,  // every address stands; what is assigned is IPv4
};

class ClusterState {
 public:
  explicit ClusterState(AddressFamilies families = AddressFamilies::as_written) : families_(families) {}

  // Addresses written anywhere in these objects are never assigned to something else. Call it with
  // all objects of a file, also those of later steps, before the first apply.
  void reserve(std::span<const Object> objects);
  void reserve(const IpAddress& address) { held_.addresses.reserve(address); }
  // A ClusterIP for a Service that is no object of the file; kept for good, like all that is assigned.
  // Errors: no address left.
  Result<IpAddress> detour_address(const std::string& owner, IpFamily family);

  // Errors (nothing has changed then): a delete of what does not exist, with the nearest names; two
  // live pods with one address; two Services with one ClusterIP; a workload's pod that has another
  // object's name; a hostNetwork Pod that names no node; no address left to assign; ClusterPolicyEndpoints of
  // one policy that disagree.
  //
  // In the snapshot every live pod has a node (kDefaultNodeName if it names none), every node of a
  // pod is in `nodes`, and every node has an InternalIP. A hostNetwork pod has its node's InternalIPs;
  // one that a workload makes on no named node has neither node nor address.
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
  struct HeldService {
    ServiceObject object;
    Location location;
  };
  struct Held {
    std::map<std::string, Namespace> namespaces;
    std::map<std::string, Node> nodes;
    std::map<NamespacedName, HeldPod> pods;
    std::map<WorkloadKey, HeldWorkload> workloads;
    std::map<NamespacedName, HeldService> services;
    std::map<NamespacedName, EndpointSlice> endpoint_slices;
    std::map<NamespacedName, NetworkPolicy> network_policies;
    std::map<std::string, ClusterNetworkPolicy> cluster_network_policies;
    std::map<NamespacedName, PolicyEndpoint> policy_endpoints;
    ClusterPolicyEndpoints cluster_policy_endpoints;
    AddressBook addresses;
  };

  static Result<void> check_delete(const Held& held, const ObjectRef& ref);
  static void remove(Held& held, const ObjectRef& ref);
  static void put(Held& held, const Object& object);
  static Result<std::map<NamespacedName, HeldPod>> all_pods(const Held& held);
  Result<void> give_addresses(Held& held, std::map<NamespacedName, HeldPod>& pods) const;
  Result<void> make_nodes(Held& held, std::map<NamespacedName, HeldPod>& pods,
                          std::map<std::string, Node>& nodes) const;
  Result<void> make_services(Held& held, std::map<NamespacedName, Service>& services) const;

  AddressFamilies families_;
  Held held_;
};

}  // namespace postern::manifest
