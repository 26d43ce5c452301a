// SPDX-License-Identifier: Apache-2.0
#include "test/oracle/sight.h"

namespace postern::oracle {

namespace {

bool contains(const std::vector<std::string>& values, const std::string& value) {
  for (const auto& candidate : values) {
    if (candidate == value) return true;
  }
  return false;
}

// "operator represents a key's relationship to a set of values."
bool holds(const LabelRequirement& requirement, const Labels& labels) {
  const auto label = labels.find(requirement.key);
  switch (requirement.op) {
    case SelectorOperator::in: return label != labels.end() && contains(requirement.values, label->second);
    // "NotIn ... resources without any labels with the key" match too (concept page on labels).
    case SelectorOperator::not_in:
      return label == labels.end() || !contains(requirement.values, label->second);
    case SelectorOperator::exists: return label != labels.end();
    case SelectorOperator::does_not_exist: return label == labels.end();
  }
  return false;
}

}  // namespace

// "The result of matchLabels and matchExpressions are ANDed. An empty label selector matches all objects."
bool selects(const LabelSelector& selector, const Labels& labels) {
  for (const auto& [key, value] : selector.match_labels) {
    const auto label = labels.find(key);
    if (label == labels.end() || label->second != value) return false;
  }
  for (const auto& requirement : selector.match_expressions) {
    if (!holds(requirement, labels)) return false;
  }
  return true;
}

// R34: the name label is always there and always the name, also on a namespace nobody applied.
Labels labels_of_namespace(const ClusterSnapshot& objects, const std::string& name) {
  Labels labels;
  const auto found = objects.namespaces.find(name);
  if (found != objects.namespaces.end()) labels = found->second.labels;
  labels["kubernetes.io/metadata.name"] = name;
  return labels;
}

// The first `length` bits agree. R36: families never match each other. R6: host bits do not count.
bool in_block(const Cidr& block, const IpAddress& address) {
  if (block.network().family() != address.family()) return false;
  for (int bit = 0; bit < block.prefix_length(); ++bit) {
    const auto byte = static_cast<std::size_t>(bit / 8);
    const int mask = 0x80 >> (bit % 8);
    if ((block.network().bytes()[byte] & mask) != (address.bytes()[byte] & mask)) return false;
  }
  return true;
}

// "Except is a slice of CIDRs that should not be included within an IP Block." R5: it only narrows its own
// peer.
bool in_block(const IpBlock& block, const IpAddress& address) {
  if (!in_block(block.cidr, address)) return false;
  for (const auto& except : block.excepts) {
    if (in_block(except, address)) return false;
  }
  return true;
}

// R23: a finished pod is neither subject nor peer. R24: nor is one without an address.
bool is_live(const Pod& pod) {
  return pod.phase != PodPhase::succeeded && pod.phase != PodPhase::failed && !pod.addresses.empty();
}

bool has_address(const Pod& pod, const IpAddress& address) {
  for (const auto& own : pod.addresses) {
    if (own == address) return true;
  }
  return false;
}

}  // namespace postern::oracle
