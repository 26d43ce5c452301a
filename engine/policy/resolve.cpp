// SPDX-License-Identifier: Apache-2.0
// Each policy that selects a local pod is resolved once into rules that stand for all its subjects;
// only ingress rules with named ports differ from subject to subject (R9) and are finished there.
// Policies that select no local pod are never looked into.
//
// ClusterIPs are no addresses of any term: what holds for a Service (R7) follows from its backends
// (resolve_services.h), whatever the rules are.
#include "engine/policy/resolve.h"

#include <algorithm>
#include <utility>

#include "engine/policy/resolve_services.h"
#include "engine/policy/term_table.h"

namespace postern {

namespace {

// A rule of a policy before its subject is known.
struct RuleForSubjects {
  ResolvedRule rule;
  std::vector<PolicyPort> named;  // ingress only: to be resolved on the subject
};

using PolicyRules = std::vector<RuleForSubjects>;

const std::string* name_of(const PolicyPort& port) {
  return port.port ? std::get_if<std::string>(&*port.port) : nullptr;
}

PortMatch match_of(const PolicyPort& port) {
  // Without a port: every port of the protocol.
  return {port.protocol, port.port ? std::get<PortRange>(*port.port) : PortRange{}};
}

template <typename T>
void sort_unique(std::vector<T>& values) {
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
}

class Resolver {
 public:
  Resolver(const ClusterSnapshot& cluster, const ResolveOptions& options, RuleRegistry& rules)
      : cluster_(cluster), options_(options), rules_(rules), terms_(cluster) {}

  Result<ResolvedPolicy> run(std::span<const LocalEndpoint> endpoints);

 private:
  Result<EndpointPolicy> endpoint(const LocalEndpoint& local);
  Result<void> apply_policy(const NetworkPolicy& policy, const Pod& pod, Direction direction,
                            DirectionPolicy& out);
  Result<const PolicyRules*> rules_of(const NetworkPolicy& policy, Direction direction);
  void resolve_peers(const PolicyRule& rule, const std::string& ns, ResolvedRule& out);
  void add_egress_named(const PolicyRule& rule, const std::string& ns, const RuleForSubjects& base,
                        PolicyRules& out);
  static void finish_on_subject(const RuleForSubjects& source, const Pod& subject, DirectionPolicy& out);
  void sort_terms(ResolvedPolicy& policy);

  const ClusterSnapshot& cluster_;
  const ResolveOptions& options_;
  RuleRegistry& rules_;
  TermTable terms_;
  std::map<std::pair<const NetworkPolicy*, Direction>, PolicyRules> resolved_;
};

void Resolver::resolve_peers(const PolicyRule& rule, const std::string& ns, ResolvedRule& out) {
  out.any_peer = rule.peers.empty();
  for (const auto& peer : rule.peers) out.peers.push_back(terms_.term_of(peer, ns));
  sort_unique(out.peers);
}

// A named port at egress is another number at other destinations: one rule for each number (R10).
void Resolver::add_egress_named(const PolicyRule& rule, const std::string& ns, const RuleForSubjects& base,
                                PolicyRules& out) {
  std::map<PortMatch, std::vector<TermIndex>> by_port;
  for (const auto& port : rule.ports) {
    const std::string* name = name_of(port);
    if (name == nullptr) continue;
    const auto add = [&](const PolicyPeer* peer) {
      for (const auto& named : terms_.named_port(peer, ns, *name, port.protocol)) {
        by_port[{port.protocol, {named.port, named.port}}].push_back(named.term);
      }
    };
    if (rule.peers.empty()) add(nullptr);
    for (const auto& peer : rule.peers) add(&peer);
  }
  for (auto& [match, peers] : by_port) {
    RuleForSubjects part;
    part.rule.tier = base.rule.tier;
    part.rule.action = base.rule.action;
    part.rule.id = base.rule.id;
    part.rule.peers = std::move(peers);
    sort_unique(part.rule.peers);
    part.rule.ports = {match};
    out.push_back(std::move(part));
  }
}

Result<const PolicyRules*> Resolver::rules_of(const NetworkPolicy& policy, Direction direction) {
  const auto [found, inserted] = resolved_.try_emplace({&policy, direction});
  if (!inserted) return &found->second;
  PolicyRules& out = found->second;
  const auto& written = direction == Direction::ingress ? policy.ingress : policy.egress;
  for (std::size_t index = 0; index < written.size(); ++index) {
    const PolicyRule& rule = written[index];
    RuleForSubjects base;
    base.rule.id = rules_.id_of(
        {{PolicyKind::network_policy, policy.key}, direction, static_cast<std::uint32_t>(index)});
    if (base.rule.id.value == 0) {
      return fail(ErrorCode::table_full, "rule numbers are used up at rule " + std::to_string(index) +
                                             " of " + policy.key.to_string() + ": there are " +
                                             std::to_string(PN_RULE_ID_MAX));
    }
    base.rule.any_port = rule.ports.empty();
    for (const auto& port : rule.ports) {
      if (name_of(port) == nullptr) {
        base.rule.ports.push_back(match_of(port));
      } else if (direction == Direction::ingress) {
        base.named.push_back(port);
      }
    }
    sort_unique(base.rule.ports);
    if (direction == Direction::egress) add_egress_named(rule, policy.key.ns, base, out);
    const bool matches_something = base.rule.any_port || !base.rule.ports.empty() || !base.named.empty();
    if (!matches_something) continue;
    resolve_peers(rule, policy.key.ns, base.rule);
    out.push_back(std::move(base));
  }
  return &out;
}

// R9, R35: every port of the subject with that name and protocol.
void Resolver::finish_on_subject(const RuleForSubjects& source, const Pod& subject, DirectionPolicy& out) {
  ResolvedRule rule = source.rule;
  for (const auto& named : source.named) {
    for (const auto& port : subject.ports) {
      if (port.name == *name_of(named) && port.protocol == named.protocol) {
        rule.ports.push_back({port.protocol, {port.port, port.port}});
      }
    }
  }
  if (!rule.any_port && rule.ports.empty()) return;
  sort_unique(rule.ports);
  out.rules.push_back(std::move(rule));
}

Result<void> Resolver::apply_policy(const NetworkPolicy& policy, const Pod& pod, Direction direction,
                                    DirectionPolicy& out) {
  const bool isolates = direction == Direction::ingress ? policy.isolates_ingress : policy.isolates_egress;
  if (!isolates) return {};
  out.isolated = true;
  out.isolating.push_back({PolicyKind::network_policy, policy.key});
  const auto rules = rules_of(policy, direction);
  if (!rules) return fail_as(rules);
  for (const auto& rule : **rules) finish_on_subject(rule, pod, out);
  return {};
}

Result<EndpointPolicy> Resolver::endpoint(const LocalEndpoint& local) {
  EndpointPolicy out;
  out.endpoint = local.endpoint;
  out.ifindex = local.ifindex;
  out.pod = local.pod;
  for (auto& direction : out.directions) direction.strict = options_.strict;
  const auto found = cluster_.pods.find(local.pod);
  if (found == cluster_.pods.end()) return out;
  Pod pod = found->second;
  if (pod.addresses.empty()) pod.addresses = local.addresses;
  if (!pod.live()) return out;
  out.addresses = pod.addresses;

  // Policies of the pod's own namespace stand together.
  for (auto it = cluster_.network_policies.lower_bound({local.pod.ns, ""});
       it != cluster_.network_policies.end() && it->first.ns == local.pod.ns; ++it) {
    const NetworkPolicy& policy = it->second;
    // Audit (R44) comes here.
    if (!selects(policy, pod)) continue;
    for (const Direction direction : kDirections) {
      if (auto done = apply_policy(policy, pod, direction, out.directions[index_of(direction)]); !done) {
        return fail_as(done);
      }
    }
  }
  return out;
}

// Terms get their final places, and rules follow.
void Resolver::sort_terms(ResolvedPolicy& policy) {
  std::vector<TermIndex> order;
  policy.terms = terms_.finish(order);
  for (auto& endpoint : policy.endpoints) {
    for (auto& direction : endpoint.directions) {
      for (auto& rule : direction.rules) {
        for (auto& term : rule.peers) term = order[term];
        std::sort(rule.peers.begin(), rule.peers.end());
      }
      const auto place = [](const ResolvedRule& rule) {
        return std::tie(rule.tier, rule.priority, rule.policy, rule.id, rule.any_peer, rule.peers,
                        rule.ports);
      };
      std::sort(direction.rules.begin(), direction.rules.end(),
                [&](const ResolvedRule& a, const ResolvedRule& b) { return place(a) < place(b); });
    }
  }
}

Result<ResolvedPolicy> Resolver::run(std::span<const LocalEndpoint> endpoints) {
  ResolvedPolicy policy;
  policy.own_node = options_.own_node;
  sort_unique(policy.own_node);
  // Sorted first, so that rules get their numbers in an order that does not depend on the caller.
  std::vector<LocalEndpoint> locals(endpoints.begin(), endpoints.end());
  std::sort(locals.begin(), locals.end(),
            [](const LocalEndpoint& a, const LocalEndpoint& b) { return a.pod < b.pod; });
  for (const auto& local : locals) {
    auto resolved = endpoint(local);
    if (!resolved) return fail_as(resolved);
    policy.endpoints.push_back(std::move(*resolved));
  }
  std::sort(policy.endpoints.begin(), policy.endpoints.end(),
            [](const EndpointPolicy& a, const EndpointPolicy& b) { return a.endpoint < b.endpoint; });
  sort_terms(policy);
  policy.services = resolve_services(cluster_, policy.endpoints);
  return policy;
}

}  // namespace

Result<ResolvedPolicy> resolve(const ClusterSnapshot& cluster, std::span<const LocalEndpoint> endpoints,
                               const ResolveOptions& options, RuleRegistry& rules) {
  return Resolver(cluster, options, rules).run(endpoints);
}

bool selects(const NetworkPolicy& policy, const Pod& pod) {
  return pod.live() && !pod.host_network && policy.key.ns == pod.key.ns &&
         policy.pod_selector.matches(pod.labels);
}

}  // namespace postern
