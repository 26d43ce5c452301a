// SPDX-License-Identifier: Apache-2.0
#include "engine/explain/explain.h"

#include <algorithm>
#include <iterator>

#include "engine/explain/end_judge.h"
#include "engine/explain/policy_view.h"
#include "engine/explain/service.h"

namespace postern {

using explain_detail::explain_service;
using explain_detail::judge_end;
using explain_detail::node_addresses;
using explain_detail::Seen;
using explain_detail::service_of;
using explain_detail::Traffic;
using explain_detail::views_of;

namespace {

// Addresses an end could use, the best first.
Result<std::vector<IpAddress>> addresses_of(const ClusterSnapshot& cluster, const TrafficEnd& end) {
  if (end.address) return std::vector<IpAddress>{*end.address};
  if (end.kind == TrafficEnd::Kind::pod) {
    const auto found = cluster.pods.find(end.pod);
    if (found == cluster.pods.end()) return fail(ErrorCode::not_found, "no pod " + end.pod.to_string());
    if (!found->second.addresses.empty() || !found->second.host_network) return found->second.addresses;
    return node_addresses(cluster, found->second.node_name);
  }
  if (end.kind == TrafficEnd::Kind::service) {
    const auto found = cluster.services.find(end.service);
    if (found == cluster.services.end())
      return fail(ErrorCode::not_found, "no Service " + end.service.to_string());
    if (found->second.cluster_ips.empty()) {
      return fail(ErrorCode::invalid_input, "Service " + end.service.to_string() +
                                                " has no ClusterIP: its name stands for the pods behind it, "
                                                "expected one of them");
    }
    return found->second.cluster_ips;
  }
  if (!cluster.nodes.contains(end.node)) return fail(ErrorCode::not_found, "no node " + end.node);
  auto addresses = node_addresses(cluster, end.node);
  if (const auto internal = cluster.nodes.at(end.node).internal_ip(IpFamily::v4)) {
    addresses.insert(addresses.begin(), *internal);
  }
  return addresses;
}

// The first family both have, IPv4 before IPv6.
bool choose_family(const std::vector<IpAddress>& from, const std::vector<IpAddress>& to, Traffic& traffic) {
  for (const auto family : {IpFamily::v4, IpFamily::v6}) {
    const auto of_family = [&](const IpAddress& address) { return address.family() == family; };
    const auto left = std::find_if(from.begin(), from.end(), of_family);
    const auto right = std::find_if(to.begin(), to.end(), of_family);
    if (left == from.end() || right == to.end()) continue;
    traffic.from.address = *left;
    traffic.to.address = *right;
    return true;
  }
  return false;
}

void name_end(const ClusterSnapshot& cluster, const TrafficEnd& end, Seen& seen, const Pod*& pod) {
  switch (end.kind) {
    case TrafficEnd::Kind::pod:
      pod = &cluster.pods.at(end.pod);
      seen.who = end.pod.to_string();
      seen.host_network = pod->host_network;
      if (pod->live() && !pod->host_network) seen.pod = pod;
      return;
    case TrafficEnd::Kind::node: seen.who = "node " + end.node; return;
    case TrafficEnd::Kind::service: seen.who = "Service " + end.service.to_string(); return;
    case TrafficEnd::Kind::address: seen.who = end.address->to_string(); return;
  }
}

std::string why_no_endpoint(const Pod* pod, const std::string& who) {
  if (pod == nullptr) return {};
  if (pod->phase == PodPhase::succeeded || pod->phase == PodPhase::failed) {
    return who + " is finished (phase " + (pod->phase == PodPhase::failed ? "Failed" : "Succeeded") +
           "): it has no network, policies neither select nor match it";
  }
  if (!pod->host_network && pod->addresses.empty()) {
    return who + " has no address yet: policies hold from its first packet once it has one";
  }
  return {};
}

// The cluster's DNS pods, by the label every distribution gives them.
std::vector<const Pod*> dns_pods(const ClusterSnapshot& cluster) {
  std::vector<const Pod*> pods;
  for (const auto& [key, pod] : cluster.pods) {
    const auto label = pod.labels.find("k8s-app");
    if (label == pod.labels.end() || label->second != "kube-dns" || !pod.live() || pod.host_network) continue;
    pods.push_back(&pod);
  }
  return pods;
}

// Whether some rule that counts admits UDP 53 to somebody, for clusters whose manifests have no DNS pod.
bool some_rule_admits_dns(const Traffic& traffic) {
  const Seen nobody;
  const auto views = views_of(traffic, *traffic.from.pod, Direction::egress);
  for (const auto& view : views.policies) {
    if (!view.counts()) continue;
    for (const auto& [number, rule] : view.rules) {
      for (const auto& entry : rule->ports) {
        // A named port may well be DNS; without the pod behind it nobody can say it is not.
        if (entry.protocol == Protocol::udp && entry.port && entry.port->index() == 1) return true;
      }
      if (explain_detail::ports_gap(*rule, {static_cast<std::uint8_t>(Protocol::udp), 53}, nobody)
              .missing.empty()) {
        return true;
      }
    }
  }
  return false;
}

// Egress isolation without a way to DNS: names no longer resolve, whatever else is allowed.
std::string dns_hint(const Traffic& traffic, const EndExplanation& egress) {
  if (!egress.judged || egress.isolating.empty()) return {};
  bool reachable = false;
  const auto servers = dns_pods(traffic.cluster);
  for (const auto* server : servers) {
    const auto address = server->address(traffic.from.address.family());
    if (!address) continue;
    Traffic query = traffic;
    query.to = {server, *address, server->key.to_string(), false};
    query.asked = {static_cast<std::uint8_t>(Protocol::udp), 53};
    reachable = reachable || judge_end(query, Direction::egress).allowed;
  }
  if (servers.empty()) reachable = some_rule_admits_dns(traffic);
  if (reachable) return {};
  return "egress of " + egress.who +
         " is isolated and no rule lets it reach DNS (UDP and TCP port 53): names do not " +
         "resolve for it, so connections fail even where an address would pass";
}

void add_hints(const Traffic& traffic, Explanation& explanation) {
  if (auto hint = dns_hint(traffic, explanation.egress); !hint.empty())
    explanation.hints.push_back(std::move(hint));
}

std::string with_address(const Seen& seen) {
  const std::string address = seen.address.to_string();
  return seen.who == address ? seen.who : seen.who + " (" + address + ")";
}

TrafficEnd service_if_cluster_ip(const ClusterSnapshot& cluster, const TrafficEnd& end) {
  if (end.kind != TrafficEnd::Kind::address || !end.address) return end;
  const Service* service = service_of(cluster, *end.address);
  if (service == nullptr) return end;
  TrafficEnd out = end;
  out.kind = TrafficEnd::Kind::service;
  out.service = service->key;
  return out;
}

void judge_ends(const Traffic& traffic, Explanation& explanation) {
  if (traffic.to.cluster_ip) return explain_service(traffic, explanation);
  explanation.egress = judge_end(traffic, Direction::egress);
  explanation.ingress = judge_end(traffic, Direction::ingress);
}

void add_audit(const EndExplanation& if_enforced, EndExplanation& end) {
  end.policed = end.policed || if_enforced.policed;
  if (!end.judged || !end.allowed || if_enforced.allowed) return;
  end.reason = PN_REASON_WOULD_DENY;
  end.would_deny = std::make_shared<const EndExplanation>(if_enforced);
}

// Both have the same backends in the same order.
void add_audit(const Explanation& if_enforced, Explanation& explanation) {
  auto& backends = explanation.backends;
  for (std::size_t i = 0; i < backends.size(); ++i) {
    add_audit(if_enforced.backends[i].egress, backends[i].egress);
    add_audit(if_enforced.backends[i].ingress, backends[i].ingress);
  }
  add_audit(if_enforced.egress, explanation.egress);
  if (backends.empty()) return add_audit(if_enforced.ingress, explanation.ingress);
  // Of backends that all admit the client, the first that would not is of interest.
  const auto would = std::find_if(backends.begin(), backends.end(),
                                  [](const auto& backend) { return backend.ingress.would_deny != nullptr; });
  if (explanation.ingress.allowed && would != backends.end()) explanation.ingress = would->ingress;
}

}  // namespace

Result<Explanation> explain(const ClusterSnapshot& cluster, const ExplainQuery& query) {
  if (query.from.kind == TrafficEnd::Kind::service) {
    return fail(ErrorCode::invalid_input,
                "Service " + query.from.service.to_string() + " opens no connections: expected a client");
  }
  const TrafficEnd destination = service_if_cluster_ip(cluster, query.to);
  const auto from = addresses_of(cluster, query.from);
  if (!from) return fail_as(from);
  const auto to = addresses_of(cluster, destination);
  if (!to) return fail_as(to);

  Traffic traffic{cluster, {}, {}, nullptr, nullptr, {query.protocol, query.port}, query.strict,
                  query.service_ip_blocks};
  name_end(cluster, query.from, traffic.from, traffic.from_pod);
  name_end(cluster, destination, traffic.to, traffic.to_pod);
  Explanation explanation;
  explanation.egress.who = traffic.from.who;
  explanation.ingress.who = traffic.to.who;
  explanation.ingress.direction = Direction::ingress;
  explanation.traffic = traffic.from.who + " -> " + traffic.to.who + ", " + to_string(traffic.asked);
  explanation.no_endpoint = why_no_endpoint(traffic.from_pod, traffic.from.who);
  if (explanation.no_endpoint.empty())
    explanation.no_endpoint = why_no_endpoint(traffic.to_pod, traffic.to.who);
  if (!explanation.no_endpoint.empty()) return explanation;
  if (!choose_family(*from, *to, traffic)) {
    return fail(ErrorCode::invalid_input,
                traffic.from.who + " and " + traffic.to.who + " have no address of the same family");
  }
  explanation.traffic =
      with_address(traffic.from) + " -> " + with_address(traffic.to) + ", " + to_string(traffic.asked);
  // What the client's node has itself is the node, a node-local DNS for one (R2).
  const auto own_node =
      traffic.from_pod == nullptr ? std::vector<IpAddress>{} : node_addresses(cluster, traffic.from_pod->node_name);
  traffic.to.cluster_ip = destination.kind == TrafficEnd::Kind::service &&
                          std::find(own_node.begin(), own_node.end(), traffic.to.address) == own_node.end();
  judge_ends(traffic, explanation);
  if (has_audit(cluster)) {
    Explanation if_enforced;
    traffic.with_audit = true;
    judge_ends(traffic, if_enforced);
    traffic.with_audit = false;
    add_audit(if_enforced, explanation);
  }
  explanation.allowed = explanation.egress.allowed && explanation.ingress.allowed;
  explanation.would_deny = explanation.allowed && (explanation.egress.would_deny || explanation.ingress.would_deny);
  add_hints(traffic, explanation);
  return explanation;
}

}  // namespace postern
