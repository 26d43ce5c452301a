// SPDX-License-Identifier: Apache-2.0
// packet_fields CAPTURE: what the datapath's parser sees in each packet, one JSON object a line. Only fields
// that it found are there; numbers are host order. A test compares them with another program's reading.
#include <cstdio>
#include <nlohmann/json.hpp>

#include "engine/conntrack/conntrack_view.h"
#include "sim/capture/capture.h"

struct pn_env {
  int nothing;
};
#include "engine/datapath/parse.h"

namespace {

const char* kind_of(pn_u32 kind) {
  switch (kind) {
    case PN_KIND_IP: return "ip";
    case PN_KIND_FRAGMENT: return "fragment";
    case PN_KIND_ALWAYS: return "always";
    case PN_KIND_ETHERTYPE: return "ethertype";
    default: return "malformed";
  }
}

void add_tuple(nlohmann::json& to, const pn_tuple& tuple) {
  to["source"] = postern::address_of(tuple.source).to_string();
  to["destination"] = postern::address_of(tuple.destination).to_string();
  to["protocol"] = tuple.protocol;
  if (!pn_has_ports(tuple.protocol)) return;
  to["source_port"] = pn_swap16(tuple.source_port);
  to["destination_port"] = pn_swap16(tuple.destination_port);
}

nlohmann::json fields_of(const pn_packet& packet) {
  nlohmann::json fields{{"kind", kind_of(packet.kind)}, {"family", packet.family}};
  if (packet.kind == PN_KIND_MALFORMED || packet.kind == PN_KIND_ETHERTYPE || packet.family == 0) return fields;
  add_tuple(fields, packet.tuple);
  const bool later = (packet.flags & PN_PACKET_LATER) != 0;
  if (packet.kind == PN_KIND_FRAGMENT) {
    fields.erase("source_port");
    fields.erase("destination_port");
  }
  if (later || (packet.flags & PN_PACKET_FIRST) != 0) {
    fields["fragment_id"] = packet.family == 4 ? pn_swap16(static_cast<pn_u16>(packet.fragment_id)) : pn_swap32(packet.fragment_id);
    fields["fragment_offset"] = later ? packet.fragment_at : 0;
  }
  if (packet.kind == PN_KIND_FRAGMENT) return fields;
  if (packet.tuple.protocol == PN_IP_TCP) fields["tcp_flags"] = packet.tcp_flags;
  if ((packet.family == 4 && packet.tuple.protocol == PN_IP_ICMP) ||
      (packet.family == 6 && packet.tuple.protocol == PN_IP_ICMPV6)) {
    fields["icmp_type"] = packet.icmp >> 8;
    fields["icmp_code"] = packet.icmp & 0xff;
    if ((packet.flags & PN_PACKET_TRACKED) != 0) fields["icmp_id"] = pn_swap16(packet.tuple.source_port);
  }
  if ((packet.flags & PN_PACKET_QUOTES) != 0) {
    add_tuple(fields["quote"], packet.quote);
  }
  return fields;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: packet_fields CAPTURE\n");
    return 2;
  }
  auto reader = postern::sim::CaptureReader::open(argv[1]);
  if (!reader) {
    std::fprintf(stderr, "packet_fields: %s\n", reader.error().to_string().c_str());
    return 2;
  }
  for (;;) {
    const auto next = reader->next();
    if (!next) {
      std::fprintf(stderr, "packet_fields: %s\n", next.error().to_string().c_str());
      return 2;
    }
    if (!*next) return 0;
    const auto& frame = (*next)->frame;
    const auto* data = reinterpret_cast<const pn_u8*>(frame.data());
    pn_packet packet;
    pn_parse(data, data + frame.size(), static_cast<pn_u32>(frame.size()), &packet);
    std::printf("%s\n", fields_of(packet).dump().c_str());
  }
}
