// SPDX-License-Identifier: Apache-2.0
// Ethernet frames for tests of the datapath, built field by field and independent of the simulator's
// packet builder: a mistake in one is not hidden by the same mistake in the other.
//
// A test writes its addresses as four numbers and its packets as IPv4 ones; `family()` says whether they
// are IPv4 or the IPv6 packets that correspond. So each test holds for both.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/abi/address.h"
#include "engine/abi/verdict.h"
#include "engine/base/ip.h"

namespace postern::test {

using Bytes = std::vector<std::byte>;

constexpr std::uint8_t kFin = 0x01;
constexpr std::uint8_t kSyn = 0x02;
constexpr std::uint8_t kRst = 0x04;
constexpr std::uint8_t kPsh = 0x08;
constexpr std::uint8_t kAck = 0x10;

constexpr std::uint32_t ip4(std::uint32_t a, std::uint32_t b, std::uint32_t c, std::uint32_t d) {
  return a << 24 | b << 16 | c << 8 | d;
}

inline void put(Bytes& to, std::uint64_t value, int bytes) {
  for (int i = bytes - 1; i >= 0; --i) to.push_back(static_cast<std::byte>(value >> (8 * i)));
}

inline void append(Bytes& to, const Bytes& more) { to.insert(to.end(), more.begin(), more.end()); }

// An address and a port; host order.
struct Socket {
  std::uint32_t address = 0;
  std::uint16_t port = 0;
};

// The family of what follows; a test's fixture sets it.
inline IpFamily& family() {
  static IpFamily current = IpFamily::v4;
  return current;
}
inline bool is_v4() { return family() == IpFamily::v4; }

// a.b.c.d, or in IPv6 aabb:ccdd:0:1::9.
inline pn_address abi_address(std::uint32_t address) {
  if (is_v4()) return pn_address_v4(address);
  if (address == 0) return {0, 0};
  return {std::uint64_t{address} << 32 | 1, 9};
}

// The first address of the block that starts there.
inline pn_address block_start(std::uint32_t address) {
  return is_v4() ? pn_address_v4(address) : pn_address{std::uint64_t{address} << 32, 0};
}

inline std::size_t ip_header_length() { return is_v4() ? 20 : 40; }

// What an IP packet carries besides its transport header.
struct IpFields {
  std::uint8_t protocol = 6;
  std::uint16_t fragment = 0;        // as in IPv4: 0x2000 and the offset / 8; IPv6: a fragment header
  Bytes options;                     // a multiple of four bytes; IPv6: a destination header at least as long
  std::vector<std::uint32_t> tags;   // TPID << 16 | TCI, outermost first
  int total_length = -1;             // from the start of an IPv4 header of 20 bytes; -1: the true one
};

inline Bytes ethernet(std::uint16_t ethertype, const Bytes& payload,
                      const std::vector<std::uint32_t>& tags = {}) {
  Bytes frame;
  put(frame, 0x020000000002, 6);
  put(frame, 0x020000000001, 6);
  for (const auto tag : tags) put(frame, tag, 4);
  put(frame, ethertype, 2);
  append(frame, payload);
  return frame;
}

inline Bytes ipv4_packet(std::uint32_t source, std::uint32_t destination, const Bytes& payload,
                         const IpFields& fields) {
  const std::size_t header = 20 + fields.options.size();
  Bytes packet;
  put(packet, 0x40 | (header / 4), 1);
  put(packet, 0, 1);
  put(packet,
      fields.total_length >= 0 ? static_cast<std::size_t>(fields.total_length) : header + payload.size(), 2);
  put(packet, 1, 2);
  put(packet, fields.fragment, 2);
  put(packet, 64, 1);
  put(packet, fields.protocol, 1);
  put(packet, 0, 2);
  put(packet, source, 4);
  put(packet, destination, 4);
  append(packet, fields.options);
  append(packet, payload);
  return packet;
}

inline void put_address(Bytes& to, pn_address address) {
  put(to, address.high, 8);
  put(to, address.low, 8);
}

inline Bytes ipv6_packet(std::uint32_t source, std::uint32_t destination, const Bytes& payload,
                         const IpFields& fields) {
  Bytes extensions;
  std::uint8_t next = fields.protocol;
  if (fields.fragment != 0) {
    put(extensions, next, 1);
    put(extensions, 0, 1);
    put(extensions, (fields.fragment & 0x1fffU) << 3 | (fields.fragment >> 13 & 1U), 2);
    put(extensions, 1, 4);
    next = 44;
  }
  if (!fields.options.empty()) {
    Bytes destination_options;
    const std::size_t units = (fields.options.size() + 2 + 7) / 8;
    put(destination_options, next, 1);
    put(destination_options, units - 1, 1);
    destination_options.resize(units * 8);
    append(destination_options, extensions);
    extensions = destination_options;
    next = 60;
  }
  Bytes packet;
  put(packet, 0x60000000, 4);
  put(packet,
      fields.total_length >= 0 ? static_cast<std::size_t>(fields.total_length) - 20
                               : extensions.size() + payload.size(),
      2);
  put(packet, next, 1);
  put(packet, 64, 1);
  put_address(packet, abi_address(source));
  put_address(packet, abi_address(destination));
  append(packet, extensions);
  append(packet, payload);
  return packet;
}

inline Bytes ip(std::uint32_t source, std::uint32_t destination, const Bytes& payload,
                const IpFields& fields) {
  if (is_v4()) return ethernet(0x0800, ipv4_packet(source, destination, payload, fields), fields.tags);
  return ethernet(0x86dd, ipv6_packet(source, destination, payload, fields), fields.tags);
}

// Where a TCP packet stands in the two streams.
struct TcpNumbers {
  std::uint32_t sequence = 1;
  std::uint32_t acknowledgement = 1;
};

inline Bytes tcp_header(std::uint16_t source, std::uint16_t destination, std::uint8_t flags,
                        TcpNumbers numbers = {}) {
  Bytes header;
  put(header, source, 2);
  put(header, destination, 2);
  put(header, numbers.sequence, 4);
  put(header, numbers.acknowledgement, 4);
  put(header, 0x50, 1);
  put(header, flags, 1);
  put(header, 1024, 2);
  put(header, 0, 4);
  return header;
}

inline Bytes udp_header(std::uint16_t source, std::uint16_t destination) {
  Bytes header;
  put(header, source, 2);
  put(header, destination, 2);
  put(header, 8, 2);
  put(header, 0, 2);
  return header;
}

inline Bytes sctp_header(std::uint16_t source, std::uint16_t destination, std::uint8_t chunk) {
  Bytes header;
  put(header, source, 2);
  put(header, destination, 2);
  put(header, 7, 4);
  put(header, 0, 4);
  put(header, chunk, 1);
  put(header, 0, 1);
  put(header, 4, 2);
  return header;
}

inline Bytes icmp_header(std::uint8_t type, std::uint8_t code, std::uint16_t id) {
  Bytes header;
  put(header, type, 1);
  put(header, code, 1);
  put(header, 0, 2);
  put(header, id, 2);
  put(header, 1, 2);
  return header;
}

inline Bytes tcp(Socket from, Socket to, std::uint8_t flags, IpFields fields = {}) {
  fields.protocol = 6;
  return ip(from.address, to.address, tcp_header(from.port, to.port, flags), fields);
}

inline Bytes tcp_at(Socket from, Socket to, std::uint8_t flags, TcpNumbers numbers) {
  IpFields fields;
  fields.protocol = 6;
  return ip(from.address, to.address, tcp_header(from.port, to.port, flags, numbers), fields);
}

inline Bytes udp(Socket from, Socket to, IpFields fields = {}) {
  fields.protocol = 17;
  return ip(from.address, to.address, udp_header(from.port, to.port), fields);
}

inline Bytes sctp(Socket from, Socket to, std::uint8_t chunk) {
  IpFields fields;
  fields.protocol = 132;
  return ip(from.address, to.address, sctp_header(from.port, to.port, chunk), fields);
}

// The type of ICMPv6 that is what `type` is in ICMP.
inline std::uint8_t icmp_type(std::uint8_t type) {
  if (is_v4()) return type;
  switch (type) {
    case 8: return 128;
    case 0: return 129;
    case 3: return 1;
    case 11: return 3;
    case 12: return 4;
    default: return 139;  // node information: neither echo nor error
  }
}

inline Bytes icmp(std::uint32_t from, std::uint32_t to, std::uint8_t type, std::uint16_t id,
                  const Bytes& quoted = {}) {
  IpFields fields;
  fields.protocol = is_v4() ? 1 : 58;
  Bytes payload = icmp_header(icmp_type(type), 0, id);
  append(payload, quoted);
  return ip(from, to, payload, fields);
}

inline Bytes other_protocol(std::uint32_t from, std::uint32_t to, std::uint8_t protocol) {
  IpFields fields;
  fields.protocol = protocol;
  return ip(from, to, Bytes(8, std::byte{0}), fields);
}

// The IP packet of a frame without tags: what an ICMP error quotes.
inline Bytes quote_of(const Bytes& frame) { return {frame.begin() + 14, frame.end()}; }

}  // namespace postern::test
