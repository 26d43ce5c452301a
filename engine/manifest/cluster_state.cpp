// SPDX-License-Identifier: Apache-2.0
#include "engine/manifest/cluster_state.h"

#include <algorithm>
#include <optional>

#include "engine/base/nearest_names.h"
#include "engine/manifest/workloads.h"
#include "engine/model/cluster_policy_id.h"

namespace postern::manifest {

namespace {

// Pods of all workloads together; more is a mistake, not a test.
constexpr std::size_t kMaxPods = 200'000;
// Of labels, annotations and ports of the pods that workloads make: a few lines can ask for gigabytes.
constexpr std::size_t kMaxExpandedBytes = std::size_t{64} << 20;

template <typename Map, typename Held>
void erase_namespace(Map& map, const std::string& ns, Held ns_of) {
  for (auto entry = map.begin(); entry != map.end();) {
    entry = ns_of(entry->first) == ns ? map.erase(entry) : std::next(entry);
  }
}

const std::string& namespace_of(const NamespacedName& key) { return key.ns; }

template <typename Map>
std::vector<std::string> names_of(const Map& map) {
  std::vector<std::string> names;
  for (const auto& entry : map) {
    if constexpr (std::is_same_v<std::decay_t<decltype(entry.first)>, std::string>) {
      names.push_back(entry.first);
    } else {
      names.push_back(entry.first.ns + "/" + entry.first.name);
    }
  }
  return names;
}

std::vector<IpFamily> assigned_families(AddressFamilies families) {
  switch (families) {
    case AddressFamilies::v4:
    case AddressFamilies::as_written: return {IpFamily::v4};
    case AddressFamilies::v6: return {IpFamily::v6};
    case AddressFamilies::dual: return {IpFamily::v4, IpFamily::v6};
  }
  return {};
}

bool has_family(AddressFamilies families, const IpAddress& address) {
  switch (families) {
    case AddressFamilies::v4: return address.is_v4();
    case AddressFamilies::v6: return !address.is_v4();
    case AddressFamilies::dual:
    case AddressFamilies::as_written: return true;
  }
  return true;
}

void keep_families(AddressFamilies families, std::vector<IpAddress>& addresses) {
  std::erase_if(addresses, [&](const IpAddress& address) { return !has_family(families, address); });
}

// One that was not written: `owner` is unique among all of its use. `expected` ends the message where
// none is left.
struct Assignment {
  AddressUse use;
  std::string owner;
  const char* expected;
  Location location;
};

Result<IpAddress> assign(AddressBook& book, const Assignment& wanted, IpFamily family) {
  if (const auto address = book.assign(wanted.use, wanted.owner, family)) return *address;
  return fail(ErrorCode::invalid_input,
              std::string("no address is left in ") + AddressBook::range(wanted.use, family) + " for " +
                  wanted.owner + ", expected " + wanted.expected,
              wanted.location);
}

void collect(const Object& object, AddressBook& book) {
  const auto reserve = [&](const std::vector<IpAddress>& addresses) {
    for (const auto& address : addresses) book.reserve(address);
  };
  if (const auto* pod = std::get_if<PodObject>(&object.value)) {
    reserve(pod->pod.addresses);
  } else if (const auto* node = std::get_if<Node>(&object.value)) {
    for (const auto& entry : node->addresses) book.reserve(entry.address);
  } else if (const auto* service = std::get_if<ServiceObject>(&object.value)) {
    reserve(service->service.cluster_ips);
  } else if (const auto* slice = std::get_if<EndpointSlice>(&object.value)) {
    for (const auto& endpoint : slice->endpoints) reserve(endpoint.addresses);
  }
}

bool finished(const Pod& pod) { return pod.phase == PodPhase::succeeded || pod.phase == PodPhase::failed; }

std::string title(const Pod& pod) {
  return pod.key.to_string() + (pod.workload.empty() ? "" : " of " + pod.workload);
}

}  // namespace

void ClusterState::reserve(std::span<const Object> objects) {
  for (const auto& object : objects) collect(object, held_.addresses);
}

Result<IpAddress> ClusterState::detour_address(const std::string& owner, IpFamily family) {
  return assign(held_.addresses, {AddressUse::detour, owner, "fewer pods", {}}, family);
}

Result<void> ClusterState::check_delete(const Held& held, const ObjectRef& ref) {
  const NamespacedName key{ref.ns, ref.name};
  std::vector<std::string> known;
  bool found = false;
  const auto look = [&](const auto& map, const auto& id) {
    found = map.count(id) != 0;
    if (!found) known = names_of(map);
  };
  if (ref.kind == "Namespace") {
    std::map<std::string, int> used;
    for (const auto& entry : held.namespaces) used[entry.first];
    for (const auto& entry : held.pods) used[entry.first.ns];
    for (const auto& entry : held.workloads) used[entry.first.ns];
    for (const auto& entry : held.services) used[entry.first.ns];
    for (const auto& entry : held.endpoint_slices) used[entry.first.ns];
    for (const auto& entry : held.network_policies) used[entry.first.ns];
    for (const auto& entry : held.policy_endpoints) used[entry.first.ns];
    look(used, ref.name);
  } else if (ref.kind == "Node") {
    look(held.nodes, ref.name);
  } else if (ref.kind == "Pod") {
    look(held.pods, key);
  } else if (ref.kind == "Service") {
    look(held.services, key);
  } else if (ref.kind == "EndpointSlice") {
    look(held.endpoint_slices, key);
  } else if (ref.kind == "NetworkPolicy") {
    look(held.network_policies, key);
  } else if (is_cluster_policy_kind(ref.kind)) {
    const std::string id = cluster_policy_id(ref.kind, ref.name);
    found = held.cluster_network_policies.contains(id);
    for (const auto& entry : held.cluster_network_policies) {
      const auto other = split_cluster_policy_id(entry.first);
      if (other.kind == ref.kind) known.emplace_back(other.name);
    }
  } else if (ref.kind == "ClusterPolicyEndpoint") {
    look(held.cluster_policy_endpoints, ref.name);
  } else if (ref.kind == "PolicyEndpoint") {
    look(held.policy_endpoints, key);
  } else {
    found = held.workloads.count({ref.ns, ref.name, ref.kind}) != 0;
    for (const auto& entry : held.workloads) {
      if (entry.first.kind == ref.kind) known.push_back(entry.first.ns + "/" + entry.first.name);
    }
  }
  if (found) return {};
  const std::string name = ref.ns.empty() ? ref.name : key.to_string();
  return fail(
      ErrorCode::not_found,
      "delete: found no " + ref.kind + " " + name + ", expected one that exists" + did_you_mean(name, known),
      ref.location);
}

void ClusterState::remove(Held& held, const ObjectRef& ref) {
  const NamespacedName key{ref.ns, ref.name};
  if (ref.kind == "Namespace") {
    held.namespaces.erase(ref.name);
    erase_namespace(held.pods, ref.name, namespace_of);
    erase_namespace(held.workloads, ref.name, [](const WorkloadKey& id) { return id.ns; });
    erase_namespace(held.services, ref.name, namespace_of);
    erase_namespace(held.endpoint_slices, ref.name, namespace_of);
    erase_namespace(held.network_policies, ref.name, namespace_of);
    erase_namespace(held.policy_endpoints, ref.name, namespace_of);
  } else if (ref.kind == "Node") {
    held.nodes.erase(ref.name);
  } else if (ref.kind == "Pod") {
    held.pods.erase(key);
  } else if (ref.kind == "Service") {
    held.services.erase(key);
  } else if (ref.kind == "EndpointSlice") {
    held.endpoint_slices.erase(key);
  } else if (ref.kind == "NetworkPolicy") {
    held.network_policies.erase(key);
  } else if (is_cluster_policy_kind(ref.kind)) {
    held.cluster_network_policies.erase(cluster_policy_id(ref.kind, ref.name));
  } else if (ref.kind == "ClusterPolicyEndpoint") {
    held.cluster_policy_endpoints.erase(ref.name);
  } else if (ref.kind == "PolicyEndpoint") {
    held.policy_endpoints.erase(key);
  } else {
    held.workloads.erase({ref.ns, ref.name, ref.kind});
  }
}

namespace {

// Puts one object in its place; a visitor, so that a new kind does not compile until it has one.
template <typename Held, typename WorkloadKey>
struct Put {
  Held& held;
  const Location& location;

  void operator()(const Namespace& ns) { held.namespaces[ns.name] = ns; }
  void operator()(const Node& node) { held.nodes[node.name] = node; }
  void operator()(const PodObject& pod) { held.pods[pod.pod.key] = {pod, location}; }
  void operator()(const Workload& workload) {
    held.workloads[WorkloadKey{workload.key.ns, workload.key.name, workload.kind}] = {workload, location};
  }
  void operator()(const ServiceObject& service) { held.services[service.service.key] = {service, location}; }
  void operator()(const EndpointSlice& slice) { held.endpoint_slices[slice.key] = slice; }
  void operator()(const NetworkPolicy& policy) { held.network_policies[policy.key] = policy; }
  void operator()(const ClusterNetworkPolicy& policy) { held.cluster_network_policies[policy.name] = policy; }
  void operator()(const PolicyEndpoint& slice) { held.policy_endpoints[slice.key] = slice; }
  void operator()(const ClusterPolicyEndpoint& slice) { held.cluster_policy_endpoints[slice.name] = slice; }
};

}  // namespace

void ClusterState::put(Held& held, const Object& object) {
  std::visit(Put<Held, WorkloadKey>{held, object.location}, object.value);
  collect(object, held.addresses);
}

Result<std::map<NamespacedName, ClusterState::HeldPod>> ClusterState::all_pods(const Held& held) {
  std::map<NamespacedName, HeldPod> pods = held.pods;
  std::set<std::string> named;
  for (const auto& entry : held.nodes) named.insert(entry.first);
  for (const auto& entry : held.pods) named.insert(entry.second.object.pod.node_name);
  for (const auto& entry : held.workloads) named.insert(entry.second.workload.pod_template.node_name);
  named.erase("");
  std::vector<std::string> nodes(named.begin(), named.end());
  // A DaemonSet runs on the unnamed node only where there is no Node object at all.
  if (held.nodes.empty()) nodes.emplace_back();

  std::size_t bytes = 0;
  for (const auto& entry : held.workloads) {
    const auto& [workload, location] = entry.second;
    const std::size_t count = pods_of(workload, nodes.size());
    bytes += count * weight_of(workload.pod_template);
    if (pods.size() + count > kMaxPods || bytes > kMaxExpandedBytes) {
      return fail(ErrorCode::invalid_input,
                  pods.size() + count > kMaxPods
                      ? "found more than " + std::to_string(kMaxPods) + " pods, expected at most that many"
                      : "the pods of workloads have more than " + std::to_string(kMaxExpandedBytes) +
                            " bytes of labels, annotations and ports, expected at most that many",
                  location);
    }
    for (auto& made : expand(workload, nodes)) {
      const NamespacedName key = made.pod.key;
      const auto other = pods.find(key);
      if (other != pods.end()) {
        const std::string& owner = other->second.object.pod.workload;
        return fail(ErrorCode::invalid_input,
                    made.pod.workload + " makes a pod " + key.to_string() + ", expected a name that " +
                        (owner.empty() ? "no Pod object has" : owner + " does not give"),
                    location);
      }
      pods.emplace(key, HeldPod{std::move(made), location});
    }
  }
  return pods;
}

Result<void> ClusterState::give_addresses(Held& held, std::map<NamespacedName, HeldPod>& pods) const {
  for (auto& entry : pods) {
    auto& object = entry.second.object;
    if (!object.assign_address || object.pod.host_network || finished(object.pod)) continue;
    object.pod.addresses.clear();
    for (const IpFamily family : assigned_families(families_)) {
      const auto address = assign(held.addresses,
                                  {AddressUse::pod, "pod " + entry.first.to_string(),
                                   "fewer pods or a status.podIP", entry.second.location},
                                  family);
      if (!address) return fail_as(address);
      object.pod.addresses.push_back(*address);
    }
  }
  return {};
}

Result<void> ClusterState::make_nodes(Held& held, std::map<NamespacedName, HeldPod>& pods,
                                      std::map<std::string, Node>& nodes) const {
  for (auto& entry : pods) {
    Pod& pod = entry.second.object.pod;
    if (pod.node_name.empty() && !pod.host_network) pod.node_name = kDefaultNodeName;
    if (!pod.node_name.empty()) nodes[pod.node_name].name = pod.node_name;
  }
  for (auto& [name, node] : nodes) {
    std::erase_if(node.addresses,
                  [&](const NodeAddress& entry) { return !has_family(families_, entry.address); });
    if (node.internal_ip(IpFamily::v4) || node.internal_ip(IpFamily::v6)) continue;
    for (const IpFamily family : assigned_families(families_)) {
      const auto address = assign(
          held.addresses, {AddressUse::node, "node " + name, "fewer nodes or an InternalIP", {}}, family);
      if (!address) return fail_as(address);
      node.addresses.push_back({"InternalIP", *address});
    }
  }
  return {};
}

Result<void> ClusterState::make_services(Held& held, std::map<NamespacedName, Service>& services) const {
  std::map<IpAddress, NamespacedName> owners;
  for (const auto& [key, entry] : held.services) {
    Service service = entry.object.service;
    if (entry.object.assign_address) {
      for (const IpFamily family : assigned_families(families_)) {
        const auto address = assign(held.addresses,
                                    {AddressUse::service, "Service " + key.to_string(),
                                     "fewer Services or a clusterIP", entry.location},
                                    family);
        if (!address) return fail_as(address);
        service.cluster_ips.push_back(*address);
      }
    }
    for (const IpAddress& address : service.cluster_ips) {
      const auto [owner, first] = owners.emplace(address, key);
      if (first) continue;
      return fail(ErrorCode::invalid_input,
                  "found the ClusterIP " + address.to_string() + " of Service " + owner->second.to_string() +
                      " also on Service " + key.to_string() + ", expected one Service with it",
                  entry.location);
    }
    keep_families(families_, service.cluster_ips);
    services.emplace(key, std::move(service));
  }
  return {};
}

namespace {

// A hostNetwork pod is its node's traffic: it has the node's address or, without a node, none.
Result<void> place_on_host(PodObject& object, const Location& location,
                           const std::map<std::string, Node>& nodes) {
  Pod& pod = object.pod;
  const bool has_address = object.assign_address || !pod.addresses.empty();
  pod.addresses.clear();
  if (!has_address || finished(pod)) return {};
  if (pod.node_name.empty()) {
    if (!pod.workload.empty()) return {};
    return fail(ErrorCode::invalid_input,
                "found hostNetwork pod " + pod.key.to_string() + " without a node, expected spec.nodeName",
                location);
  }
  const Node& node = nodes.at(pod.node_name);
  for (const auto family : {IpFamily::v4, IpFamily::v6}) {
    if (const auto address = node.internal_ip(family)) pod.addresses.push_back(*address);
  }
  return {};
}

}  // namespace

Result<ClusterSnapshot> ClusterState::apply(std::span<const ObjectRef> deletes,
                                            std::span<const Object> applies) {
  // Existence is judged before the batch, so that the order of deletes means nothing.
  for (const auto& ref : deletes) {
    if (auto checked = check_delete(held_, ref); !checked) return fail_as(checked);
  }
  Held next = held_;
  for (const auto& ref : deletes) remove(next, ref);
  for (const auto& object : applies) put(next, object);

  auto pods = all_pods(next);
  if (!pods) return fail_as(pods);
  if (auto given = give_addresses(next, *pods); !given) return fail_as(given);
  ClusterSnapshot snapshot;
  snapshot.nodes = next.nodes;
  if (auto made = make_nodes(next, *pods, snapshot.nodes); !made) return fail_as(made);
  if (auto made = make_services(next, snapshot.services); !made) return fail_as(made);

  std::map<IpAddress, const Pod*> owners;
  for (auto& entry : *pods) {
    auto& object = entry.second.object;
    if (object.pod.host_network) {
      if (auto placed = place_on_host(object, entry.second.location, snapshot.nodes); !placed) {
        return fail_as(placed);
      }
    } else if (object.pod.live()) {
      for (const auto& address : object.pod.addresses) {
        const auto [owner, first] = owners.emplace(address, &object.pod);
        if (first) continue;
        return fail(ErrorCode::invalid_input,
                    "found the address " + address.to_string() + " of pod " + title(*owner->second) +
                        " also on pod " + title(object.pod) + ", expected one live pod with it",
                    entry.second.location);
      }
    }
    keep_families(families_, object.pod.addresses);
  }
  for (auto& entry : *pods) snapshot.pods.emplace(entry.first, std::move(entry.second.object.pod));
  snapshot.namespaces = next.namespaces;
  snapshot.endpoint_slices = next.endpoint_slices;
  snapshot.network_policies = next.network_policies;
  snapshot.cluster_network_policies = next.cluster_network_policies;
  for (auto& policy : join(next.cluster_policy_endpoints)) {
    if (!policy.disagreement.empty()) return fail(ErrorCode::invalid_input, std::move(policy.disagreement));
    snapshot.cluster_network_policies[policy.joined.name] = std::move(policy.joined);
  }
  snapshot.policy_endpoints = next.policy_endpoints;
  held_ = std::move(next);
  return snapshot;
}

}  // namespace postern::manifest
