// SPDX-License-Identifier: Apache-2.0
// What probes say: the sockets they need, the messages of the raw ones, and how errors name them.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "sim/netns/sockets.h"
#include "sim/netns/topology.h"
#include "sim/packet/packet.h"

namespace postern::sim {

// What a TCP or UDP client says, and its server says back.
inline constexpr std::array<std::uint8_t, 1> kProbeByte{'p'};

// "x/a (10.0.0.1) -> y/b (10.0.0.2) TCP 80"
std::string describe(const ProbeRequest& request);
// A failure of the rig, of the probe it names.
Error rig_error(const ProbeRequest& request, const std::string& what);
std::uint8_t ip_protocol_of(ProbeProtocol protocol, IpFamily family);

// Opens what a probe needs at both its ends, unless it is open already: kept as long as the slots.
Result<void> open_probe_sockets(const ProbeRequest& request, const Place& client, const Place& server);

// What raw sockets send, from the transport header on.
std::vector<std::uint8_t> sctp_message(std::uint16_t from, std::uint16_t to, packet::SctpChunk chunk);
std::vector<std::uint8_t> echo_request(std::uint16_t id, IpFamily family);

// What a raw socket received; absent when it is cut or no such message.
struct SctpMessage {
  std::uint16_t source_port = 0;
  std::uint16_t destination_port = 0;
  packet::SctpChunk chunk = packet::SctpChunk::data;
};
std::optional<SctpMessage> read_sctp_message(const Datagram& datagram);
std::optional<std::uint16_t> read_echo_id(const Datagram& datagram);

}  // namespace postern::sim
