// SPDX-License-Identifier: Apache-2.0
// The reference evaluator, second part: what connections mean at one pod interface (R14 to R17, R25b). It
// keeps a plain list of the connections opened there and asks the first part about each packet. Where the
// rulings leave freedom (when exactly a timeout is renewed, connections older than an isolation), a
// judgement says that both verdicts are right instead of choosing one.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "engine/base/time.h"
#include "test/oracle/policy.h"

namespace postern::oracle {

enum class Established : std::uint8_t { reevaluate, keep };  // R14

// What a packet is, beyond its protocol and ports. `other`: a TCP packet without SYN, FIN and RST, an SCTP
// chunk that opens nothing, an ICMP message that is neither echo nor error nor neighbour discovery.
enum class Kind : std::uint8_t {
  other,
  datagram,
  syn,
  syn_ack,
  fin,
  rst,
  init,
  echo_request,
  echo_reply,
  icmp_error,
  discovery,
};

struct Packet {
  Direction direction = Direction::egress;
  IpAddress source;
  IpAddress destination;
  Protocol protocol = Protocol::tcp;
  Kind kind = Kind::other;
  std::uint16_t source_port = 0;  // ICMP echo: the id
  std::uint16_t destination_port = 0;
  // An ICMP error: the addresses and ports of the packet it complains of.
  struct Quoted {
    IpAddress source;
    IpAddress destination;
    Protocol protocol = Protocol::tcp;
    std::uint16_t source_port = 0;
    std::uint16_t destination_port = 0;
  };
  std::optional<Quoted> quoted;
};

struct Judgement {
  bool may_allow = false;
  bool may_deny = false;  // both: the rulings leave it open
  std::set<Reason> allow_reasons;
  std::set<Reason> deny_reasons;
  std::string why_open;  // of a judgement that is
};

class Interface {
 public:
  Interface(NamespacedName pod, Established established) : pod_(std::move(pod)), established_(established) {}

  // One packet at a time `now` that never falls, under the objects of that time. `changed` before the first
  // packet under other objects than the last.
  Judgement packet(const Cluster& cluster, const Packet& packet, Instant now);
  void changed(const Cluster& cluster);

 private:
  // Both directions of a connection share a key; two echoes of one id, one each way, do not.
  struct Key {
    Protocol protocol = Protocol::tcp;
    IpAddress own;
    std::uint16_t own_port = 0;
    IpAddress peer;
    std::uint16_t peer_port = 0;
    Direction echo_opener = Direction::ingress;
    friend auto operator<=>(const Key&, const Key&) = default;
  };
  enum class Phase : std::uint8_t { opening, established, closing, reset };
  struct Tracked {
    Direction opener = Direction::egress;
    std::set<Phase> phases;  // those that the rulings permit it to be in
    bool replied = false;
    bool surely_tracked = false;  // for replies: their direction was judged all along
    bool surely_known = false;    // for the opener's packets: some direction was judged all along
    bool unclear_opener = false;
    bool was_cut = false;    // some policy did not admit it, and its opener has not been heard since
    Instant surely_until;    // alive at least so long
    Instant possibly_until;  // and at most so long
  };
  enum class Life : std::uint8_t { none, unclear, live };
  struct Found {
    Key key;
    Tracked* entry = nullptr;
    Life life = Life::none;
    bool of_opener = false;
  };
  struct Now {
    const Cluster& cluster;
    const Packet& packet;
    Instant at;
    bool judged = false;  // this packet's direction
    bool judged_back = false;
    Verdict as_new;
  };

  static Key key_of(const Packet& packet);
  Found find(const Packet& packet, Instant now);
  [[nodiscard]] Verdict at_opening(const Cluster& cluster, const Key& key, Direction opener) const;
  [[nodiscard]] bool is_spoofed(const Now& now) const;
  Judgement judge(const Now& now, const Found& found);
  [[nodiscard]] Judgement of_opener(const Now& now, const Tracked& entry, Life life) const;
  [[nodiscard]] Judgement of_reply(const Now& now, const Found& found) const;
  [[nodiscard]] Judgement as_related(const Now& now);
  [[nodiscard]] bool needs_no_memory(const Cluster& cluster, const Packet& packet) const;
  void remember(const Now& now, const Found& found, const Judgement& judgement);
  void remember_reply(const Now& now, const Found& found, bool remembered);
  void open(const Now& now, const Found& found, bool remembered);
  static void advance(const Packet& packet, Tracked& entry, bool by_opener, bool surely);
  static void renew(const Packet& packet, Tracked& entry, Instant now, bool passed);

  NamespacedName pod_;
  Established established_;
  std::map<Key, Tracked> tracked_;
};

}  // namespace postern::oracle
