// SPDX-License-Identifier: Apache-2.0
#include "sim/runner/ends.h"

#include <algorithm>

#include "engine/base/nearest_names.h"
#include "engine/manifest/cluster_state.h"
#include "sim/runner/glob.h"

namespace postern::sim {

namespace {

constexpr IpFamily kFamily = IpFamily::v4;

// Takes part in traffic of the scenario's family.
bool takes_part(const Pod& pod) { return pod.live() && pod.address(kFamily).has_value(); }

// No scenario can name the node of pods that name none.
bool can_be_named(const Node& node) { return node.name != manifest::kDefaultNodeName; }

}  // namespace

EndResolver::EndResolver(const ClusterSnapshot& cluster) : cluster_(cluster) {
  for (const auto& [key, pod] : cluster.pods) {
    if (!takes_part(pod) || pod.host_network) continue;
    for (const auto& address : pod.addresses) pods_.emplace(address, &pod);
  }
  for (const auto& [name, node] : cluster.nodes) {
    if (!can_be_named(node)) continue;
    for (const auto& entry : node.addresses) nodes_.emplace(entry.address, &node);
  }
}

Result<ResolvedEnds> EndResolver::resolve(const End& end, const std::string& text, const Location& where) {
  const auto known = resolved_.find(text);
  if (known != resolved_.end()) return known->second;
  Result<ResolvedEnds> found = [&]() -> Result<ResolvedEnds> {
    if (const auto* glob = std::get_if<PodGlob>(&end)) return resolve_glob(*glob, text, where);
    if (const auto* node = std::get_if<NodeEnd>(&end)) return resolve_node(*node, where);
    if (const auto* address = std::get_if<IpAddress>(&end)) return resolve_address(*address, where);
    return fail(ErrorCode::unsupported, "probes of Services (" + text + ") are not supported yet", where);
  }();
  if (found) resolved_.emplace(text, *found);
  return found;
}

ResolvedEnd EndResolver::pod_end(const Pod& pod) const {
  ResolvedEnd end;
  end.text = pod.key.to_string();
  end.party.kind = Party::Kind::pod;
  end.party.pod = pod.key;
  end.party.node = pod.node_name;
  end.party.address = *pod.address(kFamily);
  end.pod = &pod;
  return end;
}

std::vector<std::string> EndResolver::pod_names() const {
  std::vector<std::string> names;
  for (const auto& [key, pod] : cluster_.pods) {
    if (takes_part(pod)) names.push_back(key.to_string());
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
    if (!takes_part(pod)) {
      const char* why = pod.live()              ? "has no IPv4 address"
                        : pod.addresses.empty() ? "has no address"
                                                : "is finished";
      return fail(ErrorCode::not_found, "pod " + text + " " + why + " at this step, so it is no end point",
                  where);
    }
    result.ends.push_back(pod_end(pod));
    return result;
  }
  for (const auto& [key, pod] : cluster_.pods) {
    if (takes_part(pod) && glob_matches(glob.ns, key.ns) && glob_matches(glob.name, key.name)) {
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
  const auto address = found->second.internal_ip(kFamily);
  if (!address) return fail(ErrorCode::not_found, "node " + end.name + " has no IPv4 InternalIP", where);
  ResolvedEnd one;
  one.text = "node:" + end.name;
  one.party.kind = Party::Kind::node;
  one.party.node = end.name;
  one.party.address = *address;
  return ResolvedEnds{{one}, true};
}

Result<ResolvedEnds> EndResolver::resolve_address(const IpAddress& address, const Location& where) const {
  if (address.family() != kFamily) {
    return fail(ErrorCode::unsupported, "IPv6 (" + address.to_string() + ") is not supported yet", where);
  }
  for (const auto& [key, service] : cluster_.services) {
    if (std::find(service.cluster_ips.begin(), service.cluster_ips.end(), address) !=
        service.cluster_ips.end()) {
      return fail(ErrorCode::unsupported,
                  address.to_string() + " is the ClusterIP of " + key.to_string() +
                      ": probes of Services are not supported yet",
                  where);
    }
  }
  if (const auto pod = pods_.find(address); pod != pods_.end())
    return ResolvedEnds{{pod_end(*pod->second)}, true};
  ResolvedEnd one;
  one.text = address.to_string();
  one.party.kind = Party::Kind::outside;
  one.party.address = address;
  if (const auto node = nodes_.find(address); node != nodes_.end()) {
    one.party.kind = Party::Kind::node;
    one.party.node = node->second->name;
    // Another address of the node is another cell than the node's own one.
    if (node->second->internal_ip(kFamily) == address) one.text = "node:" + node->second->name;
  }
  return ResolvedEnds{{one}, true};
}

}  // namespace postern::sim
