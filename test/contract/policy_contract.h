// SPDX-License-Identifier: Apache-2.0
// What the datapath says of single packets: slots, classes, rows, bodies, ports, and what is decided
// before policy is asked.
#pragma once

#include <algorithm>

#include "test/contract/backend_fixture.h"

namespace postern::test {

TEST_P(PacketContract, AnInterfaceThatIsNotAttachedIsOpen) {
  tables().judge(PN_INGRESS, {denied()});
  apply(tables().take());
  const auto verdict = in(tcp(kClient, kPodHttp, kSyn));
  EXPECT_TRUE(verdict.allow);
  EXPECT_EQ(verdict.step, 0u);
}

TEST_P(PacketContract, APodThatNobodyJudgesIsNotEvenParsed) {
  enforce();
  const auto verdict = in(Bytes(20));
  EXPECT_TRUE(verdict.allow);
  EXPECT_EQ(verdict.step, 0u);
}

TEST_P(PacketContract, AnInterfaceWithoutASlotIsOpenUnlessTheNodeIsStrict) {
  constexpr std::uint32_t kOther = 43;
  enforce();
  ASSERT_TRUE(backend().attach(kOther));
  const auto ask = [&] {
    return backend().injector()->classify(kOther, PN_INGRESS, tcp(kClient, kPodHttp, kSyn), Instant{1});
  };
  EXPECT_TRUE(ask().allow);
  tables().node().flags = PN_NODE_STRICT;
  enforce();
  EXPECT_DENIED(ask(), PN_REASON_STRICT);
  EXPECT_EQ(counter(PN_INGRESS, PN_REASON_STRICT).packets, 1u);
}

TEST_P(PacketContract, ASlotThatIsTakenIsFoundInTheFarTable) {
  tables().judge(PN_INGRESS, {denied()});
  apply(tables().take());
  tables().write(TableId::slots, kIfindex, pn_slot(kIfindex + PN_SLOTS, 1, 0));
  tables().hash(TableId::slots_far, bytes_of(kIfindex), bytes_of(pn_slot(kIfindex, kRecord, 1)));
  TableDelta delta = tables().take();
  delta.writes.pop_back();  // the slot itself
  apply(delta);
  ASSERT_TRUE(backend().attach(kIfindex));
  EXPECT_DENIED(in(tcp(kClient, kPodHttp, kSyn)), PN_REASON_ISOLATED);
}

TEST_P(PacketContract, ATableThatHasAHoleIsClosed) {
  tables().judge(PN_INGRESS, {pn_step_continue(60)});
  enforce();
  EXPECT_DENIED(in(tcp(kClient, kPodHttp, kSyn)), PN_REASON_NONE);
  tables().judge(PN_INGRESS, {pn_step_continue(1u << 20)});
  enforce();
  EXPECT_DENIED(in(tcp(kClient, kPodHttp, kSyn)), PN_REASON_NONE);
}

TEST_P(PacketContract, ThePeersClassChoosesTheStep) {
  std::vector<std::uint32_t> steps(20, denied());
  steps[1] = rule(1);
  steps[17] = rule(17);
  tables().judge(PN_INGRESS, steps).host(ip4(10, 0, 0, 5), 1).host(ip4(10, 0, 0, 6), 17);
  tables().host(ip4(10, 0, 0, 7), 40).host_far(ip4(10, 0, 0, 8), 17);
  enforce();
  const struct {
    const char* name;
    std::uint32_t peer;
    std::uint32_t step;
  } rows[] = {
      {"in the row's first chunk", ip4(10, 0, 0, 5), rule(1)},
      {"in its second chunk", ip4(10, 0, 0, 6), rule(17)},
      {"a class beyond the row reads the first step", ip4(10, 0, 0, 7), denied()},
      {"in the table for full buckets", ip4(10, 0, 0, 8), rule(17)},
      {"no host at all", ip4(10, 0, 0, 99), denied()},
      {"the zero address is no free word", 0, denied()},
  };
  for (const auto& row : rows) EXPECT_EQ(in(tcp({row.peer, 1}, kPodHttp, kSyn)).step, row.step) << row.name;
}

TEST_P(PacketContract, BlocksAreFoundBySegmentAndHostsGoFirst) {
  tables().judge(PN_INGRESS, {denied(), rule(1), rule(2), rule(3)}, PN_DIR_BLOCKS);
  // 10.1.0.0/16: whole run of one class; 10.2.0.0/16: 10.2.4.0/24 apart, and a run of three.
  tables().page(ip4(10, 1, 0, 0), 0, 2).page(ip4(10, 2, 0, 0), 3, 10);
  tables().segment(10, ip4(10, 2, 0, 0), 2).segment(11, ip4(10, 2, 4, 0), 0);
  tables().segment(12, ip4(10, 2, 5, 0), 3);
  tables().host(ip4(10, 2, 4, 7), 1);
  enforce();
  const struct {
    std::uint32_t peer;
    std::uint32_t step;
  } rows[] = {
      {ip4(10, 1, 0, 0), rule(2)},       {ip4(10, 1, 255, 255), rule(2)}, {ip4(10, 0, 255, 255), denied()},
      {ip4(10, 2, 0, 0), rule(2)},       {ip4(10, 2, 3, 255), rule(2)},   {ip4(10, 2, 4, 0), denied()},
      {ip4(10, 2, 4, 7), rule(1)},       {ip4(10, 2, 4, 255), denied()},  {ip4(10, 2, 5, 0), rule(3)},
      {ip4(10, 2, 255, 255), rule(3)},   {ip4(10, 3, 0, 0), denied()},
  };
  for (const auto& row : rows) EXPECT_EQ(in(tcp({row.peer, 1}, kPodHttp, kSyn)).step, row.step) << row.peer;
}

TEST_P(PacketContract, EverySegmentOfALongRunIsFound) {
  constexpr std::uint32_t kSegments = 200;
  std::vector<std::uint32_t> steps(2, denied());
  steps[1] = rule(9);
  tables().judge(PN_INGRESS, steps, PN_DIR_BLOCKS);
  tables().page(ip4(10, 2, 0, 0), kSegments, 3);
  for (std::uint32_t i = 0; i < kSegments; ++i) {
    tables().segment(3 + i, ip4(10, 2, 0, 0) + i * 256, i % 2);
  }
  enforce();
  for (std::uint32_t i = 0; i < kSegments; ++i) {
    for (const std::uint32_t offset : {0u, 255u}) {
      const auto peer = ip4(10, 2, 0, 0) + i * 256 + offset;
      EXPECT_EQ(in(tcp({peer, 1}, kPodHttp, kSyn)).allow, i % 2 == 1) << i << '+' << offset;
    }
  }
}

TEST_P(PacketContract, WithoutTheBlocksFlagSegmentsAreNotAsked) {
  tables().judge(PN_INGRESS, {denied(), rule(1)});
  tables().page(ip4(10, 1, 0, 0), 0, 1);
  enforce();
  EXPECT_DENIED(in(tcp({ip4(10, 1, 0, 1), 1}, kPodHttp, kSyn)), PN_REASON_ISOLATED);
}

TEST_P(PacketContract, ABodyAnswersByProtocolAndPort) {
  tables().judge(PN_INGRESS, {pn_step_continue(4)});
  pn_body body{};
  body.other = denied();
  body.tcp = pn_step_continue(2);
  body.udp = rule(17);
  body.sctp = denied();
  body.interval_protocol = 6;
  body.interval_lo = 8000;
  body.interval_hi = 8100;
  body.interval_step = rule(80);
  tables().body(4, body);
  pn_port_steps directory{};
  for (auto& step : directory.steps) step = denied();
  directory.steps[1] = pn_step_continue(5);
  directory.steps[255] = rule(255);
  pn_port_steps page{};
  for (auto& step : page.steps) step = denied();
  page.steps[44] = rule(44);
  tables().write(TableId::portdirs, 2, directory).write(TableId::portpages, 5, page);
  enforce();
  const struct {
    const char* name;
    Bytes frame;
    std::uint32_t step;
  } rows[] = {
      {"below the interval", tcp(kClient, {kPod, 7999}, kSyn), denied()},
      {"first of the interval", tcp(kClient, {kPod, 8000}, kSyn), rule(80)},
      {"last of the interval", tcp(kClient, {kPod, 8100}, kSyn), rule(80)},
      {"behind the interval", tcp(kClient, {kPod, 8101}, kSyn), denied()},
      {"in the page", tcp(kClient, {kPod, 256 + 44}, kSyn), rule(44)},
      {"next to it", tcp(kClient, {kPod, 256 + 45}, kSyn), denied()},
      {"final in the directory", tcp(kClient, {kPod, 65535}, kSyn), rule(255)},
      {"UDP in TCP's interval", udp(kClient, {kPod, 8000}), rule(17)},
      {"SCTP in TCP's interval", sctp(kClient, {kPod, 8000}, 1), denied()},
      {"ICMP", icmp(kClient.address, kPod, 13, 1), denied()},
      {"GRE says that it has no ports", other_protocol(kClient.address, kPod, 47),
       pn_step_deny(PN_REASON_PROTOCOL, 0)},
  };
  for (const auto& row : rows) EXPECT_EQ(in(row.frame).step, row.step) << row.name;
}

TEST_P(PacketContract, AnOtherProtocolPassesUnderARuleWithoutPorts) {
  tables().judge(PN_INGRESS, {denied(), rule(1)}).host(kClient.address, 1);
  enforce();
  EXPECT_ALLOWED(in(other_protocol(kClient.address, kPod, 47)), PN_REASON_RULE);
  EXPECT_DENIED(in(other_protocol(kStranger.address, kPod, 47)), PN_REASON_PROTOCOL) << "no rule at all";
  EXPECT_DENIED(in(icmp(kStranger.address, kPod, 13, 1)), PN_REASON_ISOLATED);
}

TEST_P(PacketContract, WhatIsNoJudgeablePacketIsDroppedOnlyWhereThePodIsJudged) {
  tables().judge(PN_INGRESS, {rule(1)});
  enforce();
  IpFields later;
  later.fragment = 0x2001;
  IpFields first;
  first.fragment = 0x2000;
  Bytes short_first = tcp(kClient, kPodHttp, kSyn, first);
  short_first.resize(short_first.size() - 12);
  Bytes cut = tcp(kClient, kPodHttp, kSyn);
  cut.resize(cut.size() - 1);
  IpFields liar;
  liar.total_length = 30;
  const struct {
    const char* name;
    Bytes frame;
    pn_reason reason;
  } rows[] = {
      {"a cut TCP header", cut, PN_REASON_MALFORMED},
      {"a length that ends inside the header", tcp(kClient, kPodHttp, kSyn, liar), PN_REASON_MALFORMED},
      {"a later fragment", udp(kClient, kPodHttp, later), PN_REASON_FRAGMENT},
      {"a first fragment that is too short", short_first, PN_REASON_FRAGMENT},
      {"an EtherType nobody knows", ethernet(0x88b5, Bytes(40)), PN_REASON_ETHERTYPE},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.name);
    EXPECT_DENIED(in(row.frame), row.reason);
    EXPECT_ALLOWED(out(row.frame), PN_REASON_NOT_ISOLATED);
  }
  EXPECT_ALLOWED(in(udp(kClient, kPodHttp, first)), PN_REASON_RULE);
}

TEST_P(PacketContract, TagsAndOptionsAreLookedThrough) {
  tables().judge(PN_INGRESS, {denied(), rule(1)}).host(kClient.address, 1);
  enforce();
  IpFields odd;
  odd.options = Bytes(40, std::byte{1});
  odd.tags = {0x88a80014, 0x8100000a};
  EXPECT_ALLOWED(in(tcp(kClient, kPodHttp, kSyn, odd)), PN_REASON_RULE);
  EXPECT_DENIED(in(tcp(kStranger, kPodHttp, kSyn, odd)), PN_REASON_ISOLATED);
  odd.tags.push_back(0x81000001);
  EXPECT_DENIED(in(tcp(kClient, kPodHttp, kSyn, odd)), PN_REASON_ETHERTYPE);
}

TEST_P(PacketContract, WhatTheLinkNeedsAlwaysPasses) {
  tables().judge(PN_INGRESS, {denied()}).judge(PN_EGRESS, {denied()});
  tables().pod().flags = PN_POD_CT_FIRST;
  enforce();
  Bytes solicitation(40 + 24);
  solicitation[0] = std::byte{0x60};
  solicitation[5] = std::byte{24};
  solicitation[6] = std::byte{58};
  solicitation[40] = std::byte{135};
  Bytes report(40 + 8 + 8);
  report[0] = std::byte{0x60};
  report[5] = std::byte{16};
  report[40] = std::byte{58};
  report[48] = std::byte{143};
  EXPECT_ALLOWED(in(ethernet(0x0806, Bytes(28))), PN_REASON_ALWAYS);
  EXPECT_ALLOWED(out(ethernet(0x86dd, solicitation)), PN_REASON_ALWAYS);
  EXPECT_ALLOWED(out(ethernet(0x86dd, report)), PN_REASON_ALWAYS);
}

TEST_P(PacketContract, APageOfOneFamilySaysNothingOfTheOther) {
  tables().judge(PN_INGRESS, {denied(), rule(1)}, PN_DIR_BLOCKS);
  for (std::uint32_t page = 0; page < PN_IDX_PAGES; ++page) {
    const std::uint32_t other = is_v4() ? PN_IDX_PAGES + page : page;
    if (page % 256 == 10) tables().write(TableId::idx, other, pn_pair(0, 1));
  }
  enforce();
  EXPECT_DENIED(in(tcp(kClient, kPodHttp, kSyn)), PN_REASON_ISOLATED);
}

TEST_P(PacketContract, AnIPv6HeaderCannotBorrowAnIPv4Address) {
  family() = IpFamily::v4;
  tables().judge(PN_INGRESS, {denied(), rule(1)}).host(kClient.address, 1);
  enforce();
  EXPECT_ALLOWED(in(tcp(kClient, kPodHttp, kSyn)), PN_REASON_RULE);
  family() = IpFamily::v6;
  Bytes frame = tcp(kClient, kPodHttp, kSyn);
  Bytes mapped;
  put_address(mapped, pn_address_v4(kClient.address));
  std::copy(mapped.begin(), mapped.end(), frame.begin() + 14 + 8);
  EXPECT_DENIED(in(frame), PN_REASON_MALFORMED);
}

TEST_P(PacketContract, ExtensionHeadersAreWalkedUpToEight) {
  family() = IpFamily::v6;
  tables().judge(PN_INGRESS, {rule(1)});
  enforce();
  const auto with_headers = [](std::size_t count, std::uint8_t kind) {
    Bytes headers;
    for (std::size_t i = 0; i < count; ++i) {
      put(headers, i + 1 == count ? 6u : kind, 1);
      put(headers, 0, 7);
    }
    append(headers, tcp_header(1, 80, kSyn));
    IpFields fields;
    fields.protocol = count == 0 ? std::uint8_t{6} : kind;
    return ip(kClient.address, kPod, headers, fields);
  };
  for (const std::uint8_t kind : std::vector<std::uint8_t>{0, 43, 60}) {
    for (const std::size_t count : {0u, 1u, 2u, 8u}) {
      EXPECT_ALLOWED(in(with_headers(count, kind)), PN_REASON_RULE) << count << " of " << int{kind};
    }
    EXPECT_DENIED(in(with_headers(9, kind)), PN_REASON_MALFORMED);
    Bytes cut = with_headers(2, kind);
    cut.resize(14 + 40 + 12);
    EXPECT_DENIED(in(cut), PN_REASON_MALFORMED);
  }
}

TEST_P(PacketContract, AForeignSourceIsDroppedWhereEgressIsJudged) {
  tables().pod().flags = PN_POD_SPOOF_CHECK;
  tables().judge(PN_EGRESS, {rule(1)});
  enforce();
  EXPECT_DENIED(out(tcp({ip4(10, 0, 0, 77), 1}, kClient, kSyn)), PN_REASON_SPOOFED_SOURCE);
  EXPECT_ALLOWED(out(udp({0, 68}, {0xffffffff, 67})), PN_REASON_RULE);
  EXPECT_ALLOWED(out(tcp(kPodHttp, kClient, kSyn)), PN_REASON_RULE);
  EXPECT_ALLOWED(in(tcp(kClient, kPodHttp, kSyn)), PN_REASON_NOT_ISOLATED);
  tables().pod().flags = 0;
  enforce();
  EXPECT_ALLOWED(out(tcp({ip4(10, 0, 0, 77), 1}, kClient, kSyn)), PN_REASON_RULE);
}

TEST_P(PacketContract, APodReachesItself) {
  tables().judge(PN_INGRESS, {denied()}).judge(PN_EGRESS, {denied()});
  tables().pod().flags = PN_POD_CT_FIRST;
  enforce();
  EXPECT_ALLOWED(out(tcp({kPod, 4000}, kPodHttp, kSyn)), PN_REASON_SELF);
  EXPECT_ALLOWED(in(tcp({kPod, 4000}, kPodHttp, kSyn)), PN_REASON_SELF);
}

TEST_P(PacketContract, EveryJudgedPacketIsCountedByDirectionAndReason) {
  tables().judge(PN_INGRESS, {denied(), rule(1)}).host(kClient.address, 1);
  enforce();
  in(tcp(kStranger, kPodHttp, kSyn));
  in(tcp(kStranger, kPodHttp, kSyn));
  in(tcp(kClient, kPodHttp, kSyn));
  out(tcp(kPodHttp, kClient, kSyn | kAck));
  EXPECT_EQ(counter(PN_INGRESS, PN_REASON_ISOLATED).packets, 2u);
  EXPECT_EQ(counter(PN_INGRESS, PN_REASON_ISOLATED).bytes, 2 * (14 + ip_header_length() + 20));
  EXPECT_EQ(counter(PN_INGRESS, PN_REASON_RULE).packets, 1u);
  EXPECT_EQ(counter(PN_EGRESS, PN_REASON_NOT_ISOLATED).packets, 1u);
  EXPECT_EQ(counter(PN_EGRESS, PN_REASON_RULE).packets, 0u);
}

TEST_P(PacketContract, AnEventTellsTheWholePacket) {
  tables().judge(PN_INGRESS, {pn_step_deny(PN_REASON_DENIED_ADMIN, 5)});
  tables().pod().flags = PN_POD_EVENT_DENY;
  enforce();
  in(tcp(kClient, kPodHttp, kSyn));
  out(tcp(kPodHttp, kClient, kSyn));
  const auto seen = events();
  ASSERT_EQ(seen.size(), 1u);
  const pn_event& event = seen[0];
  EXPECT_EQ(event.ifindex, kIfindex);
  EXPECT_EQ(event.endpoint, kEndpoint);
  EXPECT_EQ(event.step, pn_step_deny(PN_REASON_DENIED_ADMIN, 5));
  EXPECT_EQ(event.length, 14 + ip_header_length() + 20);
  using Numbers = std::vector<int>;
  const Numbers rest = is_v4() ? Numbers(12) : Numbers{0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 9};
  const auto with_rest = [&](Numbers first) {
    first.insert(first.end(), rest.begin(), rest.end());
    return first;
  };
  EXPECT_EQ(Numbers(event.source, event.source + 16), with_rest({10, 0, 0, 5}));
  EXPECT_EQ(Numbers(event.destination, event.destination + 16), with_rest({10, 0, 0, 9}));
  EXPECT_EQ(event.source_port, 40000);
  EXPECT_EQ(event.destination_port, 80);
  EXPECT_EQ(event.direction, PN_INGRESS);
  EXPECT_EQ(event.family, is_v4() ? 4 : 6);
  EXPECT_EQ(event.protocol, 6);
  EXPECT_EQ(event.tcp_flags, kSyn);
  EXPECT_TRUE(events().empty());
}

TEST_P(PacketContract, TheRecordSaysWhichPacketsMakeAnEvent) {
  tables().judge(PN_INGRESS, {denied(), rule(1)}).host(kClient.address, 1);
  const auto count = [&](std::uint32_t flags) {
    tables().pod().flags = flags;
    enforce();
    EXPECT_TRUE(backend().forget_connections({}));
    in(tcp(kStranger, kPodHttp, kSyn));
    in(tcp(kClient, kPodHttp, kSyn));
    in(tcp(kClient, kPodHttp, kAck));
    out(ethernet(0x0806, Bytes(28)));
    return events().size();
  };
  EXPECT_EQ(count(0), 0u);
  EXPECT_EQ(count(PN_POD_EVENT_DENY), 1u);
  EXPECT_EQ(count(PN_POD_EVENT_NEW | PN_POD_CT_FIRST), 1u);
  EXPECT_EQ(count(PN_POD_EVENT_NEW | PN_POD_EVENT_DENY | PN_POD_CT_FIRST), 2u);
  EXPECT_EQ(count(PN_POD_EVENT_ALL), 4u);
}

TEST_P(PacketContract, AnIcmpEventCarriesTypeCodeAndId) {
  tables().judge(PN_INGRESS, {denied()});
  tables().pod().flags = PN_POD_EVENT_DENY;
  enforce();
  in(icmp(kClient.address, kPod, 8, 77));
  const auto seen = events();
  ASSERT_EQ(seen.size(), 1u);
  EXPECT_EQ(seen[0].source_port, icmp_type(8) << 8);
  EXPECT_EQ(seen[0].destination_port, 77);
}

}  // namespace postern::test
