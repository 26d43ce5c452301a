// SPDX-License-Identifier: Apache-2.0
#include "engine/enforce/node_enforcer.h"

#include <iterator>
#include <set>
#include <utility>

#include "engine/compile/unfinished.h"
#include "engine/conntrack/conntrack_view.h"

namespace postern {

namespace {

// Numbers of rules go on where they left off; with half of them used up they start again, since by then
// nobody remembers what the first ones named.
RuleId last_rule_of(const Backend& backend) {
  const RuleId last = backend.inheritance().last_rule;
  return last.value > PN_RULE_ID_MAX / 2 ? RuleId{} : last;
}

CompileSettings compile_settings(const EnforcerSettings& settings, const Backend& backend) {
  CompileSettings compile;
  compile.established_flows = settings.established_flows;
  compile.timeouts = settings.timeouts;
  compile.clock = backend.clock();
  compile.events = settings.events;
  compile.spoof_check = settings.spoof_check;
  compile.strict = settings.strict;
  const Inheritance& inherited = backend.inheritance();
  compile.hash_secret = inherited.connections ? inherited.hash_secret : settings.hash_secret;
  return compile;
}

}  // namespace

NodeEnforcer::NodeEnforcer(std::unique_ptr<Backend> backend, const EnforcerSettings& settings)
    : backend_(std::move(backend)),
      settings_(settings),
      compiler_(backend_->sizes(), {backend_->inheritance().epoch, last_rule_of(*backend_)}),
      rules_(last_rule_of(*backend_)) {}

Result<void> NodeEnforcer::reconcile(const ClusterSnapshot& cluster, std::span<const LocalEndpoint> endpoints,
                                     std::span<const IpAddress> own_node) {
  ResolveOptions options;
  options.strict = settings_.strict;
  options.service_ip_blocks = settings_.service_ip_blocks;
  options.own_node.assign(own_node.begin(), own_node.end());
  auto resolved = resolve(cluster, endpoints, options, rules_);
  if (!resolved) return fail_as(resolved);
  if (auto written = write(*resolved); !written) return written;
  policy_ = std::move(*resolved);
  rules_.forget_unused(policy_);
  // Interfaces after tables: a slot stands before the program that reads it is attached.
  return follow_interfaces(endpoints);
}

Result<void> NodeEnforcer::write(const ResolvedPolicy& policy) {
  // First what an earlier failure left undone: the compiler's deltas start from complete tables.
  if (unfinished_) {
    if (auto finished = finish(); !finished) return finished;
  }
  auto delta = compiler_.update(policy, compile_settings(settings_, *backend_));
  if (!delta) return fail_as(delta);
  if (delta->empty()) return {};
  if (auto applied = backend_->apply(*delta); !applied) {
    unfinished_ = std::move(*delta);
    return applied;
  }
  ++generation_.value;
  return {};
}

// The backend holds some first part of the last delta: which, its bytes say.
Result<void> NodeEnforcer::finish() {
  auto held = backend_->dump();
  if (!held) return fail_as(held);
  const TableDelta rest = unfinished(*unfinished_, *held);
  if (auto applied = backend_->apply(rest); !applied) return applied;
  unfinished_.reset();
  ++generation_.value;
  return {};
}

// What fails at one interface keeps no other waiting; it is forgotten here only when it is done, so that
// the next call takes it up.
Result<void> NodeEnforcer::follow_interfaces(std::span<const LocalEndpoint> endpoints) {
  std::map<std::uint32_t, EndpointId> wanted;
  for (const auto& endpoint : endpoints) wanted.emplace(endpoint.ifindex, endpoint.endpoint);
  Result<void> first_failure;
  const auto went_well = [&](const Result<void>& done) {
    if (!done && first_failure) first_failure = done;
    return done.has_value();
  };
  for (auto it = attached_.begin(); it != attached_.end();) {
    const auto found = wanted.find(it->first);
    const bool kept = found != wanted.end() && found->second == it->second;
    const bool left = !kept && (found != wanted.end() || went_well(backend_->detach(it->first))) &&
                      went_well(backend_->forget_connections(it->second));
    it = left ? attached_.erase(it) : std::next(it);
  }
  for (const auto& [ifindex, endpoint] : wanted) {
    if (attached_.contains(ifindex)) continue;
    if (went_well(backend_->attach(ifindex))) attached_.emplace(ifindex, endpoint);
  }
  if (!first_failure) return first_failure;
  return settled_ ? Result<void>{} : settle_inheritance(wanted);
}

// Only now, when every interface that stays is judged by the new tables: nobody's connection is
// forgotten that an old program would still be asked for.
Result<void> NodeEnforcer::settle_inheritance(const std::map<std::uint32_t, EndpointId>& wanted) {
  const Inheritance& inherited = backend_->inheritance();
  for (const auto& interface : inherited.interfaces) {
    if (wanted.contains(interface.ifindex)) continue;
    if (auto detached = backend_->detach(interface.ifindex); !detached) return detached;
  }
  if (inherited.connections) {
    std::set<EndpointId> staying;
    for (const auto& [ifindex, endpoint] : wanted) staying.insert(endpoint);
    const auto connections = backend_->conntrack();
    if (!connections) return fail_as(connections);
    std::set<EndpointId> gone;
    for (const auto& entry : *connections) {
      const EndpointId endpoint = endpoint_of(entry.key);
      if (!staying.contains(endpoint)) gone.insert(endpoint);
    }
    for (const EndpointId endpoint : gone) {
      if (auto forgotten = backend_->forget_connections(endpoint); !forgotten) return forgotten;
    }
  }
  settled_ = true;
  return {};
}

}  // namespace postern
