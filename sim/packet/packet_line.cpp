// SPDX-License-Identifier: Apache-2.0
#include "sim/packet/packet_line.h"

#include <variant>

namespace postern::packet {

namespace {

constexpr std::size_t kEthernetHeader = 14;
constexpr std::size_t kVlanTag = 4;

struct Transport {
  Packet layers;
  std::uint8_t protocol = 0;
};

template <IsLayer T>
Transport with(T layer, Protocol protocol) {
  return {Packet(std::move(layer)), static_cast<std::uint8_t>(protocol)};
}

Result<Transport> transport_of(const sim::PacketLine& line) {
  if (const auto* tcp = std::get_if<sim::TcpPart>(&line.part)) {
    const auto flags = parse_tcp_flags(tcp->flags);
    if (!flags) {
      return fail(ErrorCode::invalid_input, "tcp flags \"" + tcp->flags + "\": expected letters of FSRPAU",
                  line.location);
    }
    return with(Tcp{.source_port = tcp->sport, .destination_port = tcp->dport, .flags = *flags},
                Protocol::tcp);
  }
  if (const auto* udp = std::get_if<sim::UdpPart>(&line.part)) {
    return with(Udp{.source_port = udp->sport, .destination_port = udp->dport}, Protocol::udp);
  }
  if (const auto* sctp = std::get_if<sim::SctpPart>(&line.part)) {
    const auto chunk = parse_sctp_chunk(sctp->chunk);
    if (!chunk) {
      return fail(ErrorCode::invalid_input,
                  "sctp chunk \"" + sctp->chunk + "\": expected INIT, INIT-ACK, DATA, ABORT or SHUTDOWN",
                  line.location);
    }
    return with(Sctp{.source_port = sctp->sport, .destination_port = sctp->dport, .chunk = *chunk},
                Protocol::sctp);
  }
  if (const auto* icmp = std::get_if<sim::IcmpPart>(&line.part)) {
    return with(Icmp{.type = icmp->type, .code = icmp->code, .id = icmp->id}, Protocol::icmp);
  }
  if (const auto* ip = std::get_if<sim::IpPart>(&line.part)) {
    return Transport{Packet(Raw{std::vector<std::uint8_t>(24, 0)}), ip->protocol};
  }
  return fail(ErrorCode::internal, "a packet line of an unknown kind", line.location);
}

}  // namespace

Result<std::vector<std::uint8_t>> frame_of(const sim::PacketLine& line, const LineAddresses& addresses) {
  if (const auto* frame = std::get_if<sim::FramePart>(&line.part)) return frame->bytes;
  const IpAddress source = line.source.value_or(addresses.source);
  if (!source.is_v4() || !addresses.destination.is_v4()) {
    return fail(ErrorCode::unsupported, "IPv6 packets are not supported yet", line.location);
  }
  auto transport = transport_of(line);
  if (!transport) return fail_as(transport);

  Packet packet(Ethernet{.destination = addresses.destination_mac, .source = addresses.source_mac});
  for (const std::uint16_t id : line.vlan) packet.append(Vlan{.id = id});
  Ipv4 ip{.source = source,
          .destination = addresses.destination,
          .protocol = transport->protocol,
          .options = line.ip_options};
  if (line.fragment) {
    ip.id = line.fragment->id;
    ip.fragment_offset = line.fragment->offset;
    ip.more_fragments = line.fragment->more;
  }
  packet.append(std::move(ip));
  if (line.fragment && line.fragment->offset != 0) {
    // A later fragment starts in the middle of the payload: no transport header.
    packet.append(Raw{std::vector<std::uint8_t>(16, 0xaa)});
  } else {
    packet.append(transport->layers);
    // All but the last fragment carry a multiple of eight bytes; 20-byte headers need four more.
    const bool is_tcp = std::holds_alternative<sim::TcpPart>(line.part);
    if (line.fragment && line.fragment->more && is_tcp) packet.append(Raw{{0, 0, 0, 0}});
  }
  auto bytes = packet.bytes();
  // Tags count as part of the Ethernet header, so `length` always counts from the IP header.
  const std::size_t link_header = kEthernetHeader + kVlanTag * line.vlan.size();
  if (line.length && link_header + *line.length < bytes.size()) bytes.resize(link_header + *line.length);
  return bytes;
}

}  // namespace postern::packet
