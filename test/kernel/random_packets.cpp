// SPDX-License-Identifier: Apache-2.0
// The packets of a random world.
#include <algorithm>
#include <cstring>
#include <optional>

#include "test/kernel/random_world.h"

namespace postern::test {
namespace {

using namespace postern::packet;

const std::vector<std::uint16_t> kPacketPorts{53, 80, 300, 443, 5432, 40000, 40001, 65535};
const std::vector<std::uint8_t> kFlags{kSyn, kSyn,        kSyn,        kSyn | kAck, kAck,
                                       kAck, kAck | kPsh, kFin | kAck, kRst,        kRst | kAck,
                                       0,    kSyn | kFin, kFin};
const std::vector<Protocol> kProtocols{Protocol::tcp, Protocol::tcp,  Protocol::tcp, Protocol::udp,
                                       Protocol::udp, Protocol::sctp, Protocol::icmp};

const std::vector<SctpChunk> kChunks{SctpChunk::init, SctpChunk::init_ack, SctpChunk::data, SctpChunk::abort,
                                     SctpChunk::shutdown};

std::uint32_t address_of_pod(std::size_t number) { return 0x0a000001 + static_cast<std::uint32_t>(number); }

// BPF_PROG_TEST_RUN takes no frame that claims to be IP and lacks the fixed header.
std::size_t shortest(const std::vector<std::uint8_t>& frame) {
  const int ether_type = frame[12] << 8 | frame[13];
  return ether_type == 0x0800 ? 34 : ether_type == 0x86dd ? 54 : 14;
}

// Not inlined: gcc 12 sees uninitialised members in the layers that a variant does not hold.
[[gnu::noinline]] void add(Packet& packet, const Layer& layer) { packet.append(layer); }

}  // namespace

RandomWorld::Flow RandomWorld::flow() {
  if (!recent_.empty() && !one_in(3)) return recent_[below(recent_.size())];
  const Flow fresh{below(world_interfaces().size()), address(), one_in(2),        pick(kPacketPorts),
                   pick(kPacketPorts),                     pick(kProtocols)};
  recent_.push_back(fresh);
  if (recent_.size() > 40) recent_.pop_front();
  return fresh;
}

Packet RandomWorld::transport(Packet under, const Flow& flow, bool to_peer) {
  const std::uint16_t source = to_peer ? flow.pod_port : flow.peer_port;
  const std::uint16_t destination = to_peer ? flow.peer_port : flow.pod_port;
  switch (flow.protocol) {
    case Protocol::tcp:
      add(under, Tcp{.source_port = source, .destination_port = destination, .flags = pick(kFlags)});
      return under;
    case Protocol::udp: add(under, Udp{.source_port = source, .destination_port = destination}); return under;
    case Protocol::sctp:
      add(under, Sctp{.source_port = source, .destination_port = destination, .chunk = pick(kChunks)});
      return under;
    case Protocol::icmp:
    case Protocol::icmpv6: break;
  }
  if (flow.v6) {
    add(under, Icmpv6{.type = pick<std::uint8_t>({128, 129, 135, 143, 139}), .id = flow.pod_port});
    return under;
  }
  const std::uint8_t type = pick<std::uint8_t>({kIcmpEcho, kIcmpEchoReply, 13, 9});
  add(under, Icmp{.type = type, .id = flow.pod_port});
  return under;
}

void RandomWorld::add_ip(Packet& under, const Flow& flow, std::uint32_t from, std::uint32_t to) {
  const IpAddress source = world_address(from, flow.v6);
  const IpAddress destination = world_address(to, flow.v6);
  const auto protocol = [&]() -> std::optional<std::uint8_t> {
    if (!one_in(30)) return std::nullopt;
    return pick<std::uint8_t>({0, 1, 2, 41, 47, 50, 58, 59, 255});
  };
  const auto offset = [&] { return static_cast<std::uint16_t>(one_in(30) ? 8 * (1 + below(100)) : 0); };
  const auto length = [&]() -> std::optional<std::uint16_t> {
    if (!one_in(60)) return std::nullopt;
    return static_cast<std::uint16_t>(below(80));
  };
  if (!flow.v6) {
    Ipv4 ip{.source = source, .destination = destination};
    if (one_in(20)) ip.options.assign(4 * (1 + below(9)), 1);
    ip.more_fragments = one_in(25);
    ip.fragment_offset = offset();
    ip.protocol = protocol();
    ip.total_length = length();
    return add(under, ip);
  }
  add(under, Ipv6{.source = source, .destination = destination, .payload_length = length()});
  for (std::uint32_t more = one_in(6) ? 1 + below(9) : 0; more > 0; --more) {
    switch (below(3)) {
      case 0: add(under, HopByHop{.options = std::vector<std::uint8_t>(below(20), 0)}); break;
      case 1: add(under, DestinationOptions{.options = std::vector<std::uint8_t>(below(9), 0)}); break;
      default: add(under, Routing{.next_header = protocol()}); break;
    }
  }
  if (one_in(12)) add(under, FragmentHeader{.id = 7, .offset = offset(), .more = one_in(2)});
}

Packet RandomWorld::ip_packet(const Flow& flow, bool to_peer) {
  const std::uint32_t pod = one_in(60) ? 0 : one_in(25) ? address() : address_of_pod(flow.pod);
  const std::uint32_t peer = one_in(40) ? address_of_pod(flow.pod) : flow.peer;
  const std::uint32_t from = to_peer ? pod : peer;
  const std::uint32_t to = to_peer ? peer : pod;
  Packet packet(Ethernet{});
  for (std::uint32_t tags = one_in(20) ? 1 + below(3) : 0; tags > 0; --tags) add(packet, Vlan{.id = 5});
  add_ip(packet, flow, from, to);
  if (!one_in(10)) return transport(std::move(packet), flow, to_peer);
  // An ICMP error that quotes what went the other way.
  if (flow.v6) {
    add(packet, Icmpv6{.type = pick<std::uint8_t>({1, 2, 3, 4, 5, 137}), .code = 3});
  } else {
    add(packet, Icmp{.type = pick<std::uint8_t>({3, 4, 5, 11, 12}), .code = 3});
  }
  add_ip(packet, flow, to, from);
  return transport(std::move(packet), flow, !to_peer);
}

Packet RandomWorld::other_packet(const Flow& flow, bool to_peer) {
  Packet packet(Ethernet{.ether_type = pick<std::uint16_t>({0x0806, 0x86dd, 0x88cc, 0x8847, 0x0800})});
  if (one_in(3)) {
    packet = ip_packet(flow, to_peer);
    add(packet, Raw{std::vector<std::uint8_t>(below(30), 7)});
  } else {
    add(packet, Raw{std::vector<std::uint8_t>(40 + below(60), static_cast<std::uint8_t>(below(256)))});
  }
  return packet;
}

RandomPacket RandomWorld::packet() {
  RandomPacket result;
  const Flow flow = this->flow();
  const bool to_peer = one_in(2);
  result.ifindex = world_interfaces()[flow.pod];
  result.direction = to_peer ? PN_EGRESS : PN_INGRESS;
  result.after = milliseconds(one_in(50) ? below(120'000) : below(700));
  auto bytes = (one_in(15) ? other_packet(flow, to_peer) : ip_packet(flow, to_peer)).bytes();
  if (one_in(25)) bytes.resize(14 + below(bytes.size() - 13));
  if (one_in(20)) bytes[12 + below(bytes.size() - 12)] ^= static_cast<std::uint8_t>(1u << below(8));
  bytes.resize(std::max(bytes.size(), shortest(bytes)));
  result.frame.resize(bytes.size());
  std::memcpy(result.frame.data(), bytes.data(), bytes.size());
  return result;
}

}  // namespace postern::test
