// SPDX-License-Identifier: Apache-2.0
#include "sim/runner/ends.h"

#include <algorithm>

#include "engine/base/nearest_names.h"
#include "engine/manifest/cluster_state.h"
#include "engine/policy/services.h"
#include "sim/runner/glob.h"

namespace postern::sim {

namespace {

// No scenario can name the node of pods that name none.
bool can_be_named(const Node& node) { return node.name != manifest::kDefaultNodeName; }

// "IPv6 ", to stand before the word address; both families of a dual-stack scenario need no naming.
std::string family_word(ScenarioFamily family) {
  switch (family) {
    case ScenarioFamily::v4: return "IPv4 ";
    case ScenarioFamily::v6: return "IPv6 ";
    case ScenarioFamily::dual: return "";
  }
  return "";
}

// IPv4 first, whatever order they were written in.
std::vector<IpAddress> sorted(std::vector<IpAddress> addresses) {
  std::sort(addresses.begin(), addresses.end());
  return addresses;
}

ResolvedEnd pod_end(const Pod& pod) {
  ResolvedEnd end;
  end.text = pod.key.to_string();
  end.party.kind = Party::Kind::pod;
  end.party.pod = pod.key;
  end.party.node = pod.node_name;
  end.addresses = sorted(pod.addresses);
  end.pod = &pod;
  return end;
}

ResolvedEnd node_end(const Node& node) {
  ResolvedEnd end;
  end.text = "node:" + node.name;
  end.party.kind = Party::Kind::node;
  end.party.node = node.name;
  for (const IpFamily family : {IpFamily::v4, IpFamily::v6}) {
    if (const auto address = node.internal_ip(family)) end.addresses.push_back(*address);
  }
  return end;
}

ResolvedEnd service_end(const Service& service) {
  ResolvedEnd end;
  end.text = "service:" + service.key.to_string();
  end.party.kind = Party::Kind::service;
  end.addresses = sorted(service.cluster_ips);
  end.service = &service;
  return end;
}

}  // namespace

std::optional<IpAddress> ResolvedEnd::address(IpFamily family) const {
  for (const IpAddress& candidate : addresses) {
    if (candidate.family() == family) return candidate;
  }
  return std::nullopt;
}

Party ResolvedEnd::at(const IpAddress& address) const {
  Party there = party;
  there.address = address;
  return there;
}

EndResolver::EndResolver(const ClusterSnapshot& cluster, ScenarioFamily family)
    : cluster_(cluster), family_(family) {
  for (const auto& [key, pod] : cluster.pods) {
    if (!pod.live() || pod.host_network) continue;
    for (const auto& address : pod.addresses) pods_.emplace(address, &pod);
  }
  for (const auto& [name, node] : cluster.nodes) {
    if (!can_be_named(node)) continue;
    for (const auto& entry : node.addresses) nodes_.emplace(entry.address, &node);
  }
  for (const auto& [key, service] : cluster.services) {
    for (const auto& address : service.cluster_ips) services_.emplace(address, &service);
  }
}

Result<ResolvedEnds> EndResolver::resolve(const End& end, const std::string& text, const Location& where) {
  const auto known = resolved_.find(text);
  if (known != resolved_.end()) return known->second;
  Result<ResolvedEnds> found = [&]() -> Result<ResolvedEnds> {
    if (const auto* glob = std::get_if<PodGlob>(&end)) return resolve_glob(*glob, text, where);
    if (const auto* node = std::get_if<NodeEnd>(&end)) return resolve_node(*node, where);
    if (const auto* service = std::get_if<ServiceEnd>(&end)) return resolve_service(*service, where);
    return resolve_address(std::get<IpAddress>(end));
  }();
  if (found) resolved_.emplace(text, *found);
  return found;
}

std::vector<std::string> EndResolver::pod_names() const {
  std::vector<std::string> names;
  for (const auto& [key, pod] : cluster_.pods) {
    if (pod.live()) names.push_back(key.to_string());
  }
  return names;
}

Result<ResolvedEnds> EndResolver::resolve_glob(const PodGlob& glob, const std::string& text,
                                               const Location& where) const {
  ResolvedEnds result;
  result.exact = glob.exact();
  if (result.exact) {
    const auto found = cluster_.pods.find(NamespacedName{glob.ns, glob.name});
    if (found == cluster_.pods.end()) {
      return fail(ErrorCode::not_found,
                  "pod " + text + " does not exist at this step" + did_you_mean(text, pod_names()), where);
    }
    const Pod& pod = found->second;
    if (!pod.live()) {
      const bool finished = pod.phase == PodPhase::succeeded || pod.phase == PodPhase::failed;
      const std::string why = finished ? "is finished" : "has no " + family_word(family_) + "address";
      return fail(ErrorCode::not_found, "pod " + text + " " + why + " at this step, so it is no end point",
                  where);
    }
    result.ends.push_back(pod_end(pod));
    return result;
  }
  for (const auto& [key, pod] : cluster_.pods) {
    if (pod.live() && glob_matches(glob.ns, key.ns) && glob_matches(glob.name, key.name)) {
      result.ends.push_back(pod_end(pod));
    }
  }
  if (result.ends.empty()) {
    return fail(ErrorCode::not_found,
                text + " matches no live pod at this step" + did_you_mean(text, pod_names()), where);
  }
  return result;
}

Result<ResolvedEnds> EndResolver::resolve_node(const NodeEnd& end, const Location& where) const {
  const auto found = cluster_.nodes.find(end.name);
  if (found == cluster_.nodes.end() || !can_be_named(found->second)) {
    std::vector<std::string> names;
    for (const auto& [name, node] : cluster_.nodes) {
      if (can_be_named(node)) names.push_back(name);
    }
    return fail(ErrorCode::not_found,
                "node " + end.name + " does not exist at this step" + did_you_mean(end.name, names), where);
  }
  ResolvedEnd one = node_end(found->second);
  if (one.addresses.empty()) {
    return fail(ErrorCode::not_found, "node " + end.name + " has no " + family_word(family_) + "InternalIP",
                where);
  }
  return ResolvedEnds{{std::move(one)}, true};
}

Result<ResolvedEnds> EndResolver::resolve_service(const ServiceEnd& end, const Location& where) const {
  const std::string name = end.service.to_string();
  const auto found = cluster_.services.find(end.service);
  if (found == cluster_.services.end()) {
    std::vector<std::string> names;
    for (const auto& [key, service] : cluster_.services) names.push_back(key.to_string());
    return fail(ErrorCode::not_found,
                "Service " + name + " does not exist at this step" + did_you_mean(name, names), where);
  }
  ResolvedEnd one = service_end(found->second);
  if (one.addresses.empty()) {
    return fail(ErrorCode::not_found,
                "Service " + name + " has no " + family_word(family_) +
                    "ClusterIP (headless or ExternalName), so it is no end point",
                where);
  }
  return ResolvedEnds{{std::move(one)}, true};
}

// The pod, node or outside host that has the address.
ResolvedEnd EndResolver::party_with(const IpAddress& address) const {
  ResolvedEnd one;
  if (const auto pod = pods_.find(address); pod != pods_.end()) {
    one = pod_end(*pod->second);
  } else if (const auto node = nodes_.find(address); node != nodes_.end()) {
    one = node_end(*node->second);
  } else {
    one.text = address.to_string();
    one.party.kind = Party::Kind::outside;
  }
  return one;
}

ResolvedEnds EndResolver::resolve_address(const IpAddress& address) const {
  const auto service = services_.find(address);
  ResolvedEnd one = service == services_.end() ? party_with(address) : service_end(*service->second);
  // The same cell as the party's name only where that means this address and no other: in a
  // dual-stack scenario a literal fixes the family.
  if (family_ == ScenarioFamily::dual || one.addresses != std::vector{address}) {
    one.text = address.to_string();
  }
  one.addresses = {address};
  one.literal = true;
  return ResolvedEnds{{std::move(one)}, true};
}

std::vector<Target> EndResolver::targets(const ResolvedEnd& end, std::uint16_t port,
                                         const ServicePort* service_port) const {
  std::vector<Target> found;
  for (const IpAddress& address : end.addresses) {
    if (service_port == nullptr) {
      found.push_back({end.at(address), port, std::nullopt});
      continue;
    }
    const ServiceHop hop{address, service_port->port};
    const auto backends = backends_of(cluster_, *end.service, *service_port, address.family());
    for (const ServiceBackend& backend : backends) {
      const ResolvedEnd party =
          backend.pod == nullptr ? party_with(backend.address) : pod_end(*backend.pod);
      found.push_back({party.at(backend.address), backend.port, hop});
    }
    if (backends.empty()) found.push_back({end.at(address), service_port->port, std::nullopt});
  }
  return found;
}

}  // namespace postern::sim
