// SPDX-License-Identifier: Apache-2.0
// Tables and packets drawn from a seed, small and crowded on purpose: few addresses, ports and
// buckets, so that connections meet, buckets spill, words are wrong and entries expire. The tables
// need make no sense; two datapaths that hold the same bytes must agree on every one of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

#include "engine/base/ip.h"
#include "engine/base/prng.h"
#include "engine/base/time.h"
#include "engine/compile/policy_tables.h"
#include "sim/packet/packet.h"

namespace postern::test {

struct RandomPacket {
  std::uint32_t ifindex = 0;
  std::uint8_t direction = PN_INGRESS;
  std::vector<std::byte> frame;
  Duration after{};  // since the packet before
};

class RandomWorld {
 public:
  explicit RandomWorld(std::uint64_t seed) : random_(seed) {}

  static TableSizes sizes();
  // Everything a node needs, to be written into empty tables.
  TableDelta tables();
  // A few writes that a policy change might make.
  TableDelta edit();
  RandomPacket packet();

 private:
  struct Flow {
    std::size_t pod = 0;
    std::uint32_t peer = 0;  // host order
    bool v6 = false;
    std::uint16_t pod_port = 0, peer_port = 0;
    Protocol protocol = Protocol::tcp;
  };

  template <typename T>
  const T& pick(const std::vector<T>& values) {
    return values[random_.below(values.size())];
  }
  bool one_in(std::uint64_t n) { return random_.below(n) == 0; }
  std::uint32_t below(std::uint64_t bound) { return static_cast<std::uint32_t>(random_.below(bound)); }

  std::uint32_t final_step();
  std::uint32_t step_to(std::uint32_t indices);  // final, or on to an index below this
  std::uint32_t address();
  pn_pod pod(std::size_t number);
  void write_hosts(TableDelta& delta);
  void write_blocks(TableDelta& delta);
  void write_decisions(TableDelta& delta);
  void write_slots(TableDelta& delta);

  Flow flow();
  packet::Packet transport(packet::Packet under, const Flow& flow, bool to_peer);
  // An IP header from one address to the other, sometimes a strange one.
  void add_ip(packet::Packet& under, const Flow& flow, std::uint32_t from, std::uint32_t to);
  packet::Packet ip_packet(const Flow& flow, bool to_peer);
  packet::Packet other_packet(const Flow& flow, bool to_peer);

  Prng random_;
  pn_node node_{};
  std::deque<Flow> recent_;
};

// Host number `host` of the world in either family: a.b.c.d and aabb:ccdd::1; zero is unspecified.
IpAddress world_address(std::uint32_t host, bool v6);

// The interfaces of the world: near slots, and one whose slot another one has taken.
const std::vector<std::uint32_t>& world_interfaces();

}  // namespace postern::test
