// SPDX-License-Identifier: Apache-2.0
#include "sim/replay/packet_facts.h"

#include "sim/packet/packet.h"
#include "test/unit/replay/capture_files.h"

namespace postern::sim {
namespace {

using namespace postern::packet;

const IpAddress kA = IpAddress::v4(0x0a000001);
const IpAddress kB = IpAddress::v4(0x0a000002);
const IpAddress kA6 = *IpAddress::parse("fd00::1");
const IpAddress kB6 = *IpAddress::parse("fd00::2");

PacketFacts facts_of(const Bytes& bytes, std::size_t original = 0) {
  return read_packet(std::as_bytes(std::span(bytes)), original == 0 ? bytes.size() : original);
}

TEST(PacketFacts, ATcpPacketHasPortsAndFlags) {
  const auto facts = facts_of((Ethernet{} / Ipv4{.source = kA, .destination = kB, .options = {1, 1, 1, 1}} /
                               Tcp{.source_port = 40000, .destination_port = 80, .flags = kSyn | kAck})
                                  .bytes());
  EXPECT_TRUE(facts.is_tcp());
  EXPECT_EQ(facts.source, kA);
  EXPECT_EQ(facts.destination, kB);
  EXPECT_EQ(facts.source_port, 40000);
  EXPECT_EQ(facts.destination_port, 80);
  EXPECT_TRUE(facts.syn());
  EXPECT_TRUE(facts.ack());
}

TEST(PacketFacts, VlanTagsAreLookedThrough) {
  const auto facts =
      facts_of((Ethernet{} / Vlan{.id = 10} / Vlan{.id = 20} / Ipv4{.source = kA, .destination = kB} /
                Udp{.source_port = 5000, .destination_port = 53})
                   .bytes());
  EXPECT_TRUE(facts.ip);
  EXPECT_EQ(facts.destination_port, 53);
}

TEST(PacketFacts, AnEchoIsKnownByItsId) {
  const auto facts = facts_of((Ethernet{} / Ipv4{.source = kA, .destination = kB} / Icmp{.id = 77}).bytes());
  EXPECT_TRUE(facts.has_ports);
  EXPECT_EQ(facts.source_port, 77);
  EXPECT_EQ(facts.destination_port, 77);
}

TEST(PacketFacts, AnArpFrameIsNotIp) {
  const auto facts = facts_of((Ethernet{.ether_type = kEtherTypeArp} / Raw{Bytes(28, 0)}).bytes());
  EXPECT_FALSE(facts.ip);
  EXPECT_FALSE(facts.headers_cut);
}

TEST(PacketFacts, ALaterFragmentHasNoPorts) {
  const auto facts = facts_of(
      (Ethernet{} /
       Ipv4{.source = kA, .destination = kB, .id = 9, .protocol = std::uint8_t{6}, .fragment_offset = 1480} /
       Raw{Bytes(40, 0x55)})
          .bytes());
  EXPECT_TRUE(facts.later_fragment);
  EXPECT_FALSE(facts.has_ports);
  EXPECT_EQ(facts.fragment_id, 9u);
}

// At any length the reader neither reads past the bytes nor takes a cut for a broken packet.
TEST(PacketFacts, EveryTruncationIsTheCapturesOrThePacketsFault) {
  const Bytes whole =
      (Ethernet{} / Ipv4{.source = kA, .destination = kB} / Tcp{.source_port = 40000, .destination_port = 80})
          .bytes();
  ASSERT_EQ(whole.size(), 54u);
  for (std::size_t length = 0; length <= whole.size(); ++length) {
    SCOPED_TRACE(length);
    const Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length));
    EXPECT_EQ(facts_of(cut, whole.size()).headers_cut, length < whole.size());
    if (length > 0) {
      EXPECT_FALSE(facts_of(cut).headers_cut);
    }
    EXPECT_EQ(facts_of(cut).has_ports, length == whole.size());
  }
}

TEST(PacketFacts, ExtensionHeadersLeadToTheTransport) {
  const auto facts = facts_of((Ethernet{} / Ipv6{.source = kA6, .destination = kB6} / HopByHop{} / Routing{} /
                               DestinationOptions{} / Tcp{.source_port = 40000, .destination_port = 80})
                                  .bytes());
  EXPECT_TRUE(facts.is_tcp());
  EXPECT_EQ(facts.source, kA6);
  EXPECT_EQ(facts.destination, kB6);
  EXPECT_EQ(facts.source_port, 40000);
  EXPECT_EQ(facts.destination_port, 80);
  EXPECT_TRUE(facts.syn());
}

TEST(PacketFacts, AnEchoOfIcmpv6IsKnownByItsId) {
  for (const std::uint8_t type : {kIcmpv6Echo, kIcmpv6EchoReply}) {
    const auto facts = facts_of(
        (Ethernet{} / Ipv6{.source = kA6, .destination = kB6} / Icmpv6{.type = type, .id = 77}).bytes());
    EXPECT_TRUE(facts.has_ports);
    EXPECT_EQ(facts.source_port, 77);
    EXPECT_EQ(facts.destination_port, 77);
  }
  // The numbers of the other family's echo mean something else, or nothing.
  const auto other =
      facts_of((Ethernet{} / Ipv6{.source = kA6, .destination = kB6} / Icmpv6{.type = kIcmpEcho}).bytes());
  EXPECT_FALSE(other.has_ports);
}

TEST(PacketFacts, FragmentsOfIpv6HaveTheirIdAndTheLaterOnesNoPorts) {
  const auto first =
      facts_of((Ethernet{} / Ipv6{.source = kA6, .destination = kB6} /
                FragmentHeader{.id = 0x12345, .more = true} /
                Udp{.source_port = 1000, .destination_port = 53})
                   .bytes());
  EXPECT_TRUE(first.fragment && !first.later_fragment && first.has_ports);
  EXPECT_EQ(first.fragment_id, 0x12345u);
  const auto later =
      facts_of((Ethernet{} / Ipv6{.source = kA6, .destination = kB6} /
                FragmentHeader{.id = 0x12345, .offset = 1480, .next_header = 17} / Raw{Bytes(16, 0x55)})
                   .bytes());
  EXPECT_TRUE(later.fragment && later.later_fragment && !later.has_ports);
  EXPECT_EQ(later.protocol, 17);
  EXPECT_EQ(first.fragment_protocol, 17);
  EXPECT_EQ(later.fragment_protocol, 17);
}

TEST(PacketFacts, BehindTheHeaderOfALaterFragmentIsPayloadAndAnAtomicOneIsAWholePacket) {
  const auto later =
      facts_of((Ethernet{} / Ipv6{.source = kA6, .destination = kB6} /
                FragmentHeader{.id = 7, .offset = 1480, .next_header = 60} / Raw{Bytes(8, 0x11)})
                   .bytes());
  EXPECT_FALSE(later.headers_cut);
  EXPECT_EQ(later.protocol, 60);
  EXPECT_EQ(later.fragment_protocol, 60);
  const auto atomic =
      facts_of((Ethernet{} / Ipv6{.source = kA6, .destination = kB6} / FragmentHeader{.id = 7} /
                Udp{.source_port = 1000, .destination_port = 53})
                   .bytes());
  EXPECT_TRUE(!atomic.fragment && !atomic.later_fragment && atomic.has_ports);
}

TEST(PacketFacts, EveryTruncationOfIpv6IsTheCapturesOrThePacketsFault) {
  const Bytes whole =
      (Ethernet{} / Ipv6{.source = kA6, .destination = kB6} / HopByHop{} /
       Icmpv6{.type = kIcmpv6Unreachable, .code = 4} / Ipv6{.source = kB6, .destination = kA6} /
       DestinationOptions{} / Udp{.source_port = 1, .destination_port = 2})
          .bytes();
  for (std::size_t length = 1; length <= whole.size(); ++length) {
    SCOPED_TRACE(length);
    const Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length));
    EXPECT_EQ(facts_of(cut, whole.size()).headers_cut, length < whole.size());
    EXPECT_FALSE(facts_of(cut).headers_cut);
  }
}

TEST(PacketFacts, AnIcmpErrorNeedsThePacketItQuotes) {
  const Bytes whole =
      (Ethernet{} / Ipv4{.source = kA, .destination = kB} / Icmp{.type = kIcmpUnreachable, .code = 1} /
       Ipv4{.source = kB, .destination = kA} / Udp{.source_port = 1, .destination_port = 2})
          .bytes();
  const Bytes cut(whole.begin(), whole.end() - 9);
  EXPECT_FALSE(facts_of(whole).headers_cut);
  EXPECT_TRUE(facts_of(cut, whole.size()).headers_cut);
}

}  // namespace
}  // namespace postern::sim
