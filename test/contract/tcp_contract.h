// SPDX-License-Identifier: Apache-2.0
// TCP connections: ports that are used again, RST and FIN that are forged, and those that are older than the
// isolation of their pod.
#pragma once

#include "test/contract/connections_contract.h"

namespace postern::test {

// A SYN where an entry is. The pod opened the connection; what counts is which state the entry is in
// behind the packets of the row, and whether a RST that only the old connection could send still ends it.
TEST_P(PacketContract, APortThatIsUsedAgainStartsAnewUnlessItsConnectionLives) {
  const Bytes syn = tcp(kPodOut, kServer, kSyn);
  const Bytes answer = tcp(kServer, kPodOut, kSyn | kAck);
  const Bytes data = tcp(kPodOut, kServer, kAck);
  const Bytes reply = tcp(kServer, kPodOut, kAck);
  constexpr std::uint32_t kLook = PN_CT_REPLIED | PN_CT_FIN_OPENER | PN_CT_FIN_REPLIER | PN_CT_RST | PN_CT_SYN_AGAIN;
  const struct {
    const char* name;
    std::vector<Bytes> packets;
    std::uint32_t state;
  } rows[] = {
      {"after a RST", {syn, answer, data, tcp(kServer, kPodOut, kRst), syn}, 0},
      {"after one FIN", {syn, answer, data, tcp(kServer, kPodOut, kFin | kAck), syn}, 0},
      {"after both", {syn, answer, tcp(kPodOut, kServer, kFin | kAck), tcp(kServer, kPodOut, kFin | kAck), syn}, 0},
      {"not answered yet", {syn, syn}, 0},
      {"into a live one", {syn, answer, data, syn}, PN_CT_REPLIED | PN_CT_SYN_AGAIN},
      {"which answers as a live one does", {syn, answer, data, syn, reply}, PN_CT_REPLIED | PN_CT_SYN_AGAIN},
      {"and goes on", {syn, answer, data, syn, reply, data}, PN_CT_REPLIED},
      {"and ends", {syn, answer, data, syn, reply, data, tcp(kServer, kPodOut, kFin | kAck)},
       PN_CT_REPLIED | PN_CT_FIN_REPLIER},
      {"which its other side had lost", {syn, answer, data, syn, answer}, PN_CT_REPLIED},
      {"and refuses", {syn, answer, data, syn, tcp_at(kServer, kPodOut, kRst | kAck, {1u << 31, 2})},
       PN_CT_REPLIED | PN_CT_RST | PN_CT_SYN_AGAIN},
  };
  for (const bool both : {false, true}) {
    both ? judge_both(tables()) : judge_ingress(tables());
    enforce();
    for (const auto& row : rows) {
      SCOPED_TRACE(row.name);
      ASSERT_TRUE(backend().forget_connections({}));
      for (const auto& frame : row.packets) {
        const bool from_pod = frame == syn || frame == data || frame == tcp(kPodOut, kServer, kFin | kAck);
        EXPECT_TRUE((from_pod ? out(frame) : in(frame)).allow);
      }
      const auto entries = connections();
      ASSERT_EQ(entries.size(), 1u);
      EXPECT_EQ(entries[0].value.state & kLook, row.state);
      EXPECT_TRUE(view_of(entries[0].key, entries[0].value).opened_by_pod);
    }
  }
}

// The pod's acknowledgement says where the server is in its stream, and the server's where the pod is.
TEST_P(PacketContract, ARstOrFinCountsOnlyWhereItsSideCanBe) {
  constexpr std::uint32_t kUnit = 1u << PN_CT_SPACE_UNIT_SHIFT;
  constexpr std::uint32_t kServerAt = 0xfff00000u;  // near the end of its numbers
  constexpr std::uint32_t kPodAt = 7 * kUnit + 5;
  const std::vector<Bytes> live{
      tcp_at(kPodOut, kServer, kSyn, {kPodAt - 1, 0}),
      tcp_at(kServer, kPodOut, kSyn | kAck, {kServerAt - 1, kPodAt}),
      tcp_at(kPodOut, kServer, kAck, {kPodAt, kServerAt}),
  };
  const auto of_server = [&](std::uint8_t flags, std::uint32_t at) {
    return tcp_at(kServer, kPodOut, flags, {at, kPodAt});
  };
  const auto of_pod = [&](std::uint8_t flags, std::uint32_t at) {
    return tcp_at(kPodOut, kServer, flags, {at, kServerAt});
  };
  const Bytes on = of_server(kAck, kServerAt);
  const struct {
    const char* name;
    bool from_pod;
    Bytes packet;
    std::vector<Bytes> then;  // by the server, where it begins with `on`; else by the pod
    std::uint32_t state;
  } rows[] = {
      {"where the server is", false, of_server(kRst, kServerAt), {}, PN_CT_RST},
      {"in flight", false, of_server(kRst | kAck, kServerAt + 0x50000), {}, PN_CT_RST},
      {"in flight, over the end of the numbers", false, of_server(kRst, 0x00000010), {}, PN_CT_RST},
      {"before it", false, of_server(kRst, kServerAt - kUnit), {}, 0},
      {"far ahead of it", false, of_server(kRst, kServerAt + 2 * kUnit), {}, 0},
      {"half the numbers away", false, of_server(kRst | kAck, kServerAt + (1u << 31)), {}, 0},
      {"where the pod is", true, of_pod(kRst, kPodAt), {}, PN_CT_RST},
      {"where the pod cannot be", true, of_pod(kRst, kPodAt + 5 * kUnit), {}, 0},
      {"a FIN where the server is", false, of_server(kFin | kAck, kServerAt), {}, PN_CT_FIN_REPLIER},
      {"a FIN where it cannot be", false, of_server(kFin | kAck, kServerAt + 9 * kUnit), {}, 0},
      {"a FIN of the pod", true, of_pod(kFin | kAck, kPodAt), {}, PN_CT_FIN_OPENER},
      {"a RST that the pod did not believe", false, of_server(kRst, kServerAt + 0x100), {of_pod(kAck, kPodAt)}, 0},
      {"a RST that the server did not send", false, of_server(kRst, kServerAt + 0x100), {on}, 0},
      {"a RST to what crossed one", true, of_pod(kRst, kPodAt), {on, of_pod(kRst, kPodAt)}, PN_CT_RST},
  };
  judge_ingress(tables());
  enforce();
  for (const auto& row : rows) {
    SCOPED_TRACE(row.name);
    ASSERT_TRUE(backend().forget_connections({}));
    out(live[0]);
    in(live[1]);
    out(live[2]);
    EXPECT_TRUE((row.from_pod ? out(row.packet) : in(row.packet)).allow) << "what it means is for the ends to say";
    for (const auto& frame : row.then) EXPECT_TRUE((frame == on ? in(frame) : out(frame)).allow);
    const auto entries = connections();
    ASSERT_EQ(entries.size(), 1u);
    EXPECT_EQ(entries[0].value.state & (PN_CT_FIN_OPENER | PN_CT_FIN_REPLIER | PN_CT_RST), row.state);
  }
}

// A forged RST leaves a connection its day, a true one ends it within ten ticks here.
TEST_P(PacketContract, AForgedRstEndsNoIdleConnection) {
  judge_ingress(tables());
  auto& timeouts = tables().node().timeouts;
  for (auto& timeout : timeouts) timeout = 1000;
  timeouts[PN_TIMEOUT_TCP_RST] = 10;
  enforce();
  for (const bool forged : {true, false}) {
    ASSERT_TRUE(backend().forget_connections({}));
    out(tcp_at(kPodOut, kServer, kSyn, {99, 0}));
    in(tcp_at(kServer, kPodOut, kSyn | kAck, {4999, 100}));
    out(tcp_at(kPodOut, kServer, kAck, {100, 5000}));
    EXPECT_TRUE(in(tcp_at(kServer, kPodOut, kRst, {forged ? 0x7fffffffu : 5000u, 0})).allow);
    wait_ticks(10);
    EXPECT_EQ(in(tcp_at(kServer, kPodOut, kAck, {5000, 100})).allow, forged);
  }
}

// Mid-flow grace (R40): what policy lets the other side open, and no longer than until its tick.
TEST_P(PacketContract, GraceAdmitsWhatMayBeOlderUntilItsTick) {
  for (const bool both : {false, true}) {
    both ? judge_both(tables()) : judge_ingress(tables());
    tables().pod().grace_until = tick() + 10;
    enforce();
    ASSERT_TRUE(backend().forget_connections({}));
    EXPECT_DENIED(in(tcp(kServer, kPodOut, kSyn)), PN_REASON_ISOLATED);
    EXPECT_DENIED(in(tcp(kServer, kPodOut, kSyn | kAck)), PN_REASON_ISOLATED);
    EXPECT_DENIED(in(udp(kServer, kPodOut)), PN_REASON_ISOLATED);
    EXPECT_TRUE(connections().empty());
    if (both) {
      EXPECT_DENIED(in(tcp({ip4(10, 0, 9, 9), 1}, kPodOut, kAck)), PN_REASON_ISOLATED) << "the pod may not open it";
    }
    EXPECT_ALLOWED(in(tcp(kServer, kPodOut, kRst)), PN_REASON_GRACE);
    EXPECT_TRUE(connections().empty()) << "it ends what it belongs to";
    wait_ticks(9);
    EXPECT_ALLOWED(in(tcp(kServer, kPodOut, kAck)), PN_REASON_GRACE);
    const auto entries = connections();
    ASSERT_EQ(entries.size(), 1u);
    EXPECT_TRUE(view_of(entries[0].key, entries[0].value).opened_by_pod);
    wait_ticks(1);
    EXPECT_ALLOWED(in(tcp(kServer, kPodOut, kAck)), PN_REASON_ESTABLISHED) << "the entry outlives the grace";
    EXPECT_DENIED(in(tcp(kServer, {kPod, 50001}, kAck)), PN_REASON_ISOLATED) << "and nothing else does";
  }
}

}  // namespace postern::test
