// SPDX-License-Identifier: Apache-2.0
#include "engine/policy/reachable_services.h"

#include <algorithm>
#include <iterator>
#include <set>

#include "engine/policy/resolve_services.h"
#include "engine/policy/sort_unique.h"

namespace postern {

namespace {

bool has(const std::vector<IpAddress>& addresses, const IpAddress& address) {
  return std::find(addresses.begin(), addresses.end(), address) != addresses.end();
}

// What a pod reaches whatever its policies say: itself (R1), and its own node (R2).
std::vector<IpAddress> always_reached(const ClusterSnapshot& cluster, const Pod& pod) {
  std::vector<IpAddress> out = pod.addresses;
  const auto node = cluster.nodes.find(pod.node_name);
  if (node == cluster.nodes.end()) return out;
  for (const auto& entry : node->second.addresses) out.push_back(entry.address);
  return out;
}

Offers both(const Offers& a, const Offers& b) {
  Offers out;
  std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(out));
  return out;
}

Offers without(const Offers& a, const Offers& b) {
  Offers out;
  std::set_difference(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(out));
  return out;
}

}  // namespace

ReachableServices::ReachableServices(const ClusterSnapshot& cluster, const std::vector<PlainPolicy>& policies)
    : policies_(policies), admitted_(policies.size()) {
  ByPod<std::vector<std::size_t>> policies_of;
  for (std::size_t i = 0; i < policies.size(); ++i) {
    if (!policies[i].isolates(Direction::egress)) continue;
    for (const Pod* pod : policies[i].subjects) policies_of[pod].push_back(i);
  }
  if (policies_of.empty()) return;
  collect_offers(cluster);
  for (std::size_t i = 0; i < policies.size(); ++i) {
    if (policies[i].admits_everything(Direction::egress)) continue;
    for (OfferIndex offer = 0; offer < offers_.size(); ++offer) {
      std::vector<bool> admitted;
      for (const auto& backend : offers_[offer].backends) {
        const auto& rules = policies[i].at(Direction::egress);
        admitted.push_back(std::any_of(rules.begin(), rules.end(), [&](const PlainRule& rule) {
          return rule.admits(backend.address, offers_[offer].protocol, backend.port);
        }));
      }
      if (std::find(admitted.begin(), admitted.end(), true) != admitted.end()) {
        admitted_[i].emplace(offer, std::move(admitted));
      }
    }
  }
  std::map<std::vector<std::size_t>, std::vector<const Pod*>> pods_of;
  for (const auto& [pod, of_pod] : policies_of) pods_of[of_pod].push_back(pod);
  for (const auto& [of_pods, pods] : pods_of) judge(cluster, of_pods, pods);
}

void ReachableServices::collect_offers(const ClusterSnapshot& cluster) {
  for (auto& service : resolve_services(cluster, {})) {
    cluster_ips_.push_back(service.address);
    for (auto& port : service.ports) {
      offers_.push_back({service.address, port.protocol, port.port, std::move(port.backends)});
    }
  }
}

bool ReachableServices::admits(std::size_t policy, OfferIndex offer, std::size_t backend) const {
  const auto found = admitted_[policy].find(offer);
  return found != admitted_[policy].end() && found->second[backend];
}

// Places of the backends that none of the policies admits.
std::vector<std::size_t> ReachableServices::denied(const std::vector<std::size_t>& policies,
                                                   OfferIndex offer) const {
  std::vector<std::size_t> out;
  for (std::size_t backend = 0; backend < offers_[offer].backends.size(); ++backend) {
    const bool admitted = std::any_of(policies.begin(), policies.end(),
                                      [&](std::size_t policy) { return admits(policy, offer, backend); });
    if (!admitted) out.push_back(backend);
  }
  return out;
}

// `pods`: all that exactly these policies isolate.
void ReachableServices::judge(const ClusterSnapshot& cluster, const std::vector<std::size_t>& policies,
                              const std::vector<const Pod*>& pods) {
  const bool everything = std::any_of(policies.begin(), policies.end(), [&](std::size_t policy) {
    return policies_[policy].admits_everything(Direction::egress);
  });
  if (everything) {
    classes_.push_back({policies, true, {}, pods});
    return;
  }
  ByPod<std::vector<IpAddress>> reached;
  std::map<IpAddress, std::vector<const Pod*>> reached_by;
  for (const Pod* pod : pods) {
    auto& addresses = reached[pod] = always_reached(cluster, *pod);
    sort_unique(addresses);
    for (const auto& address : addresses) reached_by[address].push_back(pod);
  }
  Offers allowed;
  ByPod<Offers> more;
  for (OfferIndex offer = 0; offer < offers_.size(); ++offer) {
    const auto& backends = offers_[offer].backends;
    if (backends.empty()) continue;
    const auto denied_backends = denied(policies, offer);
    if (denied_backends.empty()) {
      allowed.push_back(offer);
      continue;
    }
    const auto candidates = reached_by.find(backends[denied_backends.front()].address);
    if (candidates == reached_by.end()) continue;
    for (const Pod* pod : candidates->second) {
      const bool reaches_all =
          std::all_of(denied_backends.begin(), denied_backends.end(),
                      [&](std::size_t backend) { return has(reached.at(pod), backends[backend].address); });
      if (reaches_all) more[pod].push_back(offer);
    }
  }
  std::map<Offers, std::vector<const Pod*>> by_allowed;
  for (const Pod* pod : pods) {
    Offers of_pod = allowed;
    const auto found = more.find(pod);
    if (found != more.end()) of_pod.insert(of_pod.end(), found->second.begin(), found->second.end());
    sort_unique(of_pod);
    by_allowed[of_pod].push_back(pod);
  }
  for (auto& [of_pods, alike] : by_allowed) classes_.push_back({policies, false, of_pods, std::move(alike)});
}

// Those that admit some backend; the first, where none does and the pod may all the same.
bool ReachableServices::carries(std::size_t policy, const Class& subjects, OfferIndex offer) const {
  if (admitted_[policy].contains(offer)) return true;
  if (policy != subjects.policies.front()) return false;
  return std::none_of(subjects.policies.begin(), subjects.policies.end(),
                      [&](std::size_t other) { return admitted_[other].contains(offer); });
}

// Subjects whom another policy lets go everywhere need nothing and lose nothing.
ReachableServices::Share ReachableServices::share_of(std::size_t policy) const {
  Share share;
  share.allowed_to_all.resize(offers_.size());
  for (OfferIndex offer = 0; offer < offers_.size(); ++offer) share.allowed_to_all[offer] = offer;
  std::vector<std::pair<const Class*, Offers>> carried;
  std::set<OfferIndex> by_any;
  for (const auto& subjects : classes_) {
    if (subjects.everything) continue;
    if (!std::binary_search(subjects.policies.begin(), subjects.policies.end(), policy)) continue;
    share.allowed_to_all = both(share.allowed_to_all, subjects.allowed);
    Offers of_class;
    for (const OfferIndex offer : subjects.allowed) {
      if (carries(policy, subjects, offer)) of_class.push_back(offer);
    }
    by_any.insert(of_class.begin(), of_class.end());
    carried.emplace_back(&subjects, std::move(of_class));
  }
  share.common = both(share.allowed_to_all, Offers(by_any.begin(), by_any.end()));
  for (const auto& [subjects, of_class] : carried) {
    Offers more = without(of_class, share.common);
    if (more.empty()) continue;
    for (const Pod* pod : subjects->pods) share.more.emplace(pod, more);
  }
  return share;
}

}  // namespace postern
