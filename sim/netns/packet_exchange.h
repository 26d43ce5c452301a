// SPDX-License-Identifier: Apache-2.0
// Single packets, end by end. The rig stands between the two ends and is the network: a frame leaves
// through the sender's interface, is judged on the host side, and if it passed, is put on the host
// side of the receiver's, judged there, and seen to arrive. Its destination hardware address is
// nobody's, so that no stack forwards it or answers: a packet of a scenario has exactly the effects
// that its file says, also where a real network would not carry it (malformed, tagged, not IP). What a
// node's translation of Service addresses makes of it stands in the second frame, and what a node would
// remember of it is in sim/netns/node_memory.h.
// Verdicts come from the datapath's events and are compared with what the wire shows.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "sim/netns/events.h"
#include "sim/netns/topology.h"
#include "sim/packet/service_views.h"

namespace postern::sim {

class PacketExchange {
 public:
  PacketExchange(Topology& topology, ServiceViews& services) : topology_(topology), services_(services) {}

  // Events of every judged packet are on. Which packet it is stands in the error.
  Result<PacketOutcome> send(const PacketRequest& request);

 private:
  struct Crossing {
    bool passed = false;
    EndVerdict verdict;
  };
  using Frame = std::vector<std::uint8_t>;

  // Out of the pod: sent on its eth0, seen behind the program on the host side.
  Result<Crossing> leave(const Place& pod, const Frame& frame);
  // Into the pod: sent on the host side, seen on its eth0.
  Result<Crossing> enter(const Place& pod, const Frame& frame);
  Result<Crossing> watch(const Place& pod, pn_direction direction, int seen_at, const Frame& frame);
  // What the packet looks like at its sender's interface and at its receiver's.
  struct Frames {
    Frame sender;
    Frame receiver;
  };
  Result<Frames> frames_of(const PacketRequest& request, const Place& from, const ServiceViews::Views& views);
  Result<std::optional<IpAddress>> own_node_of(const PacketRequest& request, const Place& from,
                                               const Place& to) const;

  Topology& topology_;
  ServiceViews& services_;
};

}  // namespace postern::sim
