// SPDX-License-Identifier: Apache-2.0
#include "engine/enforce/node_enforcer.h"

#include <algorithm>
#include <vector>

namespace postern {

NodeEnforcer::NodeEnforcer(std::unique_ptr<Backend> backend, const EnforcerSettings& settings)
    : backend_(std::move(backend)), settings_(settings), compiler_(backend_->sizes()) {}

Result<void> NodeEnforcer::reconcile(const ClusterSnapshot& cluster, std::span<const LocalEndpoint> endpoints,
                                     std::span<const IpAddress> own_node) {
  ResolveOptions options;
  options.strict = settings_.strict;
  options.own_node.assign(own_node.begin(), own_node.end());
  auto resolved = resolve(cluster, endpoints, options, rules_);
  if (!resolved) return fail_as(resolved);

  CompileSettings compile;
  compile.established_flows = settings_.established_flows;
  compile.timeouts = settings_.timeouts;
  compile.clock = backend_->clock();
  compile.events = settings_.events;
  compile.spoof_check = settings_.spoof_check;
  compile.strict = settings_.strict;
  auto delta = compiler_.update(*resolved, compile);
  if (!delta) return fail_as(delta);
  if (auto applied = backend_->apply(*delta); !applied) return applied;
  policy_ = std::move(*resolved);
  ++generation_.value;

  // Interfaces after tables: a slot stands before the program that reads it is attached.
  std::map<std::uint32_t, EndpointId> wanted;
  for (const auto& endpoint : endpoints) wanted.emplace(endpoint.ifindex, endpoint.endpoint);
  std::vector<EndpointId> gone;
  for (auto it = attached_.begin(); it != attached_.end();) {
    const auto kept = wanted.find(it->first);
    if (kept != wanted.end() && kept->second == it->second) {
      ++it;
      continue;
    }
    gone.push_back(it->second);
    if (kept == wanted.end()) {
      if (auto detached = backend_->detach(it->first); !detached) return detached;
    }
    it = attached_.erase(it);
  }
  for (const auto endpoint : gone) {
    if (auto forgotten = backend_->forget_connections(endpoint); !forgotten) return forgotten;
  }
  for (const auto& [ifindex, endpoint] : wanted) {
    if (attached_.contains(ifindex)) continue;
    if (auto done = backend_->attach(ifindex); !done) return done;
    attached_.emplace(ifindex, endpoint);
  }
  return {};
}

}  // namespace postern
