// SPDX-License-Identifier: Apache-2.0
// A cluster in memory: packets are byte vectors, time is a variable, a node is a NodeEnforcer over a
// backend that classifies single packets. A packet leaves through its sender's interface (egress,
// judged on the sender's node) and arrives through its receiver's (ingress, judged on that node);
// nodes, hostNetwork pods and outside hosts have no interface, so nothing is judged at their end.
// A pod that talks to itself never leaves its namespace (R1). What a client says to a Service is
// translated between the two interfaces, as its node does; a pod that reaches itself through a
// Service is judged at both, and comes in with its node's address (R8).
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "sim/cluster.h"
#include "sim/packet/remembered_connections.h"
#include "sim/packet/service_views.h"
#include "sim/virtual/port_allocator.h"
#include "sim/virtual/virtual_wire.h"

namespace postern::sim {

class VirtualCluster final : public Cluster {
 public:
  // Backends that `factory` makes must have an injector.
  VirtualCluster(std::string name, BackendFactory factory);
  ~VirtualCluster() override;

  [[nodiscard]] std::string_view name() const override { return name_; }
  Result<void> begin(const ClusterSettings& settings) override;
  Result<void> place(const Placement& placement) override;
  Result<void> advance(Duration by) override;
  Result<std::vector<ProbeOutcome>> probe(std::span<const ProbeRequest> requests) override;
  Result<std::vector<PacketOutcome>> send(std::span<const PacketRequest> requests) override;
  [[nodiscard]] VerdictNames names_of(const EndVerdict& verdict) const override;
  // Null: no such node.
  [[nodiscard]] const NodeEnforcer* enforcer(const std::string& node) const;

  [[nodiscard]] Instant now() const { return now_; }
  // The interface of a pod; zero: it has none.
  [[nodiscard]] EndpointId endpoint_of(const NamespacedName& pod) const;

 private:
  struct Interface {
    EndpointId endpoint;
    std::uint32_t ifindex = 0;
    std::string node;
    std::vector<IpAddress> addresses;
    packet::MacAddress mac{};
    PacketInjector* injector = nullptr;
    RememberedConnections* remembered = nullptr;  // the node's; null: it remembers nothing
    std::uint32_t tick_shift = 0;                 // of the node's datapath
  };
  // Where traffic of a party enters and leaves the cluster's wire.
  struct Station {
    NamespacedName pod;
    const Interface* interface = nullptr;  // null: nothing judges there
    packet::MacAddress mac{};
  };
  // One packet on its way, as each interface sees it.
  struct Frames {
    std::vector<std::uint8_t> sender;
    std::vector<std::uint8_t> receiver;
    bool stays_inside = false;  // from a pod to itself
  };
  // A probe's conversation, as the client's interface and as the server's sees it.
  struct Talk {
    Conversation near;
    Conversation far;
  };
  // What became of one packet.
  struct Passage {
    bool allowed = true;
    std::optional<EndVerdict> from;
    std::optional<EndVerdict> to;
  };

  Result<NodeEnforcer*> node_enforcer(const std::string& node);
  // Every node knows what time it is.
  void tell_time();
  void update_interfaces(const ClusterSnapshot& cluster);
  Result<Station> station_of(const Party& party) const;
  EndVerdict judge(const Station& station, pn_direction direction, std::span<const std::uint8_t> frame,
                   bool& allowed);
  Passage pass(const Station& from, const Station& to, const Frames& frames);
  // The address that a pod's node puts in the source of what the pod sends to itself through a
  // Service; absent: these parties are not one pod. Errors: a node without one of that family.
  Result<std::optional<IpAddress>> masquerade_of(const Station& from, const Station& to,
                                                 IpFamily family) const;
  Result<Talk> talk_of(const ProbeRequest& request, const Station& client, const Station& server);
  Result<ProbeOutcome> probe_one(const ProbeRequest& request);
  Result<PacketOutcome> send_one(const PacketRequest& request);

  std::string name_;
  BackendFactory factory_;
  ClusterSettings settings_;
  std::map<std::string, std::unique_ptr<RememberedConnections>> remembered_;  // by node; outlive nodes_
  std::map<std::string, std::unique_ptr<NodeEnforcer>> nodes_;
  std::map<NamespacedName, Interface> interfaces_;
  std::map<std::string, Node> node_objects_;
  ServiceViews services_;
  PortAllocator ports_;
  Instant now_;
  std::uint32_t next_id_ = 1;  // of endpoints and interfaces, unique in the cluster
};

}  // namespace postern::sim
