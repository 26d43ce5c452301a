// SPDX-License-Identifier: Apache-2.0
// Keeps one node's backend at the policy of a snapshot: resolve, compile, apply. The scenario
// clusters and the agent drive their nodes through this one class. It owns no clock and no loop.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "engine/enforce/backend.h"
#include "engine/policy/resolve.h"

namespace postern {

struct EnforcerSettings {
  bool strict = false;  // R25
  std::optional<ServiceIpBlocks> service_ip_blocks{};  // R46; see ResolveOptions
  EstablishedFlows established_flows = EstablishedFlows::reevaluate;
  ConntrackTimeouts timeouts;
  EventMode events = EventMode::denied;
  bool spoof_check = true;
  // R40: where the node remembers no connections, for how long TCP packets of connections that may be older
  // than a pod's isolation pass.
  Duration midflow_grace{};
  std::uint64_t hash_secret = 0;  // fixed from the first reconcile on; an inherited one comes before it
};

class NodeEnforcer {
 public:
  NodeEnforcer(std::unique_ptr<Backend> backend, const EnforcerSettings& settings);

  // Whom to ask for connections that are older than an isolation; outlives the enforcer. Without: the
  // backend's own, if it has one.
  void set_node_connections(NodeConnections* connections) { node_connections_ = connections; }

  void set_settings(const EnforcerSettings& settings) { settings_ = settings; }
  [[nodiscard]] const EnforcerSettings& settings() const { return settings_; }

  // Brings the tables to `cluster` for the given interfaces. New interfaces get their slot before
  // they are attached; those that are gone are detached, lose their slot and their connections.
  // When nothing has changed nothing is written. On an error the last complete policy stays in force
  // (R26), and the next call takes up what is left to do, also where the backend failed half-way.
  //
  // What the backend inherited stays in force, untouched, until the first call has compiled and
  // written its policy whole. Then each interface is switched to it, those that are not among
  // `endpoints` are detached, and connections of endpoints that are gone are forgotten. So do not call
  // before the snapshot and `endpoints` are complete: an interface that is not named is opened.
  //
  // Where a direction of an interface that is already up becomes judged, its live connections are first
  // taken over from the node (R40). What the first call finds is up already, but for connections that the
  // backend inherited and judged before.
  Result<void> reconcile(const ClusterSnapshot& cluster, std::span<const LocalEndpoint> endpoints,
                         std::span<const IpAddress> own_node);

  [[nodiscard]] Backend& backend() { return *backend_; }
  [[nodiscard]] const Backend& backend() const { return *backend_; }
  // The policy in force: to name the rule of a verdict and the policies that isolate an endpoint.
  [[nodiscard]] const ResolvedPolicy& policy() const { return policy_; }
  [[nodiscard]] const RuleRegistry& rules() const { return rules_; }
  [[nodiscard]] const PolicyTables& tables() const { return compiler_.tables(); }
  [[nodiscard]] std::vector<TableUse> table_use() const { return compiler_.use(); }
  // Services that this policy cuts off because their backends disagree: for warnings.
  [[nodiscard]] const std::vector<BackendsDiffer>& backends_differ() const {
    return compiler_.backends_differ();
  }
  [[nodiscard]] Generation generation() const { return generation_; }
  // Connections that were taken over from the node, ever.
  [[nodiscard]] std::uint64_t seeded() const { return seeded_; }
  // Lines for the log since the last call: connections that were taken over, or why none were.
  std::vector<std::string> take_notes() { return std::exchange(notes_, {}); }

 private:
  Result<void> write(const ResolvedPolicy& policy);
  Result<void> finish();
  [[nodiscard]] std::vector<NodeConnectionsOf> newly_judged(const ResolvedPolicy& policy) const;
  [[nodiscard]] bool keeps_what_was_judged(const EndpointPolicy& endpoint) const;
  std::optional<std::vector<NodeConnection>> ask_node(const std::vector<NodeConnectionsOf>& pods);
  void seed(const std::vector<NodeConnection>& connections);
  void say_once(const std::string& note);
  void grant_grace(const std::vector<NodeConnectionsOf>& pods);
  void forget_grace(const ResolvedPolicy& policy);
  Result<void> follow_interfaces(std::span<const LocalEndpoint> endpoints);
  Result<void> settle_inheritance(const std::map<std::uint32_t, EndpointId>& wanted);

  std::unique_ptr<Backend> backend_;
  EnforcerSettings settings_;
  TableCompiler compiler_;
  RuleRegistry rules_;
  ResolvedPolicy policy_;
  Generation generation_;
  std::map<std::uint32_t, EndpointId> attached_;  // by ifindex
  bool settled_ = false;                          // nothing inherited is left to deal with
  std::optional<TableDelta> unfinished_;          // the backend stopped somewhere in it
  NodeConnections* node_connections_ = nullptr;
  std::map<EndpointId, std::uint32_t> grace_until_;  // ticks
  std::uint64_t seeded_ = 0;
  std::vector<std::string> notes_;
  std::string said_;  // the last of those that say_once() lets through once
};

}  // namespace postern
