// SPDX-License-Identifier: Apache-2.0
// The port through which the rig sees what a node's datapath says, and lets its time pass, whoever puts
// policy in force there: this process through a NodeEnforcer, or an agent in another one, through what it pins.
#pragma once

#include "engine/enforce/verdict_names.h"

namespace postern::sim {

class NodeWatch {
 public:
  virtual ~NodeWatch() = default;
  // What was said since the last call, in order: all drops, and all judged packets while a step is traced
  // (Placement::trace_all). Errors: io, also where something was said and lost.
  virtual Result<void> drain_events(EventSink& sink) = 0;
  [[nodiscard]] virtual int event_fd() const = 0;  // readable when there is something
  // How long a tick lasts, by which connections age.
  [[nodiscard]] virtual std::int64_t tick_ns() const = 0;
  // All connections and fragments become older by that, in whole ticks.
  virtual Result<void> age_connections(Duration by) = 0;
  // No connection and no fragment is known any more.
  virtual Result<void> forget_connections() = 0;
  // Of what was said under the policy in force.
  [[nodiscard]] virtual VerdictNames names_of(const SaidOfPod& said) const = 0;
};

class EnforcerWatch final : public NodeWatch {
 public:
  explicit EnforcerWatch(NodeEnforcer& enforcer) : enforcer_(enforcer) {}

  Result<void> drain_events(EventSink& sink) override {
    const auto drained = enforcer_.backend().drain_events(sink);
    if (!drained) return fail_as(drained);
    return {};
  }
  [[nodiscard]] int event_fd() const override { return enforcer_.backend().event_fd(); }
  [[nodiscard]] std::int64_t tick_ns() const override { return enforcer_.backend().clock().tick_ns; }
  Result<void> age_connections(Duration by) override { return enforcer_.backend().age_connections(by); }
  Result<void> forget_connections() override { return enforcer_.backend().forget_connections(EndpointId{}); }
  [[nodiscard]] VerdictNames names_of(const SaidOfPod& said) const override {
    return postern::names_of(enforcer_, said);
  }

 private:
  NodeEnforcer& enforcer_;
};

}  // namespace postern::sim
