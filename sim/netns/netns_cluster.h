// SPDX-License-Identifier: Apache-2.0
// The kernel's house of the Cluster port: a network namespace for every node, pod and outside host,
// veth pairs and routes between them, real sockets for TCP and UDP, raw ones for SCTP and ICMP. A
// `fabric` namespace routes between nodes and outside hosts. Each node has a backend of its own on
// the host sides of its pods' interfaces, so traffic between two pods is judged at both ends.
//
// Namespaces, interfaces, attachments and servers are pooled: begin() empties the cluster without
// taking anything down, and place() prefers, for each pod, the interface that had its address.
//
// How to use it (what the command line does for `--backend tc`):
//   if (auto inside = enter_sandbox(); !inside) return report(inside.error());   // sim/netns/sandbox.h
//   auto cluster = make_netns_cluster(make_tc_backend);
// enter_sandbox() comes first in main, before threads and before any output that matters is buffered;
// outside of a sandbox the cluster works too, but its namespaces are then cut off from nothing.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "engine/enforce/backend.h"
#include "sim/cluster.h"

namespace postern::sim {

class Netns;      // sim/netns/netns.h
class NodeWatch;  // sim/netns/node_watch.h
class Topology;   // sim/netns/topology.h
struct NodeSlot;
struct TopologyOptions;

class NetnsCluster : public Cluster {
 public:
  // An empty factory makes a cluster that enforces nothing.
  static Result<std::unique_ptr<NetnsCluster>> make(BackendFactory factory);
  // Pods whose interfaces somebody else makes, or nodes that somebody else enforces on.
  static Result<std::unique_ptr<NetnsCluster>> make_of(TopologyOptions options);
  ~NetnsCluster() override;

  [[nodiscard]] std::string_view name() const override { return "tc"; }
  Result<void> begin(const ClusterSettings& settings) override;
  Result<void> place(const Placement& placement) override;
  Result<void> advance(Duration by) override;
  Result<std::vector<ProbeOutcome>> probe(std::span<const ProbeRequest> requests) override;
  Result<std::vector<PacketOutcome>> send(std::span<const PacketRequest> requests) override;
  [[nodiscard]] VerdictNames names_of(const EndVerdict& verdict) const override;

  // Writes what pods, nodes and outside hosts send from now on to a pcap file with nanosecond
  // stamps, each packet once: where it enters the host side of its sender's interface, before it is
  // judged. Interfaces made by a later place() are not recorded. Errors: io.
  Result<void> start_capture(const std::string& path);
  // Writes what is still pending and closes the file; returns how many packets it holds.
  Result<std::size_t> stop_capture();

  // The namespace a party stands in, for traffic of a caller's own; it stays the cluster's.
  Result<const Netns*> netns_of(const Party& party);
  // Its nodes, for whoever has more to put there.
  [[nodiscard]] Topology& topology();
  // Of a node that somebody else enforces on; its connections are as old as they are, whatever the scenario's
  // clock says.
  void watch(NodeSlot& node, std::unique_ptr<NodeWatch> watch);
  // Packets dropped on the nodes in use, since their backends were made.
  Result<std::uint64_t> dropped_packets();

  // Numbers of what the pool holds, used or idle.
  struct PoolSize {
    std::size_t nodes = 0;
    std::size_t pods = 0;
    std::size_t outside = 0;
    friend bool operator==(const PoolSize&, const PoolSize&) = default;
  };
  [[nodiscard]] PoolSize pool_size() const;

 private:
  struct State;
  explicit NetnsCluster(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// As above, behind the port.
inline Result<std::unique_ptr<Cluster>> make_netns_cluster(BackendFactory factory) {
  auto cluster = NetnsCluster::make(std::move(factory));
  if (!cluster) return fail_as(cluster);
  return std::unique_ptr<Cluster>(std::move(*cluster));
}

}  // namespace postern::sim
