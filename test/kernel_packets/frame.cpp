// SPDX-License-Identifier: Apache-2.0
// From the fields of a vector to its bytes.
#include <cstring>

#include "sim/packet/packet.h"
#include "test/kernel_packets/vector.h"

namespace postern::test {
namespace {

using namespace postern::packet;

constexpr std::uint8_t kNobody = 99;
constexpr MacAddress kMac{2, 0, 0, 0, 0, 1};

IpAddress address(std::uint8_t number, bool v6) {
  if (!v6) return IpAddress::v4(0x0a000000u + number);
  std::array<std::uint8_t, 16> bytes{0xfd};
  bytes[15] = number;
  return IpAddress::v6(bytes);
}

// Not inlined: gcc 12 sees uninitialised members in the layers that a variant does not hold.
[[gnu::noinline]] void add(Packet& packet, const Layer& layer) { packet.append(layer); }

std::uint8_t icmpv6_type(std::uint8_t type) {
  switch (type) {
    case 8: return 128;
    case 0: return 129;
    case 3: return 2;   // fragmentation needed: packet too big
    case 11: return 3;
    case 12: return 4;
    default: return 139;  // node information: neither echo nor error
  }
}

struct Ends {
  IpAddress source, destination;
};

Ends ends_of(const Shot& shot) {
  const IpAddress pod = address(number_of(shot.pod), shot.v6);
  const IpAddress peer = address(number_of(shot.peer), shot.v6);
  Ends ends = shot.out ? Ends{pod, peer} : Ends{peer, pod};
  if (shot.spoofed) ends.source = address(kNobody, shot.v6);
  return ends;
}

void add_extensions(Packet& packet, const Shot& shot) {
  const std::vector<std::uint8_t> padding(shot.option_bytes, 0);
  for (const Extension extension : shot.extensions) {
    switch (extension) {
      case Extension::hop_by_hop: add(packet, HopByHop{.options = padding}); break;
      case Extension::destination: add(packet, DestinationOptions{.options = padding}); break;
      case Extension::routing: add(packet, Routing{}); break;
      case Extension::atomic_fragment: add(packet, FragmentHeader{.id = 9}); break;
    }
  }
}

std::uint8_t true_protocol(const Shot& shot) {
  switch (shot.kind) {
    case Kind::tcp: return 6;
    case Kind::udp: return 17;
    case Kind::sctp: return 132;
    default: return shot.v6 ? 58 : 1;
  }
}

void add_ip(Packet& packet, const Shot& shot) {
  const Ends ends = ends_of(shot);
  const auto protocol = static_cast<std::uint8_t>(shot.protocol >= 0 ? shot.protocol : true_protocol(shot));
  if (!shot.v6) {
    Ipv4 ip{.source = ends.source, .destination = ends.destination, .ttl = shot.hop_limit, .protocol = protocol};
    ip.options = shot.options;
    ip.id = shot.fragmented ? shot.fragment_id : std::uint16_t{0};
    ip.more_fragments = shot.fragmented && shot.more;
    ip.fragment_offset = shot.fragmented ? shot.offset : std::uint16_t{0};
    if (shot.total >= 0) ip.total_length = static_cast<std::uint16_t>(shot.total);
    return add(packet, ip);
  }
  Ipv6 ip{.source = ends.source, .destination = ends.destination, .hop_limit = shot.hop_limit};
  if (shot.total >= 0) ip.payload_length = static_cast<std::uint16_t>(shot.total);
  if (shot.extensions.empty() && !shot.fragmented) ip.next_header = protocol;
  add(packet, ip);
  Shot leading = shot;
  if (!shot.fragmented && !shot.extensions.empty()) leading.extensions.pop_back();
  add_extensions(packet, leading);
  if (shot.fragmented) {
    add(packet, FragmentHeader{.id = shot.fragment_id, .offset = shot.offset, .more = shot.more, .next_header = protocol});
  } else if (!shot.extensions.empty()) {
    const std::vector<std::uint8_t> padding(shot.option_bytes, 0);
    switch (shot.extensions.back()) {
      case Extension::hop_by_hop: add(packet, HopByHop{.options = padding, .next_header = protocol}); break;
      case Extension::destination: add(packet, DestinationOptions{.options = padding, .next_header = protocol}); break;
      case Extension::routing: add(packet, Routing{.next_header = protocol}); break;
      case Extension::atomic_fragment: add(packet, FragmentHeader{.id = 9, .next_header = protocol}); break;
    }
  }
}

void add_quote(Packet& packet, const Shot& shot) {
  if (shot.quoted_source == 0) return;
  const Ends ends = ends_of(shot);
  if (shot.v6) {
    add(packet, Ipv6{.source = ends.destination, .destination = ends.source});
  } else {
    add(packet, Ipv4{.source = ends.destination, .destination = ends.source});
  }
  add(packet, Tcp{.source_port = shot.quoted_source, .destination_port = shot.quoted_destination, .flags = kAck});
}

void add_transport(Packet& packet, const Shot& shot) {
  const std::uint16_t from = shot.source_port, to = shot.destination_port;
  switch (shot.kind) {
    case Kind::tcp: return add(packet, Tcp{.source_port = from, .destination_port = to, .flags = shot.flags});
    case Kind::udp: return add(packet, Udp{.source_port = from, .destination_port = to});
    case Kind::sctp:
      return add(packet, Sctp{.source_port = from, .destination_port = to, .chunk = static_cast<SctpChunk>(shot.chunk)});
    case Kind::icmp:
      if (shot.v6) {
        add(packet, Icmpv6{.type = icmpv6_type(shot.icmp_type), .id = shot.icmp_id});
      } else {
        add(packet, Icmp{.type = shot.icmp_type, .code = std::uint8_t(shot.icmp_type == 3 ? 4 : 0), .id = shot.icmp_id});
      }
      return add_quote(packet, shot);
    case Kind::solicitation: return packet.append(neighbour_solicitation(ends_of(shot).destination, kMac));
    case Kind::advertisement: return packet.append(neighbour_advertisement(ends_of(shot).source, kMac));
    case Kind::listener: return packet.append(multicast_listener_report(ends_of(shot).destination));
    case Kind::ip:
    case Kind::arp:
    case Kind::frame: return add(packet, Raw{std::vector<std::uint8_t>(24, 0x50)});
  }
}

}  // namespace

std::vector<std::byte> frame_of(const Shot& shot) {
  Packet packet;
  const bool is_ip = shot.kind != Kind::arp && shot.kind != Kind::frame;
  std::uint16_t type = shot.ether_type;
  if (type == 0) type = shot.kind == Kind::arp ? kEtherTypeArp : shot.kind == Kind::frame ? 0x88cc : shot.v6 ? kEtherTypeIpv6 : kEtherTypeIpv4;
  if (shot.tags == 0) {
    add(packet, Ethernet{.ether_type = type});
  } else {
    add(packet, Ethernet{.ether_type = shot.tags > 1 ? std::uint16_t{0x88a8} : kEtherTypeVlan});
    for (int left = shot.tags; left > 0; --left) {
      add(packet, Vlan{.id = 10, .ether_type = left > 1 ? kEtherTypeVlan : type});
    }
  }
  if (shot.kind == Kind::listener) {
    const Ends ends = ends_of(shot);
    add(packet, Ipv6{.source = ends.source, .destination = ends.destination, .hop_limit = shot.hop_limit});
  } else if (is_ip) {
    add_ip(packet, shot);
  }
  add_transport(packet, shot);
  add(packet, Raw{std::vector<std::uint8_t>(shot.payload, 0x41)});
  auto bytes = packet.bytes();
  const std::size_t link = 14 + 4 * static_cast<std::size_t>(shot.tags);
  if (shot.header_words >= 0) bytes[link] = static_cast<std::uint8_t>(0x40 | shot.header_words);
  if (shot.length >= 0) bytes.resize(14 + static_cast<std::size_t>(shot.length));
  std::vector<std::byte> frame(bytes.size());
  std::memcpy(frame.data(), bytes.data(), bytes.size());
  return frame;
}

std::uint8_t number_of(Pod pod) { return static_cast<std::uint8_t>(9 + static_cast<int>(pod)); }
std::uint8_t number_of(Peer peer) { return static_cast<std::uint8_t>(20 + static_cast<int>(peer)); }
std::uint32_t interface_of(Pod pod) { return 41 + static_cast<std::uint32_t>(pod); }

}  // namespace postern::test
