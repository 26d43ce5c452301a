// SPDX-License-Identifier: Apache-2.0
// Records what enters the cluster's wire into a capture file. Each packet stands in it once: that of a
// pod or outside host where it comes in at the other side of its sender's interface, before any
// program judges it; that of a node where it leaves the node, and so only what was not dropped there.
// Neighbour discovery and multicast listener messages, which links send when they like, are left out.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "sim/capture/capture.h"
#include "sim/netns/topology.h"

namespace postern::sim {

class PacketTap {
 public:
  // On every interface in use. Errors: io.
  static Result<PacketTap> start(const Topology& topology, const std::string& path);
  // Moves what has arrived into memory; between long series of probes, so that no queue overflows.
  void collect();
  // Sorts by time, writes and closes. Returns how many packets the file holds.
  Result<std::size_t> stop();

 private:
  explicit PacketTap(CaptureWriter writer) : writer_(std::move(writer)) {}
  struct Taken {
    Instant at;
    std::vector<std::byte> frame;
  };
  struct Listener {
    bool arriving = false;    // what comes in counts
    std::set<IpAddress> own;  // what goes out counts when it comes from one of these
    UniqueFd socket;
  };
  Result<void> listen(const Netns& netns, std::uint32_t ifindex, Listener listener);

  CaptureWriter writer_;
  std::vector<Listener> listeners_;
  std::vector<Taken> taken_;
};

}  // namespace postern::sim
