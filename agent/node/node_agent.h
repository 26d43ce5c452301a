// SPDX-License-Identifier: Apache-2.0
// Keeps one node at what its source of policy says: finds the pods that stand here and their interfaces,
// and has the enforcer bring the kernel there. Everything that happens (an object, a link, an address, a
// pod that a CNI plug-in announces) only says that something may be different; what to do follows from
// comparing what is wanted with what is in force, again after each failure until it is done.
//
// Nothing is enforced, and nothing that an earlier process left in force is touched, before the source
// has read everything once.
#pragma once

#include <functional>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include "agent/loop/event_loop.h"
#include "agent/node/host_view.h"
#include "agent/node/local_pods.h"
#include "agent/source/policy_source.h"
#include "engine/enforce/node_enforcer.h"

namespace postern::agent {

struct NodeAgentOptions {
  std::string node_name;
  bool any_node = false;  // LocalPods
  bool all_interfaces = false;  // of a pod, not its primary one alone
  LocateOptions locate;
  // Called for each interface that has just come under the program: takes another agent's off.
  std::function<Result<void>(std::uint32_t ifindex, const NamespacedName& pod)> after_attach;
  // Called after each attempt that went well, with how long the oldest change that it put in force had
  // waited; nothing when there was none.
  std::function<void(std::optional<Duration> waited)> in_force;
};

class NodeAgent final : private PolicySource::Listener {
 public:
  // Called when an announced pod is in force, or will not be.
  using Done = std::function<void(Result<void>)>;

  struct Status {
    bool ready = false;     // was in force once; an outage of the source does not undo it
    bool pending = false;   // something has happened that is not in force yet
    std::string failure;    // of the last attempt; empty when it went well
    Instant failing_since;  // meaningful with a failure
    std::uint64_t reconciles = 0;
    std::uint64_t failures = 0;
    std::size_t policies = 0;  // in the snapshot in force, of both kinds
  };

  // All of them outlive the agent.
  NodeAgent(EventLoop& loop, HostView& host, PolicySource& source, NodeEnforcer& enforcer,
            NodeAgentOptions options);
  ~NodeAgent() override;

  // Errors: the source's, which will not mend by waiting.
  Result<void> start();
  // Something of the host's network is different.
  void network_changed();

  // A CNI plug-in has set a pod up and waits until its policy is in force. `done` is called on the loop,
  // at once where nothing is left to do; cancel() forgets it.
  using Ticket = std::uint64_t;
  Ticket announce(const NamespacedName& pod, Done done);
  void cancel(Ticket ticket);
  void withdraw(const NamespacedName& pod);
  // Why an announced pod is not in force yet, in words.
  [[nodiscard]] std::string waits_for(const NamespacedName& pod) const;

  [[nodiscard]] const Status& status() const { return status_; }
  [[nodiscard]] const std::map<NamespacedName, LocalPod>& pods() const { return pods_.pods(); }
  // Called after each attempt and whenever the source's state may be another.
  void on_status(std::function<void()> told) { told_ = std::move(told); }

 private:
  struct Waiting {
    Ticket ticket = 0;
    NamespacedName pod;
    Done done;
  };

  void cluster_changed() override { plan(); }
  void source_error(const std::string& text) override;
  void source_warning(const std::string& text) override;
  void source_notice(const std::string& text) override;

  void plan();
  void reconcile();
  Result<void> bring_into_force();
  void take_over_new();
  void note_failure(const Error& error);
  void tell_of_pods();
  void tell_of_services();
  void tell_of_policies();
  void answer_waiting();
  [[nodiscard]] bool in_force(const NamespacedName& pod) const;

  EventLoop& loop_;
  HostView& host_;
  PolicySource& source_;
  NodeEnforcer& enforcer_;
  NodeAgentOptions options_;
  LocalPods pods_;
  std::set<NamespacedName> in_force_;  // pods of the last attempt that went well
  std::map<NamespacedName, std::string> said_;  // what was logged last of a pod without an interface
  std::vector<BackendsDiffer> differing_;  // those that were logged
  std::map<std::string, ClusterNetworkPolicy> told_of_;  // what there is to say of these is
  std::vector<std::string> cluster_warnings_;            // this
  std::set<std::string> policy_warnings_;                // what was said of policies
  std::map<std::uint32_t, EndpointId> taken_over_;
  std::list<Waiting> waiting_;
  Ticket next_ticket_ = 1;
  EventLoop::TimerId planned_ = 0;
  Instant planned_for_;
  Instant first_change_;
  std::optional<Instant> changed_since_;  // the oldest change that is not in force
  Duration back_off_{};
  Status status_;
  std::function<void()> told_;
};

}  // namespace postern::agent
