// SPDX-License-Identifier: Apache-2.0
// Packets put together from layers with `/`, outermost first:
//
//   auto frame = (Ethernet{} / Ipv4{.source = a, .destination = b} / Tcp{.source_port = 1025,
//                 .destination_port = 80, .flags = kSyn}).bytes();
//
// Lengths, EtherTypes, protocol numbers and checksums follow from the layers below; a field that is
// set by hand stays as it is set, so that wrong packets can be built too. A transport header under
// an IP layer takes its pseudo header from it, also through extension headers between the two.
// Nothing here reads packets.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "engine/base/ip.h"

namespace postern::packet {

using MacAddress = std::array<std::uint8_t, 6>;

inline constexpr std::uint16_t kEtherTypeIpv4 = 0x0800;
inline constexpr std::uint16_t kEtherTypeArp = 0x0806;
inline constexpr std::uint16_t kEtherTypeVlan = 0x8100;
inline constexpr std::uint16_t kEtherTypeIpv6 = 0x86dd;

struct Ethernet {
  MacAddress destination{0x02, 0, 0, 0, 0, 2};
  MacAddress source{0x02, 0, 0, 0, 0, 1};
  std::optional<std::uint16_t> ether_type{};  // absent: by the next layer
};

// An 802.1Q tag; written between the addresses and the EtherType of what follows.
struct Vlan {
  std::uint16_t id = 0;
  std::optional<std::uint16_t> ether_type{};
};

struct Ipv4 {
  IpAddress source{};
  IpAddress destination{};
  std::uint8_t ttl = 64;
  std::uint16_t id = 0;
  std::optional<std::uint8_t> protocol{};  // absent: by the next layer
  std::vector<std::uint8_t> options{};     // padded with zeros to a multiple of four
  std::uint16_t fragment_offset = 0;       // bytes, a multiple of eight
  bool more_fragments = false;
  bool dont_fragment = false;
  std::uint8_t dscp_ecn = 0;
  std::optional<std::uint16_t> total_length{};  // absent: what is there
};

struct Ipv6 {
  IpAddress source{};
  IpAddress destination{};
  std::uint8_t hop_limit = 64;
  std::optional<std::uint8_t> next_header{};  // absent: by the next layer
  std::uint8_t traffic_class = 0;
  std::uint32_t flow_label = 0;
  std::optional<std::uint16_t> payload_length{};  // absent: what is there
};

// The extension headers of IPv6 (RFC 8200). `next_header` absent: by the next layer.
struct HopByHop {
  std::vector<std::uint8_t> options{};  // padded by a PadN option to whole units of eight bytes
  std::optional<std::uint8_t> next_header{};
};

struct DestinationOptions {
  std::vector<std::uint8_t> options{};  // as above
  std::optional<std::uint8_t> next_header{};
};

struct Routing {
  std::uint8_t type = 0;
  std::uint8_t segments_left = 0;
  std::vector<std::uint8_t> data{};  // padded with zeros to whole units of eight bytes
  std::optional<std::uint8_t> next_header{};
};

struct FragmentHeader {
  std::uint32_t id = 0;
  std::uint16_t offset = 0;  // bytes, a multiple of eight
  bool more = false;
  std::optional<std::uint8_t> next_header{};
};

inline constexpr std::uint8_t kFin = 0x01;
inline constexpr std::uint8_t kSyn = 0x02;
inline constexpr std::uint8_t kRst = 0x04;
inline constexpr std::uint8_t kPsh = 0x08;
inline constexpr std::uint8_t kAck = 0x10;
inline constexpr std::uint8_t kUrg = 0x20;

// Letters of FSRPAU; nothing on any other letter.
std::optional<std::uint8_t> parse_tcp_flags(std::string_view letters);

struct Tcp {
  std::uint16_t source_port = 0;
  std::uint16_t destination_port = 0;
  std::uint8_t flags = kSyn;
  std::uint32_t sequence = 1;
  std::uint32_t acknowledgement = 0;
  std::uint16_t window = 64240;
};

struct Udp {
  std::uint16_t source_port = 0;
  std::uint16_t destination_port = 0;
};

enum class SctpChunk : std::uint8_t {
  data = 0,
  init = 1,
  init_ack = 2,
  abort = 6,
  shutdown = 7,
  cookie_echo = 10,
  cookie_ack = 11,
};

// "INIT", "INIT-ACK", "DATA", "ABORT", "SHUTDOWN".
std::optional<SctpChunk> parse_sctp_chunk(std::string_view name);

// The common header and one chunk with the smallest body its type allows.
struct Sctp {
  std::uint16_t source_port = 0;
  std::uint16_t destination_port = 0;
  SctpChunk chunk = SctpChunk::init;
  std::uint32_t verification_tag = 0;  // zero in an INIT
  std::uint32_t initiate_tag = 1;      // of INIT and INIT-ACK: the tag the other side must use
};

inline constexpr std::uint8_t kIcmpEchoReply = 0;
inline constexpr std::uint8_t kIcmpUnreachable = 3;
inline constexpr std::uint8_t kIcmpEcho = 8;

// What an ICMP error quotes is simply the layers after it: Icmp{...} / Ipv4{...} / Tcp{...}.
struct Icmp {
  std::uint8_t type = kIcmpEcho;
  std::uint8_t code = 0;
  std::uint16_t id = 0;
  std::uint16_t sequence = 1;
};

inline constexpr std::uint8_t kIcmpv6Unreachable = 1;
inline constexpr std::uint8_t kIcmpv6TooBig = 2;
inline constexpr std::uint8_t kIcmpv6Echo = 128;
inline constexpr std::uint8_t kIcmpv6EchoReply = 129;
inline constexpr std::uint8_t kMulticastListenerReport = 131;
inline constexpr std::uint8_t kNeighbourSolicitation = 135;
inline constexpr std::uint8_t kNeighbourAdvertisement = 136;

// As Icmp, over IPv6: the checksum covers the pseudo header (RFC 4443).
struct Icmpv6 {
  std::uint8_t type = kIcmpv6Echo;
  std::uint8_t code = 0;
  std::uint16_t id = 0;
  std::uint16_t sequence = 1;
};

struct Raw {
  std::vector<std::uint8_t> bytes{};
};

using Layer = std::variant<Ethernet, Vlan, Ipv4, Ipv6, HopByHop, DestinationOptions, Routing, FragmentHeader,
                           Tcp, Udp, Sctp, Icmp, Icmpv6, Raw>;

template <typename T, typename Variant>
inline constexpr bool kIsAlternative = false;
template <typename T, typename... Alternatives>
inline constexpr bool kIsAlternative<T, std::variant<Alternatives...>> =
    (std::is_same_v<T, Alternatives> || ...);

template <typename T>
concept IsLayer = kIsAlternative<T, Layer> || std::is_same_v<T, Layer>;

class Packet {
 public:
  Packet() = default;
  template <IsLayer T>
  explicit Packet(T layer) {
    append(std::move(layer));
  }
  template <IsLayer T>
  void append(T layer) {
    layers_.emplace_back(std::move(layer));
  }
  void append(const Packet& inner) {
    layers_.insert(layers_.end(), inner.layers_.begin(), inner.layers_.end());
  }

  [[nodiscard]] const std::vector<Layer>& layers() const { return layers_; }
  // The packet as it goes over the wire, from its outermost layer on.
  [[nodiscard]] std::vector<std::uint8_t> bytes() const;

 private:
  std::vector<Layer> layers_;
};

template <IsLayer Outer, IsLayer Inner>
Packet operator/(Outer outer, Inner inner) {
  Packet packet(std::move(outer));
  packet.append(std::move(inner));
  return packet;
}

template <IsLayer Inner>
Packet operator/(Packet packet, Inner inner) {
  packet.append(std::move(inner));
  return packet;
}

template <IsLayer Outer>
Packet operator/(Outer outer, const Packet& inner) {
  Packet packet(std::move(outer));
  packet.append(inner);
  return packet;
}

inline Packet operator/(Packet packet, const Packet& inner) {
  packet.append(inner);
  return packet;
}

// What stands behind an Ipv6 layer in the messages that a link itself needs (RFC 4861, RFC 2710).
// Their Ipv6 layer has hop limit 255 for neighbours, 1 for listeners.
Packet neighbour_solicitation(const IpAddress& target, const MacAddress& sender);
Packet neighbour_advertisement(const IpAddress& target, const MacAddress& sender);
Packet multicast_listener_report(const IpAddress& group);  // with its hop-by-hop router alert

}  // namespace postern::packet
