// SPDX-License-Identifier: Apache-2.0
#include "sim/record/shrink_objects.h"

#include <optional>
#include <variant>

#include "engine/model/snapshot.h"
#include "sim/record/shrink.h"

namespace postern::sim {

namespace {

using Holds = std::function<bool()>;

bool shrink(LabelSelector& selector, const Holds& holds) {
  bool shrunk = shrink_list(selector.match_labels, holds);
  shrunk |= shrink_list(selector.match_expressions, holds);
  for (auto& requirement : selector.match_expressions) {
    // In and NotIn need a value.
    shrunk |= shrink_list(requirement.values, [&] { return !requirement.values.empty() && holds(); });
  }
  return shrunk;
}

bool shrink(std::optional<LabelSelector>& selector, const Holds& holds) {
  return selector && shrink(*selector, holds);
}

bool shrink(PolicyPeer& peer, const Holds& holds) {
  if (auto* block = std::get_if<IpBlock>(&peer)) return shrink_list(block->excepts, holds);
  auto& pods = std::get<PodPeer>(peer);
  bool shrunk = false;
  // A peer has one selector at least.
  if (pods.pods) shrunk |= simplify(pods.namespaces, {}, holds);
  if (pods.namespaces) shrunk |= simplify(pods.pods, {}, holds);
  shrunk |= shrink(pods.namespaces, holds);
  return shrink(pods.pods, holds) || shrunk;
}

bool shrink(std::vector<PolicyPort>& ports, const Holds& holds) {
  bool shrunk = shrink_list(ports, holds);
  for (auto& entry : ports) shrunk |= simplify(entry.port, {}, holds);
  return shrunk;
}

bool shrink(std::vector<PolicyRule>& rules, const Holds& holds) {
  bool shrunk = shrink_list(rules, holds);
  for (auto& rule : rules) {
    shrunk |= shrink_list(rule.peers, holds);
    for (auto& peer : rule.peers) shrunk |= shrink(peer, holds);
    shrunk |= shrink(rule.ports, holds);
  }
  return shrunk;
}

bool shrink(NetworkPolicy& policy, const Holds& holds) {
  bool shrunk = simplify(policy.audit, false, holds);
  shrunk |= shrink(policy.ingress, holds);
  shrunk |= shrink(policy.egress, holds);
  // One without a type would be written as one of ingress.
  if (policy.isolates_egress) shrunk |= simplify(policy.isolates_ingress, false, holds);
  if (policy.isolates_ingress) shrunk |= simplify(policy.isolates_egress, false, holds);
  return shrink(policy.pod_selector, holds) || shrunk;
}

bool shrink(ClusterPods& pods, const Holds& holds) {
  bool shrunk = shrink(pods.namespaces, holds);
  return shrink(pods.pods, holds) || shrunk;
}

bool shrink(ClusterPeer& peer, const Holds& holds) {
  if (auto* pods = std::get_if<ClusterPods>(&peer)) return shrink(*pods, holds);
  if (auto* nodes = std::get_if<ClusterNodes>(&peer)) return shrink(nodes->nodes, holds);
  if (auto* networks = std::get_if<ClusterNetworks>(&peer)) {
    return shrink_list(networks->networks, [&] { return !networks->networks.empty() && holds(); });
  }
  if (auto* domains = std::get_if<ClusterDomainNames>(&peer)) {
    return shrink_list(domains->names, [&] { return !domains->names.empty() && holds(); });
  }
  return false;
}

// A rule that goes leaves the others in their order.
bool shrink(std::vector<ClusterRule>& rules, const Holds& holds) {
  bool shrunk = shrink_list(rules, holds);
  for (auto& rule : rules) {
    shrunk |= simplify(rule.name, {}, holds);
    shrunk |= shrink_list(rule.peers, [&] { return !rule.peers.empty() && holds(); });
    for (auto& peer : rule.peers) shrunk |= shrink(peer, holds);
    shrunk |= shrink_list(rule.protocols, holds);
  }
  return shrunk;
}

// What is left of resolved rules has to be read back in the same order, so their ports stay.
bool shrink_resolved(std::vector<ClusterRule>& rules, const Holds& holds) {
  bool shrunk = shrink_list(rules, holds);
  for (auto& rule : rules) {
    shrunk |= shrink_list(rule.peers, [&] { return !rule.peers.empty() && holds(); });
    for (auto& peer : rule.peers) shrunk |= shrink(peer, holds);
  }
  return shrunk;
}

bool shrink(ClusterNetworkPolicy& policy, const Holds& holds) {
  if (policy.listed) {
    bool shrunk = simplify(policy.subject, {}, holds);
    shrunk |= shrink_list(*policy.listed, holds);
    for (auto& pod : *policy.listed) shrunk |= simplify(pod.host_address, {}, holds);
    shrunk |= shrink_resolved(policy.ingress, holds);
    return shrink_resolved(policy.egress, holds) || shrunk;
  }
  bool shrunk = simplify(policy.audit, false, holds);
  shrunk |= shrink(policy.ingress, holds);
  shrunk |= shrink(policy.egress, holds);
  return shrink(policy.subject, holds) || shrunk;
}

bool shrink(std::vector<EndpointInfo>& infos, const Holds& holds) {
  bool shrunk = shrink_list(infos, holds);
  for (auto& info : infos) {
    if (info.block) shrunk |= shrink_list(info.block->excepts, holds);
    shrunk |= simplify(info.domain_name, {}, holds);
    shrunk |= shrink(info.ports, holds);
  }
  return shrunk;
}

bool shrink(PolicyEndpoint& slice, const Holds& holds) {
  bool shrunk = shrink_list(slice.pods, holds);
  for (auto& pod : slice.pods) shrunk |= simplify(pod.host_address, {}, holds);
  shrunk |= shrink(slice.ingress, holds);
  return shrink(slice.egress, holds) || shrunk;
}

// A recording holds the joined policy.
bool shrink(ClusterPolicyEndpoint& /*slice*/, const Holds& /*holds*/) { return false; }

bool shrink(manifest::PodObject& object, const Holds& holds) {
  Pod& pod = object.pod;
  bool shrunk = shrink_list(pod.labels, holds);
  shrunk |= shrink_list(pod.ports, holds);
  for (auto& port : pod.ports) shrunk |= simplify(port.name, {}, holds);
  shrunk |= simplify(pod.ready, true, holds);
  if (pod.host_network) return shrunk;  // it needs its node, and has that one's address
  shrunk |= simplify(pod.node_name, {}, holds);
  if (object.assign_address) return shrunk;
  manifest::PodObject assigned = object;
  assigned.pod.addresses.clear();
  assigned.assign_address = true;
  return simplify(object, std::move(assigned), holds) || shrunk;
}

bool shrink(manifest::ServiceObject& object, const Holds& holds) {
  Service& service = object.service;
  bool shrunk = shrink_list(service.ports, holds);
  shrunk |= simplify(service.selector, {}, holds);
  if (service.selector) {
    // An empty one would be written as none.
    shrunk |= shrink_list(*service.selector, [&] { return !service.selector->empty() && holds(); });
  }
  for (auto& port : service.ports) shrunk |= simplify(port.target_port, IntOrString(port.port), holds);
  if (object.assign_address) return shrunk;
  manifest::ServiceObject assigned = object;
  assigned.service.cluster_ips.clear();
  assigned.assign_address = true;
  return simplify(object, std::move(assigned), holds) || shrunk;
}

bool shrink(EndpointSlice& slice, const Holds& holds) {
  bool shrunk = shrink_list(slice.endpoints, holds);
  for (auto& endpoint : slice.endpoints) {
    shrunk |= simplify(endpoint.ready, true, holds);
    shrunk |= shrink_list(endpoint.addresses, [&] { return !endpoint.addresses.empty() && holds(); });
  }
  return shrink_list(slice.ports, holds) || shrunk;
}

bool shrink(Namespace& object, const Holds& holds) {
  bool shrunk = simplify(object.audit, false, holds);
  for (auto& direction : object.enforcement) shrunk |= simplify(direction, {}, holds);
  // The label of its name is there whether it is written or not (R34).
  return shrink_list(object.labels, [&] { return object.labels.contains(kNamespaceNameLabel) && holds(); }) || shrunk;
}

bool shrink(Node& node, const Holds& holds) { return shrink_list(node.addresses, holds); }

// Workloads have been made into pods before.
bool shrink(manifest::Workload&, const Holds&) { return false; }

// What all slices of one policy must agree on goes from all of them at once.
bool shrink_shared(std::vector<manifest::Object>& objects, const Holds& holds) {
  bool shrunk = false;
  for (const auto& object : objects) {
    const auto* first = std::get_if<PolicyEndpoint>(&object.value);
    if (first == nullptr || !(first->pod_selector || (first->isolates_ingress && first->isolates_egress))) continue;
    const NamespacedName policy = first->policy;
    const auto change = [&](const std::function<void(PolicyEndpoint&)>& edit) {
      std::vector<manifest::Object> edited = objects;
      for (auto& entry : edited) {
        auto* slice = std::get_if<PolicyEndpoint>(&entry.value);
        if (slice != nullptr && slice->policy == policy) edit(*slice);
      }
      std::swap(objects, edited);
      if (holds()) return true;
      std::swap(objects, edited);
      return false;
    };
    if (first->pod_selector && change([](PolicyEndpoint& slice) { slice.pod_selector.reset(); })) return true;
    if (!(first->isolates_ingress && first->isolates_egress)) continue;
    if (change([](PolicyEndpoint& slice) { slice.isolates_egress = false; })) return true;
    if (change([](PolicyEndpoint& slice) { slice.isolates_ingress = false; })) return true;
  }
  return shrunk;
}

}  // namespace

void shrink_objects(std::vector<manifest::Object>& objects, const std::function<bool()>& holds) {
  for (bool shrunk = true; shrunk;) {
    shrink_list(objects, holds);
    shrunk = shrink_shared(objects, holds);
    for (auto& object : objects) {
      shrunk |= std::visit([&](auto& value) { return shrink(value, holds); }, object.value);
    }
  }
}

}  // namespace postern::sim
