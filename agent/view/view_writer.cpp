// SPDX-License-Identifier: Apache-2.0
#include "agent/view/view_writer.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <ctime>
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

ViewedPod viewed(const EndpointPolicy& endpoint, const std::map<std::uint32_t, std::string>& names) {
  ViewedPod pod;
  pod.pod = endpoint.pod;
  pod.endpoint = endpoint.endpoint;
  pod.ifindex = endpoint.ifindex;
  const auto name = names.find(endpoint.ifindex);
  if (name != names.end()) pod.interface = name->second;
  pod.addresses = endpoint.addresses;
  for (const Direction direction : kDirections) {
    pod.judged[index_of(direction)] = endpoint.at(direction).judged();
    const DirectionPolicy& policy = endpoint.at(direction);
    for (const auto& isolating : policy.isolating) pod.isolating[index_of(direction)].push_back(isolating.key.to_string());
    for (const auto& isolating : policy.with_audit().isolating) {
      const bool enforced = std::binary_search(policy.isolating.begin(), policy.isolating.end(), isolating);
      if (!enforced) pod.in_audit[index_of(direction)].push_back(isolating.key.to_string());
    }
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
  std::map<RuleId, Tier> used;
  for (const auto& endpoint : enforcer_.policy().endpoints) {
    view.pods.push_back(viewed(endpoint, names));
    for (const Direction direction : kDirections) {
      for (const auto& rule : endpoint.at(direction).with_audit().rules) used.emplace(rule.id, rule.tier);
    }
  }
  std::sort(view.pods.begin(), view.pods.end(), [](const auto& a, const auto& b) { return a.ifindex < b.ifindex; });
  for (const auto& [key, pod] : node_.pods()) {
    if (!pod.interface) view.not_found.push_back(key);
  }
  view.policies = node_.status().policies;
  for (const auto& [id, tier] : used) {
    const RuleOrigin* origin = enforcer_.rules().find(id);
    if (origin == nullptr) continue;
    view.complete = view.rules.size() < kMostRules;
    if (!view.complete) break;
    view.rules.push_back({id, *origin, tier});
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
