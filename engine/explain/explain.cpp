// SPDX-License-Identifier: Apache-2.0
#include "engine/explain/explain.h"

#include <algorithm>
#include <iterator>

#include "engine/explain/near_miss.h"

namespace postern {

using explain_detail::Asked;
using explain_detail::Gap;
using explain_detail::Seen;

namespace {

// A query with its objects found.
struct Traffic {
  const ClusterSnapshot& cluster;
  Seen from;
  Seen to;
  const Pod* from_pod = nullptr;  // also when it uses the host's network or is not live
  const Pod* to_pod = nullptr;
  Asked asked;
  bool strict = false;
};

std::vector<IpAddress> node_addresses(const ClusterSnapshot& cluster, const std::string& name) {
  std::vector<IpAddress> addresses;
  const auto found = cluster.nodes.find(name);
  if (found == cluster.nodes.end()) return addresses;
  for (const auto& entry : found->second.addresses) addresses.push_back(entry.address);
  return addresses;
}

// Addresses an end could use, the best first.
Result<std::vector<IpAddress>> addresses_of(const ClusterSnapshot& cluster, const TrafficEnd& end) {
  if (end.address) return std::vector<IpAddress>{*end.address};
  if (end.kind == TrafficEnd::Kind::pod) {
    const auto found = cluster.pods.find(end.pod);
    if (found == cluster.pods.end()) return fail(ErrorCode::not_found, "no pod " + end.pod.to_string());
    if (!found->second.addresses.empty() || !found->second.host_network) return found->second.addresses;
    return node_addresses(cluster, found->second.node_name);
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

// One policy at one end: does it isolate, which of its rules allow, which nearly do.
struct PolicyView {
  const NetworkPolicy& policy;
  bool selected = false;
  bool has_type = false;
  [[nodiscard]] bool counts() const { return selected && has_type; }
};

const std::vector<PolicyRule>& rules_of(const NetworkPolicy& policy, Direction direction) {
  return direction == Direction::ingress ? policy.ingress : policy.egress;
}

// Letters that a label may differ by and still be taken for the same word.
constexpr std::uint32_t kSlipOfThePen = 2;

// What keeps the policy from having a say at this end at all.
Gap subject_gap(const PolicyView& view, const Pod& subject, Direction direction) {
  Gap gap;
  if (!view.selected) {
    gap = explain_detail::selector_gap({view.policy.pod_selector, subject.labels, MissingKind::subject_label,
                                        "the policy selects by podSelector and", subject.key.to_string()});
  }
  // That a policy means other pods is mostly no mistake, unless the labels differ by a letter.
  if (gap.distance > kSlipOfThePen) gap.cost += 1;
  if (!view.has_type) {
    gap.add(MissingKind::policy_type,
            std::string("the policy's policyTypes leave out ") +
                (direction == Direction::ingress ? "Ingress" : "Egress") + ", so its " +
                to_string(direction) + " rules say nothing",
            1, 0);
  }
  return gap;
}

class EndJudge {
 public:
  EndJudge(const Traffic& traffic, Direction direction)
      : traffic_(traffic),
        direction_(direction),
        subject_(direction == Direction::egress ? traffic.from : traffic.to),
        peer_(direction == Direction::egress ? traffic.to : traffic.from) {
    end_.direction = direction;
    end_.who = subject_.who;
  }

  EndExplanation run() {
    if (subject_.pod == nullptr) {
      end_.note = subject_.host_network
                      ? subject_.who + " uses its node's network: no NetworkPolicy applies to it"
                      : subject_.who + " is not a pod: no NetworkPolicy applies to it";
      return std::move(end_);
    }
    end_.judged = true;
    read_policies();
    decide();
    if (end_.allowed) end_.near_misses.clear();
    else rank();
    return std::move(end_);
  }

 private:
  void read_policies() {
    const auto& policies = traffic_.cluster.network_policies;
    const std::string& ns = subject_.pod->key.ns;
    for (auto it = policies.lower_bound({ns, {}}); it != policies.end() && it->first.ns == ns; ++it) {
      const auto& policy = it->second;
      const PolicyView view{
          policy, selects(policy, *subject_.pod),
          direction_ == Direction::ingress ? policy.isolates_ingress : policy.isolates_egress};
      if (view.counts()) end_.isolating.push_back(policy.key);
      read_rules(view);
    }
  }

  void read_rules(const PolicyView& view) {
    const auto& rules = rules_of(view.policy, direction_);
    const Gap subject = subject_gap(view, *subject_.pod, direction_);
    // The pod whose port names count is the one at the server's end, whichever end this is.
    const Seen& target = traffic_.to;
    for (std::size_t i = 0; i < rules.size(); ++i) {
      Gap gap = explain_detail::peers_gap(rules[i], view.policy.key.ns, peer_, traffic_.cluster);
      gap.add(explain_detail::ports_gap(rules[i], traffic_.asked, target));
      // A policy that has no say here comes near only with a rule that would allow as it stands.
      if (!view.counts() && !gap.missing.empty()) continue;
      gap.add(subject);
      const RuleRef rule{view.policy.key, static_cast<std::uint32_t>(i + 1)};
      if (gap.missing.empty()) end_.allowing.push_back(rule);
      else end_.near_misses.push_back({rule, std::move(gap.missing), gap.cost, gap.distance});
    }
  }

  void decide() {
    const auto own_node = node_addresses(traffic_.cluster, subject_.pod->node_name);
    if (subject_.address == peer_.address) {
      end_.note = "a pod always reaches itself";
      return set(true, PN_REASON_SELF);
    }
    if (std::find(own_node.begin(), own_node.end(), peer_.address) != own_node.end()) {
      end_.note = peer_.who + " is the node " + subject_.who +
                  " runs on: NetworkPolicies cannot cut a pod from its own node";
      return set(true, PN_REASON_OWN_NODE);
    }
    if (end_.isolating.empty()) {
      return traffic_.strict ? set(false, PN_REASON_STRICT) : set(true, PN_REASON_NOT_ISOLATED);
    }
    if (end_.allowing.empty()) set(false, PN_REASON_ISOLATED);
    else set(true, PN_REASON_RULE);
  }

  void set(bool allowed, std::uint32_t reason) {
    end_.allowed = allowed;
    end_.reason = reason;
  }

  // Nearest first; equal ones: rules of policies that isolate the pod already, then by name.
  void rank() {
    const auto isolates = [&](const NearMiss& miss) {
      return std::binary_search(end_.isolating.begin(), end_.isolating.end(), miss.rule.policy);
    };
    auto& misses = end_.near_misses;
    std::stable_sort(misses.begin(), misses.end(), [&](const NearMiss& left, const NearMiss& right) {
      if (left.cost != right.cost) return left.cost < right.cost;
      if (isolates(left) != isolates(right)) return isolates(left);
      if (left.distance != right.distance) return left.distance < right.distance;
      return left.rule < right.rule;
    });
    if (misses.size() > kNearMisses) misses.resize(kNearMisses);
  }

  const Traffic& traffic_;
  Direction direction_;
  const Seen& subject_;
  const Seen& peer_;
  EndExplanation end_;
};

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
bool some_rule_admits_dns(const Traffic& traffic, const EndExplanation& egress) {
  const Seen nobody;
  for (const auto& key : egress.isolating) {
    for (const auto& rule : traffic.cluster.network_policies.at(key).egress) {
      for (const auto& entry : rule.ports) {
        // A named port may well be DNS; without the pod behind it nobody can say it is not.
        if (entry.protocol == Protocol::udp && entry.port && entry.port->index() == 1) return true;
      }
      if (explain_detail::ports_gap(rule, {static_cast<std::uint8_t>(Protocol::udp), 53}, nobody)
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
    reachable = reachable || EndJudge(query, Direction::egress).run().allowed;
  }
  if (servers.empty()) reachable = some_rule_admits_dns(traffic, egress);
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

}  // namespace

Result<Explanation> explain(const ClusterSnapshot& cluster, const ExplainQuery& query) {
  const auto from = addresses_of(cluster, query.from);
  if (!from) return fail_as(from);
  const auto to = addresses_of(cluster, query.to);
  if (!to) return fail_as(to);

  Traffic traffic{cluster, {}, {}, nullptr, nullptr, {query.protocol, query.port}, query.strict};
  name_end(cluster, query.from, traffic.from, traffic.from_pod);
  name_end(cluster, query.to, traffic.to, traffic.to_pod);
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
  explanation.egress = EndJudge(traffic, Direction::egress).run();
  explanation.ingress = EndJudge(traffic, Direction::ingress).run();
  explanation.allowed = explanation.egress.allowed && explanation.ingress.allowed;
  add_hints(traffic, explanation);
  return explanation;
}

}  // namespace postern
