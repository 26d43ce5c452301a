// SPDX-License-Identifier: Apache-2.0
// Ethernet frames for tests of the datapath, built field by field and independent of the simulator's
// packet builder: a mistake in one is not hidden by the same mistake in the other.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/abi/verdict.h"

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

// What an IPv4 packet carries besides its transport header.
struct IpFields {
  std::uint8_t protocol = 6;
  std::uint16_t fragment = 0;        // flags and offset as they stand in the header
  Bytes options;                     // a multiple of four bytes
  std::vector<std::uint32_t> tags;   // TPID << 16 | TCI, outermost first
  int total_length = -1;             // -1: the true one
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

inline Bytes ipv4(std::uint32_t source, std::uint32_t destination, const Bytes& payload,
                  const IpFields& fields) {
  return ethernet(0x0800, ipv4_packet(source, destination, payload, fields), fields.tags);
}

inline Bytes tcp_header(std::uint16_t source, std::uint16_t destination, std::uint8_t flags) {
  Bytes header;
  put(header, source, 2);
  put(header, destination, 2);
  put(header, 1, 4);
  put(header, 1, 4);
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
  return ipv4(from.address, to.address, tcp_header(from.port, to.port, flags), fields);
}

inline Bytes udp(Socket from, Socket to, IpFields fields = {}) {
  fields.protocol = 17;
  return ipv4(from.address, to.address, udp_header(from.port, to.port), fields);
}

inline Bytes sctp(Socket from, Socket to, std::uint8_t chunk) {
  IpFields fields;
  fields.protocol = 132;
  return ipv4(from.address, to.address, sctp_header(from.port, to.port, chunk), fields);
}

inline Bytes icmp(std::uint32_t from, std::uint32_t to, std::uint8_t type, std::uint16_t id,
                  const Bytes& quoted = {}) {
  IpFields fields;
  fields.protocol = 1;
  Bytes payload = icmp_header(type, 0, id);
  append(payload, quoted);
  return ipv4(from, to, payload, fields);
}

inline Bytes other_protocol(std::uint32_t from, std::uint32_t to, std::uint8_t protocol) {
  IpFields fields;
  fields.protocol = protocol;
  return ipv4(from, to, Bytes(8, std::byte{0}), fields);
}

// The IP packet of a frame without tags: what an ICMP error quotes.
inline Bytes quote_of(const Bytes& frame) { return {frame.begin() + 14, frame.end()}; }

}  // namespace postern::test
