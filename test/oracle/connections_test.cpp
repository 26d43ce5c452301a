// SPDX-License-Identifier: Apache-2.0
// Histories of connections at the interface of x/a, worked out by hand from R14 to R17 and R25b.
#include "test/oracle/connections.h"

#include <gtest/gtest.h>

#include <functional>

#include "test/oracle/small_cluster.h"

namespace postern::oracle {
namespace {

enum class Step : std::uint8_t { passes, is_dropped, is_open };
constexpr auto passes = Step::passes;
constexpr auto is_dropped = Step::is_dropped;
constexpr auto is_open = Step::is_open;

// The peer is 8.8.8.8; ports as the client has them: client 40000, server 80.
class History {
 public:
  explicit History(Established established, Timeouts timeouts = {}, NodeMemory node = NodeMemory::none)
      : interface_({"x", "a"}, established, timeouts, node) {}

  History& policies(const std::function<void(SmallCluster&)>& arrange) {
    small_.objects.network_policies.clear();
    arrange(small_);
    interface_.changed({small_.objects, false, {}}, now_);
    return *this;
  }
  // The pod is the client of this packet, or the server; it leaves, or it arrives.
  History& client_sends(Protocol protocol, Kind kind, Step step) {
    return send(true, true, protocol, kind, step);
  }
  History& client_gets(Protocol protocol, Kind kind, Step step) {
    return send(true, false, protocol, kind, step);
  }
  History& server_sends(Protocol protocol, Kind kind, Step step) {
    return send(false, true, protocol, kind, step);
  }
  History& server_gets(Protocol protocol, Kind kind, Step step) {
    return send(false, false, protocol, kind, step);
  }
  // Why the last packet may pass.
  History& because(Reason reason) {
    EXPECT_TRUE(last_.allow_reasons.contains(reason)) << "packet " << count_ << " " << to_string(reason);
    return *this;
  }
  // What became of it.
  History& saw(bool allow, Reason reason) {
    interface_.saw(allow, reason);
    return *this;
  }
  History& wait(std::int64_t n) {
    now_ = now_ + seconds(n);
    return *this;
  }
  History& error_arrives(Protocol quoted, Step step) {
    Packet packet{.direction = Direction::ingress,
                  .source = ip("9.9.9.9"),
                  .destination = ip("10.0.0.1"),
                  .protocol = Protocol::icmp,
                  .kind = Kind::icmp_error,
                  .quoted = std::nullopt};
    packet.quoted = Packet::Quoted{ip("10.0.0.1"), ip("8.8.8.8"), quoted, 40000, 80};
    return judge(packet, step);
  }

 private:
  History& send(bool as_client, bool leaves, Protocol protocol, Kind kind, Step step) {
    const bool to_server = as_client == leaves;
    const bool echo = protocol == Protocol::icmp;
    const std::uint16_t client = 40000;
    const auto server = static_cast<std::uint16_t>(echo ? 40000 : 80);
    return judge({.direction = leaves ? Direction::egress : Direction::ingress,
                  .source = ip(leaves ? "10.0.0.1" : "8.8.8.8"),
                  .destination = ip(leaves ? "8.8.8.8" : "10.0.0.1"),
                  .protocol = protocol,
                  .kind = kind,
                  .source_port = to_server ? client : server,
                  .destination_port = to_server ? server : client,
                  .quoted = std::nullopt},
                 step);
  }
  History& judge(const Packet& packet, Step step) {
    ++count_;
    last_ = interface_.packet({small_.objects, false, {}}, packet, now_);
    const Judgement& got = last_;
    EXPECT_EQ(got.may_allow, step != Step::is_dropped) << "packet " << count_;
    EXPECT_EQ(got.may_deny, step != Step::passes) << "packet " << count_ << " " << got.why_open;
    EXPECT_EQ(got.may_deny, !got.deny_reasons.empty() || step == Step::is_open) << "packet " << count_;
    now_ = now_ + milliseconds(10);
    return *this;
  }

  SmallCluster small_;
  Interface interface_;
  Instant now_{1'000'000'000'000};
  Judgement last_;
  int count_ = 0;
};

constexpr auto kTcp = Protocol::tcp;
constexpr auto kUdp = Protocol::udp;
constexpr auto kSctp = Protocol::sctp;
constexpr auto kIcmp = Protocol::icmp;
constexpr auto reevaluate = Established::reevaluate;
constexpr auto keep = Established::keep;

void shut(SmallCluster& c) {
  c.ingress({});
  c.egress({});
}
void shut_in(SmallCluster& c) { c.ingress({}); }
void out_allowed(SmallCluster& c) {
  c.ingress({});
  c.egress({{}});
}
void both_allowed(SmallCluster& c) {
  c.ingress({{}});
  c.egress({{}});
}
void shut_out(SmallCluster& c) { c.egress({}); }
void in_allowed_out_free(SmallCluster& c) { c.ingress({{}}); }
void out_allowed_in_free(SmallCluster& c) { c.egress({{}}); }
void nothing(SmallCluster&) {}

TEST(OracleHistories, RepliesPassAndConnectionsTheOtherWayAreNew) {
  History(reevaluate)
      .policies(out_allowed)
      .client_gets(kTcp, Kind::syn_ack, is_dropped)
      .client_sends(kTcp, Kind::syn, passes)
      .client_gets(kTcp, Kind::syn_ack, passes)
      .client_sends(kTcp, Kind::other, passes)
      .client_gets(kTcp, Kind::other, passes)
      .client_gets(kTcp, Kind::syn, is_dropped)
      .server_gets(kTcp, Kind::syn, is_dropped);
  History(reevaluate)
      .policies(shut_in)
      .server_gets(kUdp, Kind::datagram, is_dropped)
      .server_sends(kUdp, Kind::datagram, passes);
  for (const auto& [protocol, open, answer] : {std::tuple{kUdp, Kind::datagram, Kind::datagram},
                                               {kSctp, Kind::init, Kind::other},
                                               {kIcmp, Kind::echo_request, Kind::echo_reply}}) {
    History(reevaluate)
        .policies(shut_in)
        .client_gets(protocol, answer, is_dropped)
        .client_sends(protocol, open, passes)
        .client_gets(protocol, answer, passes)
        .client_gets(protocol, answer, passes);
  }
}

TEST(OracleHistories, WhatOpensNothingInADirectionNobodyJudges) {
  History(reevaluate)
      .policies(shut_in)
      .client_sends(kTcp, Kind::other, passes)
      .client_gets(kTcp, Kind::other, is_dropped);
  History(reevaluate)
      .policies(shut_in)
      .client_sends(kTcp, Kind::syn_ack, passes)
      .client_gets(kTcp, Kind::other, is_dropped);
  History(reevaluate)
      .policies(shut_in)
      .client_sends(kSctp, Kind::other, passes)
      .client_gets(kSctp, Kind::other, is_dropped);
  History(reevaluate)
      .policies(shut_in)
      .client_sends(kUdp, Kind::datagram, passes)
      .client_gets(kUdp, Kind::datagram, passes);
  History(reevaluate)
      .policies(out_allowed)
      .client_sends(kTcp, Kind::other, passes)
      .client_gets(kTcp, Kind::other, passes);
}

TEST(OracleHistories, WhatAnswersNothingOpensNothing) {
  for (const auto established : {reevaluate, keep}) {
    for (const Kind kind : {Kind::syn_ack, Kind::rst}) {
      History(established)
          .policies(out_allowed)
          .server_sends(kTcp, kind, passes)
          .server_gets(kTcp, Kind::other, is_dropped)
          .server_sends(kTcp, Kind::other, passes)
          .server_gets(kTcp, Kind::other, passes);
    }
    // The end of a connection that was lost is judged as new (R39), and is its end all the same.
    History(established)
        .policies(out_allowed)
        .server_sends(kTcp, Kind::fin, passes)
        .wait(110)
        .server_gets(kTcp, Kind::other, passes)
        .wait(130)
        .server_gets(kTcp, Kind::other, is_dropped);
  }
  // So two resets leave nothing, and what is said after them is a connection that lives.
  History(keep)
      .policies(out_allowed_in_free)
      .server_sends(kTcp, Kind::rst, passes)
      .server_gets(kTcp, Kind::rst, passes)
      .server_sends(kTcp, Kind::other, passes)
      .server_gets(kTcp, Kind::other, passes)
      .wait(140)
      .server_sends(kTcp, Kind::other, passes)
      .because(Reason::established);
}

TEST(OracleHistories, OfTwoConnectionsOfOneKeyTheLaterIsKnown) {
  History(reevaluate)
      .policies(both_allowed)
      .client_sends(kTcp, Kind::syn, passes)
      .client_gets(kTcp, Kind::syn, passes)
      .policies(out_allowed)
      .client_gets(kTcp, Kind::other, is_dropped)
      .client_sends(kTcp, Kind::other, passes);
  History(reevaluate)
      .policies(both_allowed)
      .client_gets(kTcp, Kind::syn, passes)
      .client_sends(kTcp, Kind::syn, passes)
      .policies(out_allowed)
      .client_gets(kTcp, Kind::other, passes);
  History(keep)
      .policies(shut_out)
      .client_gets(kIcmp, Kind::echo_request, passes)
      .policies(out_allowed)
      .client_gets(kIcmp, Kind::echo_request, passes)
      .client_sends(kIcmp, Kind::echo_request, passes)
      .client_gets(kIcmp, Kind::echo_request, is_dropped)
      .client_gets(kIcmp, Kind::echo_reply, passes);
}

// What may be known is followed side by side, and what was seen decides.
TEST(OracleHistories, WhatWasSeenOnceHoldsFromThenOn) {
  const auto older_than_the_isolation = [] {
    History history(reevaluate);
    history.policies(nothing).client_sends(kTcp, Kind::syn, passes);
    history.policies(shut_in).client_gets(kTcp, Kind::syn_ack, is_open);
    return history;
  };
  older_than_the_isolation().client_gets(kTcp, Kind::other, is_open);
  older_than_the_isolation().saw(true, Reason::established).client_gets(kTcp, Kind::other, passes);
  older_than_the_isolation().saw(false, Reason::isolated).client_gets(kTcp, Kind::other, is_dropped);

  const auto in_udp = [](SmallCluster& c) {
    c.ingress({{{}, {any_port(kUdp)}}});
    c.egress({});
  };
  // An answer to what no rule admits any more, or the first of a connection the other way? If it is that, the
  // connection lives as long as one that was answered, whatever becomes of its direction meanwhile.
  const auto answered_by_its_opener = [&](bool allow, Reason reason) {
    History history(reevaluate);
    history.policies(out_allowed_in_free).client_sends(kUdp, Kind::datagram, passes);
    history.policies(in_udp).client_gets(kUdp, Kind::datagram, passes);
    history.client_sends(kUdp, Kind::datagram, is_open).saw(allow, reason);
    history.policies(shut_out).client_gets(kUdp, Kind::datagram, passes);
    return history;
  };
  answered_by_its_opener(true, Reason::established).wait(40).policies(in_udp).error_arrives(kUdp, passes);
  answered_by_its_opener(true, Reason::established).wait(40).policies(shut).error_arrives(kUdp, is_dropped);
  answered_by_its_opener(false, Reason::isolated).wait(40).policies(in_udp).error_arrives(kUdp, is_dropped);
}

TEST(OracleHistories, AHandshakeThatBeganUnseenIsDoneOrNot) {
  History(keep)
      .policies(nothing)
      .server_gets(kTcp, Kind::syn, passes)
      .policies(in_allowed_out_free)
      .server_sends(kTcp, Kind::syn_ack, passes)
      .server_gets(kTcp, Kind::other, passes)
      .policies(shut_in)
      .wait(140)
      .server_gets(kTcp, Kind::other, is_open);
}

TEST(OracleHistories, APolicyThatChangesCutsOrKeeps) {
  const auto opened = [](Established established, Protocol protocol) {
    History history(established);
    history.policies(out_allowed)
        .client_sends(protocol, protocol == kTcp ? Kind::syn : Kind::datagram, passes);
    history.client_gets(protocol, protocol == kTcp ? Kind::syn_ack : Kind::datagram, passes);
    history.policies(shut);
    return history;
  };
  opened(reevaluate, kTcp)
      .client_sends(kTcp, Kind::other, is_dropped)
      .client_gets(kTcp, Kind::other, is_dropped);
  opened(keep, kTcp).client_sends(kTcp, Kind::other, passes).client_gets(kTcp, Kind::other, passes);
  opened(reevaluate, kUdp).client_gets(kUdp, Kind::datagram, is_dropped);
  opened(keep, kUdp).client_gets(kUdp, Kind::datagram, passes).client_sends(kUdp, Kind::datagram, passes);
  opened(reevaluate, kTcp)
      .policies(out_allowed)
      .client_sends(kTcp, Kind::other, passes)
      .client_gets(kTcp, Kind::other, passes);
  // "a cut flow's replies are cut too": where nobody judges them they pass, and TCP brings nothing back.
  History(reevaluate)
      .policies(in_allowed_out_free)
      .server_gets(kTcp, Kind::syn, passes)
      .server_sends(kTcp, Kind::syn_ack, passes)
      .policies(shut_in)
      .server_gets(kTcp, Kind::other, is_dropped)
      .server_sends(kTcp, Kind::syn_ack, passes)
      .server_gets(kTcp, Kind::other, is_dropped);
  // UDP does: there is no opening to tell it by.
  History(reevaluate)
      .policies(in_allowed_out_free)
      .server_gets(kUdp, Kind::datagram, passes)
      .policies(shut_in)
      .server_gets(kUdp, Kind::datagram, is_dropped)
      .server_sends(kUdp, Kind::datagram, passes)
      .server_gets(kUdp, Kind::datagram, passes);
}

TEST(OracleHistories, RepliesOfAnAllowedConnectionOutliveChangesOfTheirOwnDirection) {
  History(reevaluate)
      .policies([](SmallCluster& c) {
        c.ingress({{{}, {port(443)}}});
      })
      .client_sends(kTcp, Kind::syn, passes)
      .client_gets(kTcp, Kind::syn_ack, passes)
      .policies(shut_in)
      .client_gets(kTcp, Kind::other, passes);
  // While the rules admitted the answers by themselves nobody had to remember it.
  History(reevaluate)
      .policies(in_allowed_out_free)
      .client_sends(kTcp, Kind::syn, passes)
      .client_gets(kTcp, Kind::syn_ack, passes)
      .policies(shut_in)
      .client_gets(kTcp, Kind::other, is_open);
  // Older than any isolation: R40.
  History(reevaluate)
      .policies(nothing)
      .client_sends(kTcp, Kind::syn, passes)
      .policies(shut_in)
      .client_gets(kTcp, Kind::syn_ack, is_open)
      .client_sends(kTcp, Kind::syn, passes);
}

TEST(OracleHistories, TimeoutsOfR25b) {
  const auto idle = [](Protocol protocol, std::vector<Kind> kinds, std::int64_t wait, Step step) {
    History history(reevaluate);
    history.policies(out_allowed);
    for (std::size_t i = 0; i < kinds.size(); ++i) {
      if (i % 2 == 0)
        history.client_sends(protocol, kinds[i], passes);
      else
        history.client_gets(protocol, kinds[i], passes);
    }
    const Kind answer = protocol == kUdp    ? Kind::datagram
                        : protocol == kIcmp ? Kind::echo_reply
                                            : Kind::other;
    history.wait(wait).client_gets(protocol, answer, step);
  };
  idle(kTcp, {Kind::syn}, 110, passes);
  idle(kTcp, {Kind::syn}, 130, is_dropped);
  idle(kTcp, {Kind::syn, Kind::syn_ack}, 1000, is_open);
  idle(kTcp, {Kind::syn, Kind::syn_ack, Kind::other}, 86000, passes);
  idle(kTcp, {Kind::syn, Kind::syn_ack, Kind::other}, 86500, is_dropped);
  idle(kTcp, {Kind::syn, Kind::syn_ack, Kind::fin}, 110, passes);
  idle(kTcp, {Kind::syn, Kind::syn_ack, Kind::fin}, 130, is_dropped);
  idle(kTcp, {Kind::syn, Kind::syn_ack, Kind::rst}, 5, passes);
  idle(kTcp, {Kind::syn, Kind::syn_ack, Kind::rst}, 15, is_dropped);
  idle(kUdp, {Kind::datagram}, 25, passes);
  idle(kUdp, {Kind::datagram}, 35, is_dropped);
  idle(kUdp, {Kind::datagram, Kind::datagram}, 110, passes);
  idle(kUdp, {Kind::datagram, Kind::datagram}, 130, is_dropped);
  idle(kSctp, {Kind::init}, 200, passes);
  idle(kSctp, {Kind::init}, 220, is_dropped);
  idle(kIcmp, {Kind::echo_request}, 25, passes);
  idle(kIcmp, {Kind::echo_request}, 35, is_dropped);
}

// R40.
TEST(OracleHistories, WhatTheNodeRemembersOutlivesTheIsolationThatComes) {
  const auto remembered = [](Protocol protocol, Kind first) {
    History history(reevaluate, {}, NodeMemory::remembers);
    return history.policies(nothing).client_sends(protocol, first, passes);
  };
  remembered(kTcp, Kind::syn)
      .client_gets(kTcp, Kind::syn_ack, passes)
      .client_sends(kTcp, Kind::other, passes)
      .wait(1000)
      .policies(shut_in)
      .client_gets(kTcp, Kind::other, passes)
      .server_gets(kTcp, Kind::syn, is_dropped);
  remembered(kUdp, Kind::datagram).policies(shut_in).client_gets(kUdp, Kind::datagram, passes);
  // Its own direction is judged again (R14).
  remembered(kUdp, Kind::datagram).policies(shut_out).client_sends(kUdp, Kind::datagram, is_dropped);
  // What has ended on the node is not seeded; what is seeded may wait anew.
  remembered(kUdp, Kind::datagram).wait(40).policies(shut_in).client_gets(kUdp, Kind::datagram, is_dropped);
  remembered(kUdp, Kind::datagram).wait(20).policies(shut_in).wait(20).client_gets(kUdp, Kind::datagram, is_open);
  // A node may take up what it hears in the middle.
  remembered(kTcp, Kind::other).policies(shut_in).client_gets(kTcp, Kind::other, is_open);
}

TEST(OracleHistories, AConnectionThatIsClosedLivesAsLongAsAClosedOneAndItsPortsBeginAnew) {
  const auto closed = [](Established established, Timeouts timeouts = {}) {
    History history(established, timeouts);
    history.policies(out_allowed).client_sends(kTcp, Kind::syn, passes).client_gets(kTcp, Kind::syn_ack, passes);
    history.client_sends(kTcp, Kind::fin, passes).client_gets(kTcp, Kind::fin, passes);
    return history;
  };
  closed(reevaluate).wait(115).client_gets(kTcp, Kind::other, passes);
  closed(reevaluate).wait(125).client_gets(kTcp, Kind::other, is_dropped);
  closed(reevaluate, {.tcp_closed = seconds(5)}).wait(10).client_gets(kTcp, Kind::other, is_dropped);
  // A new connection is judged by the policy of its day, also where flows are kept.
  closed(keep).policies(shut).client_sends(kTcp, Kind::other, passes).client_sends(kTcp, Kind::syn, is_dropped);
  // Allowed, it is as new as its SYN.
  History again = closed(reevaluate).client_sends(kTcp, Kind::syn, passes).client_gets(kTcp, Kind::syn_ack, passes);
  again.client_sends(kTcp, Kind::other, passes).wait(80000).client_gets(kTcp, Kind::other, passes);
  closed(reevaluate).client_gets(kTcp, Kind::rst, passes).wait(20).client_gets(kTcp, Kind::other, is_dropped);
}

TEST(OracleHistories, OneFinClosesHalf) {
  const auto half_closed = [] {
    History history(keep);
    history.policies(out_allowed).client_sends(kTcp, Kind::syn, passes).client_gets(kTcp, Kind::syn_ack, passes);
    history.client_sends(kTcp, Kind::fin, passes).client_sends(kTcp, Kind::fin, passes);
    return history;
  };
  half_closed().client_gets(kTcp, Kind::other, passes).wait(115).client_gets(kTcp, Kind::other, passes);
  half_closed().wait(125).client_gets(kTcp, Kind::other, is_dropped);
  // It is not over: whether a SYN is the same connection's is left open.
  half_closed().policies(shut).client_sends(kTcp, Kind::syn, is_open);
}

TEST(OracleHistories, AResetClosesUnlessSomebodyGoesOn) {
  const auto opened = [] {
    History history(reevaluate);
    return history.policies(out_allowed)
        .client_sends(kTcp, Kind::syn, passes)
        .client_gets(kTcp, Kind::syn_ack, passes)
        .client_sends(kTcp, Kind::other, passes);
  };
  opened().client_sends(kTcp, Kind::rst, passes).wait(20).client_gets(kTcp, Kind::other, is_dropped);
  opened().client_gets(kTcp, Kind::rst, passes).wait(20).client_gets(kTcp, Kind::other, is_dropped);
  opened()
      .client_gets(kTcp, Kind::rst, passes)
      .client_sends(kTcp, Kind::other, passes)
      .wait(20)
      .client_gets(kTcp, Kind::other, is_open);
}

TEST(OracleHistories, IcmpErrorsOfLiveConnectionsPassAndDiscoveryAlways) {
  History(reevaluate)
      .policies(out_allowed)
      .error_arrives(kTcp, is_dropped)
      .client_sends(kTcp, Kind::syn, passes)
      .error_arrives(kTcp, passes)
      .error_arrives(kUdp, is_dropped)
      .policies(shut)
      .error_arrives(kTcp, is_dropped);
  History(reevaluate).policies(shut).client_gets(Protocol::icmpv6, Kind::discovery, passes);
}

TEST(OracleHistories, AnEchoKnowsItsOpenerAndItsId) {
  History(reevaluate)
      .policies(shut_in)
      .client_sends(kIcmp, Kind::echo_request, passes)
      .server_gets(kIcmp, Kind::echo_request, is_dropped)
      .client_gets(kIcmp, Kind::echo_reply, passes);
}

TEST(OracleHistories, ASpoofedSourceLeavesNoIsolatedPod) {
  SmallCluster small;
  Interface interface({"x", "a"}, reevaluate);
  const auto leaves_with = [&](const char* source) {
    const Cluster cluster{small.objects, false, {}};
    const Packet packet{.direction = Direction::egress,
                        .source = ip(source),
                        .destination = ip("8.8.8.8"),
                        .protocol = kUdp,
                        .kind = Kind::datagram,
                        .source_port = 1,
                        .destination_port = 2,
                        .quoted = std::nullopt};
    return interface.packet(cluster, packet, {}).may_allow;
  };
  EXPECT_TRUE(leaves_with("10.0.0.9")) << "an unpoliced pod's packets are not looked at";
  small.egress({{}});
  EXPECT_FALSE(leaves_with("10.0.0.9"));
  EXPECT_TRUE(leaves_with("10.0.0.1"));
  EXPECT_TRUE(leaves_with("0.0.0.0"));
  EXPECT_TRUE(leaves_with("fe80::1"));
}

}  // namespace
}  // namespace postern::oracle
