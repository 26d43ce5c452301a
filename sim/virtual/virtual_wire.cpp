// SPDX-License-Identifier: Apache-2.0
#include "sim/virtual/virtual_wire.h"

#include <utility>

namespace postern::sim {

namespace {

using packet::Packet;

// A TCP segment of the conversation; each side's first sequence number is 1000 and 2000.
struct Segment {
  bool from_client;
  std::uint8_t flags;
  std::uint32_t sequence;
  std::uint32_t acknowledgement;
  bool has_byte;
};

constexpr Segment kTcp[] = {
    {true, packet::kSyn, 1000, 0, false},
    {false, packet::kSyn | packet::kAck, 2000, 1001, false},
    {true, packet::kAck, 1001, 2001, false},
    {true, packet::kPsh | packet::kAck, 1001, 2001, true},
    {false, packet::kPsh | packet::kAck, 2001, 1002, true},
};

packet::Raw one_byte() { return packet::Raw{{'x'}}; }

Packet payload_of(const Conversation& talk, std::size_t index, bool from_client) {
  const std::uint16_t source = from_client ? talk.client_port : talk.server_port;
  const std::uint16_t destination = from_client ? talk.server_port : talk.client_port;
  switch (talk.protocol) {
    case ProbeProtocol::tcp: {
      const Segment& segment = kTcp[index];
      Packet result(packet::Tcp{.source_port = source,
                                .destination_port = destination,
                                .flags = segment.flags,
                                .sequence = segment.sequence,
                                .acknowledgement = segment.acknowledgement});
      if (segment.has_byte) result.append(one_byte());
      return result;
    }
    case ProbeProtocol::udp:
      return packet::Udp{.source_port = source, .destination_port = destination} / one_byte();
    case ProbeProtocol::sctp:
      return Packet(packet::Sctp{.source_port = source,
                                 .destination_port = destination,
                                 .chunk = from_client ? packet::SctpChunk::init : packet::SctpChunk::init_ack,
                                 .verification_tag = from_client ? 0u : 1u});
    case ProbeProtocol::icmp:
      if (!talk.client.is_v4()) {
        return packet::Icmpv6{.type = from_client ? packet::kIcmpv6Echo : packet::kIcmpv6EchoReply,
                              .id = talk.client_port} /
               one_byte();
      }
      return packet::Icmp{.type = from_client ? packet::kIcmpEcho : packet::kIcmpEchoReply,
                          .id = talk.client_port} /
             one_byte();
  }
  return Packet(one_byte());
}

bool is_from_client(ProbeProtocol protocol, std::size_t index) {
  return protocol == ProbeProtocol::tcp ? kTcp[index].from_client : index == 0;
}

}  // namespace

std::size_t packets_in(ProbeProtocol protocol) {
  return protocol == ProbeProtocol::tcp ? std::size(kTcp) : 2;
}

WirePacket packet_of(const Conversation& talk, std::size_t index) {
  const bool from_client = is_from_client(talk.protocol, index);
  packet::Ethernet link{.destination = talk.server_mac, .source = talk.client_mac};
  IpAddress source = talk.client;
  IpAddress destination = talk.server;
  if (!from_client) {
    std::swap(link.destination, link.source);
    std::swap(source, destination);
  }
  Packet frame(std::move(link));
  if (source.is_v4()) frame.append(packet::Ipv4{.source = source, .destination = destination});
  else frame.append(packet::Ipv6{.source = source, .destination = destination});
  frame.append(payload_of(talk, index, from_client));
  return {from_client, frame.bytes()};
}

}  // namespace postern::sim
