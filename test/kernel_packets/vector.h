// SPDX-License-Identifier: Apache-2.0
// A packet as a few fields, from which layers are composed (sim/packet). Two packets differ in one field
// if one assignment makes the one of the other: so a vector and its twin are written.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/abi/verdict.h"

namespace postern::test {

// Who there is: pods with an interface each, and peers by what policy says of them.
enum class Pod : std::uint8_t {
  both,     // judged in both directions, connections first
  twin,     // the same policy, another interface
  inward,   // judged for ingress alone, policy first
  free,     // no policy
};
enum class Peer : std::uint8_t {
  client,    // TCP 80, UDP 53 and SCTP 80 are allowed to and from it, nothing else
  friend_,   // everything is, under a rule without ports
  stranger,  // nothing is
};

enum class Kind : std::uint8_t { tcp, udp, sctp, icmp, ip, arp, frame, solicitation, advertisement, listener };

enum class Extension : std::uint8_t { hop_by_hop, destination, routing, atomic_fragment };

struct Shot {
  bool v6 = false;
  Pod pod = Pod::both;
  Peer peer = Peer::client;
  bool out = false;  // leaves the pod
  Kind kind = Kind::tcp;
  std::uint16_t source_port = 40000;
  std::uint16_t destination_port = 80;
  std::uint8_t flags = 2;      // TCP; SYN
  std::uint8_t chunk = 1;      // SCTP; INIT
  std::uint8_t icmp_type = 8;  // of IPv4; IPv6 as what corresponds to it
  std::uint16_t icmp_id = 7;
  // What an ICMP error quotes: a TCP packet the other way with these ports, 0: nothing.
  std::uint16_t quoted_source = 0;
  std::uint16_t quoted_destination = 80;
  int protocol = -1;  // instead of the true one
  bool spoofed = false;        // the source is nobody's
  std::uint8_t hop_limit = 64;
  std::vector<std::uint8_t> options{};  // IPv4
  std::vector<Extension> extensions{};  // IPv6
  std::uint16_t option_bytes = 0;       // in each of them, of PadN
  int tags = 0;                         // VLAN
  std::uint16_t ether_type = 0;         // instead of the true one
  bool fragmented = false;
  std::uint16_t offset = 0;  // bytes
  bool more = true;
  std::uint16_t fragment_id = 1;
  std::uint16_t payload = 0;  // bytes behind the transport header
  int total = -1;             // total length (IPv4) or payload length (IPv6), instead of the true one
  int header_words = -1;      // IPv4, instead of the true one
  int length = -1;            // bytes that are left behind the Ethernet header
  std::vector<Shot> before{};

  friend bool operator==(const Shot&, const Shot&) = default;
};

struct Vector {
  std::string name;
  std::string ruling;
  Shot shot;
  bool allow = false;
  pn_reason reason = PN_REASON_NONE;
  std::uint32_t rule = 0;
  std::string twin{};  // of a deny: the vector that differs in one field and is allowed
};

// Every named vector, in order of ruling.
std::vector<Vector> all_vectors();

// The frame; `before` is not part of it.
std::vector<std::byte> frame_of(const Shot& shot);

// The rules of the world that vectors are judged in.
inline constexpr std::uint32_t kTcpRule = 1, kUdpRule = 2, kSctpRule = 3, kAnyRule = 4;

// Last byte of addresses: 10.0.0.N and fd00::N.
std::uint8_t number_of(Pod pod);
std::uint8_t number_of(Peer peer);
std::uint32_t interface_of(Pod pod);

}  // namespace postern::test
