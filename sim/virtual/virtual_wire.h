// SPDX-License-Identifier: Apache-2.0
// The packets of a probe, in the order in which both ends send them: what a client and a server of
// each protocol say to open a connection and exchange one byte.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/base/ip.h"
#include "sim/cluster.h"
#include "sim/packet/packet.h"

namespace postern::sim {

struct WirePacket {
  bool from_client = true;
  std::vector<std::uint8_t> frame;
};

// As one interface sees it. Behind a node that translates it has other ends (R7).
struct Conversation {
  IpAddress client;
  IpAddress server;  // of the client's family
  packet::MacAddress client_mac{};
  packet::MacAddress server_mac{};
  ProbeProtocol protocol = ProbeProtocol::tcp;
  std::uint16_t client_port = 0;  // ICMP: the id of the echo
  std::uint16_t server_port = 0;
};

// TCP: handshake, a byte, its echo. UDP: a byte, its echo. SCTP: INIT, INIT-ACK. ICMP: echo, reply.
std::size_t packets_in(ProbeProtocol protocol);
// Packet `index` of the conversation.
WirePacket packet_of(const Conversation& conversation, std::size_t index);

}  // namespace postern::sim
