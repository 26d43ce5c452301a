// SPDX-License-Identifier: Apache-2.0
#include "sim/capture/link_types.h"

#include <pcap/pcap.h>

#include <algorithm>
#include <cstring>

namespace postern::sim {

namespace {

constexpr std::uint16_t kIpv4 = 0x0800;
constexpr std::uint16_t kIpv6 = 0x86dd;
constexpr std::uint16_t kNoType = 0xffff;  // reserved: belongs to no protocol

std::uint8_t byte_at(std::span<const std::byte> bytes, std::size_t index) {
  return std::to_integer<std::uint8_t>(bytes[index]);
}

std::uint16_t big_endian16(std::span<const std::byte> bytes, std::size_t index) {
  return static_cast<std::uint16_t>(byte_at(bytes, index) << 8 | byte_at(bytes, index + 1));
}

EthernetFrame framed(std::uint16_t ether_type, std::span<const std::byte> packet, std::size_t header) {
  EthernetFrame frame;
  const auto payload = packet.subspan(std::min(header, packet.size()));
  frame.bytes.resize(kEthernetHeader);
  frame.bytes[12] = static_cast<std::byte>(ether_type >> 8);
  frame.bytes[13] = static_cast<std::byte>(ether_type & 0xff);
  frame.bytes.insert(frame.bytes.end(), payload.begin(), payload.end());
  frame.length_change = static_cast<int>(kEthernetHeader) - static_cast<int>(header);
  return frame;
}

// The version of the IP header says which family it is.
EthernetFrame from_raw(std::span<const std::byte> packet) {
  const int version = packet.empty() ? 0 : byte_at(packet, 0) >> 4;
  return framed(version == 4 ? kIpv4 : version == 6 ? kIpv6 : kNoType, packet, 0);
}

// BSD loopback: an address family in four bytes, in the byte order of the machine that captured
// (NULL) or big-endian (LOOP): both are tried.
EthernetFrame from_loopback(std::span<const std::byte> packet) {
  if (packet.size() < 4) return framed(kNoType, packet, 4);
  const auto low = static_cast<std::uint8_t>(byte_at(packet, 0) | byte_at(packet, 3));
  // AF_INET is 2 everywhere; AF_INET6 is 24, 28 or 30 on the BSDs and Darwin, 10 on Linux.
  if (low == 2) return framed(kIpv4, packet, 4);
  if (low == 24 || low == 28 || low == 30 || low == 10) return framed(kIpv6, packet, 4);
  return framed(kNoType, packet, 4);
}

// Linux cooked capture: the protocol field is an EtherType for the ARPHRD types that carry one.
EthernetFrame from_cooked(std::span<const std::byte> packet, std::size_t header, std::size_t type_at) {
  if (packet.size() < header) return framed(kNoType, packet, header);
  return framed(big_endian16(packet, type_at), packet, header);
}

std::uint16_t host_order16(std::span<const std::byte> bytes, std::size_t index) {
  std::uint16_t value = 0;
  std::memcpy(&value, bytes.data() + index, sizeof value);
  return value;
}

// PPP (RFC 1661, 1662): maybe an address and a control byte, then a protocol number.
EthernetFrame from_ppp(std::span<const std::byte> packet) {
  const bool in_hdlc = packet.size() >= 2 && byte_at(packet, 0) == 0xff && byte_at(packet, 1) == 0x03;
  const std::size_t at = in_hdlc ? 2 : 0;
  // A first byte that is odd is the whole number (protocol field compression).
  const bool compressed = packet.size() > at && (byte_at(packet, at) & 1) != 0;
  const std::size_t header = at + (compressed ? 1 : 2);
  if (packet.size() < header) return framed(kNoType, packet, header);
  const std::uint16_t protocol = compressed ? byte_at(packet, at) : big_endian16(packet, at);
  return framed(protocol == 0x0021 ? kIpv4 : protocol == 0x0057 ? kIpv6 : kNoType, packet, header);
}

// OpenBSD's IPsec interface: an address family, an SPI and flags in front of a packet that is decrypted.
EthernetFrame from_enc(std::span<const std::byte> packet) {
  auto frame = from_loopback(packet);
  return packet.size() < 12 ? framed(kNoType, packet, 12)
                            : framed(static_cast<std::uint16_t>(std::to_integer<unsigned>(frame.bytes[12]) << 8 |
                                                                std::to_integer<unsigned>(frame.bytes[13])),
                                     packet, 12);
}

// Linux netfilter log: attributes in host order (libpcap swaps them), one of which is the packet.
EthernetFrame from_nflog(std::span<const std::byte> packet) {
  constexpr std::uint16_t kPayload = 9;
  constexpr std::size_t kAttribute = 4;
  std::size_t at = 4;  // family, version, resource id
  while (at + kAttribute <= packet.size()) {
    const std::size_t length = host_order16(packet, at);
    const std::uint16_t type = host_order16(packet, at + 2) & 0x7fff;
    if (length < kAttribute) break;
    if (type == kPayload) {
      const auto payload = packet.subspan(at + kAttribute, std::min(length, packet.size() - at) - kAttribute);
      auto frame = from_raw(payload);
      frame.length_change -= static_cast<int>(at + kAttribute);
      return frame;
    }
    at += (length + 3) / 4 * 4;
  }
  return framed(kNoType, packet, packet.size());
}

}  // namespace

bool link_type_supported(int link_type) {
  switch (link_type) {
    case DLT_EN10MB:
    case DLT_RAW:
    case DLT_IPV4:
    case DLT_IPV6:
    case DLT_LINUX_SLL:
    case DLT_LINUX_SLL2:
    case DLT_NULL:
    case DLT_LOOP:
    case DLT_PPP:
    case DLT_PPP_SERIAL:
    case DLT_C_HDLC:
    case DLT_ENC:
    case DLT_NFLOG: return true;
    default: return false;
  }
}

EthernetFrame to_ethernet(int link_type, std::span<const std::byte> packet) {
  switch (link_type) {
    case DLT_RAW: return from_raw(packet);
    case DLT_IPV4: return framed(kIpv4, packet, 0);
    case DLT_IPV6: return framed(kIpv6, packet, 0);
    case DLT_LINUX_SLL: return from_cooked(packet, 16, 14);
    case DLT_LINUX_SLL2: return from_cooked(packet, 20, 0);
    case DLT_NULL:
    case DLT_LOOP: return from_loopback(packet);
    case DLT_PPP:
    case DLT_PPP_SERIAL: return from_ppp(packet);
    case DLT_C_HDLC: return from_cooked(packet, 4, 2);
    case DLT_ENC: return from_enc(packet);
    case DLT_NFLOG: return from_nflog(packet);
    default: return {{packet.begin(), packet.end()}, 0};
  }
}

}  // namespace postern::sim
