// SPDX-License-Identifier: Apache-2.0
// Expected bytes come from an independent implementation of the checksums.
#include "sim/packet/packet.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "sim/packet/checksum.h"

namespace postern::packet::packet_test {
namespace {

const IpAddress kA = IpAddress::v4(0x0a000001);
const IpAddress kB = IpAddress::v4(0x0a000002);
const IpAddress kA6 = *IpAddress::parse("fd00::1");
const IpAddress kB6 = *IpAddress::parse("fd00::2");
const IpAddress kGroup = *IpAddress::parse("ff02::1:ff00:2");
const MacAddress kMac{0x02, 0, 0, 0, 0, 0x01};

std::string hex(const std::vector<std::uint8_t>& bytes) {
  std::string text;
  for (const std::uint8_t byte : bytes) {
    text += "0123456789abcdef"[byte >> 4];
    text += "0123456789abcdef"[byte & 15];
  }
  return text;
}

struct Row {
  const char* name;
  Packet packet;
  const char* bytes;
};

std::vector<Row> rows() {
  return {
      {"TcpSyn",
       Ethernet{} / Ipv4{.source = kA, .destination = kB} / Tcp{.source_port = 40000, .destination_port = 80},
       "02000000000202000000000108004500002800000000400666ce0a0000010a000002"
       "9c40005000000001000000005002faf0045e0000"},
      {"UdpWithAnOddPayload",
       Ethernet{} / Ipv4{.source = kA, .destination = kB} /
           Udp{.source_port = 40000, .destination_port = 53} / Raw{{'x'}},
       "02000000000202000000000108004500001d00000000401166ce0a0000010a0000029c4000350009d76378"},
      {"IcmpEcho", Ethernet{} / Ipv4{.source = kA, .destination = kB} / Icmp{.id = 7} / Raw{{'x'}},
       "02000000000202000000000108004500001d00000000400166de0a0000010a00000208007ff70007000178"},
      {"SctpInit",
       Ethernet{} / Ipv4{.source = kA, .destination = kB} /
           Sctp{.source_port = 40000, .destination_port = 80},
       "02000000000202000000000108004500003400000000408466440a0000010a000002"
       "9c40005000000000b8e4107d0100001400000001000100000001000100000001"},
      {"TwoTagsAndIpOptions",
       Ethernet{} / Vlan{.id = 10} / Vlan{.id = 20} /
           Ipv4{.source = kA, .destination = kB, .options = {0x94, 0x04, 0, 0}} /
           Tcp{.source_port = 40000, .destination_port = 80, .flags = kSyn | kAck, .acknowledgement = 5},
       "0200000000020200000000018100000a8100001408004600002c000000004006d1c50a0000010a00000294040000"
       "9c40005000000001000000055012faf004490000"},
      {"LaterFragment",
       Ethernet{} /
           Ipv4{.source = kA,
                .destination = kB,
                .id = 77,
                .protocol = 17,
                .fragment_offset = 24,
                .more_fragments = true} /
           Raw{std::vector<std::uint8_t>(16, 0xaa)},
       "020000000002020000000001080045000024004d2003401146770a0000010a000002aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
       "a"},
      {"IcmpErrorWithItsQuote",
       Ethernet{} / Ipv4{.source = kB, .destination = kA} / Icmp{.type = kIcmpUnreachable, .code = 3} /
           (Ipv4{.source = kA, .destination = kB} / Udp{.source_port = 40000, .destination_port = 53}),
       "02000000000202000000000108004500003800000000400166c30a0000020a0000010303111900000000"
       "4500001c00000000401166cf0a0000010a0000029c40003500084f66"},
      {"TcpOverIpv6",
       Ethernet{} / Ipv6{.source = kA6, .destination = kB6} /
           Tcp{.source_port = 40000, .destination_port = 80},
       "02000000000202000000000186dd6000000000140640fd000000000000000000000000000001"
       "fd0000000000000000000000000000029c40005000000001000000005002faf01e5c0000"},
      {"UdpOverIpv6WithAnOddPayload",
       Ethernet{} / Ipv6{.source = kA6, .destination = kB6} /
           Udp{.source_port = 40000, .destination_port = 53} / Raw{{'x'}},
       "02000000000202000000000186dd6000000000091140fd000000000000000000000000000001"
       "fd0000000000000000000000000000029c4000350009f16178"},
      {"SctpOverIpv6",
       Ethernet{} / Ipv6{.source = kA6, .destination = kB6} /
           Sctp{.source_port = 40000, .destination_port = 80},
       "02000000000202000000000186dd6000000000208440fd000000000000000000000000000001"
       "fd0000000000000000000000000000029c40005000000000b8e4107d01000014000000010001"
       "00000001000100000001"},
      {"Icmpv6Echo",
       Ethernet{} / Ipv6{.source = kA6, .destination = kB6} / Icmpv6{.id = 7} / Raw{{'x'}},
       "02000000000202000000000186dd6000000000093a40fd000000000000000000000000000001"
       "fd00000000000000000000000000000280000daf0007000178"},
      {"EveryExtensionHeader",
       Ethernet{} / Ipv6{.source = kA6, .destination = kB6} / HopByHop{} / DestinationOptions{} / Routing{} /
           FragmentHeader{.id = 77, .more = true} / Tcp{.source_port = 40000, .destination_port = 80} /
           Raw{{0, 0, 0, 0}},
       "02000000000202000000000186dd6000000000380040fd000000000000000000000000000001"
       "fd0000000000000000000000000000023c000104000000002b000104000000002c0000000000"
       "0000060000010000004d9c40005000000001000000005002faf01e58000000000000"},
      {"LaterFragmentOfIpv6",
       Ethernet{} / Ipv6{.source = kA6, .destination = kB6} /
           FragmentHeader{.id = 77, .offset = 24, .next_header = 17} /
           Raw{std::vector<std::uint8_t>(16, 0xaa)},
       "02000000000202000000000186dd6000000000182c40fd000000000000000000000000000001"
       "fd000000000000000000000000000002110000180000004daaaaaaaaaaaaaaaaaaaaaaaaaaaa"
       "aaaa"},
      {"Icmpv6ErrorWithItsQuote",
       Ethernet{} / Ipv6{.source = kB6, .destination = kA6} /
           Icmpv6{.type = kIcmpv6Unreachable, .code = 4} /
           (Ipv6{.source = kA6, .destination = kB6} / Udp{.source_port = 40000, .destination_port = 53}),
       "02000000000202000000000186dd6000000000383a40fd000000000000000000000000000002"
       "fd00000000000000000000000000000101049355000000006000000000081140fd0000000000"
       "00000000000000000001fd0000000000000000000000000000029c40003500086964"},
      {"NeighbourSolicitation",
       Ethernet{} / Ipv6{.source = kA6, .destination = kGroup, .hop_limit = 255} /
           neighbour_solicitation(kB6, kMac),
       "02000000000202000000000186dd6000000000203afffd000000000000000000000000000001"
       "ff0200000000000000000001ff00000287007d9700000000fd00000000000000000000000000"
       "00020101020000000001"},
      {"NeighbourAdvertisement",
       Ethernet{} / Ipv6{.source = kA6, .destination = kB6, .hop_limit = 255} /
           neighbour_advertisement(kA6, kMac),
       "02000000000202000000000186dd6000000000203afffd000000000000000000000000000001"
       "fd00000000000000000000000000000288007c9c00000000fd00000000000000000000000000"
       "00010201020000000001"},
      {"MulticastListenerReport",
       Ethernet{} / Ipv6{.source = *IpAddress::parse("fe80::1"), .destination = kGroup, .hop_limit = 1} /
           multicast_listener_report(kGroup),
       "02000000000202000000000186dd6000000000200001fe800000000000000000000000000001"
       "ff0200000000000000000001ff0000023a000502000001008300821d00000000ff0200000000"
       "000000000001ff000002"},
  };
}

TEST(Packet, LayersBecomeTheBytesOfTheWire) {
  for (const Row& row : rows()) EXPECT_EQ(hex(row.packet.bytes()), row.bytes) << row.name;
}

TEST(Packet, AUdpChecksumThatComesOutAsZeroIsWrittenAsAllOnes) {
  const auto bytes =
      (Ipv4{.source = kA, .destination = kB} / Udp{.source_port = 60326, .destination_port = 53}).bytes();
  EXPECT_EQ(bytes[26], 0xff);
  EXPECT_EQ(bytes[27], 0xff);
}

TEST(Packet, OptionsArePaddedToWholeWords) {
  const auto bytes = (Ipv4{.source = kA, .destination = kB, .options = {1, 1, 1, 1, 1}} / Udp{}).bytes();
  EXPECT_EQ(bytes[0], 0x47);
  EXPECT_EQ(bytes.size(), 28u + 8u);
}

TEST(Packet, FieldsSetByHandStay) {
  const auto bytes = (Ethernet{.ether_type = 0x88cc} /
                      Ipv4{.source = kA, .destination = kB, .protocol = 47, .total_length = 9} / Tcp{})
                         .bytes();
  EXPECT_EQ(bytes[12] << 8 | bytes[13], 0x88cc);
  EXPECT_EQ(bytes[14 + 2] << 8 | bytes[14 + 3], 9);
  EXPECT_EQ(bytes[14 + 9], 47);
}

TEST(Packet, ExtensionHeadersAreWholeUnitsOfEightBytesAndSayHowMany) {
  for (std::size_t length = 0; length < 24; ++length) {
    SCOPED_TRACE(length);
    const std::vector<std::uint8_t> some(length, 0);
    for (const Packet& packet :
         {Packet(HopByHop{.options = some}), Packet(DestinationOptions{.options = some}),
          Packet(Routing{.data = some})}) {
      const auto bytes = packet.bytes();
      EXPECT_EQ(bytes.size(), (bytes[1] + 1u) * 8u);
      EXPECT_EQ(bytes[0], 59) << "nothing follows";
    }
  }
}

TEST(Packet, FieldsOfIpv6SetByHandStay) {
  const auto bytes = (Ipv6{.source = kA6,
                           .destination = kB6,
                           .hop_limit = 3,
                           .next_header = 47,
                           .traffic_class = 0xab,
                           .flow_label = 0x12345,
                           .payload_length = 9} /
                      Tcp{})
                         .bytes();
  EXPECT_EQ(hex({bytes.begin(), bytes.begin() + 8}), "6ab1234500092f03");
}

TEST(Packet, EverySctpChunkIsAWholeNumberOfWordsAndSaysItsLength) {
  const SctpChunk chunks[] = {SctpChunk::data,      SctpChunk::init,     SctpChunk::init_ack,
                              SctpChunk::abort,     SctpChunk::shutdown, SctpChunk::cookie_echo,
                              SctpChunk::cookie_ack};
  for (const SctpChunk chunk : chunks) {
    const auto bytes = Packet(Sctp{.chunk = chunk}).bytes();
    const std::size_t length = static_cast<std::size_t>(bytes[14] << 8 | bytes[15]);
    EXPECT_EQ(bytes.size() % 4, 0u);
    EXPECT_EQ(bytes[12], static_cast<std::uint8_t>(chunk));
    EXPECT_EQ((length + 3) / 4 * 4, bytes.size() - 12) << static_cast<int>(chunk);
  }
}

TEST(Checksum, Crc32cOfTheUsualCheckString) {
  const std::uint8_t digits[] = {'1', '2', '3', '4', '5', '6', '7', '8', '9'};
  EXPECT_EQ(crc32c(digits), 0xe3069283u);
}

TEST(Checksum, InternetChecksumOfTheExampleInRfc1071) {
  const std::uint8_t bytes[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
  EXPECT_EQ(finish_sum(add_to_sum(0, bytes)), static_cast<std::uint16_t>(~0xddf2));
}

TEST(Names, FlagsAndChunksAreThoseOfTheScenarioFormat) {
  EXPECT_EQ(parse_tcp_flags("SA"), std::optional<std::uint8_t>(kSyn | kAck));
  EXPECT_EQ(parse_tcp_flags(""), std::optional<std::uint8_t>(0));
  EXPECT_EQ(parse_tcp_flags("SX"), std::nullopt);
  EXPECT_EQ(parse_sctp_chunk("INIT-ACK"), std::optional(SctpChunk::init_ack));
  EXPECT_EQ(parse_sctp_chunk("init"), std::nullopt);
}

}  // namespace
}  // namespace postern::packet::packet_test
