// SPDX-License-Identifier: Apache-2.0
#include "agent/source/agreeing_slices.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace postern::agent {
namespace {

// What can be enforced of slices of which nobody knows the policy they are of.
SlicePtr closed(const PolicyEndpoint& slice, bool ingress, bool egress) {
  auto shut = std::make_shared<PolicyEndpoint>(slice);
  shut->pod_selector.reset();
  shut->isolates_ingress = ingress;
  shut->isolates_egress = egress;
  shut->ingress.clear();
  shut->egress.clear();
  return shut;
}

}  // namespace

void AgreeingSlices::put(SlicePtr slice) {
  const NamespacedName key = slice->key;
  if (const auto before = policy_of_.find(key); before != policy_of_.end() && before->second != slice->policy) {
    remove(key);
  }
  policy_of_[key] = slice->policy;
  touched_.insert(slice->policy);
  policies_[slice->policy].newest[key] = std::move(slice);
}

void AgreeingSlices::remove(const NamespacedName& key) {
  const auto found = policy_of_.find(key);
  if (found == policy_of_.end()) return;
  touched_.insert(found->second);
  policies_[found->second].newest.erase(key);
  policy_of_.erase(found);
}

void AgreeingSlices::clear() {
  for (auto& [ref, policy] : policies_) {
    touched_.insert(ref);
    policy.newest.clear();
  }
  policy_of_.clear();
}

void AgreeingSlices::refuse(const std::set<NamespacedName>& keys) {
  std::vector<NamespacedName> changed;
  std::set_symmetric_difference(refused_.begin(), refused_.end(), keys.begin(), keys.end(),
                                std::back_inserter(changed));
  for (const auto& key : changed) {
    if (const auto of = policy_of_.find(key); of != policy_of_.end()) touched_.insert(of->second);
  }
  refused_ = keys;
}

bool AgreeingSlices::is_refused(const Policy& policy) const {
  return std::any_of(policy.newest.begin(), policy.newest.end(),
                     [this](const auto& entry) { return refused_.contains(entry.first); });
}

AgreeingSlices::Slices AgreeingSlices::wanted(const NamespacedName& ref, Policy& policy) {
  JoinedPolicy joined{ref, {}};
  bool ingress = false;
  bool egress = false;
  for (const auto& [key, slice] : policy.newest) {
    joined.slices.push_back(slice.get());
    ingress = ingress || slice->isolates_ingress;
    egress = egress || slice->isolates_egress;
  }
  const std::string message = policy.newest.empty() ? "" : inconsistency_of(joined);
  const bool half = policy.agreed && is_refused(policy);
  if (message.empty()) held_.erase(ref);
  if (message.empty() && !half) {
    policy.agreed = !policy.newest.empty();
    return policy.newest;
  }
  if (!message.empty()) {
    held_[ref] = message + (policy.agreed ? "; its last slices that agreed stay in force"
                                          : "; none that agreed were seen, so its pods are isolated and no rule of it "
                                            "is in force");
  }
  Slices stand_ins;
  for (const auto& [key, slice] : policy.agreed ? policy.in_force : policy.newest) {
    const NamespacedName place{slice->key.ns, slice->key.name + '#' + ref.name};
    stand_ins[place] = policy.agreed ? slice : closed(*slice, ingress, egress);
  }
  return stand_ins;
}

void AgreeingSlices::settle(PolicyEndpoints& in_force) {
  std::map<NamespacedName, Slices> changed;
  // All that goes before all that comes: a name may pass from one policy to another.
  for (const auto& ref : touched_) {
    Policy& policy = policies_[ref];
    Slices next = wanted(ref, policy);
    for (const auto& [place, slice] : policy.in_force) {
      if (!next.contains(place)) in_force.erase(place);
    }
    changed.emplace(ref, std::move(next));
  }
  for (auto& [ref, next] : changed) {
    Policy& policy = policies_[ref];
    for (const auto& [place, slice] : next) {
      const auto before = policy.in_force.find(place);
      if (before != policy.in_force.end() && before->second == slice) continue;
      in_force[place] = *slice;
    }
    policy.in_force = std::move(next);
    if (policy.newest.empty()) policies_.erase(ref);
  }
  touched_.clear();
}

AgreeingSlices::News AgreeingSlices::take_news() {
  News news;
  for (const auto& [ref, message] : held_) {
    if (const auto said = said_.find(ref); said != said_.end() && said->second == message) continue;
    news.errors.push_back(message);
    ++disagreements_;
  }
  for (const auto& [ref, message] : said_) {
    if (!held_.contains(ref)) {
      news.notices.push_back("the PolicyEndpoints of " + ref.to_string() + " no longer disagree");
    }
  }
  said_ = held_;
  return news;
}

}  // namespace postern::agent
