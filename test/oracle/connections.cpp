// SPDX-License-Identifier: Apache-2.0
#include "test/oracle/connections.h"

#include <algorithm>

namespace postern::oracle {

namespace {

// An implementation may count time in coarse ticks: this near to a timeout both verdicts are right.
constexpr Duration kSlack = seconds(2);

Direction opposite(Direction direction) {
  return direction == Direction::ingress ? Direction::egress : Direction::ingress;
}

bool is_icmp(Protocol protocol) { return protocol == Protocol::icmp || protocol == Protocol::icmpv6; }

// Packets that open a connection wherever they pass, and are never a reply (R15: "a connection opened the
// other way is new").
bool opens_by_itself(const Packet& packet) {
  return packet.kind == Kind::syn || packet.kind == Kind::init || packet.kind == Kind::echo_request;
}

bool is_trackable(const Packet& packet) {
  if (is_icmp(packet.protocol)) return packet.kind == Kind::echo_request || packet.kind == Kind::echo_reply;
  return packet.protocol == Protocol::tcp || packet.protocol == Protocol::udp ||
         packet.protocol == Protocol::sctp;
}

// Table "Open or closed": in a direction nobody judges, TCP without SYN and SCTP without INIT pass and open
// nothing, while UDP opens. In a judged direction a packet without a connection is judged as new (R39).
bool would_open(const Packet& packet, bool judged) {
  if (opens_by_itself(packet) || packet.protocol == Protocol::udp) return true;
  return judged && !is_icmp(packet.protocol);
}

std::set<Reason> with(std::set<Reason> reasons, Reason more) {
  reasons.insert(more);
  return reasons;
}

Judgement either(const std::string& why, const Verdict& as_new) {
  Judgement judgement{.may_allow = true,
                      .may_deny = true,
                      .allow_reasons = {Reason::established},
                      .deny_reasons = {},
                      .why_open = why};
  (as_new.allow ? judgement.allow_reasons : judgement.deny_reasons)
      .insert(as_new.reasons.begin(), as_new.reasons.end());
  return judgement;
}

Judgement allowed(std::set<Reason> reasons) {
  return {.may_allow = true,
          .may_deny = false,
          .allow_reasons = std::move(reasons),
          .deny_reasons = {},
          .why_open = {}};
}

Judgement denied(std::set<Reason> reasons) {
  return {.may_allow = false,
          .may_deny = true,
          .allow_reasons = {},
          .deny_reasons = std::move(reasons),
          .why_open = {}};
}

Judgement plainly(const Verdict& verdict) {
  return verdict.allow ? allowed(verdict.reasons) : denied(verdict.reasons);
}

}  // namespace

Interface::Key Interface::key_of(const Packet& packet) {
  const bool leaves = packet.direction == Direction::egress;
  Key key{.protocol = packet.protocol,
          .own = leaves ? packet.source : packet.destination,
          .own_port = leaves ? packet.source_port : packet.destination_port,
          .peer = leaves ? packet.destination : packet.source,
          .peer_port = leaves ? packet.destination_port : packet.source_port,
          .echo_opener = Direction::ingress};
  if (is_icmp(packet.protocol)) {
    key.own_port = key.peer_port = packet.source_port;
    key.echo_opener = packet.kind == Kind::echo_request ? packet.direction : opposite(packet.direction);
  }
  return key;
}

Interface::Found Interface::find(const Packet& packet, Instant now) {
  Found found{.key = key_of(packet), .entry = nullptr, .life = Life::none, .of_opener = false};
  const auto entry = tracked_.find(found.key);
  if (!is_trackable(packet) || entry == tracked_.end()) return found;
  if (entry->second.possibly_until < now) {
    tracked_.erase(entry);
    return found;
  }
  found.entry = &entry->second;
  found.life = entry->second.surely_until < now ? Life::unclear : Life::live;
  found.of_opener = entry->second.opener == packet.direction;
  return found;
}

// R14: "judged again in the opener's direction".
Verdict Interface::at_opening(const Cluster& cluster, const Key& key, Direction opener) const {
  const std::uint16_t port = opener == Direction::egress ? key.peer_port : key.own_port;
  return verdict(cluster, {pod_, opener, key.peer, key.protocol, port});
}

// R16. Unspecified and link-local addresses are the pod's own.
bool Interface::is_spoofed(const Now& now) const {
  const IpAddress& source = now.packet.source;
  if (now.packet.direction == Direction::ingress || !now.judged) return false;
  const auto& bytes = source.bytes();
  const bool unspecified =
      std::all_of(bytes.begin(), bytes.end(), [](std::uint8_t byte) { return byte == 0; });
  const bool link_local = !source.is_v4() && bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80;
  const auto pod = now.cluster.objects.pods.find(pod_);
  return !unspecified && !link_local && pod != now.cluster.objects.pods.end() &&
         std::count(pod->second.addresses.begin(), pod->second.addresses.end(), source) == 0;
}

// A packet of the side that opened, in a judged direction.
Judgement Interface::of_opener(const Now& now, const Tracked& entry, Life life) const {
  if (now.as_new.allow) return allowed(with(now.as_new.reasons, Reason::established));
  if (established_ == Established::reevaluate) return denied(now.as_new.reasons);  // R14: cut
  // keep: "only new connections see the change".
  if (!entry.surely_known) return either("older than any isolation", now.as_new);
  if (life == Life::unclear) return either("near its timeout", now.as_new);
  if (now.packet.kind == Kind::syn && entry.phases == std::set<Phase>{Phase::reset})
    return denied(now.as_new.reasons);
  // The same connection's opening again, or a new one on the same ports: nothing in the packet tells.
  if (now.packet.kind == Kind::syn || now.packet.kind == Kind::init)
    return either("an opening packet on an open connection", now.as_new);
  return allowed({Reason::established});
}

// A packet of the other side, in a judged direction.
Judgement Interface::of_reply(const Now& now, const Found& found) const {
  const Tracked& entry = *found.entry;
  const bool unclear = found.life == Life::unclear || !entry.surely_tracked;
  const Verdict opening = at_opening(now.cluster, found.key, entry.opener);
  if (established_ == Established::reevaluate && !opening.allow) {
    // R14: "a cut flow's replies are cut too": nothing carries them but what admits them by themselves.
    if (now.as_new.allow) return allowed(now.as_new.reasons);
    Judgement cut = denied(opening.reasons);
    cut.deny_reasons.insert(now.as_new.reasons.begin(), now.as_new.reasons.end());
    return cut;
  }
  if (now.as_new.allow) return allowed(with(now.as_new.reasons, Reason::established));
  if (!entry.surely_tracked) return either("older than the isolation (R40)", now.as_new);
  // Whether what was cut goes on by itself or waits for its opener is left open.
  if (entry.was_cut) return either("cut, and admitted again", now.as_new);
  if (unclear) return either("near its timeout", now.as_new);
  return allowed({Reason::established});  // R15
}

// Where one direction alone is judged and its rules admit a connection's packets that way by themselves,
// nobody has to remember the connection: it passes whatever it is. Only when those rules change does it
// show, and then the connection is older than what shuts it out (R40).
bool Interface::needs_no_memory(const Cluster& cluster, const Packet& packet) const {
  const bool this_way = judged(cluster, pod_, packet.direction);
  if (established_ == Established::keep || this_way == judged(cluster, pod_, opposite(packet.direction)))
    return false;
  const bool leaves = packet.direction == Direction::egress;
  const IpAddress& peer = leaves ? packet.destination : packet.source;
  // In the judged direction the packet itself, in the other one what would answer it.
  const Direction asked = this_way ? packet.direction : opposite(packet.direction);
  const std::uint16_t port = this_way ? packet.destination_port : packet.source_port;
  return verdict(cluster, {pod_, asked, peer, packet.protocol, port}).allow;
}

// R17: an ICMP error that quotes a live tracked flow. What it quotes went the other way.
Judgement Interface::as_related(const Now& now) {
  Judgement plain = plainly(now.as_new);
  if (!now.packet.quoted) return plain;
  const auto& quoted = *now.packet.quoted;
  const Packet original{.direction = opposite(now.packet.direction),
                        .source = quoted.source,
                        .destination = quoted.destination,
                        .protocol = quoted.protocol,
                        .kind = Kind::other,
                        .source_port = quoted.source_port,
                        .destination_port = quoted.destination_port,
                        .quoted = std::nullopt};
  if (now.as_new.allow) return allowed(with(now.as_new.reasons, Reason::related));
  const auto open = [&](const std::string& why) {
    Judgement judgement = either(why, now.as_new);
    judgement.allow_reasons = {Reason::related};
    return judgement;
  };
  const bool unremembered = needs_no_memory(now.cluster, original);
  const Found found = find(original, now.at);
  if (found.life == Life::none) return unremembered ? open("quotes what needs no memory") : plain;
  const Tracked& entry = *found.entry;
  const bool cut =
      established_ == Established::reevaluate && !at_opening(now.cluster, found.key, entry.opener).allow;
  if (cut && !entry.unclear_opener) return unremembered ? open("quotes what needs no memory") : plain;
  if (found.life == Life::unclear) return open("quotes a connection near its timeout");
  if (cut || entry.unclear_opener || entry.was_cut) return open("quotes a connection that may be cut");
  if (!entry.surely_known && !unremembered) return open("quotes a connection older than the isolation");
  return allowed({Reason::related});
}

Judgement Interface::judge(const Now& now, const Found& found) {
  const Packet& packet = now.packet;
  if (packet.kind == Kind::discovery) return allowed(with(now.as_new.reasons, Reason::always));  // R17
  if (!now.judged) {
    Judgement open = allowed(now.as_new.reasons);  // R28: nobody judges this direction
    if (found.life != Life::none) open.allow_reasons.insert(Reason::established);
    if (packet.quoted) open.allow_reasons.insert(Reason::related);
    return open;
  }
  if (is_spoofed(now)) return denied({Reason::spoofed_source});
  if (packet.kind == Kind::icmp_error) return as_related(now);
  if (found.life == Life::none) return plainly(now.as_new);
  if (found.entry->unclear_opener) {
    const bool sure = now.as_new.allow && !now.judged_back;
    return sure ? allowed(with(now.as_new.reasons, Reason::established))
                : either("opened from either side", now.as_new);
  }
  if (found.of_opener) return of_opener(now, *found.entry, found.life);
  return opens_by_itself(packet) ? plainly(now.as_new) : of_reply(now, found);
}

Judgement Interface::packet(const Cluster& cluster, const Packet& packet, Instant at) {
  const bool leaves = packet.direction == Direction::egress;
  const Now now{cluster,
                packet,
                at,
                judged(cluster, pod_, packet.direction),
                judged(cluster, pod_, opposite(packet.direction)),
                verdict(cluster, {pod_, packet.direction, leaves ? packet.destination : packet.source,
                                  packet.protocol, packet.destination_port})};
  const Found found = find(packet, at);
  Judgement judgement = judge(now, found);
  if (is_trackable(packet)) remember(now, found, judgement);
  return judgement;
}

// ---- What a packet leaves behind ----------------------------------------------------------------

namespace {

// R25b.
Duration timeout_of(Protocol protocol, bool established, bool closing, bool reset) {
  switch (protocol) {
    case Protocol::tcp: return reset ? seconds(10) : established && !closing ? seconds(86400) : seconds(120);
    case Protocol::udp: return seconds(established ? 120 : 30);
    case Protocol::sctp: return seconds(210);
    case Protocol::icmp:
    case Protocol::icmpv6: return seconds(30);
  }
  return seconds(0);
}

}  // namespace

// `passed`: surely, and surely remembered. What was dropped, or may have been, or passed without the
// connection's help, may renew the timeout or not.
void Interface::renew(const Packet& packet, Tracked& entry, Instant now, bool passed) {
  Duration shortest = seconds(1'000'000);
  Duration longest = seconds(0);
  for (const Phase phase : entry.phases) {
    const Duration timeout = timeout_of(packet.protocol, phase == Phase::established, phase == Phase::closing,
                                        phase == Phase::reset);
    shortest = std::min(shortest, timeout);
    longest = std::max(longest, timeout);
  }
  entry.possibly_until = std::max(passed ? Instant{} : entry.possibly_until, now + (longest + kSlack));
  // Whether packets after a reset renew its ten seconds is left open.
  const bool after_reset = entry.phases.contains(Phase::reset) && packet.kind != Kind::rst;
  const Instant until = now + (shortest - kSlack);
  if (passed && !after_reset) entry.surely_until = until;
  if (!passed) entry.surely_until = std::min(entry.surely_until, until);
}

void Interface::advance(const Packet& packet, Tracked& entry, bool by_opener, bool surely) {
  std::set<Phase> next;
  if (!surely) next = entry.phases;
  for (const Phase phase : entry.phases) {
    if (packet.protocol == Protocol::tcp && packet.kind == Kind::rst) {
      next.insert(Phase::reset);
    } else if (packet.protocol == Protocol::tcp && packet.kind == Kind::fin) {
      next.insert(phase == Phase::reset ? Phase::reset : Phase::closing);
    } else if (packet.kind == Kind::syn && (by_opener || entry.unclear_opener)) {
      next.insert(Phase::opening);  // again, or a new one on the same ports
      if (phase != Phase::reset) next.insert(phase);
    } else if (phase == Phase::opening && !by_opener) {
      // When a handshake counts as done is left open: with the answer, or with what the opener says to it.
      if (packet.protocol == Protocol::tcp) next.insert(phase);
      next.insert(Phase::established);
    } else if (phase == Phase::opening && entry.replied && packet.protocol == Protocol::tcp) {
      next.insert(Phase::established);
    } else if (phase == Phase::opening && entry.unclear_opener) {
      next.insert({phase, Phase::established});
    } else {
      next.insert(phase);
    }
  }
  entry.phases = next;
  if (!by_opener && surely) entry.replied = true;
  if (by_opener && packet.kind == Kind::syn) entry.replied = false;
}

// `remembered`: this packet surely leaves its trace (needs_no_memory).
void Interface::open(const Now& now, const Found& found, bool remembered) {
  Tracked entry{.opener = now.packet.direction,
                .phases = {Phase::opening},
                .replied = false,
                .surely_tracked = remembered && now.judged_back,
                .surely_known = remembered && (now.judged || now.judged_back),
                .unclear_opener = false,
                .was_cut = false,
                .surely_until = {},
                .possibly_until = {}};
  const bool mid_flow = now.packet.protocol == Protocol::tcp && now.packet.kind != Kind::syn;
  if (mid_flow) {
    entry.phases = {Phase::opening, Phase::established};
    // Nothing says what the end of a connection nobody has seen opens.
    entry.unclear_opener = now.packet.kind != Kind::other;
    if (entry.unclear_opener) entry.phases.insert({Phase::closing, Phase::reset});
  }
  renew(now.packet, entry, now.at, true);
  tracked_[found.key] = entry;
}

void Interface::remember(const Now& now, const Found& found, const Judgement& judgement) {
  const bool passed = judgement.may_allow && !judgement.may_deny;
  // "An unpoliced pod's packets are not parsed" (R16).
  const bool looked_at = now.judged || now.judged_back;
  const bool remembered = passed && looked_at && !needs_no_memory(now.cluster, now.packet);
  if (passed && now.packet.kind == Kind::echo_request) {
    // An echo of the same id the other way: whether both can be told apart is left open.
    Key other = found.key;
    other.echo_opener = opposite(other.echo_opener);
    if (const auto entry = tracked_.find(other); entry != tracked_.end()) {
      entry->second.surely_known = entry->second.surely_tracked = false;
    }
  }
  if (found.life == Life::none) {
    if (passed && would_open(now.packet, now.judged)) open(now, found, remembered);
    return;
  }
  Tracked& entry = *found.entry;
  if (!passed) {
    if (judgement.may_allow) {
      entry.unclear_opener = true;
      advance(now.packet, entry, found.of_opener, false);
    }
    renew(now.packet, entry, now.at, false);
    return;
  }
  if (!found.of_opener) {
    remember_reply(now, found, remembered);
    return;
  }
  const bool may_open = remembered && would_open(now.packet, now.judged);
  // Nothing says whether the answer to an opening, or the end of a connection, opens one.
  const Kind kind = now.packet.kind;
  const bool opens = may_open && kind != Kind::syn_ack && kind != Kind::fin && kind != Kind::rst;
  if (may_open && (found.life == Life::unclear || !entry.surely_known)) {
    entry.phases.insert({Phase::opening, Phase::established});  // perhaps another connection begins here
  }
  if (opens) {
    entry.surely_tracked = entry.surely_tracked || now.judged_back;
    entry.surely_known = entry.surely_known || now.judged || now.judged_back;
    entry.was_cut = false;
  }
  advance(now.packet, entry, true, remembered);
  renew(now.packet, entry, now.at, opens || (remembered && found.life == Life::live));
}

// A packet of the other side that surely passed.
void Interface::remember_reply(const Now& now, const Found& found, bool remembered) {
  Tracked& entry = *found.entry;
  const bool cut =
      established_ == Established::reevaluate && !at_opening(now.cluster, found.key, entry.opener).allow;
  // Where the connection may be forgotten, or may never have been known, this opens another.
  const bool may_be_gone = found.life == Life::unclear || !entry.surely_known;
  const bool opens_if_gone = may_be_gone && would_open(now.packet, now.judged);
  if (cut && !opens_by_itself(now.packet)) {
    // Table "Open or closed": UDP that answers a cut connection opens one; TCP and SCTP do not.
    if (now.packet.protocol == Protocol::udp && !now.judged) {
      open(now, found, remembered);
    } else {
      entry.unclear_opener = entry.unclear_opener || opens_if_gone;
      renew(now.packet, entry, now.at, false);
    }
    return;
  }
  bool sure = remembered && found.life == Life::live;
  if (opens_by_itself(now.packet)) {  // opened the other way while the first may still be there
    entry.unclear_opener = true;
    entry.surely_tracked = entry.surely_known = sure = false;
    entry.phases.insert(Phase::opening);
  } else if (opens_if_gone) {
    entry.unclear_opener = true;
    entry.phases.insert(Phase::opening);
  }
  advance(now.packet, entry, false, sure);
  renew(now.packet, entry, now.at, sure);
}

// R40 is about connections older than an isolation: what passed while nobody judged the direction of the
// replies may be known or not.
void Interface::changed(const Cluster& cluster) {
  for (auto& [key, entry] : tracked_) {
    const bool replies = judged(cluster, pod_, opposite(entry.opener));
    if (!replies) entry.surely_tracked = false;
    if (!replies && !judged(cluster, pod_, entry.opener)) entry.surely_known = false;
    const bool cuts = established_ == Established::reevaluate;
    if (cuts && !at_opening(cluster, key, entry.opener).allow) entry.was_cut = true;
  }
}

}  // namespace postern::oracle
