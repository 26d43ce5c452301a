// SPDX-License-Identifier: Apache-2.0
// Table bytes -> what they say, for people: of each interface its pod's record, of each direction the
// prefixes of peers and what is answered them by protocol and port, with the number of the rule that
// decides. It reads what packets read (engine/datapath/policy.h), from the other end: all peers at once.
//
// A hole in the tables answers as it does to a packet: step 0, denied without a reason.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <vector>

#include "engine/base/ip.h"
#include "engine/compile/policy_tables.h"
#include "engine/decode/prefix_table.h"

namespace postern {

// The protocols with ports, in the order of PeerAnswer::ports.
inline constexpr std::array<Protocol, 3> kAnsweredProtocols{Protocol::tcp, Protocol::udp, Protocol::sctp};

struct PortSpan {
  PortRange range;
  std::uint32_t step = 0;  // final
  friend bool operator==(const PortSpan&, const PortSpan&) = default;
};

// What one direction of a pod says to a peer.
struct PeerAnswer {
  std::array<std::vector<PortSpan>, 3> ports;  // each covers every port, in order; neighbours differ
  std::uint32_t icmp = 0;                      // ICMP and ICMPv6
  std::uint32_t other = 0;                     // protocols without ports but those
  // Final. The port is read only where the protocol has ports.
  [[nodiscard]] std::uint32_t step(std::uint8_t protocol, std::uint16_t port) const;
  [[nodiscard]] bool denies_everything() const;
  [[nodiscard]] bool allows_everything() const;
  friend bool operator==(const PeerAnswer&, const PeerAnswer&) = default;
};

struct DecodedDirection {
  bool judged = false;  // false: nothing below means anything
  std::vector<PeerAnswer> answers;     // different ones; the first is that of peers that no rule names
  std::vector<AnswerPrefix> prefixes;  // IPv4, then IPv6 (prefixes_of); the longest match counts
  // Of `answers`. The longest prefix that holds the address.
  [[nodiscard]] const PeerAnswer& answer_to(const IpAddress& peer) const;
};

// An interface with a slot.
struct DecodedInterface {
  std::uint32_t ifindex = 0;
  bool judged = false;  // false: packets are not even parsed, and there is no record
  std::uint32_t record = 0;
  pn_pod pod{};
};

class PolicyDecoder {
 public:
  // The tables outlive the decoder.
  explicit PolicyDecoder(const PolicyTables& tables) : tables_(tables) {}

  // Sorted by ifindex.
  [[nodiscard]] std::vector<DecodedInterface> interfaces() const;
  [[nodiscard]] DecodedDirection direction(const pn_pod_dir& dir) const;
  [[nodiscard]] pn_node node() const;

 private:
  struct Classes;
  [[nodiscard]] std::vector<AnswerSpan> spans(const pn_pod_dir& dir, IpFamily family, Classes& classes) const;
  [[nodiscard]] std::map<AddressNumber, std::uint32_t> hosts(IpFamily family) const;
  [[nodiscard]] PeerAnswer answer_of(std::uint32_t step) const;
  [[nodiscard]] std::vector<PortSpan> ports_of(std::uint32_t step) const;

  const PolicyTables& tables_;
};

}  // namespace postern
