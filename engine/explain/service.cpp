// SPDX-License-Identifier: Apache-2.0
#include "engine/explain/service.h"

#include <algorithm>
#include <optional>
#include <tuple>
#include <utility>

#include "engine/policy/services.h"

namespace postern::explain_detail {

namespace {

bool has_cluster_ip(const Service& service, const IpAddress& address) {
  const auto& addresses = service.cluster_ips;
  return std::find(addresses.begin(), addresses.end(), address) != addresses.end();
}

// What answers at a port of a ClusterIP. Of several Services with one ClusterIP the first by name that
// has the port does, as in the tables.
struct Offer {
  const Service& service;
  const ServicePort& port;
};

std::optional<Offer> offer_at(const Traffic& traffic) {
  for (const auto& [key, service] : traffic.cluster.services) {
    if (!has_cluster_ip(service, traffic.to.address)) continue;
    for (const auto& port : service.ports) {
      const bool asked = static_cast<std::uint8_t>(port.protocol) == traffic.asked.protocol;
      if (asked && port.port == traffic.asked.port) return Offer{service, port};
    }
  }
  return std::nullopt;
}

BackendExplanation judge_backend(const Traffic& to_service, const ServiceBackend& backend) {
  Traffic traffic = to_service;
  traffic.to = Seen{nullptr, backend.address, backend.address.to_string()};
  traffic.asked.port = backend.port;
  BackendExplanation out;
  out.name = out.who = traffic.to.who;
  if (backend.pod != nullptr) {
    traffic.to.host_network = backend.pod->host_network;
    if (!backend.pod->host_network) traffic.to.pod = backend.pod;
    traffic.to.who = backend.pod->key.to_string();
    out.name = traffic.to.who;
    out.who = out.name + " (" + out.who + ")";
  }
  out.who += ", " + to_string(traffic.asked);
  out.egress = judge_end(traffic, Direction::egress);
  out.ingress = judge_end(traffic, Direction::ingress);
  return out;
}

// Where nobody answers, nothing arrives.
EndExplanation nobody(const Traffic& traffic, std::string note) {
  EndExplanation end;
  end.direction = Direction::ingress;
  end.who = traffic.to.who;
  end.allowed = false;
  end.note = std::move(note);
  return end;
}

std::string names_of(const std::vector<BackendExplanation>& backends, bool allowed) {
  constexpr std::size_t kShown = 4;
  std::string text;
  std::size_t count = 0;
  for (const auto& backend : backends) {
    if (backend.egress.allowed != allowed) continue;
    if (count++ < kShown) text += (text.empty() ? "" : ", ") + backend.name;
  }
  return count > kShown ? text + " and " + std::to_string(count - kShown) + " more" : text;
}

void join(EndExplanation& into, const EndExplanation& other) {
  into.allowing.insert(into.allowing.end(), other.allowing.begin(), other.allowing.end());
  into.near_misses.insert(into.near_misses.end(), other.near_misses.begin(), other.near_misses.end());
  if (other.reason < into.reason) {
    into.reason = other.reason;
    into.note = other.note;
    into.decided_by = other.decided_by;
  }
}

// What the client's own policies say to all backends together.
EndExplanation together(const Traffic& traffic, const std::vector<BackendExplanation>& backends) {
  EndExplanation egress = backends.front().egress;
  bool differ = false;
  for (std::size_t i = 1; i < backends.size(); ++i) {
    differ = differ || backends[i].egress.allowed != egress.allowed;
    join(egress, backends[i].egress);
  }
  std::sort(egress.allowing.begin(), egress.allowing.end());
  egress.allowing.erase(std::unique(egress.allowing.begin(), egress.allowing.end()), egress.allowing.end());
  // Each rule once, as the backend says it that it comes nearest to.
  auto& misses = egress.near_misses;
  std::stable_sort(misses.begin(), misses.end(), [](const NearMiss& a, const NearMiss& b) {
    return std::tie(a.cost, a.distance, a.rule) < std::tie(b.cost, b.distance, b.rule);
  });
  std::vector<NearMiss> kept;
  for (auto& miss : misses) {
    const auto same = [&](const NearMiss& other) { return other.rule == miss.rule; };
    if (kept.size() == kNearMisses) break;
    if (std::none_of(kept.begin(), kept.end(), same)) kept.push_back(std::move(miss));
  }
  misses = std::move(kept);
  if (!differ) return egress;
  egress.allowed = false;
  egress.reason = PN_REASON_BACKENDS_DIFFER;
  egress.decided_by.reset();
  egress.note = "the backends of " + traffic.to.who + " disagree (allowed: " + names_of(backends, true) +
                "; denied: " + names_of(backends, false) + "), so no connection to it passes";
  return egress;
}

// Rules that name the ClusterIP itself admit what NetworkPolicies deny to a backend (R46).
void admit_by_cluster_ip(const EndExplanation& by_address, EndExplanation& egress) {
  if (by_address.reason != PN_REASON_RULE || egress.reason != PN_REASON_ISOLATED) return;
  egress.allowed = true;
  egress.reason = PN_REASON_RULE;
  egress.allowing = by_address.allowing;
  egress.near_misses.clear();
}

void explain_backends(const Traffic& traffic, Explanation& explanation) {
  auto& backends = explanation.backends;
  const EndExplanation by_address = judge_cluster_ip(traffic);
  for (auto& backend : backends) admit_by_cluster_ip(by_address, backend.egress);
  explanation.egress = together(traffic, backends);
  const auto denies = [](const BackendExplanation& backend) { return !backend.ingress.allowed; };
  const auto denied = std::find_if(backends.begin(), backends.end(), denies);
  explanation.ingress = (denied == backends.end() ? backends.front() : *denied).ingress;
  const auto count = static_cast<std::size_t>(std::count_if(backends.begin(), backends.end(), denies));
  if (explanation.egress.allowed && count != 0 && count != backends.size()) {
    explanation.hints.push_back(std::to_string(count) + " of " + std::to_string(backends.size()) +
                                " backends of " + traffic.to.who +
                                " do not admit this: connections fail whenever one of them is chosen");
  }
}

}  // namespace

const Service* service_of(const ClusterSnapshot& cluster, const IpAddress& address) {
  for (const auto& [key, service] : cluster.services) {
    if (has_cluster_ip(service, address)) return &service;
  }
  return nullptr;
}

void explain_service(const Traffic& traffic, Explanation& explanation) {
  explanation.service = traffic.to.who;
  const auto offer = offer_at(traffic);
  if (!offer) {
    explanation.egress = judge_end(traffic, Direction::egress);
    explanation.ingress = nobody(
        traffic, traffic.to.who + " has no port " + to_string(traffic.asked) + ": nobody answers there");
    return;
  }
  for (const auto& backend :
       backends_of(traffic.cluster, offer->service, offer->port, traffic.to.address.family())) {
    explanation.backends.push_back(judge_backend(traffic, backend));
  }
  if (!explanation.backends.empty()) return explain_backends(traffic, explanation);

  const std::string note = traffic.to.who + " has no ready backend for " + to_string(traffic.asked);
  EndExplanation& egress = explanation.egress = judge_end(traffic, Direction::egress);
  explanation.ingress = nobody(traffic, note + ": nobody answers");
  if (!egress.policed) return;
  if (egress.reason == PN_REASON_RULE && judge_cluster_ip(traffic).reason == PN_REASON_RULE) return;
  egress.allowed = false;
  egress.reason = PN_REASON_NO_BACKEND;
  egress.note = note;
  egress.decided_by.reset();
  egress.allowing.clear();
  egress.near_misses.clear();
}

}  // namespace postern::explain_detail
