// SPDX-License-Identifier: Apache-2.0
// The whole way of a policy as a Cluster: an API server that holds the objects, a real `postern agent` on
// each node that follows it, pods whose interfaces real CNI plug-ins make, packets on the wire. Namespaces,
// routes and probes are those of the namespace cluster, which enforces nothing here.
//
// place() brings the server to the objects of a step by API calls, and then to one object more of each
// kind, the barrier: an agent that has those in force has the step in force. What its datapath says of a
// packet comes through a NodeWatch. An agent goes on from one scenario to the next, as long as its flags are the
// same; the pods of the one before it has seen go, and its connections are forgotten.
//
// What it cannot do it refuses as unsupported. Policies of the whole cluster, in whatever form, need a server
// that knows their kind; without its definition agents have a kind that is absent.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "sim/agent/api_object.h"
#include "sim/agent/node_agents.h"
#include "sim/cluster.h"
#include "sim/cni/cni.h"
#include "sim/netns/node_watch.h"

namespace postern::sim {

struct AgentClusterOptions {
  std::string program;     // path of postern
  std::string api_server;  // see ApiServerSpec::command
  ServedPolicies policies = ServedPolicies::network_policies;
  CniPlugin plugin = CniPlugin::ptp;
  std::vector<std::string> definitions;  // manifests that define custom kinds, one each
  // Of an agent with something in force, by its folders. Errors: not_found, it has had no pod to enforce yet.
  std::function<Result<std::unique_ptr<NodeWatch>>(const NodeAgent& agent)> watch;
};

class AgentCluster final : public Cluster {
 public:
  // Inside the sandbox. Errors: unsupported, io.
  static Result<std::unique_ptr<AgentCluster>> make(AgentClusterOptions options);
  ~AgentCluster() override;

  [[nodiscard]] std::string_view name() const override { return "agent"; }
  Result<void> begin(const ClusterSettings& settings) override;
  Result<void> place(const Placement& placement) override;
  Result<void> advance(Duration by) override;
  Result<std::vector<ProbeOutcome>> probe(std::span<const ProbeRequest> requests) override;
  Result<std::vector<PacketOutcome>> send(std::span<const PacketRequest> requests) override;
  [[nodiscard]] VerdictNames names_of(const EndVerdict& verdict) const override;

 private:
  struct State;
  explicit AgentCluster(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace postern::sim
