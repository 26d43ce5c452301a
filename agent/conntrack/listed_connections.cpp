// SPDX-License-Identifier: Apache-2.0
#include "agent/conntrack/listed_connections.h"

#include <algorithm>

namespace postern::agent {
namespace {

constexpr std::size_t kPartsOfStep = 64;

std::uint64_t mixed(std::uint64_t hash, std::uint64_t value) {
  hash = (hash ^ value) * 0x9e3779b97f4a7c15ull;
  return hash ^ (hash >> 32);
}

std::uint64_t hash_of_end(const pn_address& address, std::uint16_t port) {
  return mixed(mixed(mixed(1, address.high), address.low), port);
}

// Both ends alike: which of them opened the connection, or comes first in a key, is nobody's business here.
std::uint64_t hash_of(std::uint64_t end, std::uint64_t other, std::uint32_t protocol) {
  return mixed(mixed(mixed(protocol, std::min(end, other)), std::max(end, other)), 0);
}

}  // namespace

void ListedConnections::add(const pn_tuple& tuple) {
  const std::uint64_t hash =
      hash_of(hash_of_end(tuple.source, tuple.source_port), hash_of_end(tuple.destination, tuple.destination_port),
              tuple.protocol);
  Part& part = parts_[hash % kParts];
  part.hashes.push_back(hash);
  part.sorted = false;
  ++size_;
}

void ListedConnections::sort(Part& part) {
  if (part.sorted) return;
  std::sort(part.hashes.begin(), part.hashes.end());
  part.sorted = true;
}

bool ListedConnections::sort_some() {
  const std::size_t until = std::min(next_to_sort_ + kPartsOfStep, kParts);
  for (; next_to_sort_ < until; ++next_to_sort_) sort(parts_[next_to_sort_]);
  return next_to_sort_ == kParts;
}

bool ListedConnections::clear_some() {
  const std::size_t until = std::min(next_to_clear_ + kPartsOfStep, kParts);
  for (; next_to_clear_ < until; ++next_to_clear_) parts_[next_to_clear_] = {};
  return next_to_clear_ == kParts;
}

bool ListedConnections::contains(const pn_ct_key& key) {
  const std::uint64_t hash = hash_of(hash_of_end(key.address_a, key.port_a), hash_of_end(key.address_b, key.port_b),
                                     key.endpoint_protocol & 0xffu);
  Part& part = parts_[hash % kParts];
  sort(part);
  return std::binary_search(part.hashes.begin(), part.hashes.end(), hash);
}

}  // namespace postern::agent
