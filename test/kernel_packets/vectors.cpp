// SPDX-License-Identifier: Apache-2.0
// The named vectors. A row of `twins` is two of them: a packet that is denied, and the one that differs in
// one field and is allowed. What comes before a packet counts as a field of it.
#include <gtest/gtest.h>

#include "test/kernel_packets/vector.h"

namespace postern::test {
namespace {

constexpr pn_reason kIsolated = PN_REASON_ISOLATED;
constexpr pn_reason kFragment = PN_REASON_FRAGMENT;
constexpr pn_reason kMalformed = PN_REASON_MALFORMED;
constexpr pn_reason kRule = PN_REASON_RULE;
constexpr pn_reason kEstablished = PN_REASON_ESTABLISHED;

struct Allowed {
  pn_reason reason = kRule;
  std::uint32_t rule = kTcpRule;
};

class Rows {
 public:
  explicit Rows(std::string ruling) : ruling_(std::move(ruling)) {}

  // `denied` and, with one field set to `value`, its twin.
  template <typename Field, typename Value>
  void twins(const std::string& name, const Shot& denied, pn_reason reason, const std::string& twin, Field Shot::*field,
             Value value, Allowed allowed = {}) {
    Shot changed = denied;
    changed.*field = static_cast<Field>(value);
    EXPECT_FALSE(changed == denied) << name << ": nothing differs";
    vectors_.push_back({name, ruling_, denied, false, reason, 0, twin});
    vectors_.push_back({twin, ruling_, changed, true, allowed.reason, allowed.rule, {}});
  }
  void allowed(const std::string& name, const Shot& shot, Allowed allowed = {}) {
    vectors_.push_back({name, ruling_, shot, true, allowed.reason, allowed.rule, {}});
  }
  void append_to(std::vector<Vector>& all) const { all.insert(all.end(), vectors_.begin(), vectors_.end()); }

 private:
  std::string ruling_;
  std::vector<Vector> vectors_;
};

constexpr Allowed kUdp{kRule, kUdpRule}, kSctp{kRule, kSctpRule}, kAny{kRule, kAnyRule};
constexpr Allowed kOpen{PN_REASON_NOT_ISOLATED, 0}, kAlways{PN_REASON_ALWAYS, 0}, kRelated{PN_REASON_RELATED, 0};
constexpr Allowed kUnparsed{PN_REASON_NONE, 0}, kReply{kEstablished, kTcpRule};

const Shot kSyn{};
const Shot kSyn6{.v6 = true};
const Shot kUdpQuery{.kind = Kind::udp, .destination_port = 53};
const Shot kUdpQuery6{.v6 = true, .kind = Kind::udp, .destination_port = 53};

// The pod's own connection to the client, and what the client answers.
Shot opening(bool v6, Pod pod = Pod::both) { return {.v6 = v6, .pod = pod, .out = true, .source_port = 41000}; }
Shot answer(bool v6, Pod pod = Pod::both) {
  return {.v6 = v6, .pod = pod, .source_port = 80, .destination_port = 41000, .flags = 0x12};
}

Shot with(Shot shot, std::vector<Shot> before) {
  shot.before = std::move(before);
  return shot;
}

Shot first(Shot shot, std::uint16_t payload = 24) {
  shot.fragmented = true;
  shot.payload = payload;
  return shot;
}

Shot later(Shot shot, std::uint16_t offset, bool more = false) {
  shot.fragmented = true;
  shot.offset = offset;
  shot.more = more;
  return shot;
}

Shot extended(Shot shot, std::vector<Extension> extensions) {
  shot.extensions = std::move(extensions);
  return shot;
}

void ownership(std::vector<Vector>& all) {
  Rows rows("R16");
  for (const bool v6 : {false, true}) {
    const std::string f = v6 ? " (IPv6)" : " (IPv4)";
    rows.twins("a source that is nobody's leaves a pod" + f, {.v6 = v6, .out = true, .spoofed = true},
               PN_REASON_SPOOFED_SOURCE, "the pod's own source leaves it" + f, &Shot::spoofed, false);
    rows.twins("an answer at another pod's interface" + f, with(answer(v6, Pod::twin), {opening(v6)}), kIsolated,
               "an answer at the interface its connection left by" + f, &Shot::before,
               std::vector<Shot>{opening(v6, Pod::twin)}, kReply);
    rows.twins("one 5-tuple on two interfaces: the one without a connection" + f,
               with(answer(v6), {opening(v6, Pod::twin), answer(v6, Pod::twin)}), kIsolated,
               "one 5-tuple on two interfaces: each has its own connection" + f, &Shot::before,
               std::vector<Shot>{opening(v6, Pod::twin), opening(v6)}, kReply);
    rows.twins("a stranger's packet to a judged pod" + f, {.v6 = v6, .peer = Peer::stranger}, kIsolated,
               "a stranger's packet to a pod without policy" + f, &Shot::pod, Pod::free, kUnparsed);
    rows.twins("rubbish at a judged pod" + f, {.v6 = v6, .total = 4}, kMalformed, "rubbish at a pod without policy" + f,
               &Shot::pod, Pod::free, kUnparsed);
    rows.twins("a spoofed source in a fragment" + f, later({.v6 = v6, .out = true, .spoofed = true}, 64),
               PN_REASON_SPOOFED_SOURCE, "a spoofed source from a pod that is not judged for egress" + f, &Shot::pod,
               Pod::inward, kOpen);
  }
  rows.append_to(all);
}

void icmp(std::vector<Vector>& all) {
  Rows rows("R17");
  for (const bool v6 : {false, true}) {
    const std::string f = v6 ? " (IPv6)" : " (IPv4)";
    const Shot echo{.v6 = v6, .peer = Peer::client, .kind = Kind::icmp};
    rows.twins("an echo under rules with ports" + f, echo, kIsolated, "an echo under a rule without ports" + f,
               &Shot::peer, Peer::friend_, kAny);
    const Shot ping{.v6 = v6, .peer = Peer::friend_, .out = true, .kind = Kind::icmp};
    const Shot pong{.v6 = v6, .peer = Peer::client, .kind = Kind::icmp, .icmp_type = 0};
    rows.twins("an echo reply that answers nothing" + f, pong, kIsolated, "an echo reply from whom policy admits" + f,
               &Shot::peer, Peer::friend_, kAny);
    Shot mine{.v6 = v6, .pod = Pod::inward, .peer = Peer::stranger, .out = true, .kind = Kind::icmp};
    Shot answered{.v6 = v6, .pod = Pod::inward, .peer = Peer::stranger, .kind = Kind::icmp, .icmp_type = 0};
    Shot other_id = answered;
    other_id.icmp_id = 8;
    rows.twins("an echo reply with another id than the pod's echo" + f, with(other_id, {mine}), kIsolated,
               "an echo reply with the id of the pod's echo" + f, &Shot::icmp_id, 7, {kEstablished, 0});
    const Shot too_big{.v6 = v6, .peer = Peer::client, .kind = Kind::icmp, .icmp_type = 3, .quoted_source = 41000};
    rows.twins("fragmentation needed for an unknown flow" + f, too_big, kIsolated,
               "fragmentation needed for a live flow" + f, &Shot::before, std::vector<Shot>{opening(v6)}, kRelated);
    Shot wrong = with(too_big, {opening(v6)});
    wrong.quoted_destination = 81;
    rows.twins("an error that quotes another port" + f, wrong, kIsolated, "an error that quotes the flow's port" + f,
               &Shot::quoted_destination, 80, kRelated);
    Shot strange = with(too_big, {opening(v6)});
    strange.peer = Peer::stranger;
    rows.twins("an error that quotes another's flow" + f, strange, kIsolated, "an error that quotes the sender's own flow" + f,
               &Shot::peer, Peer::client, kRelated);
    Shot unquoted = with(too_big, {opening(v6)});
    unquoted.quoted_source = 0;
    rows.twins("an error that quotes nothing" + f, unquoted, kIsolated, "an error with its quote" + f,
               &Shot::quoted_source, 41000, kRelated);
    Shot expired = too_big;
    expired.icmp_type = 11;
    rows.twins("time exceeded for an unknown flow" + f, expired, kIsolated, "time exceeded for a live flow" + f,
               &Shot::before, std::vector<Shot>{opening(v6)}, kRelated);
    Shot timestamp = echo;
    timestamp.icmp_type = 13;
    rows.twins("ICMP that is neither echo nor error, under rules with ports" + f, timestamp, kIsolated,
               "ICMP that is neither echo nor error, under a rule without" + f, &Shot::peer, Peer::friend_, kAny);
    Shot foreign = echo;
    foreign.protocol = v6 ? 1 : 58;
    rows.twins("the other family's ICMP" + f, foreign, PN_REASON_ISOLATED,
               "the other family's ICMP under a rule without ports" + f, &Shot::peer, Peer::friend_, kAny);
  }
  rows.twins("an echo to the address that a solicitation asks for", {.v6 = true, .peer = Peer::stranger, .kind = Kind::icmp},
             kIsolated, "a neighbour solicitation from anybody", &Shot::kind, Kind::solicitation, kAlways);
  rows.allowed("a neighbour advertisement from anybody",
               {.v6 = true, .peer = Peer::stranger, .kind = Kind::advertisement, .hop_limit = 255}, kAlways);
  rows.allowed("a neighbour advertisement with a hop limit that its receiver refuses",
               {.v6 = true, .peer = Peer::stranger, .kind = Kind::advertisement, .hop_limit = 64}, kAlways);
  rows.allowed("a multicast listener report behind its router alert",
               {.v6 = true, .peer = Peer::stranger, .kind = Kind::listener, .hop_limit = 1}, kAlways);
  rows.append_to(all);
}

void other_protocols(std::vector<Vector>& all) {
  Rows rows("R18");
  struct Number {
    int number;
    const char* name;
  };
  for (const Number protocol : {Number{0, "protocol 0"}, Number{2, "IGMP"}, Number{4, "IP in IP"}, Number{47, "GRE"},
                                Number{50, "ESP"}, Number{51, "AH"}, Number{89, "OSPF"}, Number{255, "protocol 255"}}) {
    rows.twins(std::string(protocol.name) + " under rules with ports", {.kind = Kind::ip, .protocol = protocol.number},
               PN_REASON_PROTOCOL, std::string(protocol.name) + " under a rule without ports", &Shot::peer,
               Peer::friend_, kAny);
  }
  for (const Number protocol : {Number{41, "IPv6 in IPv6"}, Number{47, "GRE over IPv6"}, Number{50, "ESP over IPv6"},
                                Number{51, "AH over IPv6"}, Number{59, "no next header"}}) {
    rows.twins(std::string(protocol.name) + " under rules with ports",
               {.v6 = true, .kind = Kind::ip, .protocol = protocol.number}, PN_REASON_PROTOCOL,
               std::string(protocol.name) + " under a rule without ports", &Shot::peer, Peer::friend_, kAny);
  }
  rows.twins("no next header behind extension headers, under rules with ports",
             extended({.v6 = true, .kind = Kind::ip, .protocol = 59}, {Extension::hop_by_hop, Extension::destination}),
             PN_REASON_PROTOCOL, "no next header behind extension headers, under a rule without ports", &Shot::peer,
             Peer::friend_, kAny);
  rows.append_to(all);
}

void fragments(std::vector<Vector>& all) {
  Rows rows("R19");
  // Two words of options that read as ports 40000 and 80 where a transport header without options would be.
  const std::vector<std::uint8_t> like_allowed{0x9c, 0x40, 0x00, 0x50, 1, 1, 1, 0};
  rows.twins("a denied port whose options read as an allowed one", {.destination_port = 81, .options = like_allowed},
             kIsolated, "an allowed port behind options", &Shot::destination_port, 80);
  rows.twins("a denied UDP port behind forty bytes of options",
             {.kind = Kind::udp, .destination_port = 54, .options = std::vector<std::uint8_t>(40, 1)}, kIsolated,
             "an allowed UDP port behind forty bytes of options", &Shot::destination_port, 53, kUdp);
  rows.twins("a denied SCTP port behind options", {.kind = Kind::sctp, .destination_port = 81, .options = like_allowed},
             kIsolated, "an allowed SCTP port behind options", &Shot::destination_port, 80, kSctp);
  for (const bool v6 : {false, true}) {
    const std::string f = v6 ? " (IPv6)" : " (IPv4)";
    const Shot syn = v6 ? kSyn6 : kSyn;
    const Shot query = v6 ? kUdpQuery6 : kUdpQuery;
    Shot closed = first(syn);
    closed.destination_port = 81;
    rows.twins("a first fragment to a denied port" + f, closed, kIsolated, "a first fragment to an allowed port" + f,
               &Shot::destination_port, 80);
    Shot tiny = first(syn, 0);
    tiny.length = v6 ? 40 + 8 + 8 : 20 + 8;
    rows.twins("a first fragment without its whole header" + f, tiny, kFragment, "a first fragment with it" + f,
               &Shot::length, -1);
    rows.twins("a later fragment whose first one is unknown" + f, later(query, 32), kFragment,
               "a later fragment behind its allowed first one" + f, &Shot::before, std::vector<Shot>{first(query)}, kUdp);
    Shot denied_first = first(query);
    denied_first.destination_port = 54;
    rows.twins("a later fragment behind a denied first one" + f, with(later(query, 32), {denied_first}), kFragment,
               "a later fragment behind a denied and then an allowed first one" + f, &Shot::before,
               std::vector<Shot>{denied_first, first(query)}, kUdp);
    rows.twins("a later fragment behind an allowed and then a denied first one" + f,
               with(later(query, 32), {first(query), denied_first}), kFragment,
               "a later fragment behind two allowed first ones" + f, &Shot::before,
               std::vector<Shot>{first(query), first(query)}, {kEstablished, kUdpRule});
    rows.twins("a later fragment before its first one" + f, with(later(query, 32), {later(query, 40)}), kFragment,
               "the last fragment before the middle one" + f, &Shot::before,
               std::vector<Shot>{first(query), later(query, 40)}, kUdp);
    Shot other_id = with(later(query, 32), {first(query)});
    other_id.fragment_id = 2;
    rows.twins("a later fragment of another id" + f, other_id, kFragment, "a later fragment of the id" + f,
               &Shot::fragment_id, 1, kUdp);
    Shot other_peer = with(later(query, 32), {first(query)});
    other_peer.peer = Peer::friend_;
    rows.twins("a later fragment from another source" + f, other_peer, kFragment,
               "a later fragment from the source" + f, &Shot::peer, Peer::client, kUdp);
    Shot other_pod = with(later(query, 32), {first(query)});
    other_pod.pod = Pod::twin;
    rows.twins("a later fragment at another pod" + f, other_pod, kFragment, "a later fragment at the pod" + f,
               &Shot::pod, Pod::both, kUdp);
    Shot other_protocol = with(later(query, 32), {first(query)});
    other_protocol.protocol = 6;
    rows.twins("a later fragment of another protocol" + f, other_protocol, kFragment,
               "a later fragment of the protocol" + f, &Shot::protocol, -1, kUdp);
    Shot outward = with(later(query, 32), {first(query)});
    outward.out = true;
    rows.twins("a later fragment the other way" + f, outward, kFragment, "a later fragment the same way" + f, &Shot::out,
               false, kUdp);
    rows.twins("a later fragment over the header of its first one" + f, with(later(syn, 8), {first(syn, 28)}), kFragment,
               "a later fragment right behind its first one" + f, &Shot::offset, 48);
    rows.twins("a later fragment over the data of its first one" + f, with(later(syn, 40), {first(syn, 28)}), kFragment,
               "a later fragment far behind its first one" + f, &Shot::offset, 8000);
    Shot tagged = later(query, 32);
    tagged.tags = 1;
    rows.twins("a tagged later fragment whose first one is unknown" + f, tagged, kFragment,
               "a tagged later fragment behind its first one" + f, &Shot::before, std::vector<Shot>{first(query)}, kUdp);
    rows.twins("fragments of a reply to nothing" + f, first(answer(v6)), kIsolated, "fragments of a reply" + f,
               &Shot::before, std::vector<Shot>{opening(v6)}, kReply);
    rows.twins("the rest of a reply to nothing" + f, with(later(answer(v6), 48), {first(answer(v6))}), kFragment,
               "the rest of a reply" + f, &Shot::before, std::vector<Shot>{opening(v6), first(answer(v6), 28)}, kReply);
    rows.twins("a later fragment at a pod judged for ingress" + f,
               later({.v6 = v6, .pod = Pod::inward, .kind = Kind::udp}, 32), kFragment,
               "a later fragment from a pod judged for ingress alone" + f, &Shot::out, true, kOpen);
  }
  const Shot behind = extended(first(kUdpQuery6), {Extension::hop_by_hop});
  rows.twins("a later fragment behind hop-by-hop options, its first one unknown",
             extended(later(kUdpQuery6, 32), {Extension::hop_by_hop}), kFragment,
             "a later fragment behind hop-by-hop options", &Shot::before, std::vector<Shot>{behind}, kUdp);
  rows.append_to(all);
}

void extension_headers(std::vector<Vector>& all) {
  Rows rows("R20");
  struct Chain {
    const char* name;
    std::vector<Extension> extensions;
  };
  using enum Extension;
  const std::vector<Chain> chains{
      {"hop-by-hop options", {hop_by_hop}},
      {"destination options", {destination}},
      {"a routing header", {routing}},
      {"an atomic fragment header", {atomic_fragment}},
      {"hop-by-hop and destination options", {hop_by_hop, destination}},
      {"extension headers in an unusual order", {destination, atomic_fragment, routing, hop_by_hop}},
      {"eight extension headers", std::vector<Extension>(8, destination)},
  };
  for (const Chain& chain : chains) {
    Shot closed = extended(kSyn6, chain.extensions);
    closed.destination_port = 81;
    rows.twins("a denied port behind " + std::string(chain.name), closed, kIsolated,
               "an allowed port behind " + std::string(chain.name), &Shot::destination_port, 80);
  }
  Shot wide = extended(kUdpQuery6, {hop_by_hop, destination});
  wide.option_bytes = 200;
  wide.destination_port = 54;
  rows.twins("a denied UDP port behind long options", wide, kIsolated, "an allowed UDP port behind long options",
             &Shot::destination_port, 53, kUdp);
  rows.twins("nine extension headers", extended(kSyn6, std::vector<Extension>(9, destination)), kMalformed,
             "eight extension headers before an allowed port", &Shot::extensions, std::vector<Extension>(8, destination));
  Shot cut = extended(kSyn6, {destination});
  cut.option_bytes = 30;
  cut.length = 40 + 20;
  rows.twins("an extension header that is cut", cut, kMalformed, "an extension header that is whole", &Shot::length, -1);
  Shot beyond = extended(kSyn6, {destination});
  beyond.option_bytes = 30;
  beyond.total = 8;
  rows.twins("an extension header longer than its packet says", beyond, kMalformed,
             "an extension header within its packet", &Shot::total, -1);
  rows.twins("a fragment header that is cut, behind extension headers", extended([] {
               Shot shot = kSyn6;
               shot.length = 40 + 8 + 4;
               return shot;
             }(), {hop_by_hop, atomic_fragment}), kMalformed,
             "a whole fragment header behind extension headers", &Shot::length, -1);
  rows.append_to(all);
}

void malformed(std::vector<Vector>& all) {
  Rows rows("R21");
  struct Transport {
    const char* name;
    Shot shot;
    int header;
    Allowed allowed;
  };
  for (const bool v6 : {false, true}) {
    const std::string f = v6 ? " (IPv6)" : " (IPv4)";
    const int ip = v6 ? 40 : 20;
    const std::vector<Transport> transports{
        {"TCP", {.v6 = v6}, 20, {}},
        {"UDP", {.v6 = v6, .kind = Kind::udp, .destination_port = 53}, 8, kUdp},
        {"SCTP", {.v6 = v6, .kind = Kind::sctp}, 12, kSctp},
        {"ICMP", {.v6 = v6, .peer = Peer::friend_, .kind = Kind::icmp}, 8, kAny},
    };
    for (const Transport& transport : transports) {
      Shot cut = transport.shot;
      cut.length = ip + transport.header - 1;
      rows.twins(std::string(transport.name) + " one byte short of its header" + f, cut, kMalformed,
                 std::string(transport.name) + " with just its header" + f, &Shot::length, ip + transport.header,
                 transport.allowed);
      Shot liar = transport.shot;
      liar.total = (v6 ? 0 : 20) + transport.header - 1;
      rows.twins(std::string(transport.name) + " in a packet that says it is too short" + f, liar, kMalformed,
                 std::string(transport.name) + " in a packet that says what it holds" + f, &Shot::total,
                 (v6 ? 0 : 20) + transport.header, transport.allowed);
    }
  }
  rows.twins("an IPv4 header of four words", {.header_words = 4}, kMalformed, "an IPv4 header of five words",
             &Shot::header_words, 5);
  rows.twins("an IPv4 header longer than the packet", {.header_words = 15}, kMalformed,
             "an IPv4 header that ends before the packet", &Shot::header_words, -1);
  rows.twins("an IPv4 header under the type of IPv6", {.ether_type = 0x86dd, .payload = 40}, kMalformed,
             "an IPv4 header under its own type", &Shot::ether_type, 0x0800);
  rows.append_to(all);
}

void sctp(std::vector<Vector>& all) {
  Rows rows("R22");
  for (const bool v6 : {false, true}) {
    const std::string f = v6 ? " (IPv6)" : " (IPv4)";
    const Shot init{.v6 = v6, .kind = Kind::sctp};
    Shot closed = init;
    closed.destination_port = 81;
    rows.twins("SCTP to a denied port" + f, closed, kIsolated, "SCTP to an allowed port" + f, &Shot::destination_port, 80,
               kSctp);
    Shot as_udp = init;
    as_udp.destination_port = 53;
    rows.twins("SCTP to a port that is open for UDP" + f, as_udp, kIsolated, "UDP to the port that is open for it" + f,
               &Shot::kind, Kind::udp, kUdp);
    Shot acknowledged{.v6 = v6, .kind = Kind::sctp, .source_port = 80, .destination_port = 41000, .chunk = 2};
    Shot sent{.v6 = v6, .out = true, .kind = Kind::sctp, .source_port = 41000};
    rows.twins("an INIT-ACK that answers nothing" + f, acknowledged, kIsolated, "an INIT-ACK that answers an INIT" + f,
               &Shot::before, std::vector<Shot>{sent}, {kEstablished, kSctpRule});
    Shot again = with(acknowledged, {sent});
    again.chunk = 1;
    rows.twins("an INIT on the way of a reply" + f, again, kIsolated, "DATA on the way of a reply" + f, &Shot::chunk, 0,
               {kEstablished, kSctpRule});
  }
  rows.append_to(all);
}

void links(std::vector<Vector>& all) {
  Rows rows("R38");
  for (const bool v6 : {false, true}) {
    const std::string f = v6 ? " (IPv6)" : " (IPv4)";
    for (const int tags : {1, 2}) {
      const std::string behind = std::string(" behind ") + (tags == 1 ? "a tag" : "two tags") + f;
      rows.twins("a denied port" + behind, {.v6 = v6, .destination_port = 81, .tags = tags}, kIsolated,
                 "an allowed port" + behind, &Shot::destination_port, 80);
    }
    rows.twins("three tags" + f, {.v6 = v6, .tags = 3}, PN_REASON_ETHERTYPE, "two tags" + f, &Shot::tags, 2);
    rows.twins("a reply behind a tag to nothing" + f, {.v6 = v6, .source_port = 80, .destination_port = 41000, .flags = 0x12, .tags = 1},
               kIsolated, "a reply behind a tag" + f, &Shot::before, std::vector<Shot>{opening(v6)}, kReply);
  }
  rows.twins("a frame that is not IP", {.kind = Kind::frame}, PN_REASON_ETHERTYPE, "ARP", &Shot::kind, Kind::arp,
             kAlways);
  rows.twins("MPLS at a judged pod", {.kind = Kind::frame, .ether_type = 0x8847}, PN_REASON_ETHERTYPE,
             "MPLS at a pod without policy", &Shot::pod, Pod::free, kUnparsed);
  rows.twins("LLDP at a pod judged for ingress", {.pod = Pod::inward, .kind = Kind::frame}, PN_REASON_ETHERTYPE,
             "LLDP from a pod judged for ingress alone", &Shot::out, true, kOpen);
  rows.twins("a frame that is not IP, behind a tag", {.kind = Kind::frame, .tags = 1}, PN_REASON_ETHERTYPE,
             "ARP behind a tag", &Shot::kind, Kind::arp, kAlways);
  rows.twins("a length instead of a type (LLC)", {.kind = Kind::frame, .ether_type = 38}, PN_REASON_ETHERTYPE,
             "IP's type over the same bytes as ARP's", &Shot::ether_type, 0x0806, kAlways);
  rows.append_to(all);
}

}  // namespace

std::vector<Vector> all_vectors() {
  std::vector<Vector> all;
  ownership(all);
  icmp(all);
  other_protocols(all);
  fragments(all);
  extension_headers(all);
  malformed(all);
  sctp(all);
  links(all);
  return all;
}

}  // namespace postern::test
