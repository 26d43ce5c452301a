// SPDX-License-Identifier: Apache-2.0
// Keeps one node's backend at the policy of a snapshot: resolve, compile, apply. The scenario
// clusters and the agent drive their nodes through this one class. It owns no clock and no loop.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <span>

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
  std::uint64_t hash_secret = 0;  // fixed from the first reconcile on; an inherited one comes before it
};

class NodeEnforcer {
 public:
  NodeEnforcer(std::unique_ptr<Backend> backend, const EnforcerSettings& settings);

  void set_settings(const EnforcerSettings& settings) { settings_ = settings; }

  // Brings the tables to `cluster` for the given interfaces. New interfaces get their slot before
  // they are attached; those that are gone are detached, lose their slot and their connections.
  // When nothing has changed nothing is written. On an error the last complete policy stays in force
  // (R26), and the next call takes up what is left to do, also where the backend failed half-way.
  //
  // What the backend inherited stays in force, untouched, until the first call has compiled and
  // written its policy whole. Then each interface is switched to it, those that are not among
  // `endpoints` are detached, and connections of endpoints that are gone are forgotten. So do not call
  // before the snapshot and `endpoints` are complete: an interface that is not named is opened.
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

 private:
  Result<void> write(const ResolvedPolicy& policy);
  Result<void> finish();
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
};

}  // namespace postern
