// SPDX-License-Identifier: Apache-2.0
#include "test/property_oracle/distribution.h"

#include <array>
#include <iomanip>
#include <iostream>
#include <sstream>

namespace postern::property {

namespace {

constexpr std::array<const char*, static_cast<std::size_t>(Feature::count)> kNames{"matchLabels",
                                                                                   "In",
                                                                                   "NotIn",
                                                                                   "Exists",
                                                                                   "DoesNotExist",
                                                                                   "no peers",
                                                                                   "podSelector",
                                                                                   "namespaceSelector",
                                                                                   "both selectors",
                                                                                   "ipBlock",
                                                                                   "ipBlock with except",
                                                                                   "no ports",
                                                                                   "port number",
                                                                                   "port range",
                                                                                   "port name",
                                                                                   "protocol only"};

void set(Features& features, Feature feature) { features.set(static_cast<std::size_t>(feature)); }

Features of(const LabelSelector& selector) {
  Features features;
  if (!selector.match_labels.empty()) set(features, Feature::match_labels);
  for (const auto& requirement : selector.match_expressions) {
    switch (requirement.op) {
      case SelectorOperator::in: set(features, Feature::in); break;
      case SelectorOperator::not_in: set(features, Feature::not_in); break;
      case SelectorOperator::exists: set(features, Feature::exists); break;
      case SelectorOperator::does_not_exist: set(features, Feature::does_not_exist); break;
    }
  }
  return features;
}

Features of(const PolicyPeer& peer) {
  Features features;
  if (const auto* block = std::get_if<IpBlock>(&peer)) {
    set(features, block->excepts.empty() ? Feature::peer_block : Feature::peer_block_with_except);
    return features;
  }
  const auto& pods = std::get<PodPeer>(peer);
  if (pods.pods && pods.namespaces)
    set(features, Feature::peer_both);
  else
    set(features, pods.pods ? Feature::peer_pods : Feature::peer_namespaces);
  if (pods.pods) features |= of(*pods.pods);
  if (pods.namespaces) features |= of(*pods.namespaces);
  return features;
}

Feature of(const PolicyPort& port) {
  if (!port.port) return Feature::port_protocol_only;
  const auto* range = std::get_if<PortRange>(&*port.port);
  if (range == nullptr) return Feature::port_name;
  return range->lo == range->hi ? Feature::port_number : Feature::port_range;
}

Features of(const PolicyRule& rule) {
  Features features;
  if (rule.peers.empty()) set(features, Feature::peer_none);
  if (rule.ports.empty()) set(features, Feature::port_none);
  for (const auto& peer : rule.peers) features |= of(peer);
  for (const auto& port : rule.ports) set(features, of(port));
  return features;
}

}  // namespace

void Distribution::look_at(const World& world) {
  ++worlds_;
  rules_.clear();
  selectors_.clear();
  for (const auto& [key, policy] : world.objects.network_policies) {
    selectors_[key] = of(policy.pod_selector);
    for (std::size_t i = 0; i < policy.ingress.size(); ++i) {
      rules_[{key, oracle::Direction::ingress, i}] = of(policy.ingress[i]);
    }
    for (std::size_t i = 0; i < policy.egress.size(); ++i) {
      rules_[{key, oracle::Direction::egress, i}] = of(policy.egress[i]);
    }
  }
}

void Distribution::count(const oracle::Question& question, const oracle::Verdict& verdict) {
  (verdict.allow ? allowed_ : denied_) += 1;
  for (const auto reason : verdict.reasons) reasons_[oracle::to_string(reason)] += 1;
  const auto kind = [&](const std::string& name) {
    kinds_[name].asked += 1;
    if (verdict.allow) kinds_[name].admitted += 1;
  };
  kind(question.protocol == kGre ? "another protocol" : std::string(to_string(question.protocol)));
  kind(question.peer.is_v4() ? "IPv4" : "IPv6");
  kind(question.direction == oracle::Direction::ingress ? "ingress" : "egress");
  Features asked;
  Features admitted;
  for (const auto& policy : verdict.isolating) {
    asked |= selectors_.at(policy);
    for (auto rule = rules_.lower_bound({policy, question.direction, 0});
         rule != rules_.end() && rule->first.policy == policy && rule->first.direction == question.direction;
         ++rule) {
      asked |= rule->second;
    }
  }
  for (const auto& rule : verdict.rules) admitted |= rules_.at(rule);
  for (std::size_t i = 0; i < asked.size(); ++i) {
    if (asked.test(i)) features_[static_cast<Feature>(i)].asked += 1;
    if (admitted.test(i)) features_[static_cast<Feature>(i)].admitted += 1;
  }
}

void Distribution::print() const {
  const auto line = [](const std::string& name, const Reach& reach) {
    std::cout << "  " << std::left << std::setw(22) << name << std::right << std::setw(9) << reach.asked
              << std::setw(9) << reach.admitted << "\n";
  };
  std::cout << worlds_ << " worlds, " << verdicts() << " verdicts: " << allowed_ << " allow, " << denied_
            << " deny\n"
            << "                             asked admitted\n";
  for (const auto& [name, reach] : kinds_) line(name, reach);
  for (const auto& [feature, reach] : features_) line(kNames[static_cast<std::size_t>(feature)], reach);
  std::cout << "  reasons:";
  for (const auto& [name, count] : reasons_) std::cout << " " << name << " " << count;
  std::cout << "\n";
}

std::string Distribution::too_rare(double share) const {
  std::ostringstream out;
  const auto least = [&](const std::string& name, std::uint64_t count, double minimum) {
    if (static_cast<double>(count) < minimum)
      out << name << ": " << count << ", at least " << minimum << " expected\n";
  };
  const auto all = static_cast<double>(verdicts());
  least("allowed", allowed_, 0.3 * all);
  least("denied", denied_, 0.3 * all);
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    const auto found = features_.find(static_cast<Feature>(i));
    const Reach reach = found == features_.end() ? Reach{} : found->second;
    least(kNames[i], reach.asked, 1000 * share);
    least(std::string(kNames[i]) + ", admitted", reach.admitted, 300 * share);
  }
  for (const auto* name :
       {"TCP", "UDP", "SCTP", "ICMP", "ICMPv6", "another protocol", "IPv4", "IPv6", "ingress", "egress"}) {
    const auto found = kinds_.find(name);
    const Reach reach = found == kinds_.end() ? Reach{} : found->second;
    least(name, reach.asked, 500 * share);
    least(std::string(name) + ", admitted", reach.admitted, 200 * share);
    least(std::string(name) + ", denied", reach.asked - reach.admitted, 200 * share);
  }
  const std::vector<std::string> reasons{"rule",     "not-isolated",    "self",
                                         "own-node", "isolated",        "strict",
                                         "protocol", "backends-differ", "no-backend"};
  for (const auto& name : reasons) {
    const auto found = reasons_.find(name);
    least("reason " + name, found == reasons_.end() ? 0 : found->second, 100 * share);
  }
  return out.str();
}

}  // namespace postern::property
