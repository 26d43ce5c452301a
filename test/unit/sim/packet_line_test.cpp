// SPDX-License-Identifier: Apache-2.0
#include "sim/packet/packet_line.h"

#include <gtest/gtest.h>

namespace postern::packet {
namespace {

const LineAddresses kAddresses{.ends = {IpAddress::v4(0x0a000001), IpAddress::v4(0x0a000002)}};
const LineAddresses kAddresses6{.ends = {*IpAddress::parse("fd00::1"), *IpAddress::parse("fd00::2")}};

std::vector<std::uint8_t> frame(const sim::PacketLine& line, const LineAddresses& addresses = kAddresses) {
  const auto bytes = frame_of(line, addresses);
  EXPECT_TRUE(bytes) << (bytes ? "" : bytes.error().message);
  return bytes.value_or(std::vector<std::uint8_t>{});
}

sim::PacketLine tcp_line() {
  sim::PacketLine line;
  line.part = sim::TcpPart{40000, 80, "S"};
  return line;
}

TEST(PacketLine, ATcpLineIsWhatTheBuilderMakes) {
  const auto expected =
      (Ethernet{} / Ipv4{.source = kAddresses.ends.source, .destination = kAddresses.ends.destination} /
       Tcp{.source_port = 40000, .destination_port = 80, .flags = kSyn})
          .bytes();
  EXPECT_EQ(frame(tcp_line()), expected);
}

TEST(PacketLine, LengthCountsFromTheIpHeaderEvenUnderTags) {
  auto line = tcp_line();
  line.length = 22;
  EXPECT_EQ(frame(line).size(), 14u + 22u);
  line.vlan = {10, 20};
  EXPECT_EQ(frame(line).size(), 14u + 8u + 22u);
  line.length = 1000;
  EXPECT_EQ(frame(line).size(), 14u + 8u + 40u) << "a length beyond the packet cuts nothing";
}

TEST(PacketLine, OnlyTheFirstFragmentHasATransportHeader) {
  auto line = tcp_line();
  line.fragment = sim::FragmentPart{7, 0, true};
  const auto first = frame(line);
  EXPECT_EQ(first[34], 40000 >> 8);
  EXPECT_EQ((first.size() - 34) % 8, 0u);
  line.fragment = sim::FragmentPart{7, 24, false};
  const auto later = frame(line);
  EXPECT_EQ(later[34], 0xaa);
  EXPECT_EQ(later[20] << 8 | later[21], 3);
  EXPECT_EQ(later[23], 6) << "every fragment names the protocol";
}

TEST(PacketLine, AFrameIsTakenAsItIs) {
  sim::PacketLine line;
  line.part = sim::FramePart{{1, 2, 3}};
  EXPECT_EQ(frame(line), (std::vector<std::uint8_t>{1, 2, 3}));
}

TEST(PacketLine, AnotherIpProtocolCarriesItsNumber) {
  sim::PacketLine line;
  line.part = sim::IpPart{47};
  EXPECT_EQ(frame(line)[23], 47);
}

// An Ethernet frame with the IPv6 header of kAddresses6 around what follows.
std::vector<std::uint8_t> in_ipv6(const Packet& inner) {
  return (Ethernet{} /
          Ipv6{.source = kAddresses6.ends.source, .destination = kAddresses6.ends.destination} / inner)
      .bytes();
}

TEST(PacketLine, TheFamilyOfTheEndsIsThatOfThePacket) {
  EXPECT_EQ(frame(tcp_line(), kAddresses6),
            in_ipv6(Packet(Tcp{.source_port = 40000, .destination_port = 80, .flags = kSyn})));
}

TEST(PacketLine, IcmpOverIpv6IsIcmpv6) {
  sim::PacketLine line;
  line.part = sim::IcmpPart{128, 0, 7};
  EXPECT_EQ(frame(line, kAddresses6), in_ipv6(Packet(Icmpv6{.type = 128, .id = 7})));
}

TEST(PacketLine, ExtensionHeadersStandInTheirOrderAndTheFragmentLast) {
  auto line = tcp_line();
  using sim::ExtensionHeader;
  line.extensions = {ExtensionHeader::hop_by_hop, ExtensionHeader::routing, ExtensionHeader::destination};
  const Packet tcp(Tcp{.source_port = 40000, .destination_port = 80, .flags = kSyn});
  EXPECT_EQ(frame(line, kAddresses6), in_ipv6(HopByHop{} / Routing{} / DestinationOptions{} / tcp));
  line.fragment = sim::FragmentPart{7, 0, true};
  EXPECT_EQ(frame(line, kAddresses6),
            in_ipv6(HopByHop{} / Routing{} / DestinationOptions{} / FragmentHeader{.id = 7, .more = true} /
                    tcp / Raw{{0, 0, 0, 0}}));
  line.extensions.clear();
  line.fragment = sim::FragmentPart{7, 24, false};
  EXPECT_EQ(frame(line, kAddresses6), in_ipv6(FragmentHeader{.id = 7, .offset = 24, .next_header = 6} /
                                              Raw{std::vector<std::uint8_t>(16, 0xaa)}));
}

TEST(PacketLine, AnIcmpErrorQuotesInItsFamily) {
  sim::PacketLine line;
  line.part = sim::IcmpPart{3, 3, 0};
  line.quotes = sim::QuotedPacket{"x/a", "x/b", {}, {}, sim::UdpPart{40000, 53}};
  LineAddresses addresses = kAddresses;
  addresses.quoted = LineEnds{kAddresses.ends.destination, kAddresses.ends.source};
  const Udp udp{.source_port = 40000, .destination_port = 53};
  EXPECT_EQ(frame(line, addresses),
            (Ethernet{} / Ipv4{.source = kAddresses.ends.source, .destination = kAddresses.ends.destination} /
             Icmp{.type = 3, .code = 3} /
             Ipv4{.source = kAddresses.ends.destination, .destination = kAddresses.ends.source} / udp)
                .bytes());
  line.part = sim::IcmpPart{1, 4, 0};
  addresses = kAddresses6;
  addresses.quoted = LineEnds{kAddresses6.ends.destination, kAddresses6.ends.source, std::nullopt, 5353};
  EXPECT_EQ(frame(line, addresses),
            in_ipv6(Icmpv6{.type = 1, .code = 4} /
                    Ipv6{.source = kAddresses6.ends.destination, .destination = kAddresses6.ends.source} /
                    Udp{.source_port = 40000, .destination_port = 5353}));
}

TEST(PacketLine, PortsThatANodeTranslatesReplaceThoseOfTheLine) {
  LineAddresses addresses = kAddresses6;
  addresses.ends.destination_port = 8080;
  EXPECT_EQ(frame(tcp_line(), addresses),
            in_ipv6(Packet(Tcp{.source_port = 40000, .destination_port = 8080, .flags = kSyn})));
}

TEST(PacketLine, WhatNoPacketCanBeIsAnError) {
  auto line = tcp_line();
  LineAddresses addresses = kAddresses6;
  addresses.ends.source = IpAddress::v4(0xcb007105);
  const auto mixed = frame_of(line, addresses);
  ASSERT_FALSE(mixed);
  EXPECT_EQ(mixed.error().message,
            "a packet from 203.0.113.5 to fd00::2 has ends of two families, expected one");
  line = tcp_line();
  line.ip_options = {1, 1, 1, 1};
  EXPECT_FALSE(frame_of(line, kAddresses6));
  line = tcp_line();
  line.extensions = {sim::ExtensionHeader::hop_by_hop};
  EXPECT_FALSE(frame_of(line, kAddresses));
}

TEST(PacketLine, WhatTheReaderShouldHaveRefusedIsAnError) {
  auto line = tcp_line();
  line.part = sim::TcpPart{1, 2, "SYN"};
  EXPECT_FALSE(frame_of(line, kAddresses));
  line.part = sim::SctpPart{1, 2, "HELLO"};
  EXPECT_FALSE(frame_of(line, kAddresses));
}

}  // namespace
}  // namespace postern::packet
