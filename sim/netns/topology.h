// SPDX-License-Identifier: Apache-2.0
// The pool of namespaces and what connects them, brought to each placement by the smallest change.
//
//   pod eth0 --- c<n> node up0 --- n<n> fabric o<n> --- eth0 outside host
//
// Every end has its addresses as host addresses and one default route a family, over a gateway address
// that is the same everywhere. IPv4 gateways are never asked for (permanent neighbours), so these links
// carry nothing but what the probes send. IPv6 is switched on where the first address of it comes up;
// between a pod and its node neighbour discovery is real, through the program, elsewhere neighbours are
// permanent. A node's addresses stand on its loopback interface. Idle slots stay attached and keep
// their last addresses; no route leads to them.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "engine/enforce/node_enforcer.h"
#include "net/fd.h"
#include "sim/cluster.h"
#include "sim/netns/netns.h"
#include "sim/netns/node_memory.h"
#include "sim/netns/node_watch.h"
#include "sim/netns/pod_links.h"
#include "sim/netns/rtnl.h"
#include "sim/netns/service_nat.h"

namespace postern::sim {

using RouteTable = std::map<IpAddress, std::uint32_t>;  // host routes: address -> interface

// A namespace where traffic begins or ends, with the sockets that are kept open in it.
struct Station {
  Netns netns;
  std::map<std::tuple<ProbeProtocol, IpFamily, std::uint16_t>, UniqueFd> servers;  // TCP, UDP: by port
  std::map<IpFamily, UniqueFd> sctp;  // raw; send and receive every SCTP packet of the namespace
  std::map<IpFamily, UniqueFd> icmp;  // raw; receive echo replies only
  std::uint16_t next_port = 0;

  // Source ports go round, so that no probe repeats a 5-tuple that the datapath still remembers.
  std::uint16_t take_port();
};

// The two ends of a veth pair, the near one in the node's or the fabric's namespace.
struct Link {
  std::string near_name;
  std::string far_name;
  std::uint32_t near_ifindex = 0;
  std::uint32_t far_ifindex = 0;
  Mac near_mac{};
  Mac far_mac{};
  bool has_ipv6 = false;
};

struct PodSlot {
  Station station;
  std::uint32_t number = 0;
  Link link;                        // near: in the node's namespace; far: in the pod's
  std::set<IpAddress> configured;   // also those that a pod before has left
  std::set<IpAddress> addresses;    // of the pod
  EndpointId endpoint;
  NamespacedName pod;
  bool in_use = false;
  bool spent = false;  // its endpoint id has stood for a pod of this scenario
  std::optional<PodLinkRequest> made_for;  // the link is somebody else's work
  // On the near end and the far one, by protocol; kept, since the kernel takes its time to close one.
  std::array<std::map<std::uint16_t, UniqueFd>, 2> packet_sockets;
};

struct NodeSlot {
  Station station;
  std::uint32_t number = 0;
  Link link;  // near: in the fabric's namespace; far: in the node's
  std::set<IpAddress> addresses;
  Node object;  // as placed
  RouteTable routes;
  std::vector<std::unique_ptr<PodSlot>> pods;
  std::string name;
  bool in_use = false;
  bool dirty = false;  // was in use since its connections were forgotten
  TableSizes sizes;
  std::unique_ptr<NodeEnforcer> enforcer;  // null: nobody enforces from here
  std::unique_ptr<NodeWatch> watch;        // null: nobody enforces yet
  std::int64_t aged_ns = 0;  // how much of NetnsCluster's time its connections have been given
  std::optional<ServiceNat> nat;  // of what its pods and the node itself ask of Services
  std::uint16_t next_masquerade_port = 0;
  NodeMemory memory;  // of single packets

  NodeSlot() = default;
  NodeSlot(const NodeSlot&) = delete;
  NodeSlot& operator=(const NodeSlot&) = delete;
  ~NodeSlot() { drop_enforcer(); }
  // A source port for a pod that reaches itself through a Service, with the node's address.
  std::uint16_t take_masquerade_port();
  // In the node's namespace, where its interfaces can be found.
  void drop_enforcer();
};

struct OutsideSlot {
  Station station;
  std::uint32_t number = 0;
  Link link;                       // near: in the fabric's namespace; far: in the host's
  std::set<IpAddress> configured;  // also those of hosts before
  IpAddress address;
  bool in_use = false;
};

// Where a party stands; a Service without backends has no station.
struct Place {
  Station* station = nullptr;
  NodeSlot* node = nullptr;  // of a pod or node
  PodSlot* pod = nullptr;    // of a pod with an interface of its own
  OutsideSlot* outside = nullptr;
};

struct TopologyOptions {
  BackendFactory factory;               // empty: nothing is enforced from here
  std::shared_ptr<PodLinks> pod_links;  // null: the topology makes the interfaces of pods itself
  Duration place_takes{};               // time that may pass until policy is in force
};

class Topology {
 public:
  explicit Topology(TopologyOptions options) : options_(std::move(options)) {}

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
  [[nodiscard]] Duration place_takes() const { return options_.place_takes; }
  // What translates the Service addresses that a party writes: on its node, or in the fabric.
  [[nodiscard]] Result<ServiceNat*> nat_of(const Place& client);

 private:
  // topology_build.cpp
  Result<NodeSlot*> build_node();
  Result<PodSlot*> build_pod(NodeSlot& node);
  // With somebody else's interfaces.
  Result<PodSlot*> build_linked_pod(NodeSlot& node, const Pod& pod);
  Result<void> remove_idle_links(const Placement& placement);
  Result<OutsideSlot*> build_outside();
  Result<void> drop_unknown(IpFamily family);
  Result<void> add_ipv6_to_fabric();
  Result<void> add_ipv6_to_node(NodeSlot& node);
  Result<void> add_ipv6_to_pod(NodeSlot& node, PodSlot& pod);
  Result<void> add_ipv6_to_outside(OutsideSlot& outside);

  Result<void> forget_services();
  Result<void> place_nodes(const ClusterSnapshot& cluster);
  Result<void> place_pods(const Placement& placement);
  Result<void> place_outsides(const std::vector<IpAddress>& addresses);
  Result<void> claim(NodeSlot& node, PodSlot& slot, const Pod& pod);
  Result<void> claim(OutsideSlot& slot, const IpAddress& address);
  Result<void> sync_node_addresses(NodeSlot& node, const std::set<IpAddress>& wanted);
  Result<void> sync_routes();
  Result<void> enforce(NodeSlot& node, const Placement& placement);

  TopologyOptions options_;
  ClusterSettings settings_;
  Netns fabric_;
  RouteTable fabric_routes_;
  bool fabric_has_ipv6_ = false;
  std::optional<ServiceNat> fabric_nat_;
  std::vector<std::unique_ptr<NodeSlot>> nodes_;
  std::vector<std::unique_ptr<OutsideSlot>> outsides_;
  std::map<NamespacedName, Place> pods_;  // hostNetwork pods included
  std::uint32_t next_endpoint_ = 1;
  std::uint32_t next_pod_number_ = 0;
};

// The address every end uses as its gateway: a name alone in IPv4, in IPv6 the near end of its link,
// whose far end has the other address.
IpAddress gateway_address(IpFamily family);
IpAddress far_address();

}  // namespace postern::sim
