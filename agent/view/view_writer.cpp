// SPDX-License-Identifier: Apache-2.0
#include "agent/view/view_writer.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <iterator>
#include <map>

#include "agent/log/log.h"
#include "agent/view/run_folder.h"
#include "engine/abi/tables.h"

namespace postern::agent {
namespace {

constexpr std::int64_t kShareOfTheLoop = 100;  // one in so many

std::string now_text() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text.data();
}

// Interface names by ifindex, further interfaces of pods included.
std::map<std::uint32_t, std::string> interface_names(const NodeAgent& node) {
  std::map<std::uint32_t, std::string> names;
  for (const auto& [key, pod] : node.pods()) {
    if (pod.interface) names[pod.interface->ifindex] = pod.interface->name;
    for (const auto& further : pod.further) names[further.interface.ifindex] = further.interface.name;
  }
  return names;
}

// Rules come in the order of their tiers, and those of a policy one after the other.
std::vector<std::string> judging(const DirectionRules& direction, const RuleRegistry& rules) {
  std::vector<std::string> policies;
  for (const auto& rule : direction.rules) {
    const RuleOrigin* origin = rule.tier == Tier::network_policy ? nullptr : rules.find(rule.id);
    if (origin == nullptr) continue;
    std::string name = in_its_tier(origin->policy.key.name, rule.tier);
    if (policies.empty() || policies.back() != name) policies.push_back(std::move(name));
  }
  return policies;
}

std::vector<std::string> isolating(const DirectionRules& direction) {
  std::vector<std::string> policies;
  for (const auto& policy : direction.isolating) policies.push_back(policy.key.to_string());
  return policies;
}

// Of the first list what is not in the second.
void add_further(const std::vector<std::string>& names, const std::vector<std::string>& known,
                 std::vector<std::string>& out) {
  std::copy_if(names.begin(), names.end(), std::back_inserter(out),
               [&](const std::string& name) { return std::find(known.begin(), known.end(), name) == known.end(); });
}

ViewedPod viewed(const EndpointPolicy& endpoint, const RuleRegistry& rules,
                 const std::map<std::uint32_t, std::string>& names) {
  ViewedPod pod;
  pod.pod = endpoint.pod;
  pod.endpoint = endpoint.endpoint;
  pod.ifindex = endpoint.ifindex;
  const auto name = names.find(endpoint.ifindex);
  if (name != names.end()) pod.interface = name->second;
  pod.addresses = endpoint.addresses;
  for (const Direction direction : kDirections) {
    const DirectionPolicy& policy = endpoint.at(direction);
    const std::size_t at = index_of(direction);
    pod.judged[at] = policy.judged();
    pod.isolating[at] = isolating(policy);
    pod.judging[at] = judging(policy, rules);
    if (!policy.if_enforced) continue;
    add_further(isolating(*policy.if_enforced), pod.isolating[at], pod.in_audit[at]);
    add_further(judging(*policy.if_enforced, rules), pod.judging[at], pod.in_audit[at]);
  }
  return pod;
}

}  // namespace

ViewWriter::~ViewWriter() {
  loop_.cancel(view_timer_);
  loop_.cancel(objects_timer_);
}

void ViewWriter::told() {
  const auto& status = node_.status();
  if (!status.ready || status.reconciles == reconciles_) return;
  reconciles_ = status.reconciles;
  if (view_timer_ == 0) view_timer_ = loop_.after(options_.view_after, [this] { write_view(); });
  if (options_.objects_text && objects_timer_ == 0) {
    objects_timer_ = loop_.at(std::max(next_objects_, EventLoop::now() + options_.view_after), [this] { write_objects(); });
  }
}

NodeView ViewWriter::view() const {
  NodeView view;
  view.node = options_.node_name;
  view.source = source_.name();
  view.process = getpid();
  view.generation = enforcer_.generation().value;
  view.abi = PN_ABI_VERSION;
  view.tables = stamp_of(enforcer_.tables());
  view.strict = enforcer_.settings().strict;
  const auto names = interface_names(node_);
  std::map<RuleId, const ResolvedRule*> used;
  for (const auto& endpoint : enforcer_.policy().endpoints) {
    view.pods.push_back(viewed(endpoint, enforcer_.rules(), names));
    for (const Direction direction : kDirections) {
      for (const auto& rule : endpoint.at(direction).with_audit().rules) used.emplace(rule.id, &rule);
    }
  }
  std::sort(view.pods.begin(), view.pods.end(), [](const auto& a, const auto& b) { return a.ifindex < b.ifindex; });
  for (const auto& [key, pod] : node_.pods()) {
    if (!pod.interface) view.not_found.push_back(key);
  }
  view.policies = node_.status().policies;
  for (const auto& [id, rule] : used) {
    const RuleOrigin* origin = enforcer_.rules().find(id);
    if (origin == nullptr) continue;
    view.complete = view.rules.size() < kMostRules;
    if (!view.complete) break;
    view.rules.push_back({id, *origin, rule->tier, rule->priority});
  }
  return view;
}

void ViewWriter::write_view() {
  view_timer_ = 0;
  NodeView now = view();
  if (written_) now.written = written_->written;
  if (written_ && now == *written_) return;
  now.written = now_text();
  put(kViewFile, to_json(now));
  written_ = std::move(now);
}

void ViewWriter::write_objects() {
  objects_timer_ = 0;
  const Instant begun = EventLoop::now();
  const auto text = options_.objects_text(source_.cluster());
  if (!text) {
    say(text.error().to_string());
  } else if (const std::size_t digest = std::hash<std::string>{}(*text); digest != objects_) {
    put(kObjectsFile, *text);
    objects_ = digest;
  }
  const Instant now = EventLoop::now();
  next_objects_ = now + std::max(options_.objects_every, Duration{(now - begun).ns * kShareOfTheLoop});
}

// Once for each thing that goes wrong.
void ViewWriter::put(const char* file, const std::string& text) {
  const auto done = replace_file(options_.folder, file, text);
  if (done) {
    failure_.clear();
    return;
  }
  say(done.error().message);
}

void ViewWriter::say(const std::string& failure) {
  if (failure_ == failure) return;
  failure_ = failure;
  log_warn("{}; postern on this node will show numbers without names (--run-folder)", failure_);
}

}  // namespace postern::agent
