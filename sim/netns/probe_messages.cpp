// SPDX-License-Identifier: Apache-2.0
#include "sim/netns/probe_messages.h"

#include <netinet/in.h>

#include "sim/netns/netns.h"
#include "sim/netns/sockets.h"

namespace postern::sim {
namespace {

constexpr std::size_t kSctpHeader = 12;
constexpr std::size_t kIcmpHeader = 8;

const char* name_of(ProbeProtocol protocol) {
  switch (protocol) {
    case ProbeProtocol::tcp: return "TCP";
    case ProbeProtocol::udp: return "UDP";
    case ProbeProtocol::sctp: return "SCTP";
    case ProbeProtocol::icmp: return "ICMP";
  }
  return "?";
}

std::string describe(const Party& party) {
  const std::string address = " (" + party.address.to_string() + ")";
  if (party.kind == Party::Kind::pod) return party.pod.to_string() + address;
  if (party.kind == Party::Kind::node) return "node:" + party.node + address;
  return party.address.to_string();
}

std::uint16_t read16(const std::vector<std::uint8_t>& bytes, std::size_t at) {
  return static_cast<std::uint16_t>(bytes[at] << 8 | bytes[at + 1]);
}

// Where the transport header of a raw datagram starts; past the end when it is cut.
std::size_t transport_at(const std::vector<std::uint8_t>& bytes, std::size_t needed) {
  if (bytes.empty()) return 0;
  const std::size_t header = static_cast<std::size_t>(bytes[0] & 0x0f) * 4;
  return header < 20 || bytes.size() < header + needed ? bytes.size() : header;
}

}  // namespace

std::uint8_t ip_protocol_of(ProbeProtocol protocol) {
  switch (protocol) {
    case ProbeProtocol::tcp: return IPPROTO_TCP;
    case ProbeProtocol::udp: return IPPROTO_UDP;
    case ProbeProtocol::sctp: return IPPROTO_SCTP;
    case ProbeProtocol::icmp: return IPPROTO_ICMP;
  }
  return 0;
}

Error rig_error(const ProbeRequest& request, const std::string& what) {
  return {ErrorCode::io, "probe " + describe(request) + ": " + what, {}};
}

std::string describe(const ProbeRequest& request) {
  std::string text = describe(request.from) + " -> " + describe(request.to) + " " + name_of(request.protocol);
  if (request.protocol != ProbeProtocol::icmp) text += " " + std::to_string(request.port);
  return text;
}

Result<void> open_probe_sockets(const ProbeRequest& request, const Place& client, const Place& server) {
  const auto open_in = [](Station& station, UniqueFd& socket, auto make) -> Result<void> {
    if (socket.valid()) return {};
    auto scope = NetnsScope::enter(station.netns);
    if (!scope) return fail_as(scope);
    auto made = make();
    if (!made) return fail_as(made);
    socket = std::move(*made);
    return {};
  };
  switch (request.protocol) {
    case ProbeProtocol::tcp:
    case ProbeProtocol::udp: {
      UniqueFd& socket = server.station->servers[{request.protocol, request.port}];
      return open_in(*server.station, socket, [&] {
        return request.protocol == ProbeProtocol::tcp ? tcp_listener(request.port) : udp_server(request.port);
      });
    }
    case ProbeProtocol::sctp: {
      auto done = open_in(*server.station, server.station->sctp, raw_sctp_socket);
      return done ? open_in(*client.station, client.station->sctp, raw_sctp_socket) : done;
    }
    case ProbeProtocol::icmp: return open_in(*client.station, client.station->icmp, raw_echo_socket);
  }
  return {};
}

std::vector<std::uint8_t> sctp_message(std::uint16_t from, std::uint16_t to, packet::SctpChunk chunk) {
  packet::Sctp sctp;
  sctp.source_port = from;
  sctp.destination_port = to;
  sctp.chunk = chunk;
  return packet::Packet(sctp).bytes();
}

std::vector<std::uint8_t> echo_request(std::uint16_t id) {
  packet::Icmp icmp;
  icmp.id = id;
  return (icmp / packet::Raw{{'p', 'o', 's', 't', 'e', 'r', 'n', '.'}}).bytes();
}

std::optional<SctpMessage> read_sctp_message(const std::vector<std::uint8_t>& bytes) {
  const std::size_t at = transport_at(bytes, kSctpHeader + 4);
  if (at == bytes.size()) return std::nullopt;
  return SctpMessage{read16(bytes, at), read16(bytes, at + 2),
                     static_cast<packet::SctpChunk>(bytes[at + kSctpHeader])};
}

std::optional<std::uint16_t> read_echo_id(const std::vector<std::uint8_t>& bytes) {
  const std::size_t at = transport_at(bytes, kIcmpHeader);
  if (at == bytes.size()) return std::nullopt;
  return read16(bytes, at + 4);
}

}  // namespace postern::sim
