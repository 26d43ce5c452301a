// SPDX-License-Identifier: Apache-2.0
// Real agents: one process of `postern agent` in the network namespace of each node, with a BPF file
// system of its own for its pins, and with the capabilities that deploy/base gives it and no other. What it
// has in force it is asked as a user would, by its metrics.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "sim/agent/child_process.h"
#include "sim/agent/http_session.h"

namespace postern::sim {

class NodeAgent {
 public:
  // Flags beside those that follow from where it runs. `folder` is made, and is its own; in it are
  // agent.log, output.log and bpf/, where a BPF file system is mounted as long as the agent lives.
  struct Spec {
    std::string program;  // path of postern
    std::string folder;
    std::vector<std::string> flags;
  };

  // The namespace outlives the agent. Errors: io, permission.
  static Result<std::unique_ptr<NodeAgent>> start(const Netns& node, const Spec& spec);
  // Ends the process and takes everything away that it has pinned.
  ~NodeAgent();
  NodeAgent(const NodeAgent&) = delete;
  NodeAgent& operator=(const NodeAgent&) = delete;

  // Whether everything up to these resourceVersions (by resource: "pods") is in force, for every pod of the
  // node. Resources that it does not watch do not count; before it serves or has read everything the
  // answer is no. Errors: io, when the process has ended, with the end of its log; internal, when it holds
  // other capabilities than it should.
  Result<bool> has_in_force(const std::map<std::string, double>& versions);
  [[nodiscard]] const std::string& pin_path() const { return pin_path_; }
  // Where it keeps the names of what it has in force.
  [[nodiscard]] const std::string& run_folder() const { return run_folder_; }
  // What it has said last.
  [[nodiscard]] std::string log_tail() const;

 private:
  NodeAgent(ChildProcess process, HttpSession session, const std::string& folder)
      : process_(std::make_unique<ChildProcess>(std::move(process))),
        session_(std::move(session)),
        mount_(folder + "/bpf"),
        pin_path_(mount_ + "/postern"),
        run_folder_(folder + "/run") {}

  std::unique_ptr<ChildProcess> process_;
  HttpSession session_;
  std::string mount_;
  std::string pin_path_;
  std::string run_folder_;
};

}  // namespace postern::sim
