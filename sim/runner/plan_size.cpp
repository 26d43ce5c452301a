// SPDX-License-Identifier: Apache-2.0
// Bytes are estimated, from the numbers of things and the lengths of texts.
#include "sim/runner/plan_size.h"

#include <string>
#include <variant>

namespace postern::sim {

namespace {

constexpr std::size_t kEntry = 96;    // of a tree or a list, with a short text
constexpr std::size_t kObject = 512;  // a small object, with its name

std::size_t bytes_of(const std::map<std::string, std::string>& texts) {
  std::size_t bytes = 0;
  for (const auto& [key, value] : texts) bytes += kEntry + key.size() + value.size();
  return bytes;
}

std::size_t bytes_of(const LabelSelector& selector) {
  std::size_t bytes = bytes_of(selector.match_labels);
  for (const auto& requirement : selector.match_expressions) {
    bytes += kEntry + requirement.key.size();
    for (const auto& value : requirement.values) bytes += kEntry + value.size();
  }
  return bytes;
}

std::size_t bytes_of(const PolicyPeer& peer) {
  if (const auto* block = std::get_if<IpBlock>(&peer)) return kEntry * (1 + block->excepts.size());
  const auto& pods = std::get<PodPeer>(peer);
  std::size_t bytes = 2 * kEntry;
  if (pods.namespaces) bytes += bytes_of(*pods.namespaces);
  if (pods.pods) bytes += bytes_of(*pods.pods);
  return bytes;
}

std::size_t bytes_of(const NetworkPolicy& policy) {
  std::size_t bytes = kObject + bytes_of(policy.pod_selector);
  for (const auto* rules : {&policy.ingress, &policy.egress}) {
    for (const auto& rule : *rules) {
      bytes += kEntry * (1 + rule.ports.size());
      for (const auto& peer : rule.peers) bytes += bytes_of(peer);
    }
  }
  return bytes;
}

std::size_t bytes_of(const Pod& pod) {
  return kObject + bytes_of(pod.labels) + bytes_of(pod.annotations) + kEntry * pod.ports.size();
}

std::size_t bytes_of(const ClusterSnapshot& cluster) {
  std::size_t bytes = kObject;
  for (const auto& [name, ns] : cluster.namespaces)
    bytes += kObject + bytes_of(ns.labels) + bytes_of(ns.annotations);
  for (const auto& [name, node] : cluster.nodes)
    bytes += kObject + bytes_of(node.labels) + kEntry * node.addresses.size();
  for (const auto& [key, pod] : cluster.pods) bytes += bytes_of(pod);
  for (const auto& [key, service] : cluster.services) {
    bytes += kObject + kEntry * (service.ports.size() + service.cluster_ips.size());
    if (service.selector) bytes += bytes_of(*service.selector);
  }
  for (const auto& [key, slice] : cluster.endpoint_slices) {
    bytes += kObject + kEntry * slice.ports.size();
    for (const auto& endpoint : slice.endpoints) bytes += kEntry * (1 + endpoint.addresses.size());
  }
  for (const auto& [key, policy] : cluster.network_policies) bytes += bytes_of(policy);
  return bytes;
}

tl::unexpected<Error> too_much(const std::string& what, std::size_t most, const PlannedStep& step) {
  return fail(ErrorCode::invalid_input,
              what + " more than " + std::to_string(most) + ", expected at most that many in a scenario",
              step.step->location);
}

}  // namespace

Result<void> PlanSize::add(const PlannedStep& step) {
  bytes_ += bytes_of(step.placement.cluster);
  cells_ += step.cells.size();
  pairs_ += step.pairs;
  if (bytes_ > limits_.bytes) {
    return too_much("the bytes of objects, counted at each step so far with all that exist then, are",
                    limits_.bytes, step);
  }
  if (cells_ > limits_.cells) return too_much("the cells of the steps so far are", limits_.cells, step);
  if (pairs_ > limits_.pairs) {
    return too_much("the pairs that the probes so far name, overridden ones counted, are", limits_.pairs,
                    step);
  }
  return {};
}

}  // namespace postern::sim
