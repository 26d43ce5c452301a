// SPDX-License-Identifier: Apache-2.0
#include "sim/replay/flow_table.h"

#include <cstring>
#include <tuple>
#include <utility>

namespace postern::sim {

namespace {

// As long as the datapath lets the rest of a datagram follow its first fragment (R19): then the id may be another's.
constexpr Duration kDatagramLife = seconds(30);
constexpr std::size_t kMostDatagrams = 65536;

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

FlowTable::Place FlowTable::place(const PacketFacts& facts, Instant now) {
  const Datagram datagram{facts.source, facts.destination, facts.fragment_id, facts.fragment_protocol};
  if (facts.later_fragment) {
    const auto first = datagrams_.find(datagram);
    const bool known = first != datagrams_.end() && now - first->second.at < kDatagramLife;
    if (known) return {&flows_[first->second.flow], false, first->second.forward};
  }
  const auto [found, fresh] = index_.try_emplace(key_of(facts), flows_.size());
  if (fresh) {
    TrackedFlow flow;
    flow.row.protocol = facts.protocol;
    flow.row.from = {facts.source, facts.source_port, {}};
    flow.row.to = {facts.destination, facts.destination_port, {}};
    // A SYN+ACK is an answer: whoever it goes to has opened the connection.
    if (facts.is_tcp() && facts.syn() && facts.ack()) std::swap(flow.row.from, flow.row.to);
    flows_.push_back(std::move(flow));
  }
  TrackedFlow& flow = flows_[found->second];
  const bool forward = facts.source == flow.row.from.address && facts.source_port == flow.row.from.port;
  if (facts.fragment && !facts.later_fragment) remember(datagram, {found->second, forward, now});
  return {&flow, fresh, forward};
}

// Where very many are under way at once, the rest of some is of no known flow.
void FlowTable::remember(const Datagram& datagram, const FirstFragment& first) {
  if (datagrams_.size() >= kMostDatagrams) {
    std::erase_if(datagrams_, [&](const auto& entry) { return first.at - entry.second.at >= kDatagramLife; });
  }
  if (datagrams_.size() >= kMostDatagrams) datagrams_.clear();
  datagrams_[datagram] = first;
}

}  // namespace postern::sim
