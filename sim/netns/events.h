// SPDX-License-Identifier: Apache-2.0
// Events of every node's backend, with what they are matched by.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "sim/netns/topology.h"

namespace postern::sim {

struct NodeEvent {
  const NodeSlot* node = nullptr;
  pn_event event{};
};

// Takes what is pending off every active node, in order per node.
Result<void> drain_events(Topology& topology, std::vector<NodeEvent>& into);

// An event as the verdict of one end. The pod is empty when the interface is nobody's any more.
EndVerdict verdict_of(const NodeEvent& event);

// A connection as its opener sees it. ICMP echo: the id is the source port, the other is 0.
struct FlowKey {
  IpAddress source;
  IpAddress destination;
  std::uint16_t source_port = 0;  // host order
  std::uint16_t destination_port = 0;
  std::uint8_t protocol = 0;  // IP protocol number
  [[nodiscard]] FlowKey reversed() const;
  friend auto operator<=>(const FlowKey&, const FlowKey&) = default;
};

FlowKey flow_of(const pn_event& event);
// Of an untagged Ethernet frame as probes send it; absent: not IP, or no such protocol.
std::optional<FlowKey> flow_of_frame(std::span<const std::uint8_t> frame);

}  // namespace postern::sim
