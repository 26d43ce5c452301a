// SPDX-License-Identifier: Apache-2.0
// The node daemon put together: settings in, one loop with everything on it. What stands in the kernel it
// reaches through functions of its caller, who alone knows the backend.
//
// Typical use (cli/commands/agent.cpp):
//   auto daemon = Daemon::start(loop, settings, kernel);
//   loop.run();
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "agent/flow/flow_record.h"
#include "agent/http/health_state.h"
#include "agent/loop/event_loop.h"
#include "agent/node/node_agent.h"
#include "agent/settings/settings.h"
#include "engine/enforce/backend.h"

namespace postern::agent {

struct Kernel {
  BackendFactory make_backend;
  // Takes the Amazon agent's programs off an interface that is judged by ours, with the pins of the pod.
  std::function<Result<void>(std::uint32_t ifindex, const NamespacedName& pod)> take_over;
  // Removes everything of ours; a line for each thing.
  std::function<Result<std::vector<std::string>>()> remove_all;
  // The scenario that reproduces what a flow should be, for the self-check; none: flows are written as such.
  std::function<Result<std::string>(const ClusterSnapshot& cluster, const FlowRecord& flow)> scenario_of{};
  // The objects of a snapshot as one List, for the run folder (agent/view); none: they are not kept.
  std::function<Result<std::string>(const ClusterSnapshot& cluster)> objects_text{};
};

class Daemon {
 public:
  // Errors: everything that will not mend by waiting: no right to load programs, no bpffs, no kubeconfig,
  // an address that is taken, a folder that is not there. The loop outlives the daemon.
  static Result<std::unique_ptr<Daemon>> start(EventLoop& loop, const Settings& settings, Kernel kernel);
  ~Daemon();  // what is in force stays in force
  // Before the end: sends what still waits for CloudWatch, for kFarewell at most, and then calls `done` from
  // the loop, which has to run meanwhile. False, and no call, where nothing waits.
  bool finish(std::function<void()> done);
  static constexpr Duration kFarewell = seconds(3);
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;

 private:
  struct Parts;
  explicit Daemon(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace postern::agent
