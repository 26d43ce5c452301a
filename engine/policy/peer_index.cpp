// SPDX-License-Identifier: Apache-2.0
#include "engine/policy/peer_index.h"

#include <algorithm>
#include <functional>

namespace postern {

namespace {

void append(std::vector<PeerMember>& members, const Pod& pod) {
  for (const auto& address : pod.addresses) members.push_back({&pod, address});
}

}  // namespace

std::size_t PeerIndex::LabelHash::operator()(const LabelPair& label) const {
  const std::hash<std::string_view> hash;
  return hash(label.first) * 0x9e3779b97f4a7c15ull + hash(label.second);
}

PeerIndex::PeerIndex(const ClusterSnapshot& cluster) : cluster_(&cluster) {
  for (const auto& [key, pod] : cluster.pods) {
    if (!pod.live() || pod.host_network) continue;
    const auto [found, inserted] = namespaces_.try_emplace(key.ns, Span{pods_.size(), pods_.size()});
    for (const auto& [name, value] : pod.labels) by_label_[{name, value}].push_back(pods_.size());
    pods_.push_back(&pod);
    found->second.end = pods_.size();
  }
}

std::vector<PeerMember> PeerIndex::every_pod() const {
  std::vector<PeerMember> members;
  for (const Pod* pod : pods_) append(members, *pod);
  return members;
}

std::vector<PeerMember> PeerIndex::inside(const IpBlock& block) const {
  std::vector<PeerMember> members;
  for (const Pod* pod : pods_) {
    for (const auto& address : pod->addresses) {
      if (block.contains(address)) members.push_back({pod, address});
    }
  }
  return members;
}

std::vector<PeerIndex::Span> PeerIndex::namespaces_of(const PodPeer& peer,
                                                      const std::string& policy_namespace) const {
  std::vector<Span> spans;
  if (!peer.namespaces) {
    const auto found = namespaces_.find(policy_namespace);
    if (found != namespaces_.end()) spans.push_back(found->second);
    return spans;
  }
  for (const auto& [name, span] : namespaces_) {
    if (peer.namespaces->matches(cluster_->namespace_labels(std::string(name)))) spans.push_back(span);
  }
  return spans;
}

const PeerIndex::Posting* PeerIndex::candidates(const LabelSelector& selector) const {
  static const Posting kNobody;
  const Posting* best = nullptr;
  for (const auto& [key, value] : selector.match_labels) {
    const auto found = by_label_.find({key, value});
    if (found == by_label_.end()) return &kNobody;
    if (best == nullptr || found->second.size() < best->size()) best = &found->second;
  }
  return best;
}

std::vector<PeerMember> PeerIndex::matching(const PodPeer& peer, const std::string& policy_namespace) const {
  std::vector<PeerMember> members;
  const auto spans = namespaces_of(peer, policy_namespace);
  static const LabelSelector kEveryPod;
  const LabelSelector& selector = peer.pods ? *peer.pods : kEveryPod;
  std::size_t in_namespaces = 0;
  for (const auto& span : spans) in_namespaces += span.end - span.begin;

  const Posting* posting = candidates(selector);
  if (posting != nullptr && posting->size() < in_namespaces) {
    auto span = spans.begin();  // both ascend
    for (const std::size_t index : *posting) {
      while (span != spans.end() && span->end <= index) ++span;
      if (span == spans.end()) break;
      if (index >= span->begin && selector.matches(pods_[index]->labels)) append(members, *pods_[index]);
    }
    return members;
  }
  for (const auto& span : spans) {
    for (std::size_t index = span.begin; index < span.end; ++index) {
      if (selector.matches(pods_[index]->labels)) append(members, *pods_[index]);
    }
  }
  return members;
}

}  // namespace postern
