// SPDX-License-Identifier: Apache-2.0
// A cluster in memory: packets are byte vectors, time is a variable, a node is a NodeEnforcer over a
// backend that classifies single packets. A packet leaves through its sender's interface (egress,
// judged on the sender's node) and arrives through its receiver's (ingress, judged on that node);
// nodes, hostNetwork pods and outside hosts have no interface, so nothing is judged at their end.
// A pod that talks to itself never leaves its namespace (R1).
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "sim/cluster.h"
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
  [[nodiscard]] const NodeEnforcer* enforcer(const std::string& node) const override;

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
  };
  // Where traffic of a party enters and leaves the cluster's wire.
  struct Station {
    NamespacedName pod;
    const Interface* interface = nullptr;  // null: nothing judges there
    packet::MacAddress mac{};
  };
  // What became of one packet.
  struct Passage {
    bool allowed = true;
    std::optional<EndVerdict> from;
    std::optional<EndVerdict> to;
  };

  Result<NodeEnforcer*> node_enforcer(const std::string& node);
  void update_interfaces(const ClusterSnapshot& cluster);
  Result<Station> station_of(const Party& party) const;
  EndVerdict judge(const Station& station, pn_direction direction, std::span<const std::uint8_t> frame,
                   bool& allowed);
  Passage pass(const Station& from, const Station& to, std::span<const std::uint8_t> frame);
  Result<ProbeOutcome> probe_one(const ProbeRequest& request);
  Result<PacketOutcome> send_one(const PacketRequest& request);

  std::string name_;
  BackendFactory factory_;
  ClusterSettings settings_;
  std::map<std::string, std::unique_ptr<NodeEnforcer>> nodes_;
  std::map<NamespacedName, Interface> interfaces_;
  PortAllocator ports_;
  Instant now_;
  std::uint32_t next_id_ = 1;  // of endpoints and interfaces, unique in the cluster
};

}  // namespace postern::sim
