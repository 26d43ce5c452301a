// SPDX-License-Identifier: Apache-2.0
// What the CNI plug-in asks of the node's agent: that a pod's policy is in force before it starts.
#pragma once

#include <list>
#include <memory>

#include "agent/node/node_agent.h"
#include "agent/rpc/pod_gate.h"

namespace postern::agent {

class CniGate final : public PodGate {
 public:
  // The agent outlives the gate. `strict` is called when the CNI says that it runs pods in strict mode.
  CniGate(NodeAgent& agent, std::function<void()> strict) : agent_(agent), strict_(std::move(strict)) {}

  void enforce(const PodRequest& request, Done done) override;
  // At once: what goes with a pod is found out from its interface and its object.
  void remove(const NamespacedName& pod, Done done) override;
  // Says anew what open requests wait for.
  void tell();

 private:
  struct Open {
    NamespacedName pod;
    std::weak_ptr<Awaited> awaited;  // gone with its request
  };
  NodeAgent& agent_;
  std::function<void()> strict_;
  std::list<Open> open_;
};

}  // namespace postern::agent
