// SPDX-License-Identifier: Apache-2.0
#include "sim/replay/packet_facts.h"

#include <algorithm>
#include <array>

namespace postern::sim {

namespace {

constexpr std::uint16_t kIpv4 = 0x0800;
constexpr std::uint16_t kIpv6 = 0x86dd;
constexpr int kMaxExtensions = 8;
constexpr std::uint8_t kHopByHop = 0;
constexpr std::uint8_t kRouting = 43;
constexpr std::uint8_t kFragment = 44;
constexpr std::uint8_t kDestination = 60;

// Reads along the frame and notes when the capture, not the packet, is what ends too early.
class Cursor {
 public:
  Cursor(std::span<const std::byte> bytes, std::size_t original) : bytes_(bytes), original_(original) {}

  // Whether `count` bytes from the current place are there. If not: cut() says whose fault it is.
  [[nodiscard]] bool has(std::size_t count) {
    if (at_ + count <= bytes_.size()) return true;
    cut_ = cut_ || at_ + count <= original_;
    return false;
  }
  [[nodiscard]] bool cut() const { return cut_; }
  void skip(std::size_t count) { at_ += count; }
  [[nodiscard]] std::uint8_t u8(std::size_t offset) const {
    return std::to_integer<std::uint8_t>(bytes_[at_ + offset]);
  }
  [[nodiscard]] std::uint16_t u16(std::size_t offset) const {
    return static_cast<std::uint16_t>(u8(offset) << 8 | u8(offset + 1));
  }
  [[nodiscard]] std::uint32_t u32(std::size_t offset) const {
    return static_cast<std::uint32_t>(u16(offset)) << 16 | u16(offset + 2);
  }
  [[nodiscard]] std::array<std::uint8_t, 16> sixteen(std::size_t offset) const {
    std::array<std::uint8_t, 16> bytes{};
    for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = u8(offset + i);
    return bytes;
  }

 private:
  std::span<const std::byte> bytes_;
  std::size_t original_;
  std::size_t at_ = 0;
  bool cut_ = false;
};

bool is_vlan(std::uint16_t ether_type) {
  return ether_type == 0x8100 || ether_type == 0x88a8;
}

// What the types of the two families' ICMP mean here.
enum class IcmpKind : std::uint8_t { echo, error, other };

IcmpKind icmp_kind(std::uint8_t type) {
  if (type == 0 || type == 8) return IcmpKind::echo;
  const bool error = type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
  return error ? IcmpKind::error : IcmpKind::other;
}

IcmpKind icmpv6_kind(std::uint8_t type) {
  if (type == 128 || type == 129) return IcmpKind::echo;
  return type >= 1 && type <= 4 ? IcmpKind::error : IcmpKind::other;
}

// Reads as far as the header of 8 bytes; an error's quote comes next.
IcmpKind read_icmp(Cursor& cursor, PacketFacts& facts) {
  if (!cursor.has(8)) return IcmpKind::other;
  const bool v6 = facts.protocol == static_cast<std::uint8_t>(Protocol::icmpv6);
  const IcmpKind kind = v6 ? icmpv6_kind(cursor.u8(0)) : icmp_kind(cursor.u8(0));
  if (kind == IcmpKind::echo) {
    facts.has_ports = true;
    facts.source_port = facts.destination_port = cursor.u16(4);
  }
  cursor.skip(8);
  return kind;
}

// Goes on to what the extension headers of IPv6 lead to. False: one of them is not whole.
bool skip_extensions(Cursor& cursor, PacketFacts& facts) {
  for (int i = 0; i < kMaxExtensions && !facts.later_fragment; ++i) {  // behind a later one's header is payload
    const std::uint8_t kind = facts.protocol;
    if (kind != kHopByHop && kind != kRouting && kind != kFragment && kind != kDestination) break;
    if (!cursor.has(8)) return false;
    facts.protocol = cursor.u8(0);
    if (kind == kFragment) {
      facts.fragment = (cursor.u16(2) & 0xfff9) != 0;  // else atomic: a whole packet
      facts.later_fragment = (cursor.u16(2) & 0xfff8) != 0;
      facts.fragment_id = cursor.u32(4);
      facts.fragment_protocol = facts.protocol;
    }
    const std::size_t length = kind == kFragment ? 8 : (static_cast<std::size_t>(cursor.u8(1)) + 1) * 8;
    if (!cursor.has(length)) return false;
    cursor.skip(length);
  }
  return true;
}

// An error is judged by the packet it quotes, so that belongs to its headers: its IP header, its
// extension headers and eight bytes more.
void read_quote(Cursor& cursor, bool v6) {
  if (!v6) {
    if (!cursor.has(20)) return;
    (void)cursor.has(static_cast<std::size_t>(cursor.u8(0) & 0x0f) * 4 + 8);
    return;
  }
  if (!cursor.has(40)) return;
  PacketFacts quoted;
  quoted.protocol = cursor.u8(6);
  cursor.skip(40);
  if (skip_extensions(cursor, quoted)) (void)cursor.has(8);
}

void read_transport(Cursor& cursor, PacketFacts& facts) {
  if (facts.later_fragment) return;
  std::size_t header = 0;
  switch (static_cast<Protocol>(facts.protocol)) {
    case Protocol::tcp: header = 20; break;
    case Protocol::udp: header = 8; break;
    case Protocol::sctp: header = 12; break;
    case Protocol::icmp:
    case Protocol::icmpv6:
      if (read_icmp(cursor, facts) == IcmpKind::error)
        read_quote(cursor, facts.protocol == static_cast<std::uint8_t>(Protocol::icmpv6));
      return;
  }
  if (header == 0 || !cursor.has(header)) return;
  facts.has_ports = true;
  facts.source_port = cursor.u16(0);
  facts.destination_port = cursor.u16(2);
  if (facts.protocol == static_cast<std::uint8_t>(Protocol::tcp)) facts.tcp_flags = cursor.u8(13);
}

void read_ipv4(Cursor& cursor, PacketFacts& facts) {
  if (!cursor.has(20)) return;
  facts.has_addresses = true;
  facts.source = IpAddress::v4(cursor.u32(12));
  facts.destination = IpAddress::v4(cursor.u32(16));
  facts.protocol = cursor.u8(9);
  const std::uint16_t fragment = cursor.u16(6);
  facts.fragment = (fragment & 0x3fff) != 0;
  facts.later_fragment = (fragment & 0x1fff) != 0;
  facts.fragment_id = cursor.u16(4);
  facts.fragment_protocol = facts.protocol;
  const std::size_t length = static_cast<std::size_t>(cursor.u8(0) & 0x0f) * 4;
  if (cursor.u8(0) >> 4 != 4 || length < 20 || !cursor.has(length)) return;
  cursor.skip(length);
  read_transport(cursor, facts);
}

void read_ipv6(Cursor& cursor, PacketFacts& facts) {
  if (!cursor.has(40)) return;
  facts.has_addresses = true;
  facts.source = IpAddress::v6(cursor.sixteen(8));
  facts.destination = IpAddress::v6(cursor.sixteen(24));
  facts.protocol = cursor.u8(6);
  cursor.skip(40);
  if (!skip_extensions(cursor, facts)) return;
  read_transport(cursor, facts);
}

}  // namespace

PacketFacts read_packet(std::span<const std::byte> frame, std::size_t original_length) {
  PacketFacts facts;
  Cursor cursor(frame, std::max(original_length, frame.size()));
  if (!cursor.has(14)) {
    facts.headers_cut = cursor.cut();
    return facts;
  }
  std::uint16_t ether_type = cursor.u16(12);
  cursor.skip(14);
  while (is_vlan(ether_type) && cursor.has(4)) {
    ether_type = cursor.u16(2);
    cursor.skip(4);
  }
  facts.ip = ether_type == kIpv4 || ether_type == kIpv6;
  if (ether_type == kIpv4) read_ipv4(cursor, facts);
  if (ether_type == kIpv6) read_ipv6(cursor, facts);
  facts.headers_cut = cursor.cut();
  return facts;
}

}  // namespace postern::sim
