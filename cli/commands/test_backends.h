// SPDX-License-Identifier: Apache-2.0
// The clusters that `postern test --backend` stands for.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "sim/cluster.h"

namespace postern::cli {

// What the agent backend is given beside.
struct AgentBackend {
  std::string api_server;                    // command that starts one
  std::string policy_source = "kubernetes";  // or policyendpoints
  std::string cni = "ptp";                   // or bridge
  std::vector<std::string> crds;             // files that define custom kinds
};

// For tc, agent and all: moves the process into its sandbox, so call it first, while single-threaded.
// Errors: permission, with the command that would work in the message.
Result<void> prepare_backends(const std::string& backend, const std::vector<std::string>& argv);

// In the order in which they run; one, or for "all" sim and tc. `agent` matters to agent alone.
Result<std::vector<std::unique_ptr<sim::Cluster>>> make_clusters(const std::string& backend,
                                                                 const AgentBackend& agent);

// What judges the captures of a scenario's `replay`, whatever the backend of its probes.
BackendFactory replay_backend();

// "sudo /path/to/postern test --backend tc file.yaml", each word quoted where a shell needs it.
std::string sudo_command(const std::vector<std::string>& argv);

}  // namespace postern::cli
