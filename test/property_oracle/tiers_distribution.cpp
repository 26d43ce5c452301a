// SPDX-License-Identifier: Apache-2.0
#include "test/property_oracle/tiers_distribution.h"

#include <cmath>
#include <iomanip>
#include <iostream>
#include <set>
#include <sstream>

namespace postern::property {

namespace {

using Names = std::set<std::string>;

// Rows that rules never decide by: an Accept with an unknown peer matches nothing, names of domains neither.
// They are asked all the same.
const Names kNeverDecide{"Accept with unknown"};

const Names kRows{"Admin Accept", "Admin Deny",    "Admin Pass",         "Baseline Accept",     "Baseline Deny",
                  "Baseline Pass", "ingress",      "egress",             "namespaces",          "namespaces and pods",
                  "nodes",         "networks",     "domain names",       "Accept with unknown", "Deny with unknown",
                  "Pass with unknown", "every protocol", "number of TCP", "number of UDP",      "number of SCTP",
                  "range of TCP",  "range of UDP", "range of SCTP",      "every port of TCP",   "every port of UDP",
                  "every port of SCTP", "port name", "In",               "NotIn",               "Exists",
                  "DoesNotExist",  "matchLabels",  "equal priority"};

void add(Names& names, const LabelSelector& selector) {
  if (!selector.match_labels.empty()) names.insert("matchLabels");
  for (const auto& requirement : selector.match_expressions) {
    switch (requirement.op) {
      case SelectorOperator::in: names.insert("In"); break;
      case SelectorOperator::not_in: names.insert("NotIn"); break;
      case SelectorOperator::exists: names.insert("Exists"); break;
      case SelectorOperator::does_not_exist: names.insert("DoesNotExist"); break;
    }
  }
}

const char* text(Action action) {
  switch (action) {
    case Action::deny: return "Deny";
    case Action::accept: return "Accept";
    case Action::pass: return "Pass";
  }
  return "";
}

void add(Names& names, const ClusterPeer& peer, Action action) {
  if (const auto* pods = std::get_if<ClusterPods>(&peer)) {
    names.insert(pods->pods.empty() ? "namespaces" : "namespaces and pods");
    add(names, pods->namespaces);
    add(names, pods->pods);
  } else if (const auto* nodes = std::get_if<ClusterNodes>(&peer)) {
    names.insert("nodes");
    add(names, nodes->nodes);
  } else if (std::holds_alternative<ClusterNetworks>(peer)) {
    names.insert("networks");
  } else if (std::holds_alternative<ClusterDomainNames>(peer)) {
    names.insert("domain names");
  } else {
    names.insert(std::string(text(action)) + " with unknown");
  }
}

void add(Names& names, const ClusterPort& port) {
  const auto* of = std::get_if<ProtocolPorts>(&port);
  if (of == nullptr) {
    names.insert("port name");
    return;
  }
  const char* form = "every port";
  if (of->ports) form = of->ports->lo == of->ports->hi ? "number" : "range";
  names.insert(std::string(form) + " of " + std::string(to_string(of->protocol)));
}

Names of(const ClusterNetworkPolicy& policy, oracle::Direction direction, const ClusterRule& rule) {
  Names names;
  names.insert((policy.tier == Tier::admin ? "Admin " : "Baseline ") + std::string(text(rule.action)));
  names.insert(direction == oracle::Direction::ingress ? "ingress" : "egress");
  for (const auto& peer : rule.peers) add(names, peer, rule.action);
  for (const auto& port : rule.protocols) add(names, port);
  if (rule.protocols.empty()) names.insert("every protocol");
  return names;
}

bool is_for(const ClusterNetworkPolicy& policy, const World& world, const Pod& pod) {
  return policy.subject.namespaces.matches(world.objects.namespace_labels(pod.key.ns)) &&
         policy.subject.pods.matches(pod.labels);
}

bool has_equal(const World& world, const Pod& pod, const ClusterNetworkPolicy& policy, oracle::Direction direction) {
  for (const auto& [name, other] : world.objects.cluster_network_policies) {
    const auto& rules = direction == oracle::Direction::ingress ? other.ingress : other.egress;
    if (name != policy.name && other.tier == policy.tier && other.priority == policy.priority && !other.audit &&
        !rules.empty() && is_for(other, world, pod)) {
      return true;
    }
  }
  return false;
}

}  // namespace

void TiersDistribution::count(const World& world, const oracle::Question& question, const oracle::Verdict& verdict) {
  (verdict.allow ? allowed_ : denied_) += 1;
  const Pod& pod = world.objects.pods.at(question.pod);
  std::map<std::string, bool> names;  // and whether one that has it decided
  for (const auto& [name, policy] : world.objects.cluster_network_policies) {
    if (policy.audit || !is_for(policy, world, pod)) continue;
    const auto& rules = question.direction == oracle::Direction::ingress ? policy.ingress : policy.egress;
    const bool equal = has_equal(world, pod, policy, question.direction);
    for (std::size_t i = 0; i < rules.size(); ++i) {
      const oracle::RuleName rule{{"", name}, question.direction, i, policy.tier};
      const bool decided = verdict.rules.contains(rule) || verdict.passed.contains(rule);
      Names of_rule = of(policy, question.direction, rules[i]);
      if (equal) of_rule.insert("equal priority");
      for (const auto& one : of_rule) names[one] = names[one] || decided;
    }
  }
  for (const auto& [name, decided] : names) {
    rows_[name].asked += 1;
    rows_[name].decided += decided ? 1 : 0;
  }
  for (const auto reason : verdict.reasons) cases_["reason " + oracle::to_string(reason)] += 1;
  const auto ns = world.objects.namespaces.find(question.pod.ns);
  if (ns == world.objects.namespaces.end()) return;
  const auto& said = ns->second.enforcement[static_cast<std::size_t>(question.direction)];
  const bool by_default = !verdict.tier && verdict.passed.empty();
  if (said == Enforcement::strict && !ns->second.audit && verdict.reasons.contains(oracle::Reason::strict)) {
    cases_["denied by a strict namespace"] += 1;
  }
  if (said == Enforcement::standard && world.strict && by_default && verdict.allow) {
    cases_["open by a standard namespace"] += 1;
  }
  if (ns->second.audit) cases_["a namespace in audit"] += 1;
  if (verdict.would_deny) cases_[ns->second.audit ? "would deny, by a namespace" : "would deny, by a policy"] += 1;
}

void TiersDistribution::print() const {
  std::cout << verdicts() << " verdicts: " << allowed_ << " allow, " << denied_ << " deny\n"
            << "                             asked  decided\n";
  for (const auto& [name, reach] : rows_) {
    std::cout << "  " << std::left << std::setw(22) << name << std::right << std::setw(9) << reach.asked
              << std::setw(9) << reach.decided << "\n";
  }
  for (const auto& [name, count] : cases_) std::cout << "  " << name << ": " << count << "\n";
}

std::string TiersDistribution::too_rare(double share) const {
  std::ostringstream out;
  const auto least = [&](const std::string& name, std::uint64_t count, double minimum) {
    if (static_cast<double>(count) >= std::round(minimum)) return;
    out << name << ": " << count << ", at least " << std::round(minimum) << " expected\n";
  };
  least("allowed", allowed_, 0.3 * static_cast<double>(verdicts()));
  least("denied", denied_, 0.3 * static_cast<double>(verdicts()));
  for (const auto& name : kRows) {
    const auto found = rows_.find(name);
    const Reach reach = found == rows_.end() ? Reach{} : found->second;
    least(name, reach.asked, 1000 * share);
    if (!kNeverDecide.contains(name)) least(name + ", decided", reach.decided, 150 * share);
  }
  for (const auto* name : {"reason rule", "reason not-isolated", "reason self", "reason own-node", "reason isolated",
                           "reason denied", "reason strict", "reason protocol", "reason backends-differ",
                           "reason no-backend", "denied by a strict namespace", "open by a standard namespace",
                           "a namespace in audit", "would deny, by a namespace", "would deny, by a policy"}) {
    const auto found = cases_.find(name);
    least(name, found == cases_.end() ? 0 : found->second, 100 * share);
  }
  return out.str();
}

}  // namespace postern::property
