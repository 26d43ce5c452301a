// SPDX-License-Identifier: Apache-2.0
#include "engine/datapath/parse.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>

#include "engine/base/prng.h"
#include "test/contract/frames.h"

extern "C" pn_u32 pn_judge_with_empty_tables(const pn_u8* data, pn_u32 length, pn_u32 flags);

namespace postern::test {
namespace {

// The frame in memory of exactly its size, so that a byte read too many is seen by the sanitizer.
class Exact {
 public:
  Exact(const Bytes& frame, std::size_t length) : length_(length), data_(new pn_u8[length]) {
    for (std::size_t i = 0; i < length; ++i) data_[i] = static_cast<pn_u8>(frame[i]);
  }
  [[nodiscard]] const pn_u8* begin() const { return data_.get(); }
  [[nodiscard]] const pn_u8* end() const { return data_.get() + length_; }
  [[nodiscard]] pn_u32 length() const { return static_cast<pn_u32>(length_); }

 private:
  std::size_t length_;
  std::unique_ptr<pn_u8[]> data_;
};

pn_packet parse(const Bytes& frame, std::size_t length) {
  const Exact bytes(frame, length);
  pn_packet packet;
  pn_parse(bytes.begin(), bytes.end(), bytes.length(), &packet);
  return packet;
}
pn_packet parse(const Bytes& frame) { return parse(frame, frame.size()); }

// Each test in both families.
class Parse : public testing::TestWithParam<IpFamily> {
 protected:
  void SetUp() override { family() = GetParam(); }
};
INSTANTIATE_TEST_SUITE_P(, Parse, testing::Values(IpFamily::v4, IpFamily::v6), [](const auto& chosen) {
  return chosen.param == IpFamily::v4 ? "IPv4" : "IPv6";
});

constexpr Socket kFrom{ip4(10, 0, 0, 5), 40000};
constexpr Socket kTo{ip4(10, 0, 0, 9), 80};

IpFields tagged() {
  IpFields fields;
  fields.options = Bytes(8, std::byte{1});
  fields.tags = {0x81000001};
  return fields;
}

struct Sample {
  const char* name;
  Bytes frame;
  std::size_t whole;  // bytes that the headers need
};

std::vector<Sample> samples() {
  const Bytes quoted = quote_of(tcp(kTo, kFrom, kAck));
  const Bytes options = tcp(kFrom, kTo, kSyn, tagged());
  const std::size_t ip = 14 + ip_header_length();
  return {
      {"TCP", tcp(kFrom, kTo, kSyn), ip + 20},
      {"UDP", udp(kFrom, kTo), ip + 8},
      {"SCTP", sctp(kFrom, kTo, 1), ip + 12},
      {"ping", icmp(kFrom.address, kTo.address, 8, 5), ip + 8},
      {"ICMP error", icmp(kFrom.address, kTo.address, 3, 0, quoted), ip + 8},
      {"GRE", other_protocol(kFrom.address, kTo.address, 47), ip},
      {"TCP with options and a tag", options, options.size()},
  };
}

TEST_P(Parse, EveryTruncationIsMalformedUntilTheHeadersAreWhole) {
  for (const auto& sample : samples()) {
    for (std::size_t length = 0; length <= sample.frame.size(); ++length) {
      const pn_packet packet = parse(sample.frame, length);
      const auto expected = length < sample.whole ? PN_KIND_MALFORMED : PN_KIND_IP;
      EXPECT_EQ(packet.kind, static_cast<pn_u32>(expected)) << sample.name << " cut to " << length;
    }
  }
}

TEST_P(Parse, EveryTruncationOfEveryFrameIsDeniedByEmptyTables) {
  for (const auto& sample : samples()) {
    for (std::size_t length = 0; length <= sample.frame.size(); ++length) {
      const Exact bytes(sample.frame, length);
      for (const pn_u32 flags : {0u, static_cast<pn_u32>(PN_POD_CT_FIRST)}) {
        const pn_u32 step = pn_judge_with_empty_tables(bytes.begin(), bytes.length(), flags);
        EXPECT_FALSE(pn_step_allows(step)) << sample.name << " cut to " << length;
        const auto reason = length < sample.whole ? PN_REASON_MALFORMED : PN_REASON_NONE;
        EXPECT_EQ(pn_step_reason(step), static_cast<pn_u32>(reason)) << sample.name << " cut to " << length;
      }
    }
  }
}

TEST_P(Parse, RandomBytesAreNeverReadBeyondTheirEnd) {
  Prng random(7);
  const auto all = samples();
  for (int round = 0; round < 20000; ++round) {
    Bytes frame = all[random.below(all.size())].frame;
    for (int flips = 0; flips < 4; ++flips) {
      frame[random.below(frame.size())] = static_cast<std::byte>(random.below(256));
    }
    const pn_packet packet = parse(frame, random.below(frame.size() + 1));
    EXPECT_LE(packet.kind, static_cast<pn_u32>(PN_KIND_ETHERTYPE));
  }
}

TEST_P(Parse, TheTupleIsThatOfThePacket) {
  const pn_packet packet = parse(tcp(kFrom, kTo, kSyn, tagged()));
  EXPECT_TRUE(pn_same_address(packet.tuple.source, abi_address(kFrom.address)));
  EXPECT_TRUE(pn_same_address(packet.tuple.destination, abi_address(kTo.address)));
  EXPECT_EQ(pn_swap16(packet.tuple.source_port), kFrom.port);
  EXPECT_EQ(pn_swap16(packet.tuple.destination_port), kTo.port);
  EXPECT_EQ(packet.tuple.protocol, static_cast<pn_u32>(PN_IP_TCP));
  EXPECT_EQ(packet.family, is_v4() ? 4u : 6u);
}

TEST_P(Parse, FlagsSayWhoMayOpenAndWhoOnlyAnswers) {
  constexpr pn_u32 kTracked = PN_PACKET_TRACKED;
  constexpr pn_u32 kOpens = PN_PACKET_TRACKED | PN_PACKET_OPENS;
  constexpr pn_u32 kAnswers = PN_PACKET_TRACKED | PN_PACKET_ANSWERS;
  const auto a = kFrom.address;
  const auto b = kTo.address;
  const struct {
    const char* name;
    Bytes frame;
    pn_u32 flags;
  } rows[] = {
      {"SYN", tcp(kFrom, kTo, kSyn), kOpens},
      {"SYN ACK", tcp(kFrom, kTo, kSyn | kAck), kAnswers},
      {"ACK", tcp(kFrom, kTo, kAck), kTracked},
      {"FIN ACK", tcp(kFrom, kTo, kFin | kAck), kTracked},
      {"RST", tcp(kFrom, kTo, kRst), kAnswers},
      {"no flag at all", tcp(kFrom, kTo, 0), kTracked},
      {"SYN FIN", tcp(kFrom, kTo, kSyn | kFin), kOpens},
      {"UDP", udp(kFrom, kTo), kTracked},
      {"SCTP INIT", sctp(kFrom, kTo, 1), kOpens},
      {"SCTP DATA", sctp(kFrom, kTo, 0), kTracked},
      {"echo request", icmp(a, b, 8, 5), kOpens},
      {"echo reply", icmp(a, b, 0, 5), kAnswers},
      {"timestamp", icmp(a, b, 13, 5), 0},
      {"GRE", other_protocol(a, b, 47), 0},
      {"error with a quote", icmp(a, b, 3, 0, quote_of(udp(kTo, kFrom))), PN_PACKET_ERROR | PN_PACKET_QUOTES},
      {"error with half a quote", icmp(a, b, 3, 0, Bytes(10)), PN_PACKET_ERROR},
      {"error that quotes GRE", icmp(a, b, 11, 0, quote_of(other_protocol(b, a, 47))), PN_PACKET_ERROR},
      {"error that quotes an error", icmp(a, b, 3, 0, quote_of(icmp(b, a, 3, 0))), PN_PACKET_ERROR},
  };
  for (const auto& row : rows) EXPECT_EQ(parse(row.frame).flags, row.flags) << row.name;
}

TEST_P(Parse, AQuoteIsReadBehindItsOwnOptions) {
  IpFields fields;
  fields.options = Bytes(12, std::byte{1});
  const pn_packet packet =
      parse(icmp(ip4(192, 0, 2, 1), kTo.address, 3, 0, quote_of(udp(kTo, kFrom, fields))));
  ASSERT_EQ(packet.flags, static_cast<pn_u32>(PN_PACKET_ERROR | PN_PACKET_QUOTES));
  EXPECT_TRUE(pn_same_address(packet.quote.source, abi_address(kTo.address)));
  EXPECT_EQ(pn_swap16(packet.quote.destination_port), kFrom.port);
  EXPECT_EQ(packet.quote.protocol, static_cast<pn_u32>(PN_IP_UDP));
}

TEST_P(Parse, HeadersThatContradictThemselvesAreMalformed) {
  Bytes version_5 = tcp(kFrom, kTo, kSyn);
  version_5[14] = std::byte{0x55};
  IpFields empty;
  empty.total_length = is_v4() ? 0 : 20;
  IpFields too_short;
  too_short.total_length = 39;
  IpFields too_long;
  too_long.total_length = 1500;
  EXPECT_EQ(parse(version_5).kind, static_cast<pn_u32>(PN_KIND_MALFORMED));
  EXPECT_EQ(parse(tcp(kFrom, kTo, kSyn, empty)).kind, static_cast<pn_u32>(PN_KIND_MALFORMED));
  EXPECT_EQ(parse(tcp(kFrom, kTo, kSyn, too_short)).kind, static_cast<pn_u32>(PN_KIND_MALFORMED));
  EXPECT_EQ(parse(tcp(kFrom, kTo, kSyn, too_long)).kind, static_cast<pn_u32>(PN_KIND_IP))
      << "the payload may be cut";
}

TEST(ParseIPv4, AHeaderShorterThanItsFieldsIsMalformed) {
  family() = IpFamily::v4;
  Bytes short_header = tcp(kFrom, kTo, kSyn);
  short_header[14] = std::byte{0x44};
  EXPECT_EQ(parse(short_header).kind, static_cast<pn_u32>(PN_KIND_MALFORMED));
}

TEST_P(Parse, ASegmentTooLongForItsLengthFieldIsWhole) {
  IpFields empty;
  empty.total_length = is_v4() ? 0 : 20;
  const Bytes frame = tcp(kFrom, kTo, kAck, empty);
  const Exact bytes(frame, frame.size());
  pn_packet packet;
  pn_parse(bytes.begin(), bytes.end(), 70000, &packet);
  EXPECT_EQ(packet.kind, static_cast<pn_u32>(PN_KIND_IP));
}

TEST_P(Parse, FragmentsKeepTheirAddressesAndTellWhatTheyBelongTo) {
  IpFields later;
  later.fragment = 1;
  const pn_packet packet = parse(udp(kFrom, kTo, later));
  EXPECT_EQ(packet.kind, static_cast<pn_u32>(PN_KIND_FRAGMENT));
  EXPECT_TRUE(pn_same_address(packet.tuple.source, abi_address(kFrom.address)));
  EXPECT_EQ(packet.flags, static_cast<pn_u32>(PN_PACKET_LATER));
  EXPECT_EQ(is_v4() ? pn_swap16(static_cast<pn_u16>(packet.fragment_id)) : pn_swap32(packet.fragment_id), 1u);
  EXPECT_EQ(packet.fragment_at, 8u);
  EXPECT_EQ(packet.fragment_protocol, PN_IP_UDP);
}

TEST_P(Parse, AFirstFragmentTellsWhereItEnds) {
  IpFields first;
  first.fragment = 0x2000;
  const pn_packet packet = parse(tcp(kFrom, kTo, kSyn, first));
  EXPECT_EQ(packet.kind, static_cast<pn_u32>(PN_KIND_IP));
  EXPECT_EQ(packet.flags & (PN_PACKET_FIRST | PN_PACKET_LATER), static_cast<pn_u32>(PN_PACKET_FIRST));
  EXPECT_EQ(packet.fragment_at, PN_TCP_LENGTH);
  EXPECT_EQ(packet.fragment_protocol, PN_IP_TCP);
}

}  // namespace
}  // namespace postern::test
