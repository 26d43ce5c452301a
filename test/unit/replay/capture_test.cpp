// SPDX-License-Identifier: Apache-2.0
// Every kind of capture file comes out as the same Ethernet frames and nanoseconds.
#include "sim/capture/capture.h"

#include "sim/packet/packet.h"
#include "test/unit/replay/capture_files.h"

namespace postern::sim {
namespace {

using packet::Ethernet;
using packet::Ipv4;
using packet::Tcp;

Bytes ip_packet() {
  return (packet::Packet{
              Ipv4{.source = IpAddress::v4(0x0a000001), .destination = IpAddress::v4(0x0a000002)}} /
          Tcp{.source_port = 40000, .destination_port = 80})
      .bytes();
}

Bytes frame() {
  Bytes bytes = packet::Packet{Ethernet{.ether_type = packet::kEtherTypeIpv4}}.bytes();
  const Bytes ip = ip_packet();
  bytes.insert(bytes.end(), ip.begin(), ip.end());
  return bytes;
}

Bytes plain(const std::vector<std::byte>& bytes) {
  Bytes out;
  for (const auto byte : bytes) out.push_back(std::to_integer<std::uint8_t>(byte));
  return out;
}

std::vector<CapturedPacket> read_all(const std::string& path) {
  std::vector<CapturedPacket> packets;
  auto reader = CaptureReader::open(path);
  if (!reader) {
    ADD_FAILURE() << reader.error().to_string();
    return packets;
  }
  for (;;) {
    auto packet = reader->next();
    if (!packet) {
      ADD_FAILURE() << packet.error().to_string();
      return packets;
    }
    if (!*packet) return packets;
    packets.push_back(std::move(**packet));
  }
}

TEST(Capture, MicrosecondPcapGivesNanoseconds) {
  const auto packets = read_all(
      write_capture("pcap", pcap_file(kMicroseconds, kLinkEthernet, {{1700000000, 999999, frame()}})));
  ASSERT_EQ(packets.size(), 1u);
  EXPECT_EQ(packets[0].at.ns, 1700000000'999999000);
  EXPECT_EQ(plain(packets[0].frame), frame());
  EXPECT_EQ(packets[0].number, 1u);
  EXPECT_FALSE(packets[0].cut());
}

TEST(Capture, NanosecondPcapKeepsEveryNanosecond) {
  const auto packets = read_all(
      write_capture("pcap", pcap_file(kNanoseconds, kLinkEthernet, {{1700000000, 123456789, frame()}})));
  ASSERT_EQ(packets.size(), 1u);
  EXPECT_EQ(packets[0].at.ns, 1700000000'123456789);
}

TEST(Capture, PcapngIsReadLikePcap) {
  const auto packets = read_all(write_capture(
      "pcapng", pcapng_file(kLinkEthernet, {{1700000000, 123456789, frame()}, {1700000001, 5, frame()}})));
  ASSERT_EQ(packets.size(), 2u);
  EXPECT_EQ(packets[0].at.ns, 1700000000'123456789);
  EXPECT_EQ(packets[1].at.ns, 1700000001'000000005);
  EXPECT_EQ(plain(packets[1].frame), frame());
  EXPECT_EQ(packets[1].number, 2u);
}

struct LinkRow {
  const char* name;
  std::uint32_t link_type;  // as written in files
  Bytes header;
};

TEST(Capture, EveryLinkTypeBecomesAnEthernetFrameOfIpv4) {
  Bytes sll(16, 0);
  sll[14] = 0x08;
  Bytes sll2(20, 0);
  sll2[0] = 0x08;
  // A prefix of "in", as an attribute padded to 8 bytes, then the packet's.
  const Bytes nflog{2, 0, 0, 7, 7, 0, 10, 0, 'i', 'n', 0, 0, static_cast<std::uint8_t>(ip_packet().size() + 4), 0, 9, 0};
  const LinkRow rows[] = {
      {"raw IP", 101, {}},
      {"raw IPv4", 228, {}},
      {"Linux cooked", 113, sll},
      {"Linux cooked v2", 276, sll2},
      {"BSD loopback of a little-endian machine", 0, {2, 0, 0, 0}},
      {"BSD loopback of a big-endian machine", 0, {0, 0, 0, 2}},
      {"OpenBSD loopback", 108, {0, 0, 0, 2}},
      {"PPP", 9, {0x00, 0x21}},
      {"PPP with a short protocol number", 9, {0x21}},
      {"PPP in HDLC framing", 50, {0xff, 0x03, 0x00, 0x21}},
      {"Cisco HDLC", 104, {0x0f, 0x00, 0x08, 0x00}},
      {"OpenBSD enc", 109, {2, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0}},
      {"netfilter log", 239, nflog},
  };
  Bytes expected(12, 0);
  expected.insert(expected.end(), {0x08, 0x00});
  const Bytes ip = ip_packet();
  expected.insert(expected.end(), ip.begin(), ip.end());
  for (const auto& row : rows) {
    SCOPED_TRACE(row.name);
    Bytes bytes = row.header;
    bytes.insert(bytes.end(), ip.begin(), ip.end());
    const auto wire = static_cast<std::uint32_t>(bytes.size());
    const auto packets =
        read_all(write_capture("pcap", pcap_file(kMicroseconds, row.link_type, {{1, 0, bytes}})));
    ASSERT_EQ(packets.size(), 1u);
    EXPECT_EQ(plain(packets[0].frame), expected);
    EXPECT_EQ(packets[0].original_length, expected.size());
    EXPECT_EQ(packets[0].wire_length, wire);
  }
}

TEST(Capture, ACutPacketKnowsHowLongItWas) {
  Bytes short_frame = frame();
  short_frame.resize(20);
  const auto packets =
      read_all(write_capture("pcap", pcap_file(kMicroseconds, kLinkEthernet, {{1, 0, short_frame, 1514}})));
  ASSERT_EQ(packets.size(), 1u);
  EXPECT_TRUE(packets[0].cut());
  EXPECT_EQ(packets[0].original_length, 1514u);
}

TEST(Capture, ATruncatedFileSaysHowManyPacketsItHeld) {
  Bytes file = pcap_file(kMicroseconds, kLinkEthernet, {{1, 0, frame()}, {2, 0, frame()}, {3, 0, frame()}});
  file.resize(file.size() - 7);
  auto reader = CaptureReader::open(write_capture("pcap", file));
  ASSERT_TRUE(reader.has_value());
  ASSERT_TRUE(reader->next().has_value());
  ASSERT_TRUE(reader->next().has_value());
  const auto third = reader->next();
  ASSERT_FALSE(third.has_value());
  EXPECT_EQ(third.error().code, ErrorCode::invalid_input);
  EXPECT_NE(third.error().message.find("after 2 whole packets"), std::string::npos) << third.error().message;
  EXPECT_EQ(reader->packets_read(), 2u);
}

TEST(Capture, EveryLinkTypeThatCarriesItBecomesAnEthernetFrameOfIpv6) {
  Bytes sll(16, 0), sll2(20, 0);
  sll[14] = sll2[0] = 0x86;
  sll[15] = sll2[1] = 0xdd;
  const Bytes nflog{10, 0, 0, 7, 44, 0, 9, 0};
  const LinkRow rows[] = {
      {"raw IP", 101, {}},
      {"raw IPv6", 229, {}},
      {"Linux cooked", 113, sll},
      {"Linux cooked v2", 276, sll2},
      {"loopback of FreeBSD", 0, {28, 0, 0, 0}},
      {"loopback of NetBSD, big-endian", 0, {0, 0, 0, 24}},
      {"loopback of Darwin", 0, {30, 0, 0, 0}},
      {"OpenBSD loopback", 108, {0, 0, 0, 24}},
      {"PPP", 9, {0x00, 0x57}},
      {"PPP in HDLC framing", 50, {0xff, 0x03, 0x00, 0x57}},
      {"Cisco HDLC", 104, {0x0f, 0x00, 0x86, 0xdd}},
      {"OpenBSD enc", 109, {24, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0}},
      {"netfilter log", 239, nflog},
  };
  Bytes ip(40, 0);
  ip[0] = 0x60;
  ip[6] = 59;
  Bytes expected(12, 0);
  expected.insert(expected.end(), {0x86, 0xdd});
  expected.insert(expected.end(), ip.begin(), ip.end());
  for (const auto& row : rows) {
    SCOPED_TRACE(row.name);
    Bytes bytes = row.header;
    bytes.insert(bytes.end(), ip.begin(), ip.end());
    const auto packets =
        read_all(write_capture("pcap", pcap_file(kMicroseconds, row.link_type, {{1, 0, bytes}})));
    ASSERT_EQ(packets.size(), 1u);
    EXPECT_EQ(plain(packets[0].frame), expected);
    EXPECT_EQ(packets[0].original_length, expected.size());
  }
}

TEST(Capture, ALinkHeaderThatIsCutOrUnknownIsNoIpPacket) {
  const LinkRow rows[] = {
      {"an empty raw packet", 101, {}},
      {"PPP of another protocol", 9, {0xc0, 0x21, 1, 1}},
      {"PPP that is cut", 50, {0xff, 0x03, 0x00}},
      {"Cisco HDLC that is cut", 104, {0x0f, 0x00, 0x08}},
      {"enc that is cut", 109, {2, 0, 0, 0, 0, 0}},
      {"a netfilter log without a packet", 239, {2, 0, 0, 7, 7, 0, 10, 0, 'i', 'n', 0, 0}},
      {"a netfilter log whose attribute is no whole one", 239, {2, 0, 0, 7, 1, 0, 9, 0}},
      {"loopback of an unknown family", 0, {99, 0, 0, 0, 0x45}},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.name);
    const auto packets =
        read_all(write_capture("pcap", pcap_file(kMicroseconds, row.link_type, {{1, 0, row.header}})));
    ASSERT_EQ(packets.size(), 1u);
    const Bytes frame = plain(packets[0].frame);
    ASSERT_GE(frame.size(), 14u);
    EXPECT_EQ(frame[12], 0xff);
    EXPECT_EQ(frame[13], 0xff);
  }
}

struct BadFile {
  const char* name;
  Bytes bytes;
  ErrorCode code;
  const char* message;
};

TEST(Capture, RefusesWhatIsNoCapture) {
  const BadFile rows[] = {
      {"empty", {}, ErrorCode::io, "cannot read as a capture"},
      {"text",
       {'h', 'e', 'l', 'l', 'o', ' ', 'w', 'o', 'r', 'l', 'd', '\n'},
       ErrorCode::io,
       "cannot read as a capture"},
      {"wireless", pcap_file(kMicroseconds, 127, {}), ErrorCode::unsupported, "IEEE802_11_RADIO"},
      {"wireless without radiotap", pcap_file(kMicroseconds, 105, {}), ErrorCode::unsupported, "IEEE802_11"},
      {"Prism", pcap_file(kMicroseconds, 119, {}), ErrorCode::unsupported, "PRISM"},
      {"netlink", pcap_file(kMicroseconds, 253, {}), ErrorCode::unsupported, "NETLINK"},
      {"Bluetooth", pcap_file(kMicroseconds, 201, {}), ErrorCode::unsupported, "BLUETOOTH"},
      {"usb", pcap_file(kMicroseconds, 189, {}), ErrorCode::unsupported, "USB_LINUX"},
      {"unassigned", pcap_file(kMicroseconds, 147, {}), ErrorCode::unsupported, "expected Ethernet, raw IP"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.name);
    const auto path = write_capture(row.name, row.bytes);
    const auto reader = CaptureReader::open(path);
    ASSERT_FALSE(reader.has_value());
    EXPECT_EQ(reader.error().code, row.code);
    EXPECT_NE(reader.error().message.find(row.message), std::string::npos) << reader.error().message;
    EXPECT_EQ(reader.error().location.file, path);
  }
  const auto absent = CaptureReader::open("/nowhere/at-all.pcap");
  ASSERT_FALSE(absent.has_value());
  EXPECT_NE(absent.error().message.find("No such file"), std::string::npos) << absent.error().message;
}

TEST(CaptureWriter, WhatIsWrittenIsReadBack) {
  const std::string path = write_capture("pcap", {});
  auto writer = CaptureWriter::create(path);
  ASSERT_TRUE(writer.has_value());
  const Bytes bytes = frame();
  ASSERT_TRUE(writer->write({1700000000'000000007}, std::as_bytes(std::span(bytes))).has_value());
  ASSERT_TRUE(
      writer->write({1700000001'999999999}, std::as_bytes(std::span(bytes).first(30)), 1514).has_value());
  ASSERT_TRUE(writer->close().has_value());
  const auto packets = read_all(path);
  ASSERT_EQ(packets.size(), 2u);
  EXPECT_EQ(packets[0].at.ns, 1700000000'000000007);
  EXPECT_EQ(plain(packets[0].frame), bytes);
  EXPECT_EQ(packets[1].at.ns, 1700000001'999999999);
  EXPECT_EQ(packets[1].frame.size(), 30u);
  EXPECT_EQ(packets[1].original_length, 1514u);
}

TEST(CaptureWriter, AFullDiskIsAnError) {
  auto writer = CaptureWriter::create("/dev/full");
  ASSERT_TRUE(writer.has_value());
  const Bytes bytes = frame();
  const auto written = writer->write({1}, std::as_bytes(std::span(bytes)));
  const auto closed = writer->close();
  ASSERT_FALSE(written.has_value() && closed.has_value());
  EXPECT_EQ((written ? closed : written).error().code, ErrorCode::io);
}

TEST(CaptureWriter, AFolderThatDoesNotExistIsAnError) {
  const auto writer = CaptureWriter::create("/nowhere/out.pcap");
  ASSERT_FALSE(writer.has_value());
  EXPECT_EQ(writer.error().code, ErrorCode::io);
}

}  // namespace
}  // namespace postern::sim
