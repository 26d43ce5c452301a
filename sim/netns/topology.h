// SPDX-License-Identifier: Apache-2.0
// The pool of namespaces and what connects them, brought to each placement by the smallest change.
//
//   pod eth0 --- c<n> node up0 --- n<n> fabric o<n> --- eth0 outside host
//
// Every end has its address as a host address and one default route, over a gateway address that is
// the same everywhere and never asked for (permanent neighbours), so the links carry nothing but what
// the probes send. A node's addresses stand on its loopback interface. Idle slots stay attached and
// keep their last address; no route leads to them.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "engine/enforce/node_enforcer.h"
#include "sim/cluster.h"
#include "sim/netns/fd.h"
#include "sim/netns/netns.h"
#include "sim/netns/rtnl.h"

namespace postern::sim {

using RouteTable = std::map<IpAddress, std::uint32_t>;  // host routes: address -> interface

// A namespace where traffic begins or ends, with the sockets that are kept open in it.
struct Station {
  Netns netns;
  std::map<std::pair<ProbeProtocol, std::uint16_t>, UniqueFd> servers;  // TCP, UDP: by port
  UniqueFd sctp;  // raw; sends and receives every SCTP packet of the namespace
  UniqueFd icmp;  // raw; receives echo replies only
  std::uint16_t next_port = 0;

  // Source ports go round, so that no probe repeats a 5-tuple that the datapath still remembers.
  std::uint16_t take_port();
};

struct PodSlot {
  Station station;
  std::uint32_t number = 0;
  std::uint32_t host_ifindex = 0;  // in the node's namespace
  std::uint32_t pod_ifindex = 0;   // in the pod's
  Mac host_mac{};
  Mac pod_mac{};
  std::optional<IpAddress> address;
  EndpointId endpoint;
  NamespacedName pod;
  bool in_use = false;
  bool spent = false;  // its endpoint id has stood for a pod of this scenario
};

struct NodeSlot {
  Station station;
  std::uint32_t number = 0;
  std::uint32_t uplink_ifindex = 0;  // in the node's namespace
  std::uint32_t fabric_ifindex = 0;  // in the fabric's
  Mac uplink_mac{};
  Mac fabric_mac{};
  std::set<IpAddress> addresses;
  RouteTable routes;
  std::vector<std::unique_ptr<PodSlot>> pods;
  std::string name;
  bool in_use = false;
  bool dirty = false;  // was in use since its connections were forgotten
  TableSizes sizes;
  std::unique_ptr<NodeEnforcer> enforcer;
  std::int64_t aged_ns = 0;  // how far the scenario's clock has aged its connections

  NodeSlot() = default;
  NodeSlot(const NodeSlot&) = delete;
  NodeSlot& operator=(const NodeSlot&) = delete;
  ~NodeSlot() { drop_enforcer(); }
  // In the node's namespace, where its interfaces can be found.
  void drop_enforcer();
};

struct OutsideSlot {
  Station station;
  std::uint32_t number = 0;
  std::uint32_t fabric_ifindex = 0;
  std::uint32_t host_ifindex = 0;
  Mac fabric_mac{};
  Mac host_mac{};
  std::optional<IpAddress> address;
  bool in_use = false;
};

// Where a party stands.
struct Place {
  Station* station = nullptr;
  NodeSlot* node = nullptr;  // of a pod or node
  PodSlot* pod = nullptr;    // of a pod with an interface of its own
  OutsideSlot* outside = nullptr;
};

class Topology {
 public:
  explicit Topology(BackendFactory factory) : factory_(std::move(factory)) {}

  Result<void> start();  // makes the fabric
  Result<void> begin(const ClusterSettings& settings);
  Result<void> place(const Placement& placement);

  [[nodiscard]] Result<Place> find(const Party& party);
  [[nodiscard]] NodeSlot* find_node(const std::string& name);
  [[nodiscard]] std::vector<NodeSlot*> active_nodes();
  [[nodiscard]] const NodeSlot* find_node(const std::string& name) const;
  [[nodiscard]] const std::vector<std::unique_ptr<NodeSlot>>& nodes() const { return nodes_; }
  [[nodiscard]] const std::vector<std::unique_ptr<OutsideSlot>>& outsides() const { return outsides_; }
  [[nodiscard]] const Netns& fabric() const { return fabric_; }
  [[nodiscard]] const ClusterSettings& settings() const { return settings_; }

 private:
  // topology_build.cpp
  Result<NodeSlot*> build_node();
  Result<PodSlot*> build_pod(NodeSlot& node);
  Result<OutsideSlot*> build_outside();

  Result<void> place_nodes(const ClusterSnapshot& cluster);
  Result<void> place_pods(const ClusterSnapshot& cluster);
  Result<void> place_outsides(const std::vector<IpAddress>& addresses);
  Result<void> claim(PodSlot& slot, const Pod& pod, const IpAddress& address);
  Result<void> sync_node_addresses(NodeSlot& node, const std::set<IpAddress>& wanted);
  Result<void> sync_routes();
  Result<void> enforce(NodeSlot& node, const Placement& placement);

  BackendFactory factory_;
  ClusterSettings settings_;
  Netns fabric_;
  RouteTable fabric_routes_;
  std::vector<std::unique_ptr<NodeSlot>> nodes_;
  std::vector<std::unique_ptr<OutsideSlot>> outsides_;
  std::map<NamespacedName, Place> pods_;  // hostNetwork pods included
  std::uint32_t next_endpoint_ = 1;
  std::uint32_t next_pod_number_ = 0;
};

// The address every end uses as its gateway.
IpAddress gateway_address();

}  // namespace postern::sim
