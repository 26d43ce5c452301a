// SPDX-License-Identifier: Apache-2.0
// Packets at one pod's interface over time: at random, and as ends send them that keep to their protocol.
#include <algorithm>
#include <array>
#include <ostream>

#include "test/oracle/small_cluster.h"
#include "test/property_oracle/story.h"

namespace postern::property {

namespace {

using oracle::block;
using oracle::ip;
using oracle::Kind;

// One connection that packets may belong to. A client here is an end with a high port.
struct Flow {
  bool pod_is_client = true;
  IpAddress own;
  IpAddress peer;
  Protocol protocol = Protocol::tcp;
  std::uint16_t client_port = 40000;
  std::uint16_t server_port = 80;
};

Flow random_flow(Dice& dice, bool v6) {
  static constexpr std::array<Protocol, 5> kProtocols{Protocol::tcp, Protocol::tcp, Protocol::udp,
                                                      Protocol::sctp, Protocol::icmp};
  static constexpr std::array<const char*, 3> kPeers4{"8.8.8.8", "10.0.0.2", "192.168.0.2"};
  static constexpr std::array<const char*, 3> kPeers6{"2001:db8::1", "fd00::2", "fdff::2"};
  Flow flow;
  flow.pod_is_client = dice.chance(50);
  flow.own = ip(v6 ? "fd00::1" : "10.0.0.1");
  flow.peer = ip(v6 ? dice.pick(kPeers6) : dice.pick(kPeers4));
  flow.protocol = dice.pick(kProtocols);
  if (flow.protocol == Protocol::icmp && v6) flow.protocol = Protocol::icmpv6;
  if (dice.chance(50)) flow.server_port = 81;
  return flow;
}

bool is_icmp(Protocol protocol) { return protocol == Protocol::icmp || protocol == Protocol::icmpv6; }

Kind random_kind(const Flow& flow, bool by_client, Dice& dice) {
  const auto roll = dice.below(100);
  switch (flow.protocol) {
    case Protocol::tcp:
      if (roll < 8) return Kind::fin;
      if (roll < 12) return Kind::rst;
      if (roll < (by_client ? 40u : 14u)) return Kind::syn;
      if (roll < (by_client ? 42u : 45u)) return Kind::syn_ack;
      return Kind::other;
    case Protocol::udp: return Kind::datagram;
    case Protocol::sctp: return roll < (by_client ? 50u : 4u) ? Kind::init : Kind::other;
    case Protocol::icmp:
    case Protocol::icmpv6: return roll < (by_client ? 90u : 5u) ? Kind::echo_request : Kind::echo_reply;
  }
  return Kind::other;
}

oracle::Packet random_packet(const Flow& flow, Dice& dice) {
  const bool by_client = dice.chance(50);
  const bool leaves = by_client == flow.pod_is_client;
  oracle::Packet packet{.direction = leaves ? oracle::Direction::egress : oracle::Direction::ingress,
                        .source = leaves ? flow.own : flow.peer,
                        .destination = leaves ? flow.peer : flow.own,
                        .protocol = flow.protocol,
                        .kind = random_kind(flow, by_client, dice),
                        .source_port = by_client ? flow.client_port : flow.server_port,
                        .destination_port = by_client ? flow.server_port : flow.client_port,
                        .quoted = {}};
  if (is_icmp(flow.protocol)) packet.source_port = packet.destination_port = 7;
  if (is_icmp(flow.protocol) || !dice.chance(6)) return packet;
  // An ICMP error about such a packet, sent back by a router to whom it came from.
  oracle::Packet error{.direction = leaves ? oracle::Direction::ingress : oracle::Direction::egress,
                       .source = leaves ? ip(flow.own.is_v4() ? "9.9.9.9" : "2001:db8::9") : flow.own,
                       .destination = packet.source,
                       .protocol = flow.own.is_v4() ? Protocol::icmp : Protocol::icmpv6,
                       .kind = Kind::icmp_error,
                       .source_port = 0,
                       .destination_port = 0,
                       .quoted = {}};
  error.quoted = {packet.source, packet.destination, packet.protocol, packet.source_port,
                  packet.destination_port};
  return error;
}

// Rules that some of the flows fit.
std::vector<PolicyRule> rules_for_flows(Dice& dice) {
  std::vector<PolicyRule> rules;
  for (std::size_t n = dice.below(3); n > 0; --n) {
    PolicyRule rule;
    const auto peer = dice.below(5);
    if (peer == 0) rule.peers = {block("8.8.8.0/24"), block("2001:db8::/32")};
    if (peer == 1) rule.peers = {oracle::pods({})};
    if (peer == 2)
      rule.peers = {block("8.0.0.0/7", {"9.0.0.0/8"}), block("2001:db8::/32", {"2001:db8::9/128"})};
    if (dice.chance(70)) {
      static constexpr std::array<Protocol, 4> kProtocols{Protocol::tcp, Protocol::tcp, Protocol::udp,
                                                          Protocol::sctp};
      const auto form = dice.below(4);
      const Protocol protocol = dice.pick(kProtocols);
      if (form == 0) rule.ports = {oracle::any_port(protocol)};
      if (form == 1) rule.ports = {oracle::port(80, protocol)};
      if (form == 2) rule.ports = {oracle::port(81, protocol), oracle::port(80, protocol)};
      if (form == 3) rule.ports = {oracle::ports(1, 1000, protocol)};
    }
    rules.push_back(rule);
  }
  return rules;
}

World world_for_flows(Dice& dice) {
  oracle::SmallCluster small;
  World world;
  world.objects = small.objects;
  world.strict = dice.chance(7);
  NetworkPolicy policy;
  policy.key = {"x", "p"};
  policy.isolates_ingress = dice.chance(65);
  policy.isolates_egress = dice.chance(50);
  policy.ingress = rules_for_flows(dice);
  policy.egress = rules_for_flows(dice);
  if (policy.isolates_ingress || policy.isolates_egress) world.objects.network_policies[policy.key] = policy;
  return world;
}

History random_history(Dice& dice, std::size_t count) {
  // Away from every timeout by more than the clock's grain.
  static constexpr std::array<std::int64_t, 10> kWaits{0, 1, 5, 20, 40, 100, 140, 190, 230, 90000};
  History history;
  history.keep = dice.chance(35);
  std::vector<Flow> flows;
  for (std::size_t n = 1 + dice.below(3); n > 0; --n) flows.push_back(random_flow(dice, dice.chance(40)));
  history.moments.push_back({{}, {}, world_for_flows(dice)});
  for (std::size_t n = 0; n < count; ++n) {
    Moment moment;
    if (dice.chance(14)) {
      moment.world = world_for_flows(dice);
    } else {
      moment.packet = random_packet(dice.pick(flows), dice);
      if (dice.chance(15)) moment.wait = seconds(dice.pick(kWaits));
    }
    history.moments.push_back(std::move(moment));
  }
  return history;
}

// ---- Traces -------------------------------------------------------------------------------------

// A flow as two ends that keep to their protocol: they open, talk, close and begin anew on the same ports.
struct Session {
  enum class Stage : std::uint8_t { idle, opening, answered, open, half_closed, over };
  Flow flow;
  Stage stage = Stage::idle;
  bool client_finished = false;
};

oracle::Packet packet_of(Session& session, bool by_client, Kind kind) {
  const Flow& flow = session.flow;
  const bool leaves = by_client == flow.pod_is_client;
  oracle::Packet packet{.direction = leaves ? oracle::Direction::egress : oracle::Direction::ingress,
                        .source = leaves ? flow.own : flow.peer,
                        .destination = leaves ? flow.peer : flow.own,
                        .protocol = flow.protocol,
                        .kind = kind,
                        .source_port = by_client ? flow.client_port : flow.server_port,
                        .destination_port = by_client ? flow.server_port : flow.client_port,
                        .quoted = {}};
  if (is_icmp(flow.protocol)) packet.source_port = packet.destination_port = 7;
  return packet;
}

// The client begins; or the other end does, on the same ports.
oracle::Packet begin(Session& session, Dice& dice) {
  if (session.stage != Session::Stage::idle && dice.chance(15)) {
    session.flow.pod_is_client = !session.flow.pod_is_client;
    std::swap(session.flow.client_port, session.flow.server_port);
  }
  session.stage = Session::Stage::opening;
  return packet_of(session, true, session.flow.protocol == Protocol::sctp ? Kind::init : Kind::syn);
}

// All sequence numbers are the same, so that every RST and FIN is plausible: forged ones have tests of their own.
oracle::Packet reset(Session& session, Dice& dice) {
  session.stage = Session::Stage::over;
  return packet_of(session, dice.chance(50), Kind::rst);
}

oracle::Packet next_of_tcp(Session& session, Dice& dice) {
  using Stage = Session::Stage;
  const auto roll = dice.below(100);
  switch (session.stage) {
    case Stage::idle: return begin(session, dice);
    case Stage::opening:
      if (roll < 15) return packet_of(session, true, Kind::other);  // the handshake was not heard
      if (roll < 25) return reset(session, dice);
      session.stage = Stage::answered;
      return packet_of(session, false, Kind::syn_ack);
    case Stage::answered: session.stage = Stage::open; return packet_of(session, true, Kind::other);
    case Stage::open:
      if (roll < 55) return packet_of(session, dice.chance(50), Kind::other);
      if (roll < 68) return reset(session, dice);
      if (roll < 72) return begin(session, dice);
      session.stage = Stage::half_closed;
      session.client_finished = dice.chance(50);
      return packet_of(session, session.client_finished, Kind::fin);
    case Stage::half_closed:
      if (roll < 40) return packet_of(session, dice.chance(50), Kind::other);
      if (roll < 50) return reset(session, dice);
      session.stage = Stage::over;
      return packet_of(session, !session.client_finished, Kind::fin);
    case Stage::over:
      if (roll < 40) return packet_of(session, dice.chance(50), Kind::other);
      return begin(session, dice);
  }
  return begin(session, dice);
}

oracle::Packet next_of(Session& session, Dice& dice) {
  switch (session.flow.protocol) {
    case Protocol::tcp: return next_of_tcp(session, dice);
    case Protocol::udp: return packet_of(session, dice.chance(50), Kind::datagram);
    case Protocol::sctp:
      if (session.stage == Session::Stage::idle || dice.chance(15)) return begin(session, dice);
      return packet_of(session, dice.chance(50), Kind::other);
    case Protocol::icmp:
    case Protocol::icmpv6: {
      const bool asks = dice.chance(50);
      return packet_of(session, asks, asks ? Kind::echo_request : Kind::echo_reply);
    }
  }
  return packet_of(session, true, Kind::other);
}

// Mostly one that lets sessions begin, in the directions that are judged.
World world_for_traces(Dice& dice) {
  World world = world_for_flows(dice);
  for (auto& [key, policy] : world.objects.network_policies) {
    if (dice.chance(30)) policy.ingress = {{}};
    if (dice.chance(30)) policy.egress = {{}};
  }
  return world;
}

History random_trace(Dice& dice, std::size_t count) {
  // On both sides of every timeout of R25b, away from it by more than the clock's grain.
  static constexpr std::array<std::int64_t, 12> kWaits{1, 6, 15, 25, 36, 60, 112, 128, 200, 220, 86000, 87000};
  History history;
  history.keep = dice.chance(45);
  std::vector<Session> sessions(1 + dice.below(3));
  for (auto& session : sessions) session.flow = random_flow(dice, dice.chance(40));
  history.moments.push_back({{}, {}, world_for_traces(dice)});
  for (std::size_t n = 0; n < count; ++n) {
    Moment moment;
    if (dice.chance(11)) {
      moment.world = world_for_traces(dice);
    } else {
      auto& session = sessions[dice.below(sessions.size())];
      moment.packet = dice.chance(8) ? random_packet(session.flow, dice) : next_of(session, dice);
      if (dice.chance(12)) moment.wait = seconds(dice.pick(kWaits));
    }
    history.moments.push_back(std::move(moment));
  }
  return history;
}

std::vector<History> smaller_histories(const History& history) {
  std::vector<History> out;
  const auto without = [&](std::size_t first, std::size_t count) {
    History shorter = history;
    const auto begin = shorter.moments.begin() + static_cast<std::ptrdiff_t>(first);
    shorter.moments.erase(begin, begin + static_cast<std::ptrdiff_t>(count));
    if (!shorter.moments.empty() && shorter.moments[0].world) out.push_back(std::move(shorter));
  };
  for (std::size_t n = history.moments.size() / 2; n > 0; n /= 2) {
    for (std::size_t i = 0; i + n <= history.moments.size(); i += n) without(i, n);
  }
  for (std::size_t i = 0; i < history.moments.size(); ++i) {
    if (history.moments[i].wait != Duration{}) {
      History copy = history;
      copy.moments[i].wait = {};
      out.push_back(std::move(copy));
    }
    if (!history.moments[i].world || history.moments.size() > 8) continue;
    for (auto& world : smaller(*history.moments[i].world)) {
      // The pod keeps its interface: another address would be another pod.
      const auto pod = world.objects.pods.find(kHistoryPod);
      if (pod == world.objects.pods.end()) continue;
      if (pod->second.addresses != history.moments[i].world->objects.pods.at(kHistoryPod).addresses) continue;
      History copy = history;
      copy.moments[i].world = std::move(world);
      out.push_back(std::move(copy));
    }
  }
  return out;
}

const char* text(Kind kind) {
  static constexpr std::array<const char*, 11> kKinds{"data",       "datagram",    "SYN",      "SYN-ACK",
                                                      "FIN",        "RST",         "INIT",     "echo request",
                                                      "echo reply", "error about", "discovery"};
  return kKinds[static_cast<std::size_t>(kind)];
}

void show(const oracle::Packet& packet, std::ostream& out) {
  out << (packet.direction == oracle::Direction::egress ? "  leaves " : "  arrives ")
      << to_string(packet.protocol) << " " << packet.source.to_string() << " " << packet.source_port << " -> "
      << packet.destination.to_string() << " " << packet.destination_port << " " << text(packet.kind);
  if (packet.quoted) {
    out << " " << to_string(packet.quoted->protocol) << " " << packet.quoted->source.to_string() << " "
        << packet.quoted->source_port << " -> " << packet.quoted->destination.to_string() << " "
        << packet.quoted->destination_port;
  }
}

}  // namespace

rc::Gen<History> any_history(std::size_t moments) {
  return [=](const rc::Random& random, int) {
    rc::Random source = random;
    Dice dice(source.next());
    return rc::shrinkable::shrinkRecur(random_history(dice, moments), [](const History& larger) {
      return rc::seq::fromContainer(smaller_histories(larger));
    });
  };
}

rc::Gen<History> any_trace(std::size_t moments) {
  return [=](const rc::Random& random, int) {
    rc::Random source = random;
    Dice dice(source.next());
    return rc::shrinkable::shrinkRecur(random_trace(dice, moments), [](const History& larger) {
      return rc::seq::fromContainer(smaller_histories(larger));
    });
  };
}

void showValue(const History& history, std::ostream& out) {
  out << (history.keep ? "established flows are kept\n" : "\n");
  for (const auto& moment : history.moments) {
    if (moment.wait != Duration{}) out << "after " << moment.wait.ns / 1'000'000'000 << " s\n";
    if (moment.world) showValue(*moment.world, out);
    if (moment.packet) {
      show(*moment.packet, out);
      out << "\n";
    }
  }
}

}  // namespace postern::property
