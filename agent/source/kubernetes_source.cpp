// SPDX-License-Identifier: Apache-2.0
#include "agent/source/kubernetes_source.h"

#include <algorithm>
#include <utility>

namespace postern::agent {
namespace {

using kube::ResourceKind;

// The controller writes the slices of a policy one by one; those that disagree for longer than this are
// worth a word.
constexpr Duration kSlicesSettle = seconds(1);

std::vector<ResourceKind> resources_for(KubernetesSource::Policies policies) {
  using enum ResourceKind;
  // Pods say which stand on this node. Services and their backends are in the PolicyEndpoints already.
  if (policies == KubernetesSource::Policies::policy_endpoints) return {pods, nodes, policy_endpoints};
  return {namespaces, nodes, pods, services, endpoint_slices, network_policies};
}

kube::Watcher::Options watched(const KubernetesSource::Options& options, const std::vector<ResourceKind>& resources) {
  kube::Watcher::Options watch;
  watch.resources = resources;
  watch.seed = options.seed;
  if (options.policies == KubernetesSource::Policies::policy_endpoints && !options.node_name.empty()) {
    watch.field_selectors[ResourceKind::pods] = "spec.nodeName=" + options.node_name;
  }
  return watch;
}

SourceStatus::State state_of(const kube::ResourceState& state) {
  switch (state.state) {
    case kube::WatchState::starting: return SourceStatus::State::starting;
    case kube::WatchState::synced: return SourceStatus::State::synced;
    case kube::WatchState::absent: return SourceStatus::State::absent;
    case kube::WatchState::forbidden:
    case kube::WatchState::failing: return SourceStatus::State::failing;
  }
  return SourceStatus::State::failing;
}

std::string title(ResourceKind resource, const NamespacedName& key) {
  return std::string(kube::resource_of(resource).kind) + " " + (key.ns.empty() ? key.name : key.to_string());
}

}  // namespace

KubernetesSource::KubernetesSource(EventLoop& loop, kube::ApiClient& api, const Options& options)
    : loop_(loop),
      policies_(options.policies),
      resources_(resources_for(options.policies)),
      watcher_(loop, api, *this, watched(options, resources_)) {}

KubernetesSource::~KubernetesSource() { loop_.cancel(slices_timer_); }

std::string_view KubernetesSource::name() const {
  return policies_ == Policies::network_policies ? "kubernetes" : "policyendpoints";
}

Result<void> KubernetesSource::start(Listener& listener) {
  listener_ = &listener;
  watcher_.start();
  return {};
}

bool KubernetesSource::synced() const {
  if (synced_) return true;
  synced_ = std::all_of(resources_.begin(), resources_.end(), [this](ResourceKind resource) {
    const auto& state = watcher_.state(resource);
    return state.listed || state.state == kube::WatchState::absent;
  });
  return synced_;
}

// The first time all is complete is a change too.
void KubernetesSource::tell_changed() {
  if (synced()) listener_->cluster_changed();
}

void KubernetesSource::changed(ResourceKind resource, const kube::Changes& changes) {
  const std::string_view kind = kube::resource_of(resource).kind;
  for (const auto& key : changes.deleted) store_.remove(kind, key);
  for (const auto& object : changes.changed) {
    store_.put(std::shared_ptr<const manifest::Object>(object, &object->content));
  }
  if (resource == ResourceKind::policy_endpoints) {
    store_.settle();
    if (slices_timer_ == 0) slices_timer_ = loop_.after(kSlicesSettle, [this] { tell_of_slices(); });
  }
  tell_changed();
}

void KubernetesSource::tell_of_slices() {
  slices_timer_ = 0;
  const auto news = store_.slices().take_news();
  for (const auto& text : news.errors) listener_->source_error(text);
  for (const auto& text : news.notices) listener_->source_notice(text);
}

void KubernetesSource::rejected(ResourceKind resource, const NamespacedName& key,
                                const std::vector<Error>& errors) {
  const std::string detail = errors.empty() ? "cannot be read" : errors.front().to_string();
  rejected_[resource][key] = detail;
  const bool known = watcher_.objects(resource).contains(key);
  listener_->source_error(title(resource, key) + " is refused: " + detail +
                          (known ? "; its version before stays in force" : "; it is left out"));
}

void KubernetesSource::accepted(ResourceKind resource, const NamespacedName& key) {
  if (rejected_[resource].erase(key) != 0) {
    listener_->source_notice(title(resource, key) + " is no longer refused");
  }
}

void KubernetesSource::state(ResourceKind resource, const kube::ResourceState& state) {
  const std::string name(kube::resource_of(resource).plural);
  switch (state.state) {
    case kube::WatchState::starting: break;
    case kube::WatchState::synced: listener_->source_notice("watching " + name); break;
    case kube::WatchState::absent:
      listener_->source_notice("the API server has no " + name + "; they are asked for again from time to time");
      break;
    case kube::WatchState::forbidden:
    case kube::WatchState::failing:
      listener_->source_warning(name + ": " + state.detail +
                                (state.listed ? "; what was seen before stays in force" : ""));
      break;
  }
  tell_changed();
}

std::vector<SourceStatus> KubernetesSource::status() const {
  std::vector<SourceStatus> all;
  for (const ResourceKind resource : resources_) {
    const auto& state = watcher_.state(resource);
    SourceStatus status;
    status.resource = kube::resource_of(resource).plural;
    status.state = state_of(state);
    status.detail = state.detail;
    status.since = state.since;
    status.resource_version = watcher_.version(resource);
    if (const auto found = rejected_.find(resource); found != rejected_.end()) {
      status.rejected = found->second.size();
    }
    if (resource == ResourceKind::policy_endpoints) {
      status.disagreeing = store_.slices().disagreeing();
      status.disagreements = store_.slices().disagreements();
    }
    all.push_back(std::move(status));
  }
  return all;
}

}  // namespace postern::agent
