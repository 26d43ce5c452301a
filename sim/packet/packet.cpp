// SPDX-License-Identifier: Apache-2.0
#include "sim/packet/packet.h"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <span>

#include "sim/packet/checksum.h"

namespace postern::packet {

namespace {

using Bytes = std::span<std::uint8_t>;

void put16(Bytes bytes, std::size_t offset, std::uint16_t value) {
  bytes[offset] = static_cast<std::uint8_t>(value >> 8);
  bytes[offset + 1] = static_cast<std::uint8_t>(value);
}

void put32(Bytes bytes, std::size_t offset, std::uint32_t value) {
  put16(bytes, offset, static_cast<std::uint16_t>(value >> 16));
  put16(bytes, offset + 2, static_cast<std::uint16_t>(value));
}

constexpr std::size_t kSctpCommonHeader = 12;
constexpr std::size_t kIpv6Header = 40;

// Numbers of headers that are no transport protocol.
constexpr std::uint8_t kNextHopByHop = 0;
constexpr std::uint8_t kNextIpv4 = 4;
constexpr std::uint8_t kNextIpv6 = 41;
constexpr std::uint8_t kNextRouting = 43;
constexpr std::uint8_t kNextFragment = 44;
constexpr std::uint8_t kNextNone = 59;
constexpr std::uint8_t kNextDestination = 60;

constexpr std::size_t in_units(std::size_t bytes, std::size_t unit) {
  return (bytes + unit - 1) / unit * unit;
}

// Bytes of the chunk an SCTP layer writes, its own header included; a multiple of four.
std::size_t chunk_size(SctpChunk chunk) {
  switch (chunk) {
    case SctpChunk::data: return 20;  // one byte of data, padded
    case SctpChunk::init:
    case SctpChunk::init_ack: return 20;
    case SctpChunk::shutdown: return 8;
    case SctpChunk::cookie_echo: return 8;
    case SctpChunk::abort:
    case SctpChunk::cookie_ack: return 4;
  }
  return 4;
}

struct HeaderSize {
  std::size_t operator()(const Ethernet&) const { return 14; }
  std::size_t operator()(const Vlan&) const { return 4; }
  std::size_t operator()(const Ipv4& ip) const { return 20 + in_units(ip.options.size(), 4); }
  std::size_t operator()(const Ipv6&) const { return kIpv6Header; }
  std::size_t operator()(const HopByHop& header) const { return in_units(2 + header.options.size(), 8); }
  std::size_t operator()(const DestinationOptions& header) const {
    return in_units(2 + header.options.size(), 8);
  }
  std::size_t operator()(const Routing& header) const { return in_units(4 + header.data.size(), 8); }
  std::size_t operator()(const FragmentHeader&) const { return 8; }
  std::size_t operator()(const Tcp&) const { return 20; }
  std::size_t operator()(const Udp&) const { return 8; }
  std::size_t operator()(const Sctp& sctp) const { return kSctpCommonHeader + chunk_size(sctp.chunk); }
  std::size_t operator()(const Icmp&) const { return 8; }
  std::size_t operator()(const Icmpv6&) const { return 8; }
  std::size_t operator()(const Raw& raw) const { return raw.bytes.size(); }
};

// What the layer above says follows it.
std::uint16_t ether_type_of(const Layer* next) {
  if (next == nullptr) return 0;
  if (std::holds_alternative<Vlan>(*next)) return kEtherTypeVlan;
  if (std::holds_alternative<Ipv4>(*next)) return kEtherTypeIpv4;
  if (std::holds_alternative<Ipv6>(*next)) return kEtherTypeIpv6;
  return 0;
}

struct ProtocolNumber {
  std::uint8_t operator()(const Ethernet&) const { return 0; }
  std::uint8_t operator()(const Vlan&) const { return 0; }
  std::uint8_t operator()(const Ipv4&) const { return kNextIpv4; }
  std::uint8_t operator()(const Ipv6&) const { return kNextIpv6; }
  std::uint8_t operator()(const HopByHop&) const { return kNextHopByHop; }
  std::uint8_t operator()(const DestinationOptions&) const { return kNextDestination; }
  std::uint8_t operator()(const Routing&) const { return kNextRouting; }
  std::uint8_t operator()(const FragmentHeader&) const { return kNextFragment; }
  std::uint8_t operator()(const Tcp&) const { return static_cast<std::uint8_t>(Protocol::tcp); }
  std::uint8_t operator()(const Udp&) const { return static_cast<std::uint8_t>(Protocol::udp); }
  std::uint8_t operator()(const Sctp&) const { return static_cast<std::uint8_t>(Protocol::sctp); }
  std::uint8_t operator()(const Icmp&) const { return static_cast<std::uint8_t>(Protocol::icmp); }
  std::uint8_t operator()(const Icmpv6&) const { return static_cast<std::uint8_t>(Protocol::icmpv6); }
  std::uint8_t operator()(const Raw&) const { return 0; }
};

std::uint8_t protocol_of(const Layer* next) {
  return next == nullptr ? std::uint8_t{0} : std::visit(ProtocolNumber{}, *next);
}

// In IPv6 zero is a header of its own, so a packet without any more says so.
std::uint8_t next_header_of(const Layer* next) {
  const bool none = next == nullptr || std::holds_alternative<Raw>(*next);
  return none ? kNextNone : protocol_of(next);
}

// The IP layer whose addresses a checksum covers; empty: none, the segment alone.
using PseudoHeader = std::variant<std::monostate, const Ipv4*, const Ipv6*>;

std::uint16_t pseudo_header_checksum(const PseudoHeader& ip, Protocol protocol, Bytes segment) {
  std::uint32_t sum = 0;
  const auto add = [&](const IpAddress& source, const IpAddress& destination, std::size_t length) {
    sum = add_to_sum(sum, std::span(source.bytes()).first(length));
    sum = add_to_sum(sum, std::span(destination.bytes()).first(length));
    sum += static_cast<std::uint32_t>(protocol) + static_cast<std::uint32_t>(segment.size());
  };
  if (const auto* v4 = std::get_if<const Ipv4*>(&ip)) add((*v4)->source, (*v4)->destination, 4);
  if (const auto* v6 = std::get_if<const Ipv6*>(&ip)) add((*v6)->source, (*v6)->destination, 16);
  return finish_sum(add_to_sum(sum, segment));
}

// Writes one layer; `bytes` begins at its header and ends at the packet's end, with everything
// further in already written.
struct Writer {
  Bytes bytes;
  PseudoHeader ip;    // the innermost IP layer around this one
  const Layer* next;  // the layer inside this one

  void operator()(const Ethernet& layer) const {
    std::copy(layer.destination.begin(), layer.destination.end(), bytes.begin());
    std::copy(layer.source.begin(), layer.source.end(), bytes.begin() + 6);
    put16(bytes, 12, layer.ether_type.value_or(ether_type_of(next)));
  }

  void operator()(const Vlan& layer) const {
    put16(bytes, 0, layer.id & 0x0fff);
    put16(bytes, 2, layer.ether_type.value_or(ether_type_of(next)));
  }

  void operator()(const Ipv4& layer) const {
    const std::size_t header = HeaderSize{}(layer);
    bytes[0] = static_cast<std::uint8_t>(0x40 | header / 4);
    bytes[1] = layer.dscp_ecn;
    put16(bytes, 2, layer.total_length.value_or(static_cast<std::uint16_t>(bytes.size())));
    put16(bytes, 4, layer.id);
    const int flags = (layer.dont_fragment ? 0x4000 : 0) | (layer.more_fragments ? 0x2000 : 0);
    put16(bytes, 6, static_cast<std::uint16_t>(flags | layer.fragment_offset / 8));
    bytes[8] = layer.ttl;
    bytes[9] = layer.protocol.value_or(protocol_of(next));
    std::memcpy(&bytes[12], layer.source.bytes().data(), 4);
    std::memcpy(&bytes[16], layer.destination.bytes().data(), 4);
    std::copy(layer.options.begin(), layer.options.end(), bytes.begin() + 20);
    put16(bytes, 10, finish_sum(add_to_sum(0, bytes.first(header))));
  }

  void operator()(const Ipv6& layer) const {
    put32(bytes, 0,
          6u << 28 | static_cast<std::uint32_t>(layer.traffic_class) << 20 | (layer.flow_label & 0xfffff));
    put16(bytes, 4, layer.payload_length.value_or(static_cast<std::uint16_t>(bytes.size() - kIpv6Header)));
    bytes[6] = layer.next_header.value_or(next_header_of(next));
    bytes[7] = layer.hop_limit;
    std::memcpy(&bytes[8], layer.source.bytes().data(), 16);
    std::memcpy(&bytes[24], layer.destination.bytes().data(), 16);
  }

  void operator()(const HopByHop& layer) const { write_options(layer.options, layer.next_header); }
  void operator()(const DestinationOptions& layer) const { write_options(layer.options, layer.next_header); }

  void operator()(const Routing& layer) const {
    bytes[0] = layer.next_header.value_or(next_header_of(next));
    bytes[1] = static_cast<std::uint8_t>(HeaderSize{}(layer) / 8 - 1);
    bytes[2] = layer.type;
    bytes[3] = layer.segments_left;
    std::copy(layer.data.begin(), layer.data.end(), bytes.begin() + 4);
  }

  void operator()(const FragmentHeader& layer) const {
    bytes[0] = layer.next_header.value_or(next_header_of(next));
    put16(bytes, 2, static_cast<std::uint16_t>((layer.offset & 0xfff8) | (layer.more ? 1 : 0)));
    put32(bytes, 4, layer.id);
  }

  void operator()(const Tcp& layer) const {
    put16(bytes, 0, layer.source_port);
    put16(bytes, 2, layer.destination_port);
    put32(bytes, 4, layer.sequence);
    put32(bytes, 8, layer.acknowledgement);
    bytes[12] = 5 << 4;
    bytes[13] = layer.flags;
    put16(bytes, 14, layer.window);
    put16(bytes, 16, pseudo_header_checksum(ip, Protocol::tcp, bytes));
  }

  void operator()(const Udp& layer) const {
    put16(bytes, 0, layer.source_port);
    put16(bytes, 2, layer.destination_port);
    put16(bytes, 4, static_cast<std::uint16_t>(bytes.size()));
    const std::uint16_t sum = pseudo_header_checksum(ip, Protocol::udp, bytes);
    // Zero means "no checksum" in UDP, so a computed zero is written as all ones (RFC 768).
    put16(bytes, 6, sum == 0 ? 0xffff : sum);
  }

  void operator()(const Sctp& layer) const {
    put16(bytes, 0, layer.source_port);
    put16(bytes, 2, layer.destination_port);
    put32(bytes, 4, layer.verification_tag);
    write_chunk(layer, bytes.subspan(kSctpCommonHeader));
    const std::uint32_t crc = crc32c(bytes);
    for (std::size_t i = 0; i < 4; ++i) bytes[8 + i] = static_cast<std::uint8_t>(crc >> (8 * i));
  }

  void operator()(const Icmp& layer) const {
    bytes[0] = layer.type;
    bytes[1] = layer.code;
    const bool is_echo = layer.type == kIcmpEcho || layer.type == kIcmpEchoReply;
    put16(bytes, 4, is_echo ? layer.id : 0);
    put16(bytes, 6, is_echo ? layer.sequence : 0);
    put16(bytes, 2, finish_sum(add_to_sum(0, bytes)));
  }

  void operator()(const Icmpv6& layer) const {
    bytes[0] = layer.type;
    bytes[1] = layer.code;
    const bool is_echo = layer.type == kIcmpv6Echo || layer.type == kIcmpv6EchoReply;
    put16(bytes, 4, is_echo ? layer.id : 0);
    put16(bytes, 6, is_echo ? layer.sequence : 0);
    put16(bytes, 2, pseudo_header_checksum(ip, Protocol::icmpv6, bytes));
  }

  void operator()(const Raw& layer) const {
    std::copy(layer.bytes.begin(), layer.bytes.end(), bytes.begin());
  }

 private:
  void write_options(const std::vector<std::uint8_t>& options,
                     std::optional<std::uint8_t> next_header) const {
    const std::size_t size = in_units(2 + options.size(), 8);
    bytes[0] = next_header.value_or(next_header_of(next));
    bytes[1] = static_cast<std::uint8_t>(size / 8 - 1);
    std::copy(options.begin(), options.end(), bytes.begin() + 2);
    // One byte is the option Pad1, zero; more are PadN: 1, the number of bytes that follow, zeros.
    const std::size_t padding = size - 2 - options.size();
    if (padding < 2) return;
    bytes[2 + options.size()] = 1;
    bytes[3 + options.size()] = static_cast<std::uint8_t>(padding - 2);
  }

  static void write_chunk(const Sctp& layer, Bytes chunk) {
    chunk[0] = static_cast<std::uint8_t>(layer.chunk);
    std::size_t length = chunk_size(layer.chunk);
    switch (layer.chunk) {
      case SctpChunk::data:
        chunk[1] = 0x03;  // one unfragmented message
        length = 17;      // the padding does not count
        put32(chunk, 4, 1);
        chunk[16] = 'x';
        break;
      case SctpChunk::init:
      case SctpChunk::init_ack:
        put32(chunk, 4, layer.initiate_tag);
        put32(chunk, 8, 65536);  // receiver window
        put16(chunk, 12, 1);     // streams out and in
        put16(chunk, 14, 1);
        put32(chunk, 16, 1);  // first transmission sequence number
        break;
      case SctpChunk::abort:
      case SctpChunk::shutdown:
      case SctpChunk::cookie_echo:
      case SctpChunk::cookie_ack: break;
    }
    put16(chunk, 2, static_cast<std::uint16_t>(length));
  }
};

}  // namespace

namespace {

PseudoHeader innermost_ip(std::span<const Layer> around) {
  for (std::size_t i = around.size(); i-- > 0;) {
    if (const auto* v4 = std::get_if<Ipv4>(&around[i])) return v4;
    if (const auto* v6 = std::get_if<Ipv6>(&around[i])) return v6;
  }
  return {};
}

}  // namespace

std::vector<std::uint8_t> Packet::bytes() const {
  std::size_t total = 0;
  for (const Layer& layer : layers_) total += std::visit(HeaderSize{}, layer);
  std::vector<std::uint8_t> result(total);
  // From the inside out, since outer checksums and lengths cover inner bytes.
  std::size_t offset = total;
  for (std::size_t i = layers_.size(); i-- > 0;) {
    const Layer& layer = layers_[i];
    offset -= std::visit(HeaderSize{}, layer);
    const Layer* next = i + 1 < layers_.size() ? &layers_[i + 1] : nullptr;
    std::visit(Writer{Bytes(result).subspan(offset), innermost_ip(std::span(layers_).first(i)), next}, layer);
  }
  return result;
}

namespace {

// Neighbour messages: the target, then one option with the sender's hardware address.
Packet neighbour_message(std::uint8_t type, const IpAddress& target, std::uint8_t option,
                         const MacAddress& sender) {
  Raw body{{target.bytes().begin(), target.bytes().end()}};
  body.bytes.insert(body.bytes.end(), {option, 1});
  body.bytes.insert(body.bytes.end(), sender.begin(), sender.end());
  return Icmpv6{.type = type} / std::move(body);
}

}  // namespace

Packet neighbour_solicitation(const IpAddress& target, const MacAddress& sender) {
  return neighbour_message(kNeighbourSolicitation, target, 1, sender);
}

Packet neighbour_advertisement(const IpAddress& target, const MacAddress& sender) {
  return neighbour_message(kNeighbourAdvertisement, target, 2, sender);
}

Packet multicast_listener_report(const IpAddress& group) {
  const std::vector<std::uint8_t> router_alert{5, 2, 0, 0};
  return HopByHop{.options = router_alert} / Icmpv6{.type = kMulticastListenerReport} /
         Raw{{group.bytes().begin(), group.bytes().end()}};
}

std::optional<std::uint8_t> parse_tcp_flags(std::string_view letters) {
  std::uint8_t flags = 0;
  for (const char letter : letters) {
    switch (letter) {
      case 'F': flags |= kFin; break;
      case 'S': flags |= kSyn; break;
      case 'R': flags |= kRst; break;
      case 'P': flags |= kPsh; break;
      case 'A': flags |= kAck; break;
      case 'U': flags |= kUrg; break;
      default: return std::nullopt;
    }
  }
  return flags;
}

std::optional<SctpChunk> parse_sctp_chunk(std::string_view name) {
  if (name == "INIT") return SctpChunk::init;
  if (name == "INIT-ACK") return SctpChunk::init_ack;
  if (name == "DATA") return SctpChunk::data;
  if (name == "ABORT") return SctpChunk::abort;
  if (name == "SHUTDOWN") return SctpChunk::shutdown;
  return std::nullopt;
}

}  // namespace postern::packet
