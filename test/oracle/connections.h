// SPDX-License-Identifier: Apache-2.0
// The reference evaluator, second part: what connections mean at one pod interface (R14 to R17, R25b). It
// keeps a plain list of the connections opened there and asks the first part about each packet. Where the
// rulings leave freedom (when exactly a timeout is renewed, connections older than an isolation), it follows
// everything that may be known of a connection side by side: each possibility has one verdict, and what an
// implementation does has to be explained by one and the same possibility from packet to packet.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "engine/base/time.h"
#include "test/oracle/policy.h"

namespace postern::oracle {

enum class Established : std::uint8_t { reevaluate, keep };  // R14

// R25b: how long a connection that nothing is heard of stays known.
struct Timeouts {
  Duration tcp_opening = seconds(120);
  Duration tcp_established = seconds(24 * 60 * 60);
  Duration tcp_half_closed = seconds(120);  // one FIN
  Duration tcp_closed = seconds(120);       // both
  Duration tcp_reset = seconds(10);
  Duration udp = seconds(30);
  Duration udp_replied = seconds(120);
  Duration sctp = seconds(210);
  Duration icmp = seconds(30);
};

// R40: whether the node has a conntrack of its own, from which connections older than an isolation are seeded.
// Without one, nothing is known of them, or by chance: both verdicts are right.
enum class NodeMemory : std::uint8_t { none, remembers };


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
  Interface(NamespacedName pod, Established established, Timeouts timeouts = {},
            NodeMemory node = NodeMemory::none)
      : pod_(std::move(pod)), established_(established), timeouts_(timeouts), node_(node) {}

  // One packet at a time `at` that never falls, under the objects of that time. `changed` before the first
  // packet under other objects than the last.
  Judgement packet(const Cluster& cluster, const Packet& packet, Instant at);
  // What was done with that packet: possibilities that do not explain it are given up.
  void saw(bool allow, Reason reason);
  void changed(const Cluster& cluster, Instant at);

 private:
  // Both directions of a connection share a key, and so do two connections of one key, one each way.
  struct Key {
    Protocol protocol = Protocol::tcp;
    IpAddress own;
    std::uint16_t own_port = 0;
    IpAddress peer;
    std::uint16_t peer_port = 0;
    friend auto operator<=>(const Key&, const Key&) = default;
  };
  enum class Phase : std::uint8_t { opening, established, half_closed, closed, reset };
  struct Tracked {
    Direction opener = Direction::egress;
    Phase phase = Phase::opening;
    Phase before_reset = Phase::opening;  // of phase reset
    bool replied = false;                 // while it opens
    bool syn_again = false;               // a SYN of its opener came into it while it lived
    bool cut = false;      // found not to be admitted, and its opener has not been admitted since
    bool by_node = false;  // its last packet was noticed by the node alone: nobody judged the pod
    std::optional<Direction> finished;  // half closed: which way its FIN went
    friend auto operator<=>(const Tracked&, const Tracked&) = default;
  };
  using Known = std::optional<Tracked>;  // absent: nothing
  struct Life {
    Instant surely_until;    // alive at least so long
    Instant possibly_until;  // and at most so long
  };
  using Possible = std::map<Known, Life>;  // never empty
  struct Ruled {
    bool allow = false;
    std::set<Reason> reasons;
  };
  // One possibility before a packet, what it says of the packet, and what may be known after it.
  struct Branch {
    Known known;
    Ruled ruled;
    Possible next;
  };
  struct Now {
    const Cluster& cluster;
    const Packet& packet;
    Key key;
    Instant at;
    bool judged = false;  // this packet's direction
    bool judged_back = false;
    bool no_memory = false;  // needs_no_memory
    Verdict as_new;
  };

  static Key key_of(const Packet& packet);
  static void add(Possible& possible, const Known& known, const Life& life);
  [[nodiscard]] Duration timeout_of(Protocol protocol, Phase phase) const;
  [[nodiscard]] Life life_of(const Now& now, const Tracked& tracked) const;
  static bool belongs(const Packet& packet, const Tracked& tracked);
  [[nodiscard]] Possible possible_at(const Key& key, Instant at) const;
  [[nodiscard]] bool cuts(const Cluster& cluster, const Key& key, const Tracked& tracked) const;
  [[nodiscard]] bool is_spoofed(const Now& now) const;
  [[nodiscard]] bool needs_no_memory(const Cluster& cluster, const Packet& packet) const;
  [[nodiscard]] std::vector<Ruled> judge(const Now& now, const Known& known) const;
  [[nodiscard]] std::vector<Ruled> of_opener(const Now& now, const Tracked& tracked) const;
  [[nodiscard]] Ruled of_reply(const Now& now, const Tracked& tracked) const;
  [[nodiscard]] Ruled as_related(const Now& now, const Known& known) const;
  [[nodiscard]] Possible after(const Now& now, const Known& known, const Life& life, bool passes) const;
  [[nodiscard]] Possible noticed(const Now& now, const Known& known, const Life& life, bool passes) const;
  [[nodiscard]] Possible not_carried(const Now& now, const Tracked& tracked, const Life& life) const;
  [[nodiscard]] Possible opened(const Now& now) const;
  [[nodiscard]] Possible carried(const Now& now, Tracked tracked, const Life& life) const;
  [[nodiscard]] Possible reset_by(const Now& now, Tracked tracked) const;
  [[nodiscard]] Possible taken_back(const Now& now, Tracked tracked, const Life& life) const;
  static Possible marked_by_node(const Possible& possible);
  static std::string why_open(const std::vector<Branch>& branches);
  void settle();

  NamespacedName pod_;
  Established established_;
  Timeouts timeouts_;
  NodeMemory node_;
  std::map<Key, Possible> tracked_;  // without those of which nothing can be known
  Key key_;                          // of the last packet
  std::vector<Branch> branches_;     // and what it may have been
};

}  // namespace postern::oracle
