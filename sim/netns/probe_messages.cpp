// SPDX-License-Identifier: Apache-2.0
#include "sim/netns/probe_messages.h"

#include <netinet/in.h>

#include "net/system_error.h"
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

// Where the transport header of a raw datagram starts; absent when it is cut.
std::optional<std::size_t> transport_at(const Datagram& datagram, std::size_t needed) {
  const auto& bytes = datagram.bytes;
  std::size_t header = 0;
  if (datagram.source.is_v4()) {
    header = bytes.empty() ? 0 : static_cast<std::size_t>(bytes[0] & 0x0f) * 4;
    if (header < 20) return std::nullopt;
  }
  if (bytes.size() < header + needed) return std::nullopt;
  return header;
}

}  // namespace

std::uint8_t ip_protocol_of(ProbeProtocol protocol, IpFamily family) {
  switch (protocol) {
    case ProbeProtocol::tcp: return IPPROTO_TCP;
    case ProbeProtocol::udp: return IPPROTO_UDP;
    case ProbeProtocol::sctp: return IPPROTO_SCTP;
    case ProbeProtocol::icmp:
      return static_cast<std::uint8_t>(family == IpFamily::v4 ? Protocol::icmp : Protocol::icmpv6);
  }
  return 0;
}

Error rig_error(const ProbeRequest& request, const std::string& what) {
  return {ErrorCode::io, "probe " + describe(request) + ": " + what, {}};
}

std::string describe(const ProbeRequest& request) {
  std::string text = describe(request.from) + " -> " + describe(request.to) + " " + name_of(request.protocol);
  if (request.protocol != ProbeProtocol::icmp) text += " " + std::to_string(request.port);
  if (request.via) {
    text += " via " + request.via->address.to_string() + " " + std::to_string(request.via->port);
  }
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
  const IpFamily family = request.from.address.family();
  // Nobody stands behind a Service without backends; only what the client sends with is needed.
  const bool has_server = request.to.kind != Party::Kind::service;
  const auto open_raw = [&](Station& station, auto sockets, auto make) {
    return open_in(station, (station.*sockets)[family], [&] { return make(family); });
  };
  switch (request.protocol) {
    case ProbeProtocol::tcp:
    case ProbeProtocol::udp: {
      if (!has_server) return {};
      UniqueFd& socket = server.station->servers[{request.protocol, family, request.port}];
      return open_in(*server.station, socket, [&] {
        return request.protocol == ProbeProtocol::tcp ? tcp_listener(family, request.port)
                                                      : udp_server(family, request.port);
      });
    }
    case ProbeProtocol::sctp: {
      auto done = open_raw(*client.station, &Station::sctp, raw_sctp_socket);
      return done && has_server ? open_raw(*server.station, &Station::sctp, raw_sctp_socket) : done;
    }
    case ProbeProtocol::icmp: return open_raw(*client.station, &Station::icmp, raw_echo_socket);
  }
  return {};
}

std::vector<std::uint8_t> sctp_message(std::uint16_t from, std::uint16_t to, packet::SctpChunk chunk) {
  packet::Sctp sctp;
  sctp.source_port = from;
  sctp.destination_port = to;
  sctp.chunk = chunk;
  // The tag that our INIT asks for; connection tracking of a node on the way insists on it.
  if (chunk == packet::SctpChunk::init_ack) sctp.verification_tag = packet::Sctp{}.initiate_tag;
  return packet::Packet(sctp).bytes();
}

std::vector<std::uint8_t> echo_request(std::uint16_t id, IpFamily family) {
  const packet::Raw payload{{'p', 'o', 's', 't', 'e', 'r', 'n', '.'}};
  // The kernel fills in the checksum of ICMPv6, which covers the addresses.
  if (family == IpFamily::v6) return (packet::Icmpv6{.id = id} / payload).bytes();
  return (packet::Icmp{.id = id} / payload).bytes();
}

std::optional<SctpMessage> read_sctp_message(const Datagram& datagram) {
  const auto at = transport_at(datagram, kSctpHeader + 4);
  if (!at) return std::nullopt;
  return SctpMessage{read16(datagram.bytes, *at), read16(datagram.bytes, *at + 2),
                     static_cast<packet::SctpChunk>(datagram.bytes[*at + kSctpHeader])};
}

std::optional<std::uint16_t> read_echo_id(const Datagram& datagram) {
  const auto at = transport_at(datagram, kIcmpHeader);
  if (!at) return std::nullopt;
  return read16(datagram.bytes, *at + 4);
}

}  // namespace postern::sim
