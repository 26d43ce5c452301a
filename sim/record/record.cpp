// SPDX-License-Identifier: Apache-2.0
#include "sim/record/record.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "engine/manifest/cluster_state.h"
#include "engine/model/cluster_policy_id.h"
#include "sim/record/flow_text.h"
#include "sim/record/shrink_objects.h"

namespace postern::sim {

namespace {

using manifest::Object;

std::vector<IpAddress> of_family(std::vector<IpAddress> addresses, IpFamily family) {
  std::erase_if(addresses, [&](const IpAddress& address) { return address.family() != family; });
  return addresses;
}

std::optional<Object> object_of(Pod pod, IpFamily family) {
  pod.addresses = of_family(std::move(pod.addresses), family);
  if (!pod.live()) return std::nullopt;  // no subject, no peer, no end (R23, R24)
  pod.annotations.clear();
  pod.workload.clear();
  pod.phase = PodPhase::running;
  if (pod.node_name == manifest::kDefaultNodeName) pod.node_name.clear();
  if (!pod.host_network) return Object{{}, "Pod", manifest::PodObject{std::move(pod), false}};
  pod.addresses.clear();  // its node's
  return Object{{}, "Pod", manifest::PodObject{std::move(pod), true}};
}

// What a scenario of this family can hold of the cluster, as objects that policy may read.
std::vector<Object> objects_of(const ClusterSnapshot& cluster, IpFamily family) {
  std::vector<Object> objects;
  for (const auto& [name, ns] : cluster.namespaces) {
    objects.push_back({{}, "Namespace", Namespace{name, cluster.namespace_labels(name), {}, ns.enforcement, ns.audit}});
  }
  for (const auto& [key, pod] : cluster.pods) {
    if (auto object = object_of(pod, family)) objects.push_back(std::move(*object));
  }
  for (const auto& [key, service] : cluster.services) {
    Service bare = service;
    bare.cluster_ips = of_family(std::move(bare.cluster_ips), family);
    if (bare.cluster_ips.empty()) continue;  // no end of traffic
    objects.push_back({{}, "Service", manifest::ServiceObject{std::move(bare), false}});
  }
  for (const auto& [key, slice] : cluster.endpoint_slices) {
    EndpointSlice bare = slice;
    for (auto& endpoint : bare.endpoints) endpoint.addresses = of_family(std::move(endpoint.addresses), family);
    std::erase_if(bare.endpoints, [](const auto& endpoint) { return endpoint.addresses.empty(); });
    objects.push_back({{}, "EndpointSlice", std::move(bare)});
  }
  for (const auto& [key, policy] : cluster.network_policies) objects.push_back({{}, "NetworkPolicy", policy});
  for (const auto& [name, policy] : cluster.cluster_network_policies) {
    objects.push_back({{}, std::string(split_cluster_policy_id(name).kind), policy});
  }
  for (const auto& [key, slice] : cluster.policy_endpoints) {
    PolicyEndpoint bare = slice;
    bare.last_change_trigger_time.clear();
    objects.push_back({{}, "PolicyEndpoint", std::move(bare)});
  }
  for (const auto& [name, node] : cluster.nodes) {
    if (name == manifest::kDefaultNodeName) continue;
    Node bare{name, {}, node.addresses};
    std::erase_if(bare.addresses, [&](const NodeAddress& entry) { return entry.address.family() != family; });
    objects.push_back({{}, "Node", std::move(bare)});
  }
  return objects;
}

bool has_pod(const std::vector<Object>& objects, const NamespacedName& key) {
  return std::any_of(objects.begin(), objects.end(), [&](const Object& object) {
    const auto* pod = std::get_if<manifest::PodObject>(&object.value);
    return pod != nullptr && pod->pod.key == key;
  });
}

// With the port: a scenario asks Services only at ports that they have.
bool has_service(const std::vector<Object>& objects, const NamespacedName& key, const ExplainQuery& query) {
  return std::any_of(objects.begin(), objects.end(), [&](const Object& object) {
    const auto* service = std::get_if<manifest::ServiceObject>(&object.value);
    if (service == nullptr || service->service.key != key) return false;
    const auto& ports = service->service.ports;
    return std::any_of(ports.begin(), ports.end(), [&](const ServicePort& port) {
      return port.port == query.port && static_cast<std::uint8_t>(port.protocol) == query.protocol;
    });
  });
}

const EndExplanation& end_of(const Explanation& explanation, Direction direction) {
  return direction == Direction::egress ? explanation.egress : explanation.ingress;
}

// As a node gives it: what nobody isolates is not looked at there, so of the true reasons of such an allow
// (R41) it can only give one.
std::uint32_t reason_at_node(const EndExplanation& end) {
  return end.allowed && !end.policed ? std::uint32_t{PN_REASON_NOT_ISOLATED} : end.reason;
}

// The question, asked again and again of fewer objects.
class Trial {
 public:
  Trial(Recording& recording, const ExplainQuery& query) : recording_(recording), query_(query) {}

  [[nodiscard]] bool holds() const {
    const auto explanation = ask();
    return explanation && answers(*explanation);
  }

  // A pod that names a node makes it. Until this is called an end that is a node needs an object of its own, so
  // that no pod stays for that alone.
  void take_nodes_of_pods() { nodes_by_pods_ = true; }

  // As a scenario with these objects means it; none: it has no such ends, or contradicts itself.
  [[nodiscard]] std::optional<Explanation> ask() const {
    if (!has_end(query_.from) || !has_end(query_.to)) return std::nullopt;
    manifest::ClusterState state(recording_.family == ScenarioFamily::v6 ? manifest::AddressFamilies::v6
                                                                         : manifest::AddressFamilies::v4);
    state.reserve(recording_.objects);
    for (const auto* text : {&recording_.from, &recording_.to}) {
      if (const auto address = IpAddress::parse(*text)) state.reserve(*address);
    }
    const auto cluster = state.apply({}, recording_.objects);
    if (!cluster) return std::nullopt;
    ExplainQuery query = query_;
    if (!find(*cluster, recording_.from, query.from) || !find(*cluster, recording_.to, query.to)) {
      return std::nullopt;
    }
    auto explanation = explain(*cluster, query);
    if (!explanation) return std::nullopt;
    return std::move(*explanation);
  }

 private:
  [[nodiscard]] bool has_end(const TrafficEnd& end) const {
    if (end.kind == TrafficEnd::Kind::pod) return has_pod(recording_.objects, end.pod);
    if (end.kind == TrafficEnd::Kind::service) return has_service(recording_.objects, end.service, query_);
    const std::string named = "node:" + end.node;
    return (named != recording_.from && named != recording_.to) || has_node(end.node);
  }

  [[nodiscard]] bool has_node(const std::string& name) const {
    return nodes_by_pods_ || std::any_of(recording_.objects.begin(), recording_.objects.end(), [&](const Object& object) {
             const auto* node = std::get_if<Node>(&object.value);
             return node != nullptr && node->name == name;
           });
  }

  [[nodiscard]] bool find(const ClusterSnapshot& cluster, const std::string& text, TrafficEnd& end) const {
    const auto found = find_traffic_end(cluster, text);
    if (!found) return false;
    end = *found;
    if (end.kind != TrafficEnd::Kind::node || end.address) return true;
    end.address = cluster.nodes.at(end.node).internal_ip(
        recording_.family == ScenarioFamily::v6 ? IpFamily::v6 : IpFamily::v4);
    return end.address.has_value();
  }

  [[nodiscard]] bool answers(const Explanation& explanation) const {
    if (!explanation.no_endpoint.empty() || explanation.allowed != recording_.allowed) return false;
    // A packet that has to arrive must be let out before.
    const bool arrives = recording_.ends.back().direction == Direction::ingress;
    if (arrives && !explanation.egress.allowed) return false;
    return std::all_of(recording_.ends.begin(), recording_.ends.end(), [&](const RecordedEnd& wanted) {
      const EndExplanation& end = end_of(explanation, wanted.direction);
      if (end.allowed != recording_.allowed) return false;
      // An end that no interface stands before is open like one that nobody isolates.
      if (!end.judged) return wanted.reason == PN_REASON_NOT_ISOLATED;
      // No interface sees what a pod says to itself.
      const bool inside = recording_.from == recording_.to;
      if ((inside ? end.reason : reason_at_node(end)) != wanted.reason) return false;
      if (!wanted.policy) return true;
      const EndExplanation& said = end.would_deny ? *end.would_deny : end;
      if (!said.allowed && said.decided_by) return said.decided_by->rule.policy == *wanted.policy;
      if (!said.allowed) return std::binary_search(said.isolating.begin(), said.isolating.end(), *wanted.policy);
      return std::any_of(said.allowing.begin(), said.allowing.end(),
                         [&](const RuleRef& rule) { return rule.policy == *wanted.policy; });
    });
  }

  const Recording& recording_;
  ExplainQuery query_;
  bool nodes_by_pods_ = false;
};

RecordedEnd recorded(const EndExplanation& end) {
  RecordedEnd out{end.direction, reason_at_node(end), {}, {}};
  const EndExplanation& said = end.would_deny ? *end.would_deny : end;
  if (said.reason == PN_REASON_RULE && !said.allowing.empty()) out.policy = said.allowing.front().policy;
  if (said.decided_by) out.policy = said.decided_by->rule.policy;
  if (said.reason == PN_REASON_ISOLATED && !said.isolating.empty()) out.policy = said.isolating.front();
  return out;
}

// The ends that decided.
Result<std::vector<RecordedEnd>> deciding(const Explanation& explanation) {
  if (!explanation.no_endpoint.empty()) {
    return fail(ErrorCode::invalid_input, explanation.traffic + ": " + explanation.no_endpoint);
  }
  const EndExplanation& egress = explanation.egress;
  const EndExplanation& ingress = explanation.ingress;
  std::vector<RecordedEnd> ends;
  if (explanation.allowed) {
    if (egress.judged) ends.push_back(recorded(egress));
    // What a pod says to itself through a Service comes back with its node's address (R8): the end that opened
    // the connection speaks for both.
    if (ingress.judged && !(egress.judged && ingress.reason == PN_REASON_SELF)) {
      ends.push_back(recorded(ingress));
    }
  } else {
    const EndExplanation& denied = egress.allowed ? ingress : egress;
    if (denied.judged) ends.push_back(recorded(denied));
    if (!denied.judged && !explanation.service.empty()) {
      return fail(ErrorCode::invalid_input,
                  explanation.traffic + ": no policy denies this; " + denied.note + ", expected a verdict of policy");
    }
  }
  if (!ends.empty()) return ends;
  return fail(ErrorCode::invalid_input, explanation.traffic +
                                            ": neither end is a pod with a network of its own, so nothing is judged "
                                            "here, expected traffic of a pod");
}

// As a scenario names the end of this address.
std::string text_of(const ClusterSnapshot& cluster, const TrafficEnd& end, const IpAddress& address) {
  switch (end.kind) {
    case TrafficEnd::Kind::pod: return end.pod.to_string();
    case TrafficEnd::Kind::service: return "service:" + end.service.to_string();
    case TrafficEnd::Kind::node: {
      const bool named = end.node != manifest::kDefaultNodeName &&
                         cluster.nodes.at(end.node).internal_ip(address.family()) == address;
      return named ? "node:" + end.node : address.to_string();
    }
    case TrafficEnd::Kind::address: break;
  }
  return address.to_string();
}

std::vector<IpAddress> addresses_of(const ClusterSnapshot& cluster, const TrafficEnd& end) {
  if (end.address) return {*end.address};
  switch (end.kind) {
    case TrafficEnd::Kind::pod: {
      const Pod& pod = cluster.pods.at(end.pod);
      if (!pod.addresses.empty() || !cluster.nodes.contains(pod.node_name)) return pod.addresses;
      break;
    }
    case TrafficEnd::Kind::service: return cluster.services.at(end.service).cluster_ips;
    case TrafficEnd::Kind::node:
    case TrafficEnd::Kind::address: break;
  }
  std::vector<IpAddress> addresses;
  const auto& node = end.kind == TrafficEnd::Kind::pod ? cluster.pods.at(end.pod).node_name : end.node;
  for (const auto family : {IpFamily::v4, IpFamily::v6}) {
    if (const auto address = cluster.nodes.at(node).internal_ip(family)) addresses.push_back(*address);
  }
  return addresses;
}

// Both ends at addresses of one family, IPv4 before IPv6, as explain() chooses them; false: there is none.
bool place(const ClusterSnapshot& cluster, ExplainQuery& query) {
  for (const auto family : {IpFamily::v4, IpFamily::v6}) {
    const auto from = of_family(addresses_of(cluster, query.from), family);
    const auto to = of_family(addresses_of(cluster, query.to), family);
    if (from.empty() || to.empty()) continue;
    query.from.address = from.front();
    query.to.address = to.front();
    return true;
  }
  return false;
}

// The numbers that rules have among the objects that are left.
void number_rules(const Explanation& explanation, Recording& recording) {
  for (auto& end : recording.ends) {
    if (!end.policy || !recording.allowed) continue;
    const bool written = std::any_of(recording.objects.begin(), recording.objects.end(), [&](const Object& object) {
      const auto* policy = std::get_if<NetworkPolicy>(&object.value);
      return policy != nullptr && policy->key == *end.policy;
    });
    for (const RuleRef& rule : end_of(explanation, end.direction).allowing) {
      if (written && rule.policy == *end.policy && !end.rule) end.rule = rule.rule;
    }
  }
}

}  // namespace

Result<Recording> record(const ClusterSnapshot& cluster, const ExplainQuery& asked) {
  ExplainQuery query = asked;
  // Scenarios know one name for both.
  if (query.protocol == static_cast<std::uint8_t>(Protocol::icmpv6)) {
    query.protocol = static_cast<std::uint8_t>(Protocol::icmp);
  }
  const bool placed = place(cluster, query);
  const auto explanation = explain(cluster, query);
  if (!explanation) return fail_as(explanation);
  auto ends = deciding(*explanation);
  if (!ends) return fail_as(ends);
  if (!placed) return fail(ErrorCode::internal, explanation->traffic + ": found no addresses of one family");
  if (!explanation->service.empty() && !has_ports(query.protocol)) {
    return fail(ErrorCode::unsupported,
                explanation->traffic + ": a scenario asks Services at their ports, expected TCP, UDP or SCTP");
  }
  const bool known = has_ports(query.protocol) || query.protocol == static_cast<std::uint8_t>(Protocol::icmp);
  if (!known && ends->front().reason == PN_REASON_ISOLATED) {
    // Whether a node calls it isolated or names the protocol hangs on rules for ports, which explain() does not say.
    return fail(ErrorCode::unsupported,
                explanation->traffic + ": denials of such a protocol are not recorded, expected TCP, UDP, SCTP or ICMP");
  }
  Recording recording;
  recording.family = query.from.address->is_v4() ? ScenarioFamily::v4 : ScenarioFamily::v6;
  recording.strict = query.strict;
  recording.from = text_of(cluster, query.from, *query.from.address);
  recording.to = text_of(cluster, query.to, *query.to.address);
  recording.protocol = query.protocol;
  recording.port = has_ports(query.protocol) ? query.port : std::uint16_t{0};
  recording.allowed = explanation->allowed;
  recording.ends = std::move(*ends);
  if (recording.from == recording.to) recording.ends = {{Direction::egress, explanation->egress.reason, {}, {}}};
  recording.objects = objects_of(cluster, query.from.address->family());

  for (const auto* text : {&recording.from, &recording.to}) {
    const auto address = IpAddress::parse(*text);
    if (!address || address->is_of_a_host()) continue;
    return fail(ErrorCode::unsupported, explanation->traffic + ": found " + *text + ", expected an address of a host");
  }

  Trial trial(recording, query);
  if (trial.holds()) {
    shrink_objects(recording.objects, [&] { return trial.holds(); });
    trial.take_nodes_of_pods();
  }
  if (!trial.holds()) {
    return fail(ErrorCode::unsupported,
                explanation->traffic + ": a scenario of the whole cluster does not give this verdict" +
                    (explanation->service.empty() ? "" : ", or the Service has no such port"));
  }
  shrink_objects(recording.objects, [&] { return trial.holds(); });
  std::stable_partition(recording.objects.begin(), recording.objects.end(),
                        [](const Object& object) { return object.kind == "Namespace" || object.kind == "Node"; });
  const auto last = trial.ask();
  if (!last) return recording;
  // Behind a Service an address may have stayed without its pod: then the client's end alone can be asked.
  const auto judged = [&](const RecordedEnd& end) { return end_of(*last, end.direction).judged; };
  if (std::any_of(recording.ends.begin(), recording.ends.end(), judged)) std::erase_if(recording.ends, std::not_fn(judged));
  number_rules(*last, recording);
  return recording;
}

}  // namespace postern::sim
