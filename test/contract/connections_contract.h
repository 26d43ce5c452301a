// SPDX-License-Identifier: Apache-2.0
// Tracked connections, in both orders (policy first, connections first): who may open, what counts as
// a reply, how long it lives, and what a policy change does to it.
#pragma once

#include "test/contract/backend_fixture.h"

namespace postern::test {

// The client may connect, nobody else; the pod may send anything (egress not judged).
inline void judge_ingress(TableWriter& tables) {
  tables.judge(PN_INGRESS, {denied(), rule(1)}).host(kClient.address, 1);
}

// Both directions judged: the client may connect in, and the pod out to 10.0.2.2.
constexpr Socket kServer{ip4(10, 0, 2, 2), 443};
constexpr Socket kPodOut{kPod, 50000};
inline void judge_both(TableWriter& tables) {
  tables.judge(PN_INGRESS, {denied(), rule(1), denied()}).judge(PN_EGRESS, {denied(), denied(), rule(2)});
  tables.host(kClient.address, 1).host(kServer.address, 2);
  tables.pod().flags |= PN_POD_CT_FIRST;
}

TEST_P(PacketContract, PolicyFirstKeepsNoStateForWhatPolicyAdmits) {
  judge_ingress(tables());
  enforce();
  EXPECT_ALLOWED(in(tcp(kClient, kPodHttp, kSyn)), PN_REASON_RULE);
  EXPECT_ALLOWED(out(tcp(kPodHttp, kClient, kSyn | kAck)), PN_REASON_NOT_ISOLATED);
  EXPECT_ALLOWED(in(tcp(kClient, kPodHttp, kAck)), PN_REASON_RULE);
  EXPECT_TRUE(connections().empty());
}

TEST_P(PacketContract, RepliesToWhatThePodOpenedPass) {
  judge_ingress(tables());
  enforce();
  const struct {
    const char* name;
    Bytes opener;
    Bytes reply;
  } rows[] = {
      {"TCP", tcp(kPodOut, kServer, kSyn), tcp(kServer, kPodOut, kSyn | kAck)},
      {"UDP", udp(kPodOut, kServer), udp(kServer, kPodOut)},
      {"SCTP", sctp(kPodOut, kServer, 1), sctp(kServer, kPodOut, 2)},
      {"ping", icmp(kPod, kServer.address, 8, 5), icmp(kServer.address, kPod, 0, 5)},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.name);
    EXPECT_DENIED(in(row.reply), PN_REASON_ISOLATED);
    EXPECT_ALLOWED(out(row.opener), PN_REASON_NOT_ISOLATED);
    EXPECT_ALLOWED(in(row.reply), PN_REASON_ESTABLISHED);
  }
  EXPECT_EQ(connections().size(), 4u);
}

TEST_P(PacketContract, AReplyIsTheExactReverseOnTheSameInterface) {
  judge_ingress(tables());
  enforce();
  out(udp(kPodOut, kServer));
  EXPECT_DENIED(in(udp({kServer.address, 444}, kPodOut)), PN_REASON_ISOLATED);
  EXPECT_DENIED(in(udp(kServer, {kPod, 50001})), PN_REASON_ISOLATED);
  EXPECT_DENIED(in(tcp(kServer, kPodOut, kAck)), PN_REASON_ISOLATED);
  EXPECT_DENIED(in(udp(kPodOut, kServer)), PN_REASON_ISOLATED);
  EXPECT_ALLOWED(in(udp(kServer, kPodOut)), PN_REASON_ESTABLISHED);
}

TEST_P(PacketContract, AnAnswerOfSctpOpensNoConnectionWherePolicyJudgesTheOtherDirection) {
  tables().judge(PN_INGRESS, {denied()});
  enforce();
  constexpr std::uint8_t kData = 0;
  constexpr std::uint8_t kInit = 1;
  EXPECT_ALLOWED(out(sctp(kPodOut, kServer, kData)), PN_REASON_NOT_ISOLATED);
  EXPECT_DENIED(in(sctp(kServer, kPodOut, kData)), PN_REASON_ISOLATED) << "DATA is no opening";
  EXPECT_ALLOWED(out(sctp(kPodOut, kServer, kInit)), PN_REASON_NOT_ISOLATED);
  EXPECT_ALLOWED(in(sctp(kServer, kPodOut, kData)), PN_REASON_ESTABLISHED);
}

TEST_P(PacketContract, ASynNeverProfitsFromAConnection) {
  for (const std::uint32_t flags : {0u, static_cast<std::uint32_t>(PN_POD_CT_FIRST)}) {
    judge_ingress(tables());
    tables().pod().flags = flags;
    enforce();
    ASSERT_TRUE(backend().forget_connections({}));
    out(tcp(kPodOut, kServer, kSyn));
    in(tcp(kServer, kPodOut, kSyn | kAck));
    EXPECT_DENIED(in(tcp(kServer, kPodOut, kSyn)), PN_REASON_ISOLATED);
    EXPECT_ALLOWED(in(tcp(kServer, kPodOut, kAck)), PN_REASON_ESTABLISHED)
        << "a denied SYN kills no connection";
  }
}

TEST_P(PacketContract, AnAllowedSynOverTheSameTupleStartsAnew) {
  judge_both(tables());
  enforce();
  in(tcp(kClient, kPodHttp, kSyn));
  out(tcp(kPodHttp, kClient, kSyn | kAck));
  in(tcp(kClient, kPodHttp, kFin | kAck));
  out(tcp(kPodHttp, kClient, kFin | kAck));
  ASSERT_EQ(connections().size(), 1u);
  EXPECT_ALLOWED(in(tcp(kClient, kPodHttp, kSyn)), PN_REASON_RULE);
  const auto entries = connections();
  ASSERT_EQ(entries.size(), 1u);
  EXPECT_EQ(entries[0].value.state & (PN_CT_REPLIED | PN_CT_FIN_OPENER | PN_CT_FIN_REPLIER), 0u);
}

TEST_P(PacketContract, MidFlowPacketsOpenNothingWhereNothingIsJudged) {
  judge_ingress(tables());
  enforce();
  EXPECT_ALLOWED(out(tcp(kPodHttp, kStranger, kAck)), PN_REASON_NOT_ISOLATED);
  EXPECT_ALLOWED(out(tcp(kPodHttp, kStranger, kSyn | kAck)), PN_REASON_NOT_ISOLATED);
  EXPECT_DENIED(in(tcp(kStranger, kPodHttp, kAck)), PN_REASON_ISOLATED);
  EXPECT_ALLOWED(out(icmp(kPod, kStranger.address, 0, 9)), PN_REASON_NOT_ISOLATED);
  EXPECT_DENIED(in(icmp(kStranger.address, kPod, 8, 9)), PN_REASON_ISOLATED);
  EXPECT_TRUE(connections().empty());
}

TEST_P(PacketContract, AnAnswerOpensNoConnectionEvenWherePolicyAdmitsIt) {
  judge_both(tables());
  enforce();
  for (const auto& answer : {tcp(kPodOut, kServer, kSyn | kAck), tcp(kPodOut, kServer, kRst)}) {
    EXPECT_ALLOWED(out(answer), PN_REASON_RULE);
    EXPECT_DENIED(in(tcp(kServer, kPodOut, kAck)), PN_REASON_ISOLATED);
  }
  EXPECT_TRUE(connections().empty());
}

TEST_P(PacketContract, OfTwoConnectionsOfOneKeyTheLaterIsKnown) {
  judge_both(tables());
  tables().judge(PN_INGRESS, {denied(), denied(), rule(1)});
  enforce();
  const struct {
    const char* name;
    Bytes from_pod;
    Bytes to_pod;
  } rows[] = {
      {"TCP", tcp(kPodOut, kServer, kSyn), tcp(kServer, kPodOut, kSyn)},
      {"SCTP", sctp(kPodOut, kServer, 1), sctp(kServer, kPodOut, 1)},
      {"ping", icmp(kPod, kServer.address, 8, 5), icmp(kServer.address, kPod, 8, 5)},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.name);
    for (const bool pod_is_later : {false, true}) {
      ASSERT_TRUE(backend().forget_connections({}));
      const auto first = pod_is_later ? in(row.to_pod) : out(row.from_pod);
      const auto second = pod_is_later ? out(row.from_pod) : in(row.to_pod);
      EXPECT_ALLOWED(first, PN_REASON_RULE);
      EXPECT_ALLOWED(second, PN_REASON_RULE);
      const auto entries = connections();
      ASSERT_EQ(entries.size(), 1u);
      EXPECT_EQ(view_of(entries[0].key, entries[0].value).opened_by_pod, pod_is_later);
    }
  }
}

TEST_P(PacketContract, RemovingAPeerBitesAtOnceAndItsServersPacketsDoNotBringItBack) {
  judge_ingress(tables());
  enforce();
  in(tcp(kClient, kPodHttp, kSyn));
  in(tcp(kClient, kPodHttp, kAck));
  tables().judge(PN_INGRESS, {denied(), denied()});
  bump_epoch();
  EXPECT_DENIED(in(tcp(kClient, kPodHttp, kAck | kPsh)), PN_REASON_ISOLATED);
  EXPECT_ALLOWED(out(tcp(kPodHttp, kClient, kAck | kPsh)), PN_REASON_NOT_ISOLATED);
  EXPECT_DENIED(in(tcp(kClient, kPodHttp, kAck)), PN_REASON_ISOLATED);
}

TEST_P(PacketContract, ConnectionsFirstRemembersEveryAllowedFlow) {
  judge_both(tables());
  enforce();
  EXPECT_ALLOWED(in(tcp(kClient, kPodHttp, kSyn)), PN_REASON_RULE);
  EXPECT_ALLOWED(out(tcp(kPodHttp, kClient, kSyn | kAck)), PN_REASON_ESTABLISHED);
  const auto data = in(tcp(kClient, kPodHttp, kAck));
  EXPECT_ALLOWED(data, PN_REASON_ESTABLISHED);
  EXPECT_EQ(pn_step_rule(data.step), 1u) << "the rule that admitted it";
  EXPECT_ALLOWED(out(tcp(kPodOut, kServer, kSyn)), PN_REASON_RULE);
  EXPECT_ALLOWED(in(tcp(kServer, kPodOut, kSyn | kAck)), PN_REASON_ESTABLISHED);
  EXPECT_DENIED(in(tcp(kServer, kPodHttp, kSyn)), PN_REASON_ISOLATED);
  EXPECT_DENIED(out(tcp(kPodOut, kClient, kSyn)), PN_REASON_ISOLATED);
  ASSERT_EQ(connections().size(), 2u);
}

TEST_P(PacketContract, AConnectionNamesItsOpener) {
  judge_both(tables());
  enforce();
  in(tcp(kClient, kPodHttp, kSyn));
  const auto entries = connections();
  ASSERT_EQ(entries.size(), 1u);
  const ConnectionView view = view_of(entries[0].key, entries[0].value);
  const std::string flow = is_v4() ? "TCP 10.0.0.5:40000 -> 10.0.0.9:80"
                                   : "TCP [a00:5:0:1::9]:40000 -> [a00:9:0:1::9]:80";
  EXPECT_EQ(to_string(view), flow + " endpoint 7");
  EXPECT_FALSE(view.opened_by_pod);
  EXPECT_EQ(view.step, rule(1));
  out(tcp(kPodHttp, kClient, kSyn | kAck));
  EXPECT_EQ(to_string(view_of(connections()[0].key, connections()[0].value)),
            flow + " replied endpoint 7");
}

TEST_P(PacketContract, AFlowThatLostItsEntryIsJudgedAsNew) {
  judge_both(tables());
  enforce();
  in(tcp(kClient, kPodHttp, kSyn));
  ASSERT_TRUE(backend().forget_connections({}));
  EXPECT_DENIED(out(tcp(kPodHttp, kClient, kSyn | kAck)), PN_REASON_ISOLATED);
  EXPECT_ALLOWED(in(tcp(kClient, kPodHttp, kAck)), PN_REASON_RULE);
  EXPECT_ALLOWED(out(tcp(kPodHttp, kClient, kAck)), PN_REASON_ESTABLISHED);
}

TEST_P(PacketContract, ANewEpochJudgesOnceMoreInTheOpenersDirection) {
  judge_both(tables());
  enforce();
  in(tcp(kClient, kPodHttp, kSyn));
  out(tcp(kPodHttp, kClient, kSyn | kAck));
  bump_epoch();
  EXPECT_ALLOWED(out(tcp(kPodHttp, kClient, kAck)), PN_REASON_ESTABLISHED) << "still allowed";
  EXPECT_EQ(connections()[0].value.epoch, 2u);
  tables().judge(PN_INGRESS, {denied(), denied(), denied()});
  bump_epoch();
  EXPECT_DENIED(out(tcp(kPodHttp, kClient, kAck)), PN_REASON_ISOLATED) << "replies of a cut flow are cut";
  EXPECT_DENIED(in(tcp(kClient, kPodHttp, kAck)), PN_REASON_ISOLATED);
  EXPECT_TRUE(connections().empty());
}

TEST_P(PacketContract, ACutFlowIsNotReopenedByItsOtherSide) {
  judge_both(tables());
  tables().judge(PN_EGRESS, {rule(3)});  // the pod may send anywhere
  enforce();
  in(tcp(kClient, kPodHttp, kSyn));
  out(tcp(kPodHttp, kClient, kSyn | kAck));
  tables().judge(PN_INGRESS, {denied(), denied(), denied()});
  bump_epoch();
  EXPECT_ALLOWED(out(tcp(kPodHttp, kClient, kAck)), PN_REASON_RULE) << "egress itself is allowed";
  EXPECT_DENIED(in(tcp(kClient, kPodHttp, kAck)), PN_REASON_ISOLATED);
  EXPECT_ALLOWED(out(tcp(kPodHttp, kClient, kAck)), PN_REASON_RULE);
  EXPECT_DENIED(in(tcp(kClient, kPodHttp, kAck)), PN_REASON_ISOLATED);
  tables().judge(PN_INGRESS, {denied(), rule(1), denied()});
  bump_epoch();
  EXPECT_ALLOWED(in(tcp(kClient, kPodHttp, kAck)), PN_REASON_RULE) << "its opener may take it up again";
  EXPECT_ALLOWED(out(tcp(kPodHttp, kClient, kAck)), PN_REASON_ESTABLISHED);
}

TEST_P(PacketContract, KeepLetsEstablishedFlowsOutliveTheirPolicy) {
  judge_both(tables());
  tables().pod().flags |= PN_POD_KEEP;
  enforce();
  in(tcp(kClient, kPodHttp, kSyn));
  out(tcp(kPodHttp, kClient, kSyn | kAck));
  tables().judge(PN_INGRESS, {denied(), denied(), denied()});
  bump_epoch();
  EXPECT_ALLOWED(in(tcp(kClient, kPodHttp, kAck)), PN_REASON_ESTABLISHED);
  EXPECT_ALLOWED(out(tcp(kPodHttp, kClient, kAck)), PN_REASON_ESTABLISHED);
  EXPECT_DENIED(in(tcp({kClient.address, 40001}, kPodHttp, kSyn)), PN_REASON_ISOLATED);
  EXPECT_DENIED(in(tcp(kClient, kPodHttp, kSyn)), PN_REASON_ISOLATED);
}

TEST_P(PacketContract, EveryStateHasItsTimeout) {
  judge_ingress(tables());
  auto& timeouts = tables().node().timeouts;
  for (std::uint32_t i = 0; i < PN_TIMEOUT_COUNT; ++i) timeouts[i] = 10 * (i + 1);
  enforce();
  const auto reply = tcp(kServer, kPodOut, kAck);
  const struct {
    const char* name;
    std::vector<Bytes> sent;      // by the pod, then ...
    std::vector<Bytes> received;  // ... by the server
    Bytes probe;
    pn_timeout timeout;
  } rows[] = {
      {"SYN", {tcp(kPodOut, kServer, kSyn)}, {}, reply, PN_TIMEOUT_TCP_SYN},
      {"answered", {tcp(kPodOut, kServer, kSyn)}, {reply}, reply, PN_TIMEOUT_TCP_ESTABLISHED},
      {"FIN",
       {tcp(kPodOut, kServer, kSyn), tcp(kPodOut, kServer, kFin | kAck)},
       {reply},
       reply,
       PN_TIMEOUT_TCP_FIN},
      {"both FINs",
       {tcp(kPodOut, kServer, kSyn), tcp(kPodOut, kServer, kFin | kAck)},
       {tcp(kServer, kPodOut, kFin | kAck)},
       reply,
       PN_TIMEOUT_TCP_CLOSED},
      {"RST", {tcp(kPodOut, kServer, kSyn)}, {tcp(kServer, kPodOut, kRst | kAck)}, reply, PN_TIMEOUT_TCP_RST},
      {"UDP", {udp(kPodOut, kServer)}, {}, udp(kServer, kPodOut), PN_TIMEOUT_UDP},
      {"UDP answered",
       {udp(kPodOut, kServer)},
       {udp(kServer, kPodOut)},
       udp(kServer, kPodOut),
       PN_TIMEOUT_UDP_REPLIED},
      {"SCTP", {sctp(kPodOut, kServer, 1)}, {}, sctp(kServer, kPodOut, 2), PN_TIMEOUT_SCTP},
      {"ping", {icmp(kPod, kServer.address, 8, 5)}, {}, icmp(kServer.address, kPod, 0, 5), PN_TIMEOUT_ICMP},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.name);
    for (const std::int64_t early : {1, 0}) {
      ASSERT_TRUE(backend().forget_connections({}));
      for (const auto& frame : row.sent) EXPECT_TRUE(out(frame).allow);
      for (const auto& frame : row.received) EXPECT_TRUE(in(frame).allow);
      wait_ticks(std::int64_t{timeouts[row.timeout]} - early);
      EXPECT_EQ(in(row.probe).allow, early == 1);
    }
  }
}

TEST_P(PacketContract, APacketKeepsItsConnectionAlive) {
  judge_ingress(tables());
  for (auto& timeout : tables().node().timeouts) timeout = 10;
  enforce();
  out(udp(kPodOut, kServer));
  for (int i = 0; i < 5; ++i) {
    wait_ticks(9);
    EXPECT_ALLOWED(in(udp(kServer, kPodOut)), PN_REASON_ESTABLISHED) << i;
  }
}

TEST_P(PacketContract, AgeingIsAsGoodAsWaiting) {
  judge_ingress(tables());
  for (auto& timeout : tables().node().timeouts) timeout = 10;
  enforce();
  const std::int64_t tick = backend().clock().tick_ns;
  out(udp(kPodOut, kServer));
  ASSERT_TRUE(backend().age_connections(Duration{9 * tick}));
  EXPECT_TRUE(in(udp(kServer, kPodOut)).allow);
  ASSERT_TRUE(backend().age_connections(Duration{10 * tick}));
  EXPECT_FALSE(in(udp(kServer, kPodOut)).allow);
}

TEST_P(PacketContract, ForgettingTakesOneEndpointOrAll) {
  judge_ingress(tables());
  enforce();
  out(udp(kPodOut, kServer));
  ASSERT_TRUE(backend().forget_connections(EndpointId{kEndpoint + 1}));
  EXPECT_TRUE(in(udp(kServer, kPodOut)).allow);
  ASSERT_TRUE(backend().forget_connections(EndpointId{kEndpoint}));
  EXPECT_FALSE(in(udp(kServer, kPodOut)).allow);
  out(udp(kPodOut, kServer));
  ASSERT_TRUE(backend().forget_connections({}));
  EXPECT_FALSE(in(udp(kServer, kPodOut)).allow);
}

TEST_P(PacketContract, AFullTableGivesUpOldConnectionsAndKeepsTheNewest) {
  judge_ingress(tables());
  enforce();
  const std::uint32_t places = small_sizes().conntrack_buckets * PN_CT_WAYS;
  for (std::uint32_t i = 0; i < 4 * places; ++i) {
    const Socket server{kServer.address, static_cast<std::uint16_t>(1000 + i)};
    EXPECT_TRUE(out(udp(kPodOut, server)).allow);
    EXPECT_TRUE(in(udp(server, kPodOut)).allow) << i;
  }
  EXPECT_LE(connections().size(), places);
  EXPECT_GT(connections().size(), places / 2);
}

TEST_P(PacketContract, AnExpiredWayIsTakenBeforeALiveOne) {
  judge_ingress(tables());
  tables().node().timeouts[PN_TIMEOUT_UDP] = 5;
  enforce();
  // Every way of every bucket is filled by flows that are dead soon; then as many live ones again.
  const std::uint32_t places = small_sizes().conntrack_buckets * PN_CT_WAYS;
  for (std::uint32_t i = 0; i < 8 * places; ++i)
    out(udp(kPodOut, {kServer.address, static_cast<std::uint16_t>(i + 1)}));
  wait_ticks(6);
  const std::uint32_t few = small_sizes().conntrack_buckets;
  const auto ping_at = [](std::uint32_t i) { return kServer.address + i; };
  for (std::uint32_t i = 0; i < few; ++i) out(icmp(kPod, ping_at(i), 8, 5));
  std::uint32_t alive = 0;
  for (std::uint32_t i = 0; i < few; ++i) alive += in(icmp(ping_at(i), kPod, 0, 5)).allow ? 1u : 0u;
  EXPECT_EQ(alive, few);
}

TEST_P(PacketContract, AnIcmpErrorAboutALiveConnectionIsRelated) {
  judge_both(tables());
  enforce();
  out(udp(kPodOut, kServer));
  const auto router = ip4(192, 0, 2, 1);
  const auto quoted = quote_of(udp(kPodOut, kServer));
  EXPECT_ALLOWED(in(icmp(router, kPod, 3, 0, quoted)), PN_REASON_RELATED);
  EXPECT_DENIED(in(icmp(router, kPod, 3, 0, quote_of(udp(kPodOut, kClient)))), PN_REASON_ISOLATED);
  EXPECT_DENIED(in(icmp(router, kPod, 3, 0, quote_of(udp(kServer, kPodOut)))), PN_REASON_ISOLATED);
  EXPECT_DENIED(in(icmp(router, kPod, 13, 0, quoted)), PN_REASON_ISOLATED) << "no error";
  Bytes cut = icmp(router, kPod, 3, 0, quoted);
  cut.resize(cut.size() - 1);
  EXPECT_DENIED(in(cut), PN_REASON_ISOLATED);
}

TEST_P(PacketContract, AnIcmpErrorAboutAFlowWithoutAnEntryIsRelated) {
  judge_ingress(tables());
  enforce();
  in(tcp(kClient, kPodHttp, kSyn));
  ASSERT_TRUE(connections().empty());
  const auto router = ip4(192, 0, 2, 1);
  EXPECT_ALLOWED(in(icmp(router, kPod, 3, 0, quote_of(tcp(kPodHttp, kClient, kAck)))), PN_REASON_RELATED);
  EXPECT_DENIED(in(icmp(router, kPod, 3, 0, quote_of(tcp(kPodHttp, kStranger, kAck)))), PN_REASON_ISOLATED);
}

TEST_P(PacketContract, EchoRepliesNeedTheirRequest) {
  judge_both(tables());
  tables().judge(PN_EGRESS, {rule(3)});
  enforce();
  EXPECT_ALLOWED(out(icmp(kPod, kStranger.address, 8, 5)), PN_REASON_RULE);
  EXPECT_DENIED(in(icmp(kStranger.address, kPod, 0, 6)), PN_REASON_ISOLATED);
  EXPECT_DENIED(in(icmp(kStranger.address, kPod, 8, 5)), PN_REASON_ISOLATED) << "a request is no reply";
  EXPECT_ALLOWED(in(icmp(kStranger.address, kPod, 0, 5)), PN_REASON_ESTABLISHED);
  EXPECT_ALLOWED(out(icmp(kPod, kServer.address, 0, 9)), PN_REASON_RULE) << "allowed, but opens nothing";
  EXPECT_DENIED(in(icmp(kServer.address, kPod, 8, 9)), PN_REASON_ISOLATED);
}

}  // namespace postern::test
