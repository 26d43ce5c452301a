// SPDX-License-Identifier: Apache-2.0
// What the accounts of a replay need to know of a frame: who talks to whom, and whether the capture
// holds enough of it to be judged. Verdicts come from the datapath, never from here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "engine/base/ip.h"

namespace postern::sim {

struct PacketFacts {
  bool ip = false;
  // The snap length cut a header away that the packet had: nobody can judge it.
  bool headers_cut = false;
  bool has_addresses = false;
  IpAddress source;
  IpAddress destination;
  std::uint8_t protocol = 0;
  bool has_ports = false;  // TCP, UDP, SCTP with their header; an ICMP echo has its id twice
  std::uint16_t source_port = 0;
  std::uint16_t destination_port = 0;
  std::uint8_t tcp_flags = 0;   // with has_ports and TCP
  bool fragment = false;        // part of a fragmented packet, the first one included
  bool later_fragment = false;  // not the first one: without transport header
  std::uint32_t fragment_id = 0;
  // What every fragment of a packet has: with IPv6 it may be an extension header, behind which the first one goes on.
  std::uint8_t fragment_protocol = 0;

  [[nodiscard]] bool is_tcp() const {
    return has_ports && protocol == static_cast<std::uint8_t>(Protocol::tcp);
  }
  [[nodiscard]] bool syn() const { return (tcp_flags & 0x02) != 0; }
  [[nodiscard]] bool ack() const { return (tcp_flags & 0x10) != 0; }
};

// `original_length`: of the whole frame; what is missing from it was cut by the capture.
PacketFacts read_packet(std::span<const std::byte> frame, std::size_t original_length);

}  // namespace postern::sim
