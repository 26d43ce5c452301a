// SPDX-License-Identifier: Apache-2.0
#include "agent/daemon/cni_gate.h"

#include "agent/log/log.h"

namespace postern::agent {

void CniGate::enforce(const PodRequest& request, Done done) {
  if (request.strict) strict_();
  if (request.interface_count > 1) {
    log_info("pod {} has {} interfaces, as the CNI plug-in says", request.pod.to_string(), request.interface_count);
  }
  agent_.announce(request.pod, std::move(done));
  if (request.awaited) {
    open_.push_back({request.pod, request.awaited});
    request.awaited->set(agent_.waits_for(request.pod));
  }
}

void CniGate::remove(const NamespacedName& pod, Done done) {
  agent_.withdraw(pod);
  done({});
}

void CniGate::tell() {
  for (auto it = open_.begin(); it != open_.end();) {
    const auto awaited = it->awaited.lock();
    if (awaited) awaited->set(agent_.waits_for(it->pod));
    it = awaited ? std::next(it) : open_.erase(it);
  }
}

}  // namespace postern::agent
