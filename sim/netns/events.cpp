// SPDX-License-Identifier: Apache-2.0
#include "sim/netns/events.h"

#include <netinet/in.h>

#include <cstring>

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
    if (!node->in_use || !node->enforcer) continue;
    Collector collector(node.get(), into);
    if (auto drained = node->enforcer->backend().drain_events(collector); !drained) return fail_as(drained);
  }
  return {};
}

EndVerdict verdict_of(const NodeEvent& event) {
  EndVerdict verdict;
  verdict.direction = event.event.direction == PN_INGRESS ? PN_INGRESS : PN_EGRESS;
  verdict.step = event.event.step;
  verdict.node = event.node->name;
  for (const auto& pod : event.node->pods) {
    if (pod->in_use && pod->host_ifindex == event.event.ifindex) verdict.pod = pod->pod;
  }
  return verdict;
}

FlowKey FlowKey::reversed() const {
  if (protocol == IPPROTO_ICMP) return {destination, source, source_port, destination_port, protocol};
  return {destination, source, destination_port, source_port, protocol};
}

FlowKey flow_of(const pn_event& event) {
  FlowKey key;
  std::memcpy(&key.source, event.source, sizeof(key.source));
  std::memcpy(&key.destination, event.destination, sizeof(key.destination));
  key.protocol = event.protocol;
  // An ICMP event has type and code where others have their source port.
  const bool icmp = event.protocol == IPPROTO_ICMP;
  key.source_port = icmp ? event.destination_port : event.source_port;
  key.destination_port = icmp ? std::uint16_t{0} : event.destination_port;
  return key;
}

}  // namespace postern::sim
