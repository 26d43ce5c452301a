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

// Packets that open a connection wherever they pass.
bool opens_by_itself(const Packet& packet) {
  return packet.kind == Kind::syn || packet.kind == Kind::init || packet.kind == Kind::echo_request;
}

bool is_trackable(const Packet& packet) {
  if (is_icmp(packet.protocol)) return packet.kind == Kind::echo_request || packet.kind == Kind::echo_reply;
  return packet.protocol == Protocol::tcp || packet.protocol == Protocol::udp ||
         packet.protocol == Protocol::sctp;
}

// Table "Open or closed": in a direction nobody judges, TCP without SYN and SCTP without INIT pass and open
// nothing, while UDP opens. In a judged direction a packet without a connection is judged as new (R39), but
// what answers can never be the first of one.
bool would_open(const Packet& packet, bool judged) {
  if (opens_by_itself(packet) || packet.protocol == Protocol::udp) return true;
  const bool answers = packet.kind == Kind::syn_ack || packet.kind == Kind::rst || is_icmp(packet.protocol);
  return judged && !answers;
}

// Port reuse after close starts anew.
template <typename Phase>
bool is_over(Phase phase) {
  return phase == Phase::closed || phase == Phase::reset;
}

std::set<Reason> with(std::set<Reason> reasons, Reason more) {
  reasons.insert(more);
  return reasons;
}

// What an ICMP error complains of, as it went the other way.
Packet quoted_by(const Packet& error) {
  const auto& quoted = *error.quoted;
  return {.direction = opposite(error.direction),
          .source = quoted.source,
          .destination = quoted.destination,
          .protocol = quoted.protocol,
          .kind = Kind::other,
          .source_port = quoted.source_port,
          .destination_port = quoted.destination_port,
          .quoted = std::nullopt};
}

}  // namespace

Interface::Key Interface::key_of(const Packet& packet) {
  const bool leaves = packet.direction == Direction::egress;
  Key key{.protocol = packet.protocol,
          .own = leaves ? packet.source : packet.destination,
          .own_port = leaves ? packet.source_port : packet.destination_port,
          .peer = leaves ? packet.destination : packet.source,
          .peer_port = leaves ? packet.destination_port : packet.source_port};
  if (is_icmp(packet.protocol)) key.own_port = key.peer_port = packet.source_port;
  return key;
}

void Interface::add(Possible& possible, const Known& known, const Life& life) {
  const auto [there, is_new] = possible.emplace(known, life);
  if (is_new) return;
  there->second.surely_until = std::min(there->second.surely_until, life.surely_until);
  there->second.possibly_until = std::max(there->second.possibly_until, life.possibly_until);
}

Interface::Possible Interface::possible_at(const Key& key, Instant at) const {
  Possible out;
  const auto entry = tracked_.find(key);
  if (entry == tracked_.end()) return {{Known{}, Life{}}};
  for (const auto& [known, life] : entry->second) {
    const bool may_live = known && life.possibly_until >= at;
    if (may_live) add(out, known, life);
    if (!may_live || life.surely_until < at) add(out, Known{}, Life{});
  }
  return out;
}

// R14: "judged again in the opener's direction".
bool Interface::cuts(const Cluster& cluster, const Key& key, const Tracked& tracked) const {
  if (established_ == Established::keep) return false;
  const std::uint16_t port = tracked.opener == Direction::egress ? key.peer_port : key.own_port;
  return !verdict(cluster, {pod_, tracked.opener, key.peer, key.protocol, port}).allow;
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

// ---- What a packet is, if this is known ---------------------------------------------------------

// R15: the exact reverse is a reply, "a connection opened the other way is new". An echo request belongs to
// the side that asked, its reply to the other.
bool Interface::belongs(const Packet& packet, const Tracked& tracked) {
  const bool from_opener = packet.direction == tracked.opener;
  if (is_icmp(packet.protocol)) return from_opener == (packet.kind == Kind::echo_request);
  return from_opener || !opens_by_itself(packet);
}

// A packet of the side that opened.
std::vector<Interface::Ruled> Interface::of_opener(const Now& now, const Tracked& tracked) const {
  const Ruled denied{false, now.as_new.reasons};
  const Ruled goes_on{true, {Reason::established}};
  if (now.as_new.allow) return {{true, with(now.as_new.reasons, Reason::established)}};
  if (established_ == Established::reevaluate) return {denied};  // R14: cut
  // keep: "only new connections see the change". An opening packet may be the same connection's again, or a
  // new one's on the same ports: nothing in the packet tells.
  if (now.packet.kind == Kind::syn && is_over(tracked.phase)) return {denied};
  if (now.packet.kind == Kind::syn || now.packet.kind == Kind::init) return {denied, goes_on};
  return {goes_on};
}

// A packet of the other side. R14: "a cut flow's replies are cut too": nothing carries them but what admits
// them by themselves.
Interface::Ruled Interface::of_reply(const Now& now, const Tracked& tracked) const {
  const bool is_cut = tracked.cut || cuts(now.cluster, now.key, tracked);
  if (is_cut) return {now.as_new.allow, now.as_new.reasons};
  if (now.as_new.allow) return {true, with(now.as_new.reasons, Reason::established)};
  return {true, {Reason::established}};  // R15
}

// R17: an ICMP error that quotes a live tracked flow; and, table "Open or closed", one whose rules would
// admit what answers the quoted packet.
Interface::Ruled Interface::as_related(const Now& now, const Known& known) const {
  if (!now.packet.quoted) return {now.as_new.allow, now.as_new.reasons};
  if (now.as_new.allow) return {true, with(now.as_new.reasons, Reason::related)};
  const bool live = known && !known->cut && !cuts(now.cluster, now.key, *known);
  if (live || now.no_memory) return {true, {Reason::related}};
  return {false, now.as_new.reasons};
}

std::vector<Interface::Ruled> Interface::judge(const Now& now, const Known& known) const {
  const Packet& packet = now.packet;
  const Ruled as_new{now.as_new.allow, now.as_new.reasons};
  if (packet.kind == Kind::discovery) return {{true, with(as_new.reasons, Reason::always)}};  // R17
  if (!now.judged) {
    Ruled open = as_new;  // R28: nobody judges this direction
    if (known) open.reasons.insert(Reason::established);
    if (packet.quoted) open.reasons.insert(Reason::related);
    return {open};
  }
  if (is_spoofed(now)) return {{false, {Reason::spoofed_source}}};
  if (packet.kind == Kind::icmp_error) return {as_related(now, known)};
  if (!known || !belongs(packet, *known)) return {as_new};
  if (packet.direction == known->opener) return of_opener(now, *known);
  return {of_reply(now, *known)};
}

Judgement Interface::packet(const Cluster& cluster, const Packet& packet, Instant at) {
  const bool leaves = packet.direction == Direction::egress;
  const Packet subject = packet.quoted ? quoted_by(packet) : packet;
  const bool tracked = is_trackable(subject);
  const Now now{cluster,
                packet,
                key_of(subject),
                at,
                judged(cluster, pod_, packet.direction),
                judged(cluster, pod_, opposite(packet.direction)),
                tracked && needs_no_memory(cluster, subject),
                verdict(cluster, {pod_, packet.direction, leaves ? packet.destination : packet.source,
                                  packet.protocol, packet.destination_port})};
  key_ = now.key;
  branches_.clear();
  const Possible possible = tracked ? possible_at(key_, at) : Possible{{Known{}, Life{}}};
  for (const auto& [known, life] : possible) {
    for (const Ruled& ruled : judge(now, known)) {
      const bool leaves_trace = is_trackable(packet) && !is_spoofed(now);
      branches_.push_back(
          {known, ruled, leaves_trace ? after(now, known, life, ruled.allow) : Possible{{known, life}}});
    }
  }
  settle();
  Judgement judgement;
  for (const auto& branch : branches_) {
    (branch.ruled.allow ? judgement.may_allow : judgement.may_deny) = true;
    (branch.ruled.allow ? judgement.allow_reasons : judgement.deny_reasons)
        .insert(branch.ruled.reasons.begin(), branch.ruled.reasons.end());
  }
  if (judgement.may_allow && judgement.may_deny) judgement.why_open = why_open(branches_);
  return judgement;
}

// What one possibility that allows and one that denies do not agree on.
std::string Interface::why_open(const std::vector<Branch>& branches) {
  const auto by = [&](bool allow) {
    return std::find_if(branches.begin(), branches.end(),
                        [&](const Branch& branch) { return branch.ruled.allow == allow; })
        ->known;
  };
  const Known allows = by(true);
  const Known denies = by(false);
  if (!allows || !denies) return "known, or older than the isolation, or near its timeout";
  if (allows->opener != denies->opener) return "opened from either side";
  if (allows->cut != denies->cut) return "cut, and admitted again";
  if (is_over(allows->phase) != is_over(denies->phase)) return "closed, or not";
  return "an opening packet on an open connection";
}

// ---- What may be known after it -----------------------------------------------------------------

void Interface::settle() {
  Possible possible;
  for (const auto& branch : branches_) {
    for (const auto& [known, life] : branch.next) add(possible, known, life);
  }
  const bool nothing = possible.size() == 1 && !possible.begin()->first;
  tracked_.erase(key_);
  if (!nothing) tracked_[key_] = possible;
}

void Interface::saw(bool allow, Reason reason) {
  std::vector<Branch> left;
  std::copy_if(branches_.begin(), branches_.end(), std::back_inserter(left), [&](const Branch& branch) {
    return branch.ruled.allow == allow && branch.ruled.reasons.contains(reason);
  });
  if (left.empty()) return;  // no possibility: a mistake, not a state
  branches_ = left;
  settle();
}

Duration Interface::timeout_of(Protocol protocol, Phase phase) const {
  switch (protocol) {
    case Protocol::tcp:
      switch (phase) {
        case Phase::opening: return timeouts_.tcp_opening;
        case Phase::established: return timeouts_.tcp_established;
        case Phase::half_closed: return timeouts_.tcp_half_closed;
        case Phase::closed: return timeouts_.tcp_closed;
        case Phase::reset: return timeouts_.tcp_reset;
      }
      break;
    case Protocol::udp: return phase == Phase::established ? timeouts_.udp_replied : timeouts_.udp;
    case Protocol::sctp: return timeouts_.sctp;
    case Protocol::icmp:
    case Protocol::icmpv6: return timeouts_.icmp;
  }
  return {};
}

Interface::Life Interface::life_of(const Now& now, const Tracked& tracked) const {
  const Duration timeout = timeout_of(now.packet.protocol, tracked.phase);
  return {now.at + (timeout - kSlack), now.at + (timeout + kSlack)};
}

// The packet is the first of a connection.
Interface::Possible Interface::opened(const Now& now) const {
  Possible out;
  const auto begins = [&](Phase phase) {
    Tracked tracked{.opener = now.packet.direction, .phase = phase, .finished = {}};
    if (phase == Phase::half_closed) tracked.finished = now.packet.direction;
    add(out, tracked, life_of(now, tracked));
  };
  const bool ends = now.packet.kind == Kind::fin;
  begins(ends ? Phase::half_closed : Phase::opening);
  // In the middle of a connection nothing says whether the other side has been heard.
  if (now.packet.protocol == Protocol::tcp && now.packet.kind == Kind::other) begins(Phase::established);
  return out;
}

// A RST on the connection, whose sequence number is taken for plausible.
Interface::Possible Interface::reset_by(const Now& now, Tracked tracked) const {
  Possible out;
  if (tracked.phase != Phase::reset) tracked.before_reset = tracked.phase;
  tracked.phase = Phase::reset;
  tracked.cut = false;
  add(out, tracked, life_of(now, tracked));
  return out;
}

// "An acknowledgement behind a RST: the RST is taken back." Whether a packet is one is left open.
Interface::Possible Interface::taken_back(const Now& now, Tracked tracked, const Life& life) const {
  if (tracked.phase != Phase::reset || now.packet.protocol != Protocol::tcp) return {};
  tracked.phase = tracked.before_reset;
  return carried(now, tracked, life);
}

// The connection goes on with the packet.
Interface::Possible Interface::carried(const Now& now, Tracked tracked, const Life& life) const {
  Possible out;
  const Kind kind = now.packet.kind;
  const bool by_opener = now.packet.direction == tracked.opener;
  const bool tcp = now.packet.protocol == Protocol::tcp;
  if (by_opener && (kind == Kind::syn || kind == Kind::init)) {
    out = opened(now);  // again, or a new one on the same ports
    if (is_over(tracked.phase)) return out;
    tracked.syn_again = tcp && tracked.phase != Phase::opening;
  } else if (by_opener) {
    tracked.syn_again = false;
  } else if (kind == Kind::syn_ack && tracked.syn_again) {
    // Who opened has lost the connection, and the other side agrees to a new one.
    Tracked anew{.opener = tracked.opener, .phase = Phase::established, .finished = {}};
    add(out, anew, life_of(now, anew));
  }
  if (tcp && kind == Kind::rst) return reset_by(now, tracked);
  const Possible back = taken_back(now, tracked, life);
  tracked.cut = tracked.by_node = false;
  const bool was_opening = tracked.phase == Phase::opening;
  if (tcp && kind == Kind::fin && !is_over(tracked.phase)) {
    const bool both = tracked.finished && *tracked.finished != now.packet.direction;
    tracked.phase = both ? Phase::closed : Phase::half_closed;
    if (!tracked.finished) tracked.finished = now.packet.direction;
  } else if (tcp && was_opening && !by_opener) {
    // When a handshake counts as done is left open: with the answer, or with what the opener says to it.
    tracked.replied = true;
    add(out, tracked, life_of(now, tracked));
    tracked.phase = Phase::established;
  } else if (was_opening && (by_opener ? tcp && tracked.replied : now.packet.protocol == Protocol::udp)) {
    tracked.phase = Phase::established;
  }
  if (tracked.phase != Phase::opening && tracked.phase != Phase::reset) tracked.replied = false;
  Life renewed = life_of(now, tracked);
  // Whether packets after a reset renew its ten seconds is left open.
  if (tracked.phase == Phase::reset) renewed.surely_until = life.surely_until;
  add(out, tracked, renewed);
  for (const auto& [maybe, its_life] : back) add(out, maybe, its_life);
  return out;
}

// The connection has no part in what becomes of the packet. That may renew its timeout or not; and what
// policy does not admit may be found cut now, or later (R14).
Interface::Possible Interface::not_carried(const Now& now, const Tracked& tracked, const Life& life) const {
  Possible out;
  const Life either{life.surely_until, std::max(life.possibly_until, life_of(now, tracked).possibly_until)};
  add(out, tracked, either);
  if (cuts(now.cluster, now.key, tracked)) {
    Tracked marked = tracked;
    marked.cut = true;
    add(out, marked, either);
  }
  return out;
}

// If the packet is noticed.
Interface::Possible Interface::noticed(const Now& now, const Known& known, const Life& life,
                                       bool passes) const {
  if (!known || !belongs(now.packet, *known)) {
    // Of two connections of one key, one each way, the later is known.
    return passes && would_open(now.packet, now.judged) ? opened(now) : Possible{{known, life}};
  }
  if (!passes) return not_carried(now, *known, life);
  if (now.packet.direction == known->opener) return carried(now, *known, life);
  const bool is_cut = cuts(now.cluster, now.key, *known);
  // Table "Open or closed": UDP that answers a cut connection opens one; TCP and SCTP do not.
  if (is_cut && now.packet.protocol == Protocol::udp && !now.judged) return opened(now);
  if (is_cut || known->cut) return not_carried(now, *known, life);
  return carried(now, *known, life);
}

Interface::Possible Interface::after(const Now& now, const Known& known, const Life& life,
                                     bool passes) const {
  Possible out = noticed(now, known, life, passes);
  // "An unpoliced pod's packets are not parsed" (R16), but may be known all the same (R40).
  const bool looked_at = now.judged || now.judged_back;
  const bool by_node = !looked_at && node_ == NodeMemory::remembers;
  if (by_node) {
    // A node may also take what it hears in the middle of a connection for one.
    if (!known && passes && !would_open(now.packet, false)) {
      for (const auto& [maybe, its_life] : opened(now)) add(out, maybe, its_life);
    }
    return marked_by_node(out);
  }
  if (!looked_at || now.no_memory) add(out, known, life);
  return out;
}

Interface::Possible Interface::marked_by_node(const Possible& possible) {
  Possible out;
  for (const auto& [known, life] : possible) {
    Known marked = known;
    if (marked) marked->by_node = true;
    add(out, marked, life);
  }
  return out;
}

// What policy does not admit may be found cut at once, or by its next packet (R14). What the node alone knew
// is seeded when its direction becomes isolated (R40), and may begin to wait anew then.
void Interface::changed(const Cluster& cluster, Instant at) {
  for (auto& [key, possible] : tracked_) {
    for (auto& [known, life] : possible) {
      if (!known || !known->by_node || life.possibly_until < at) continue;
      const Instant anew = at + (timeout_of(key.protocol, known->phase) + kSlack);
      life.possibly_until = std::max(life.possibly_until, anew);
    }
    const Possible before = possible;
    for (const auto& [known, life] : before) {
      if (!known || !cuts(cluster, key, *known)) continue;
      Tracked marked = *known;
      marked.cut = true;
      add(possible, marked, life);
    }
  }
}

}  // namespace postern::oracle
