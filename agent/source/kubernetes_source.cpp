// SPDX-License-Identifier: Apache-2.0
#include "agent/source/kubernetes_source.h"

#include <algorithm>
#include <utility>

#include "agent/kube/api_client.h"
#include "engine/manifest/kinds.h"

namespace postern::agent {
namespace {

using kube::ResourceKind;

// The controller writes the slices of a policy one by one; those that disagree for longer than this are
// worth a word.
constexpr Duration kSlicesSettle = seconds(1);

std::vector<ResourceKind> resources_for(KubernetesSource::Policies policies) {
  using enum ResourceKind;
  // Pods say which stand on this node. What selects pods of other nodes, and labels of namespaces, is for the
  // controller to resolve.
  if (policies == KubernetesSource::Policies::policy_endpoints) {
    return {nodes, pods, services, endpoint_slices, policy_endpoints, cluster_policy_endpoints};
  }
  return {namespaces,
          nodes,
          pods,
          services,
          endpoint_slices,
          network_policies,
          cluster_network_policies,
          admin_network_policies,
          baseline_admin_network_policies,
          amazon_cluster_network_policies};
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

// As objects are told apart once they are read.
std::string_view kind_of(ResourceKind resource) {
  const auto& row = kube::resource_of(resource);
  const auto* kind = manifest::find_kind(row.kind, row.group);
  return kind == nullptr ? row.kind : kind->name();
}

std::string title(ResourceKind resource, const NamespacedName& key) {
  return std::string(kind_of(resource)) + " " + (key.ns.empty() ? key.name : key.to_string());
}

bool is_about_services(ResourceKind resource) {
  return resource == ResourceKind::services || resource == ResourceKind::endpoint_slices;
}

// Whether several objects of the kind are one policy.
bool has_slices(ResourceKind resource) {
  return resource == ResourceKind::policy_endpoints || resource == ResourceKind::cluster_policy_endpoints;
}

}  // namespace

KubernetesSource::KubernetesSource(EventLoop& loop, kube::ApiClient& api, const Options& options)
    : loop_(loop),
      api_(api),
      policies_(options.policies),
      node_name_(options.node_name),
      resources_(resources_for(options.policies)),
      watcher_(loop, api, *this, watched(options, resources_)),
      store_(options.policies == Policies::network_policies ? SnapshotStore::Backends::by_selector
                                                            : SnapshotStore::Backends::by_endpoint_slices),
      witness_(std::make_shared<NodeWitness>(options.node_name, Prng(~options.seed))) {}

KubernetesSource::~KubernetesSource() {
  loop_.cancel(slices_timer_);
  loop_.cancel(accepted_timer_);
  loop_.cancel(witness_timer_);
}

std::string_view KubernetesSource::name() const {
  return policies_ == Policies::network_policies ? "kubernetes" : "policyendpoints";
}

Result<void> KubernetesSource::start(Listener& listener) {
  listener_ = &listener;
  watcher_.start();
  return {};
}

bool KubernetesSource::all_listed() const {
  return std::all_of(resources_.begin(), resources_.end(), [this](ResourceKind resource) {
    const auto& state = watcher_.state(resource);
    return state.listed || state.state == kube::WatchState::absent || does_without(resource);
  });
}

bool KubernetesSource::does_without(ResourceKind resource) const {
  const auto& state = watcher_.state(resource);
  return policies_ == Policies::policy_endpoints && is_about_services(resource) && !state.listed &&
         state.state == kube::WatchState::forbidden;
}

bool KubernetesSource::is_used(ResourceKind resource) const {
  if (policies_ == Policies::network_policies || !is_about_services(resource)) return true;
  return watcher_.state(ResourceKind::services).listed && watcher_.state(ResourceKind::endpoint_slices).listed;
}

void KubernetesSource::changed(ResourceKind resource, const kube::Changes& changes) {
  auto& held = held_[resource];
  for (const auto& key : changes.deleted) held[key] = nullptr;
  for (const auto& object : changes.changed) held[object->key] = object;
  // Before everything is listed nothing is adopted anyway, and the question comes at the end of that.
  if (complete_ && changes.from_list && !changes.deleted.empty()) witness_->doubt(EventLoop::now());
  const bool sees_node = resource == ResourceKind::nodes &&
                         std::any_of(changes.changed.begin(), changes.changed.end(),
                                     [this](const auto& object) { return object->key.name == node_name_; });
  if (sees_node) witness_->node_seen(EventLoop::now());
  go_on();
}

// After everything that may let the next thing happen.
void KubernetesSource::go_on() {
  if (!complete_ && all_listed()) {
    complete_ = true;
    witness_->doubt(EventLoop::now());
  }
  follow_witness();
  const auto news = witness_->take_news();
  if (!news.warning.empty()) listener_->source_warning(news.warning);
  if (!news.notice.empty()) listener_->source_notice(news.notice);
  if (complete_ && !witness_->doubts()) adopt();
}

// Makes what runs equal to what the witness wants. An answer that it wants no longer it does not take.
void KubernetesSource::follow_witness() {
  const NodeWitness::Want& want = witness_->want();
  const std::uint64_t before = std::exchange(asked_, want.request);
  if (asked_ != 0 && asked_ != before) {
    kube::ApiCall call;
    call.target = witness_->target();
    api_.call(std::move(call), [this, there = std::weak_ptr(witness_), request = asked_](const auto& answer) {
      if (there.expired()) return;
      witness_->on_answer(request, answer, EventLoop::now());
      go_on();
    });
  }
  loop_.cancel(std::exchange(witness_timer_, 0));
  if (!witness_->doubts() || asked_ != 0) return;
  witness_timer_ = loop_.at(want.wake, [this] {
    witness_timer_ = 0;
    witness_->on_time(EventLoop::now());
    go_on();
  });
}

KubernetesSource::Held KubernetesSource::take_held() {
  Held taken;
  for (auto it = held_.begin(); it != held_.end();) {
    const auto next = std::next(it);
    if (is_used(it->first)) taken.insert(held_.extract(it));
    it = next;
  }
  return taken;
}

// The first time is a change even if there is nothing.
void KubernetesSource::adopt() {
  const auto held = take_held();
  if (synced_ && held.empty() && !refusals_changed_) return;
  for (const auto& [resource, objects] : held) {
    for (const auto& [key, object] : objects) {
      if (object == nullptr) {
        store_.remove(kind_of(resource), key);
      } else {
        store_.put(std::shared_ptr<const manifest::Object>(object, &object->content));
      }
    }
  }
  const bool slices =
      held.contains(ResourceKind::policy_endpoints) || held.contains(ResourceKind::cluster_policy_endpoints);
  if (slices || refusals_changed_) {
    refuse_slices();
    store_.settle();
    if (slices_timer_ == 0) slices_timer_ = loop_.after(kSlicesSettle, [this] { tell_of_slices(); });
  }
  synced_ = true;
  listener_->cluster_changed();
}

// A slice that cannot be read holds its policy's other slices back too: never half of a change.
void KubernetesSource::refuse_slices() {
  refusals_changed_ = false;
  std::set<NamespacedName> refused;
  for (const auto kind : {ResourceKind::policy_endpoints, ResourceKind::cluster_policy_endpoints}) {
    for (const auto& [key, detail] : rejected_[kind]) refused.insert(key);
  }
  store_.refuse_slices(refused);
}

void KubernetesSource::tell_of_slices() {
  slices_timer_ = 0;
  const auto news = store_.slices().take_news();
  for (const auto& text : news.errors) listener_->source_error(text);
  for (const auto& text : store_.take_cluster_news()) listener_->source_error(text);
  for (const auto& text : news.notices) listener_->source_notice(text);
}

void KubernetesSource::rejected(ResourceKind resource, const NamespacedName& key,
                                const std::vector<Error>& errors) {
  const std::string detail = errors.empty() ? "cannot be read" : errors.front().message;  // its place is the object
  rejected_[resource][key] = detail;
  const bool is_slice = has_slices(resource);
  if (is_slice) refusals_changed_ = true;
  const bool known = watcher_.objects(resource).contains(key);
  listener_->source_error(title(resource, key) + " is refused: " + detail +
                          (!known     ? "; it is left out"
                           : is_slice ? "; its version before stays in force, with the other slices of its policy"
                                      : "; its version before stays in force"));
}

void KubernetesSource::accepted(ResourceKind resource, const NamespacedName& key) {
  if (rejected_[resource].erase(key) == 0) return;
  listener_->source_notice(title(resource, key) + " is no longer refused");
  if (!has_slices(resource)) return;
  // The right version comes next, unless it is the one that is held anyway.
  refusals_changed_ = true;
  loop_.cancel(accepted_timer_);
  accepted_timer_ = loop_.after({}, [this] { go_on(); });
}

void KubernetesSource::state(ResourceKind resource, const kube::ResourceState& state) {
  const std::string name(kube::resource_of(resource).name());
  switch (state.state) {
    case kube::WatchState::starting: break;
    case kube::WatchState::synced: listener_->source_notice("watching " + name); break;
    case kube::WatchState::absent:
      listener_->source_notice("the API server has no " + name + "; they are asked for again from time to time");
      break;
    case kube::WatchState::forbidden:
    case kube::WatchState::failing:
      if (does_without(resource)) {
        listener_->source_notice(name + ": " + state.detail + "; they are done without: no Service is known, and a " +
                                 "ClusterIP is matched as any address is");
        break;
      }
      listener_->source_warning(name + ": " + state.detail +
                                (state.listed ? "; what was seen before stays in force" : ""));
      break;
  }
  go_on();
}

std::vector<SourceStatus> KubernetesSource::status() const {
  std::vector<SourceStatus> all;
  for (const ResourceKind resource : resources_) {
    const auto& state = watcher_.state(resource);
    SourceStatus status;
    status.resource = kube::resource_of(resource).name();
    status.state = state_of(state);
    status.detail = state.detail;
    status.since = state.since;
    status.resource_version = watcher_.version(resource);
    if (does_without(resource)) status.state = SourceStatus::State::absent;
    status.held = !synced_ || witness_->doubts() || !is_used(resource);
    // Nothing of what comes is in force, of any kind.
    if (status.state == SourceStatus::State::synced && !witness_->trouble().empty()) {
      status.state = SourceStatus::State::failing;
      status.detail = witness_->trouble();
      status.since = witness_->since();
    }
    status.lists = watcher_.lists(resource);
    if (const auto found = rejected_.find(resource); found != rejected_.end()) {
      status.rejected = found->second.size();
    }
    if (resource == ResourceKind::policy_endpoints) {
      status.disagreeing = store_.slices().disagreeing();
      status.disagreements = store_.slices().disagreements();
    }
    if (resource == ResourceKind::cluster_policy_endpoints) status.disagreeing = store_.cluster_disagreeing();
    all.push_back(std::move(status));
  }
  return all;
}

}  // namespace postern::agent
