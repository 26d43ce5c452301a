// SPDX-License-Identifier: Apache-2.0
#include "sim/netns/events.h"

#include <linux/if_ether.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>

namespace postern::sim {
namespace {

class Collector final : public EventSink {
 public:
  Collector(const NodeSlot* node, std::vector<NodeEvent>& into) : node_(node), into_(into) {}
  void on_event(const pn_event& event) override { into_.push_back({node_, event}); }

 private:
  const NodeSlot* node_;
  std::vector<NodeEvent>& into_;
};

}  // namespace

Result<void> drain_events(Topology& topology, std::vector<NodeEvent>& into) {
  for (const auto& node : topology.nodes()) {
    if (!node->in_use || !node->watch) continue;
    Collector collector(node.get(), into);
    if (auto drained = node->watch->drain_events(collector); !drained) return drained;
  }
  return {};
}

EndVerdict verdict_of(const NodeEvent& event) {
  EndVerdict verdict;
  verdict.direction = event.event.direction == PN_INGRESS ? PN_INGRESS : PN_EGRESS;
  verdict.step = event.event.step;
  verdict.node = event.node->name;
  for (const auto& pod : event.node->pods) {
    if (pod->in_use && pod->link.near_ifindex == event.event.ifindex) verdict.pod = pod->pod;
  }
  return verdict;
}

namespace {

bool is_icmp(std::uint8_t protocol) { return protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6; }

// From bytes in network order, 4 or 16 of them.
IpAddress address_of(std::span<const std::uint8_t> bytes) {
  if (bytes.size() == 16) {
    std::array<std::uint8_t, 16> copy{};
    std::copy(bytes.begin(), bytes.end(), copy.begin());
    return IpAddress::v6(copy);
  }
  std::uint32_t v4 = 0;
  for (const std::uint8_t byte : bytes) v4 = v4 << 8 | byte;
  return IpAddress::v4(v4);
}

}  // namespace

FlowKey FlowKey::reversed() const {
  if (is_icmp(protocol)) return {destination, source, source_port, destination_port, protocol};
  return {destination, source, destination_port, source_port, protocol};
}

FlowKey flow_of(const pn_event& event) {
  FlowKey key;
  const std::size_t length = event.family == 6 ? 16 : 4;
  key.source = address_of(std::span(event.source).first(length));
  key.destination = address_of(std::span(event.destination).first(length));
  key.protocol = event.protocol;
  // An ICMP event has type and code where others have their source port.
  const bool icmp = is_icmp(event.protocol);
  key.source_port = icmp ? event.destination_port : event.source_port;
  key.destination_port = icmp ? std::uint16_t{0} : event.destination_port;
  return key;
}

std::optional<FlowKey> flow_of_frame(std::span<const std::uint8_t> frame) {
  constexpr std::size_t kIp = 14;
  constexpr std::size_t kPorts = 8;  // of the transport header, an echo's id among them
  const auto u16 = [&](std::size_t at) { return static_cast<std::uint16_t>(frame[at] << 8 | frame[at + 1]); };
  if (frame.size() < kIp + 20) return std::nullopt;
  const bool v4 = u16(12) == ETH_P_IP;
  if (!v4 && u16(12) != ETH_P_IPV6) return std::nullopt;
  const std::size_t length = v4 ? 4 : 16;
  const std::size_t source = kIp + (v4 ? 12 : 8);
  const std::size_t transport = kIp + (v4 ? static_cast<std::size_t>(frame[kIp] & 0x0f) * 4 : 40);
  if (frame.size() < transport + kPorts) return std::nullopt;
  FlowKey key;
  key.source = address_of(frame.subspan(source, length));
  key.destination = address_of(frame.subspan(source + length, length));
  key.protocol = frame[kIp + (v4 ? 9 : 6)];
  const bool icmp = is_icmp(key.protocol);
  key.source_port = u16(transport + (icmp ? 4 : 0));
  key.destination_port = icmp ? std::uint16_t{0} : u16(transport + 2);
  return key;
}

}  // namespace postern::sim
