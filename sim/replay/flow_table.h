// SPDX-License-Identifier: Apache-2.0
// Flows by 5-tuple, either direction, in the order in which they were first seen. A later fragment has no ports:
// it is of the flow of its first fragment, as the datapath judges it; where that is not known, of a flow without ports.
#pragma once

#include <cstdint>
#include <map>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "sim/replay/packet_facts.h"
#include "sim/replay/replay.h"

namespace postern::sim {

struct AddressHash {
  std::size_t operator()(const IpAddress& address) const noexcept;
};

struct TrackedFlow {
  Flow row;
  bool opened = false;  // TCP: a SYN of either side was in the capture
  // The packet of the first denial, for its explanation: did it go from `row.from` to `row.to`?
  bool denied_forward = true;
  bool would_deny_forward = true;  // the same of what would be denied
};

class FlowTable {
 public:
  // The flow of a packet, made if it is new, and whether the packet goes from `from` to `to`. A SYN,
  // or a SYN+ACK of a flow seen for the first time, tells who the opener is. `now` never falls.
  struct Place {
    TrackedFlow* flow = nullptr;
    bool fresh = false;
    bool forward = true;
  };
  Place place(const PacketFacts& facts, Instant now);

  [[nodiscard]] const std::vector<TrackedFlow>& flows() const { return flows_; }
  [[nodiscard]] std::vector<TrackedFlow>& flows() { return flows_; }

 private:
  // The smaller (address, port) first.
  struct Key {
    IpAddress a;
    IpAddress b;
    std::uint16_t port_a = 0;
    std::uint16_t port_b = 0;
    std::uint8_t protocol = 0;
    friend bool operator==(const Key&, const Key&) = default;
  };
  struct KeyHash {
    std::size_t operator()(const Key& key) const noexcept;
  };
  static Key key_of(const PacketFacts& facts);
  // A packet in fragments.
  using Datagram = std::tuple<IpAddress, IpAddress, std::uint32_t, std::uint8_t>;
  struct FirstFragment {
    std::size_t flow = 0;
    bool forward = true;
    Instant at;
  };
  void remember(const Datagram& datagram, const FirstFragment& first);

  std::vector<TrackedFlow> flows_;
  std::map<Datagram, FirstFragment> datagrams_;
  std::unordered_map<Key, std::size_t, KeyHash> index_;
};

}  // namespace postern::sim
