// SPDX-License-Identifier: Apache-2.0
#include "sim/packet/packet_line.h"

#include <string>
#include <variant>

namespace postern::packet {

namespace {

constexpr std::size_t kEthernetHeader = 14;
constexpr std::size_t kVlanTag = 4;
// What stands in a later fragment, and behind an IP protocol that nobody reads.
constexpr std::size_t kLaterBytes = 16;
constexpr std::size_t kUnknownBytes = 24;

constexpr std::uint8_t number(Protocol protocol) { return static_cast<std::uint8_t>(protocol); }

struct Transport {
  Packet layers;
  std::uint8_t protocol = 0;
};

template <IsLayer T>
Transport with(T layer, Protocol protocol) {
  return {Packet(std::move(layer)), number(protocol)};
}

// One part of a line on its way into a frame.
struct PartBuilder {
  const LineEnds& ends;
  const Location& where;

  Result<Transport> operator()(const sim::TcpPart& tcp) const {
    const auto flags = parse_tcp_flags(tcp.flags);
    if (!flags) {
      return fail(ErrorCode::invalid_input, "tcp flags \"" + tcp.flags + "\": expected letters of FSRPAU",
                  where);
    }
    return with(Tcp{.source_port = ends.source_port.value_or(tcp.sport),
                    .destination_port = ends.destination_port.value_or(tcp.dport),
                    .flags = *flags,
                    .sequence = tcp.sequence,
                    .acknowledgement = tcp.acknowledgement},
                Protocol::tcp);
  }

  Result<Transport> operator()(const sim::UdpPart& udp) const {
    return with(Udp{.source_port = ends.source_port.value_or(udp.sport),
                    .destination_port = ends.destination_port.value_or(udp.dport)},
                Protocol::udp);
  }

  Result<Transport> operator()(const sim::SctpPart& sctp) const {
    const auto chunk = parse_sctp_chunk(sctp.chunk);
    if (!chunk) {
      return fail(ErrorCode::invalid_input,
                  "sctp chunk \"" + sctp.chunk + "\": expected INIT, INIT-ACK, DATA, ABORT or SHUTDOWN",
                  where);
    }
    return with(Sctp{.source_port = ends.source_port.value_or(sctp.sport),
                     .destination_port = ends.destination_port.value_or(sctp.dport),
                     .chunk = *chunk},
                Protocol::sctp);
  }

  Result<Transport> operator()(const sim::IcmpPart& icmp) const {
    if (ends.destination.is_v4()) {
      return with(Icmp{.type = icmp.type, .code = icmp.code, .id = icmp.id}, Protocol::icmp);
    }
    return with(Icmpv6{.type = icmp.type, .code = icmp.code, .id = icmp.id}, Protocol::icmpv6);
  }

  Result<Transport> operator()(const sim::IpPart& ip) const {
    return Transport{Packet(Raw{std::vector<std::uint8_t>(kUnknownBytes, 0)}), ip.protocol};
  }

  Result<Transport> operator()(const sim::FramePart&) const {
    return fail(ErrorCode::invalid_input, "a whole frame cannot stand inside another packet", where);
  }
};

Result<void> check_ends(const LineEnds& ends, const Location& where) {
  if (ends.source.family() == ends.destination.family()) return {};
  return fail(ErrorCode::invalid_input,
              "a packet from " + ends.source.to_string() + " to " + ends.destination.to_string() +
                  " has ends of two families, expected one",
              where);
}

// The packet that an ICMP error complains of, whole: errors may quote as much as they like.
Result<Packet> quoted_packet(const sim::PacketLine& line, const std::optional<LineEnds>& ends) {
  if (!ends) return fail(ErrorCode::internal, "a quoted packet without its addresses", line.location);
  if (auto checked = check_ends(*ends, line.location); !checked) return fail_as(checked);
  auto transport = std::visit(PartBuilder{*ends, line.location}, line.quotes->part);
  if (!transport) return fail_as(transport);
  if (ends->destination.is_v4()) {
    return Ipv4{.source = ends->source, .destination = ends->destination, .protocol = transport->protocol} /
           transport->layers;
  }
  return Ipv6{.source = ends->source, .destination = ends->destination, .next_header = transport->protocol} /
         transport->layers;
}

Result<Packet> ipv4_header(const sim::PacketLine& line, const LineEnds& ends, std::uint8_t protocol) {
  if (!line.extensions.empty()) {
    return fail(ErrorCode::invalid_input, "an IPv4 packet has no extension headers", line.location);
  }
  Ipv4 ip{.source = ends.source,
          .destination = ends.destination,
          .protocol = protocol,
          .options = line.ip_options};
  if (line.fragment) {
    ip.id = static_cast<std::uint16_t>(line.fragment->id);
    ip.fragment_offset = line.fragment->offset;
    ip.more_fragments = line.fragment->more;
  }
  return Packet(std::move(ip));
}

struct NextHeader {
  std::uint8_t value;
  void operator()(Ipv6& layer) const { layer.next_header = value; }
  void operator()(HopByHop& layer) const { layer.next_header = value; }
  void operator()(DestinationOptions& layer) const { layer.next_header = value; }
  void operator()(Routing& layer) const { layer.next_header = value; }
  void operator()(FragmentHeader& layer) const { layer.next_header = value; }
  template <typename T>
  void operator()(T&) const {}
};

Layer extension_layer(sim::ExtensionHeader extension) {
  switch (extension) {
    case sim::ExtensionHeader::hop_by_hop: return HopByHop{};
    case sim::ExtensionHeader::destination: return DestinationOptions{};
    case sim::ExtensionHeader::routing: return Routing{};
  }
  return HopByHop{};
}

// The IPv6 header and its extension headers, the fragment header last; the last of them names the
// transport, whatever layer follows.
Result<Packet> ipv6_header(const sim::PacketLine& line, const LineEnds& ends, std::uint8_t protocol) {
  if (!line.ip_options.empty()) {
    return fail(ErrorCode::invalid_input, "an IPv6 packet has no IPv4 options", line.location);
  }
  std::vector<Layer> layers{Ipv6{.source = ends.source, .destination = ends.destination}};
  for (const auto extension : line.extensions) layers.push_back(extension_layer(extension));
  if (line.fragment) {
    layers.emplace_back(FragmentHeader{
        .id = line.fragment->id, .offset = line.fragment->offset, .more = line.fragment->more});
  }
  std::visit(NextHeader{protocol}, layers.back());
  Packet packet;
  for (auto& layer : layers) packet.append(std::move(layer));
  return packet;
}

// What stands behind the IP headers.
Result<Packet> payload_of(const sim::PacketLine& line, const LineAddresses& addresses, Packet transport) {
  if (line.quotes) {
    const auto quoted = quoted_packet(line, addresses.quoted);
    if (!quoted) return fail_as(quoted);
    transport.append(*quoted);
  }
  if (!line.fragment) return transport;
  // A later fragment starts in the middle of the payload: no transport header.
  if (line.fragment->offset != 0) return Packet(Raw{std::vector<std::uint8_t>(kLaterBytes, 0xaa)});
  // All but the last fragment carry a multiple of eight bytes.
  const std::size_t beyond = transport.bytes().size() % 8;
  if (line.fragment->more && beyond != 0) transport.append(Raw{std::vector<std::uint8_t>(8 - beyond, 0)});
  return transport;
}

}  // namespace

Result<std::vector<std::uint8_t>> frame_of(const sim::PacketLine& line, const LineAddresses& addresses) {
  if (const auto* frame = std::get_if<sim::FramePart>(&line.part)) return frame->bytes;
  const LineEnds& ends = addresses.ends;
  if (auto checked = check_ends(ends, line.location); !checked) return fail_as(checked);
  auto transport = std::visit(PartBuilder{ends, line.location}, line.part);
  if (!transport) return fail_as(transport);
  const auto header = ends.destination.is_v4() ? ipv4_header(line, ends, transport->protocol)
                                               : ipv6_header(line, ends, transport->protocol);
  if (!header) return fail_as(header);
  const auto payload = payload_of(line, addresses, std::move(transport->layers));
  if (!payload) return fail_as(payload);

  Packet packet(Ethernet{.destination = addresses.destination_mac, .source = addresses.source_mac});
  for (const std::uint16_t id : line.vlan) packet.append(Vlan{.id = id});
  packet.append(*header);
  packet.append(*payload);
  auto bytes = packet.bytes();
  // Tags count as part of the Ethernet header, so `length` always counts from the IP header.
  const std::size_t link_header = kEthernetHeader + kVlanTag * line.vlan.size();
  if (line.length && link_header + *line.length < bytes.size()) bytes.resize(link_header + *line.length);
  return bytes;
}

std::optional<LinePorts> ports_of(const sim::PacketPart& part, IpFamily family) {
  const bool v4 = family == IpFamily::v4;
  if (const auto* tcp = std::get_if<sim::TcpPart>(&part))
    return LinePorts{number(Protocol::tcp), tcp->sport, tcp->dport};
  if (const auto* udp = std::get_if<sim::UdpPart>(&part))
    return LinePorts{number(Protocol::udp), udp->sport, udp->dport};
  if (const auto* sctp = std::get_if<sim::SctpPart>(&part))
    return LinePorts{number(Protocol::sctp), sctp->sport, sctp->dport};
  if (const auto* icmp = std::get_if<sim::IcmpPart>(&part)) {
    const bool echo = v4 ? icmp->type == kIcmpEcho || icmp->type == kIcmpEchoReply
                         : icmp->type == kIcmpv6Echo || icmp->type == kIcmpv6EchoReply;
    if (echo) return LinePorts{number(v4 ? Protocol::icmp : Protocol::icmpv6), icmp->id, icmp->id};
  }
  return std::nullopt;
}

}  // namespace postern::packet
