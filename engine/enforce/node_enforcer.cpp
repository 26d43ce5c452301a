// SPDX-License-Identifier: Apache-2.0
#include "engine/enforce/node_enforcer.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <iterator>
#include <set>
#include <utility>

#include "engine/compile/unfinished.h"
#include "engine/conntrack/conntrack_view.h"
#include "engine/enforce/seeding.h"

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
  forget_grace(*resolved);
  // Before the policy takes effect, and once more for what was opened in between. New tables have no place
  // for connections until they are written, and no packet reads them before the interfaces are switched.
  const auto pods = newly_judged(*resolved);
  const auto older = ask_node(pods);
  if (!older) grant_grace(pods);
  if (older && generation_.value != 0) seed(*older);
  if (auto written = write(*resolved); !written) return written;
  if (older) {
    if (const auto all = ask_node(pods)) seed(*all);
  }
  policy_ = std::move(*resolved);
  rules_.forget_unused(policy_);
  // Interfaces after tables: a slot stands before the program that reads it is attached.
  return follow_interfaces(endpoints);
}

// Of an interface that an earlier process judged as this policy does, and whose connections came along.
bool NodeEnforcer::keeps_what_was_judged(const EndpointPolicy& endpoint) const {
  const Inheritance& inherited = backend_->inheritance();
  if (!inherited.connections) return false;
  return std::any_of(inherited.interfaces.begin(), inherited.interfaces.end(), [&](const InheritedInterface& before) {
    if (before.ifindex != endpoint.ifindex || before.endpoint != endpoint.endpoint) return false;
    return std::all_of(kDirections.begin(), kDirections.end(), [&](Direction direction) {
      return !endpoint.at(direction).judged() || before.judged[index_of(direction)];
    });
  });
}

std::vector<NodeConnectionsOf> NodeEnforcer::newly_judged(const ResolvedPolicy& policy) const {
  std::vector<NodeConnectionsOf> pods;
  const bool first = generation_.value == 0;
  const bool policy_first = settings_.established_flows != EstablishedFlows::keep &&
                            settings_.events != EventMode::new_flows;
  auto before = policy_.endpoints.begin();
  for (const auto& endpoint : policy.endpoints) {
    bool wanted = false;
    if (first) {
      wanted = (endpoint.at(Direction::ingress).judged() || endpoint.at(Direction::egress).judged()) &&
               !keeps_what_was_judged(endpoint);
    } else {
      while (before != policy_.endpoints.end() && before->endpoint < endpoint.endpoint) ++before;
      const auto up = attached_.find(endpoint.ifindex);
      wanted = up != attached_.end() && up->second == endpoint.endpoint && before != policy_.endpoints.end() &&
               before->endpoint == endpoint.endpoint &&
               needs_seeding(policy_, *before, policy, endpoint, policy_first);
    }
    if (wanted && !endpoint.addresses.empty()) pods.push_back({endpoint.endpoint, endpoint.addresses});
  }
  return pods;
}

// Nullopt: nobody can say. That keeps no policy from being enforced.
std::optional<std::vector<NodeConnection>> NodeEnforcer::ask_node(const std::vector<NodeConnectionsOf>& pods) {
  if (pods.empty()) return std::vector<NodeConnection>{};
  if (backend_->connection_table() == nullptr) return std::nullopt;
  NodeConnections* const node = node_connections_ != nullptr ? node_connections_ : backend_->node_connections();
  if (node == nullptr) return std::nullopt;
  auto connections = node->live(pods);
  if (connections) return std::move(*connections);
  say_once("connections older than a policy are not known: " + connections.error().message);
  return std::nullopt;
}

void NodeEnforcer::seed(const std::vector<NodeConnection>& connections) {
  if (connections.empty()) return;
  pn_node record{};
  std::memcpy(&record, compiler_.tables().array(TableId::node).data(), sizeof record);
  const auto seeding = seed_connections(*backend_->connection_table(), record, connections);
  if (!seeding) return say_once("connections older than a policy are lost: " + seeding.error().message);
  seeded_ += seeding->written;
  if (seeding->written != 0) {
    notes_.push_back(std::to_string(seeding->written) + " connections older than a policy taken over from the node");
  }
  if (seeding->missed != 0) {
    notes_.push_back(std::to_string(seeding->missed) + " connections older than a policy found no place");
  }
}

// What is the same at every policy is of interest once.
void NodeEnforcer::say_once(const std::string& note) {
  if (note == said_) return;
  said_ = note;
  notes_.push_back(note);
}

void NodeEnforcer::grant_grace(const std::vector<NodeConnectionsOf>& pods) {
  if (settings_.midflow_grace.ns <= 0 || backend_->connection_table() == nullptr) return;
  const auto now = backend_->connection_table()->now();
  if (!now) return;
  for (const auto& pod : pods) {
    // 0 says that there is none.
    const std::uint32_t until = *now + ticks_of(settings_.midflow_grace, backend_->clock().tick_ns);
    grace_until_.emplace(pod.endpoint, until == 0 ? 1 : until);
  }
}

// Grace is over with its time, and with the isolation that it was granted for: the next one has its own.
void NodeEnforcer::forget_grace(const ResolvedPolicy& policy) {
  if (grace_until_.empty()) return;
  std::set<EndpointId> judged;
  for (const auto& endpoint : policy.endpoints) {
    if (endpoint.at(Direction::ingress).judged() || endpoint.at(Direction::egress).judged()) {
      judged.insert(endpoint.endpoint);
    }
  }
  const auto now = backend_->connection_table()->now();
  std::erase_if(grace_until_, [&](const auto& entry) {
    return settings_.midflow_grace.ns <= 0 || !judged.contains(entry.first) ||
           (now && *now - entry.second < 0x80000000u);
  });
}

Result<void> NodeEnforcer::write(const ResolvedPolicy& policy) {
  // First what an earlier failure left undone: the compiler's deltas start from complete tables.
  if (unfinished_) {
    if (auto finished = finish(); !finished) return finished;
  }
  auto settings = compile_settings(settings_, *backend_);
  settings.grace_until = grace_until_;
  auto delta = compiler_.update(policy, settings);
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
