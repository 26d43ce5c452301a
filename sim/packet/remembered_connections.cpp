// SPDX-License-Identifier: Apache-2.0
#include "sim/packet/remembered_connections.h"

#include <algorithm>
#include <set>
#include <tuple>
#include <utility>

#include "engine/datapath/lifetime.h"
#include "engine/datapath/transition.h"

namespace postern::sim {
namespace {

constexpr std::size_t kMost = 262144;  // as nf_conntrack_max of a node

// A packet's place among connections: which of the key's two ends sent it.
struct Seen {
  pn_packet packet{};
  pn_ct_place place{};
};

// False: it belongs to no connection.
bool parse(std::span<const std::uint8_t> frame, pn_packet& packet) {
  const pn_u8* const data = frame.data();
  pn_parse(data, data + frame.size(), static_cast<pn_u32>(frame.size()), &packet);
  return (packet.flags & PN_PACKET_TRACKED) != 0;
}

bool read(EndpointId endpoint, std::span<const std::uint8_t> frame, Seen& seen) {
  if (!parse(frame, seen.packet)) return false;
  const pn_node anybody{};
  pn_ct_locate(&anybody, endpoint.value, &seen.packet.tuple, &seen.place);
  return true;
}

pn_tuple opener_tuple(const pn_ct_key& key, std::uint32_t state) {
  pn_tuple tuple{key.address_a, key.address_b, key.port_a, key.port_b, key.endpoint_protocol & 0xffu};
  if ((state & PN_CT_OPENER_IS_A) == 0) {
    std::swap(tuple.source, tuple.destination);
    std::swap(tuple.source_port, tuple.destination_port);
  }
  return tuple;
}

}  // namespace

std::optional<pn_tuple> connection_of_frame(std::span<const std::uint8_t> frame) {
  pn_packet packet{};
  if (!parse(frame, packet)) return std::nullopt;
  return packet.tuple;
}

std::size_t RememberedConnections::KeyHash::operator()(const pn_ct_key& key) const {
  pn_u64 hash = pn_ct_mix(key.address_a.high ^ key.address_b.low) ^ key.address_a.low;
  hash = pn_ct_mix(hash) ^ key.address_b.high;
  return pn_ct_mix(hash ^ pn_pair(pn_u32{key.port_a} << 16 | key.port_b, key.endpoint_protocol));
}

bool RememberedConnections::alive(const pn_ct_key& key, const pn_ct_value& value) const {
  return pn_ct_live(&node_, &value, key.endpoint_protocol & 0xffu, now_) != 0;
}

void RememberedConnections::make_room() {
  std::erase_if(connections_, [&](const auto& entry) { return !alive(entry.first, entry.second); });
  // Nobody's record is endless: it starts again.
  if (connections_.size() >= kMost) connections_.clear();
}

void RememberedConnections::passed(EndpointId endpoint, pn_direction direction, std::span<const std::uint8_t> frame) {
  Seen seen;
  if (!read(endpoint, frame, seen)) return;
  const std::uint32_t egress = direction == PN_EGRESS ? 1 : 0;
  if (const auto found = connections_.find(seen.place.key); found != connections_.end()) {
    pn_ct_value& value = found->second;
    const std::uint32_t from_opener = ((value.state & PN_CT_OPENER_EGRESS) != 0 ? 1u : 0u) == egress ? 1 : 0;
    const std::uint32_t opener_is_a = (value.state & PN_CT_OPENER_IS_A) != 0 ? 1 : 0;
    const bool belongs = from_opener == (opener_is_a == seen.place.source_is_a ? 1u : 0u);
    const bool again = (seen.packet.flags & PN_PACKET_OPENS) != 0 && pn_ct_established(value.state) == 0;
    if (belongs && !again && alive(found->first, value)) {
      value.seen = now_;
      value.state = pn_ct_merged(value.state, pn_ct_bits(value.state, &seen.packet, from_opener));
      return;
    }
    connections_.erase(found);
  }
  if ((seen.packet.flags & PN_PACKET_ANSWERS) != 0) return;
  if (connections_.size() >= kMost) make_room();
  std::uint32_t state = PN_CT_LIVE | pn_ct_bits(0, &seen.packet, 1);
  if (egress != 0) state |= PN_CT_OPENER_EGRESS;
  if (seen.place.source_is_a != 0) state |= PN_CT_OPENER_IS_A;
  connections_.emplace(seen.place.key, pn_ct_value{.epoch = 0, .seen = now_, .state = state, .step = 0});
}

Result<std::vector<NodeConnection>> RememberedConnections::live(std::span<const NodeConnectionsOf> pods) {
  std::set<EndpointId> wanted;
  for (const auto& pod : pods) wanted.insert(pod.endpoint);
  std::vector<NodeConnection> connections;
  for (const auto& [key, value] : connections_) {
    const EndpointId endpoint{key.endpoint_protocol >> 8};
    if (!wanted.contains(endpoint) || !alive(key, value)) continue;
    constexpr std::uint32_t kShared = PN_CT_REPLIED | PN_CT_FIN_OPENER | PN_CT_FIN_REPLIER | PN_CT_RST;
    // Since when it idles nf_conntrack does not say.
    connections.push_back({endpoint, (value.state & PN_CT_OPENER_EGRESS) != 0, opener_tuple(key, value.state),
                           value.state & kShared, 0});
  }
  // In an order of their own, whatever the library's: entries of a full bucket must be the same every time.
  std::sort(connections.begin(), connections.end(), [](const NodeConnection& a, const NodeConnection& b) {
    const auto order = [](const NodeConnection& c) {
      return std::tuple(c.endpoint, c.tuple.protocol, c.tuple.source.high, c.tuple.source.low,
                        c.tuple.destination.high, c.tuple.destination.low, c.tuple.source_port,
                        c.tuple.destination_port);
    };
    return order(a) < order(b);
  });
  return connections;
}

}  // namespace postern::sim
