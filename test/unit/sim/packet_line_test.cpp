// SPDX-License-Identifier: Apache-2.0
#include "sim/packet/packet_line.h"

#include <gtest/gtest.h>

namespace postern::packet {
namespace {

const LineAddresses kAddresses{IpAddress::v4(0x0a000001), IpAddress::v4(0x0a000002)};

std::vector<std::uint8_t> frame(const sim::PacketLine& line) {
  const auto bytes = frame_of(line, kAddresses);
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
      (Ethernet{} / Ipv4{.source = kAddresses.source, .destination = kAddresses.destination} /
       Tcp{.source_port = 40000, .destination_port = 80, .flags = kSyn})
          .bytes();
  EXPECT_EQ(frame(tcp_line()), expected);
}

TEST(PacketLine, SourceReplacesTheSendersAddress) {
  auto line = tcp_line();
  line.source = IpAddress::v4(0xcb007105);
  const auto bytes = frame(line);
  EXPECT_EQ(bytes[14 + 12], 0xcb);
  EXPECT_EQ(bytes[14 + 15], 0x05);
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

TEST(PacketLine, WhatTheReaderShouldHaveRefusedIsAnError) {
  auto line = tcp_line();
  line.part = sim::TcpPart{1, 2, "SYN"};
  EXPECT_FALSE(frame_of(line, kAddresses));
  line.part = sim::SctpPart{1, 2, "HELLO"};
  EXPECT_FALSE(frame_of(line, kAddresses));
}

}  // namespace
}  // namespace postern::packet
