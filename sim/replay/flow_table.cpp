// SPDX-License-Identifier: Apache-2.0
#include "sim/replay/flow_table.h"

#include <cstring>
#include <tuple>
#include <utility>

namespace postern::sim {

namespace {

std::uint64_t mix(std::uint64_t hash, std::uint64_t value) {
  hash = (hash ^ value) * 0x9e3779b97f4a7c15ull;
  return hash ^ (hash >> 29);
}

std::uint64_t hash_of(const IpAddress& address) {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  std::memcpy(&high, address.bytes().data(), sizeof(high));
  std::memcpy(&low, address.bytes().data() + sizeof(high), sizeof(low));
  return mix(mix(static_cast<std::uint64_t>(address.family()), high), low);
}

}  // namespace

std::size_t AddressHash::operator()(const IpAddress& address) const noexcept {
  return hash_of(address);
}

std::size_t FlowTable::KeyHash::operator()(const Key& key) const noexcept {
  const std::uint64_t rest = static_cast<std::uint64_t>(key.port_a) << 24 |
                             static_cast<std::uint64_t>(key.port_b) << 8 | key.protocol;
  return mix(mix(hash_of(key.a), hash_of(key.b)), rest);
}

FlowTable::Key FlowTable::key_of(const PacketFacts& facts) {
  Key key{facts.source, facts.destination, facts.source_port, facts.destination_port, facts.protocol};
  if (std::tie(key.b, key.port_b) < std::tie(key.a, key.port_a)) {
    std::swap(key.a, key.b);
    std::swap(key.port_a, key.port_b);
  }
  return key;
}

FlowTable::Place FlowTable::place(const PacketFacts& facts) {
  const auto [found, fresh] = index_.try_emplace(key_of(facts), flows_.size());
  if (!fresh) return {&flows_[found->second], false};
  TrackedFlow flow;
  flow.row.protocol = facts.protocol;
  flow.row.from.address = facts.source;
  flow.row.from.port = facts.source_port;
  flow.row.to.address = facts.destination;
  flow.row.to.port = facts.destination_port;
  // A SYN+ACK is an answer: whoever it goes to has opened the connection.
  if (facts.is_tcp() && facts.syn() && facts.ack()) std::swap(flow.row.from, flow.row.to);
  flows_.push_back(std::move(flow));
  return {&flows_.back(), true};
}

}  // namespace postern::sim
