// SPDX-License-Identifier: Apache-2.0
#include "sim/packet/service_views.h"

namespace postern::sim {

const ServiceHop* ServiceViews::find(const Flow& flow) const {
  const auto found = answers_.find(flow);
  return found == answers_.end() ? nullptr : &found->second;
}

ServiceViews::Views ServiceViews::views_of(const PacketRequest& request,
                                           const std::optional<IpAddress>& own_node) const {
  Views views;
  views.sender.ends = {request.line->source.value_or(request.from.address), request.to.address};
  if (request.quoted) {
    views.sender.quoted = packet::LineEnds{request.quoted->source, request.quoted->destination};
  }
  views.receiver = views.sender;
  if (request.via) {
    views.sender.ends.destination = request.via->address;
    views.sender.ends.destination_port = request.via->port;
    views.receiver.ends.destination_port = request.target_port;
    if (own_node) views.receiver.ends.source = *own_node;
  } else {
    translate_answer(request, views.receiver);
  }
  return views;
}

void ServiceViews::translate_answer(const PacketRequest& request, Ends& receiver) const {
  const IpFamily family = receiver.ends.destination.family();
  if (receiver.quoted && request.line->quotes) {
    const auto quoted = packet::ports_of(request.line->quotes->part, family);
    if (!quoted) return;
    const ServiceHop* hop = find({quoted->protocol, receiver.quoted->source, receiver.quoted->destination,
                                  quoted->source, quoted->destination});
    if (hop == nullptr) return;
    if (receiver.ends.source == receiver.quoted->destination) receiver.ends.source = hop->address;
    receiver.quoted->destination = hop->address;
    receiver.quoted->destination_port = hop->port;
    return;
  }
  const auto ports = packet::ports_of(request.line->part, family);
  if (!ports) return;
  const ServiceHop* hop = find({ports->protocol, receiver.ends.destination, receiver.ends.source,
                                ports->destination, ports->source});
  if (hop == nullptr) return;
  receiver.ends.source = hop->address;
  receiver.ends.source_port = hop->port;
}

void ServiceViews::passed(const PacketRequest& request, const Views& views) {
  if (!request.via || request.to.kind == Party::Kind::service) return;
  const auto& ends = views.receiver.ends;
  const auto ports = packet::ports_of(request.line->part, ends.destination.family());
  if (!ports) return;
  const Flow flow{ports->protocol, ends.source, ends.destination, ports->source, request.target_port};
  answers_[flow] = *request.via;
}

std::optional<IpAddress> masquerade_address(const Node& node, IpFamily family) {
  if (const auto internal = node.internal_ip(family)) return internal;
  for (const auto& entry : node.addresses) {
    if (entry.address.family() == family) return entry.address;
  }
  return std::nullopt;
}

}  // namespace postern::sim
