// SPDX-License-Identifier: Apache-2.0
#include "engine/explain/end_judge.h"

#include <algorithm>
#include <utility>

namespace postern::explain_detail {

std::vector<IpAddress> node_addresses(const ClusterSnapshot& cluster, const std::string& name) {
  std::vector<IpAddress> addresses;
  const auto found = cluster.nodes.find(name);
  if (found == cluster.nodes.end()) return addresses;
  for (const auto& entry : found->second.addresses) addresses.push_back(entry.address);
  return addresses;
}

namespace {

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
    gap = selector_gap({view.policy.pod_selector, subject.labels, MissingKind::subject_label,
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
      Gap gap = peers_gap(rules[i], view.policy.key.ns, peer_, traffic_.cluster);
      gap.add(ports_gap(rules[i], traffic_.asked, target));
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

}  // namespace

EndExplanation judge_end(const Traffic& traffic, Direction direction) {
  return EndJudge(traffic, direction).run();
}

}  // namespace postern::explain_detail
