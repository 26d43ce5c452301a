// SPDX-License-Identifier: Apache-2.0
// From a captured packet of any supported link type to an Ethernet frame. Read is what holds an IP packet in
// plain sight behind a short header; radio links, buses and hardware's own framings are refused by name.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace postern::sim {

inline constexpr std::size_t kEthernetHeader = 14;

// Numbers are libpcap's DLT_ values on Linux.
bool link_type_supported(int link_type);

struct EthernetFrame {
  std::vector<std::byte> bytes;
  // Bytes to add to a captured length to get the frame's: 14 minus the length of the replaced header.
  int length_change = 0;
};

// A link header that is cut short or unknown in itself gives a frame without a known EtherType, which
// nothing takes for IP.
EthernetFrame to_ethernet(int link_type, std::span<const std::byte> packet);

}  // namespace postern::sim
