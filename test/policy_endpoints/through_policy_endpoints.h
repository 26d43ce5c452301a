// SPDX-License-Identifier: Apache-2.0
// A cluster whose nodes have never seen a NetworkPolicy: what is placed on it is the PolicyEndpoints that
// the policies resolve to and, unless they are to be kept, no Service or EndpointSlice.
#pragma once

#include <optional>
#include <utility>

#include "engine/policy/to_policy_endpoints.h"
#include "sim/cluster.h"

namespace postern::sim {

class ThroughPolicyEndpoints final : public Cluster {
 public:
  // How the slices get to the nodes: as they are, or as `postern resolve` prints them.
  enum class Way : std::uint8_t { values, yaml, json };
  struct Options {
    ToEndpointsOptions endpoints;
    Way way = Way::values;
    bool keep_services = false;
    std::optional<ServiceIpBlocks> service_ip_blocks{};
  };
  // `cluster` must outlive it.
  ThroughPolicyEndpoints(Cluster& cluster, Options options)
      : cluster_(cluster), options_(std::move(options)) {}

  [[nodiscard]] std::string_view name() const override { return "policyendpoints"; }
  Result<void> begin(const ClusterSettings& settings) override;
  Result<void> place(const Placement& placement) override;
  Result<void> advance(Duration by) override { return cluster_.advance(by); }
  Result<std::vector<ProbeOutcome>> probe(std::span<const ProbeRequest> requests) override {
    return cluster_.probe(requests);
  }
  Result<std::vector<PacketOutcome>> send(std::span<const PacketRequest> requests) override {
    return cluster_.send(requests);
  }
  [[nodiscard]] VerdictNames names_of(const EndVerdict& verdict) const override { return cluster_.names_of(verdict); }

 private:
  Cluster& cluster_;
  Options options_;
};

}  // namespace postern::sim
