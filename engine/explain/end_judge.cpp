// SPDX-License-Identifier: Apache-2.0
#include "engine/explain/end_judge.h"

#include <algorithm>
#include <utility>

#include "engine/explain/cluster_tier.h"
#include "engine/explain/policy_view.h"
#include "engine/policy/sort_unique.h"

namespace postern::explain_detail {

std::vector<IpAddress> node_addresses(const ClusterSnapshot& cluster, const std::string& name) {
  std::vector<IpAddress> addresses;
  const auto found = cluster.nodes.find(name);
  if (found == cluster.nodes.end()) return addresses;
  for (const auto& entry : found->second.addresses) addresses.push_back(entry.address);
  return addresses;
}

namespace {

// Letters that a label may differ by and still be taken for the same word.
constexpr std::uint32_t kSlipOfThePen = 2;

// What keeps the policy from having a say at this end at all.
Gap subject_gap(const PolicyView& view, const Pod& subject, Direction direction) {
  Gap gap;
  if (!view.selected && view.selector != nullptr) {
    gap = selector_gap({*view.selector, subject.labels, MissingKind::subject_label,
                        "the policy selects by podSelector and", subject.key.to_string()});
  } else if (!view.selected) {
    gap.add(MissingKind::subject_label,
            "no PolicyEndpoint of the policy lists " + subject.key.to_string() + " with its address", 1, 16);
  }
  // That a policy means other pods is mostly no mistake, unless the labels differ by a letter.
  if (gap.distance > kSlipOfThePen) gap.cost += 1;
  if (!view.has_type) {
    const std::string field = view.selector != nullptr ? "policyTypes leave" : "podIsolation leaves";
    gap.add(MissingKind::policy_type,
            "the policy's " + field + " out " + (direction == Direction::ingress ? "Ingress" : "Egress") +
                ", so its " + to_string(direction) + " rules say nothing",
            1, 0);
  }
  return gap;
}

class EndJudge {
 public:
  EndJudge(const Traffic& traffic, Direction direction, bool by_cluster_ip)
      : traffic_(traffic),
        direction_(direction),
        by_cluster_ip_(by_cluster_ip),
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
    end_.policed = !end_.isolating.empty() || strict() ||
                   (!by_cluster_ip_ && has_cluster_rules(traffic_, *subject_.pod, direction_));
    if (end_.allowed) end_.near_misses.clear();
    else rank();
    return std::move(end_);
  }

 private:
  void read_policies() {
    const auto views = views_of(traffic_, *subject_.pod, direction_);
    for (const auto& view : views.policies) {
      if (view.counts()) end_.isolating.push_back(view.key);
      if (view.names_cluster_ips || !by_cluster_ip_) read_rules(view);
    }
    // NetworkPolicies, PolicyEndpoints and the parts of one policy may have one name.
    sort_unique(end_.isolating);
    sort_unique(end_.allowing);
  }

  void read_rules(const PolicyView& view) {
    const Gap subject = subject_gap(view, *subject_.pod, direction_);
    // The pod whose port names count is the one at the server's end, whichever end this is.
    const Seen& target = traffic_.to;
    Seen peer = peer_;
    peer.cluster_ip = peer_.cluster_ip && !view.names_cluster_ips;
    for (const auto& [number, rule] : view.rules) {
      Gap gap = peers_gap(*rule, view.key.ns, peer, traffic_.cluster);
      gap.add(ports_gap(*rule, traffic_.asked, target));
      // A policy that has no say here comes near only with a rule that would allow as it stands.
      if (!view.counts() && !gap.missing.empty()) continue;
      gap.add(subject);
      const RuleRef ref{view.key, number};
      if (gap.missing.empty()) end_.allowing.push_back(ref);
      else end_.near_misses.push_back({ref, std::move(gap.missing), gap.cost, gap.distance});
    }
  }

  void decide() {
    const auto own_node = node_addresses(traffic_.cluster, subject_.pod->node_name);
    if (subject_.address == peer_.address) {
      end_.note = "a pod always reaches itself";
      return set(true, PN_REASON_SELF);
    }
    const bool to_own_node = std::find(own_node.begin(), own_node.end(), peer_.address) != own_node.end();
    if (to_own_node && direction_ == Direction::ingress) return set_own_node();
    if (ask_tier(Tier::admin)) return;
    if (!end_.isolating.empty() && !to_own_node) {
      return end_.allowing.empty() ? set(false, PN_REASON_ISOLATED) : set(true, PN_REASON_RULE);
    }
    if (ask_tier(Tier::baseline)) return;
    if (to_own_node) return set_own_node();
    return strict() ? set(false, PN_REASON_STRICT) : set(true, PN_REASON_NOT_ISOLATED);
  }

  void set_own_node() {
    end_.note = peer_.who + " is the node " + subject_.who +
                " runs on: NetworkPolicies cannot cut a pod from its own node";
    set(true, PN_REASON_OWN_NODE);
  }

  // Whether the tier decides. Rules of the NetworkPolicy tier have had no say then.
  bool ask_tier(Tier tier) {
    if (by_cluster_ip_) return false;
    TierAnswer answer = ask_cluster_tier(traffic_, direction_, tier);
    if (!answer.said) return false;
    if (answer.said->action == Action::pass) {
      end_.passed.push_back(std::move(*answer.said));
      return false;
    }
    const bool admin = tier == Tier::admin;
    end_.allowing.clear();
    end_.near_misses.clear();
    if (answer.said->action == Action::accept) {
      end_.allowing.push_back(answer.said->rule);
      set(true, admin ? PN_REASON_RULE_ADMIN : PN_REASON_RULE_BASELINE);
    } else {
      end_.near_misses = std::move(answer.near_misses);
      set(false, admin ? PN_REASON_DENIED_ADMIN : PN_REASON_DENIED_BASELINE);
    }
    end_.decided_by = std::move(answer.said);
    return true;
  }

  [[nodiscard]] bool strict() const {
    const auto modes = modes_of(traffic_.cluster, subject_.pod->key.ns, traffic_.strict);
    return modes.strict[index_of(direction_)] && (traffic_.with_audit || !modes.audit);
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
  bool by_cluster_ip_;
  const Seen& subject_;
  const Seen& peer_;
  EndExplanation end_;
};

}  // namespace

EndExplanation judge_end(const Traffic& traffic, Direction direction) {
  return EndJudge(traffic, direction, false).run();
}

EndExplanation judge_cluster_ip(const Traffic& traffic) {
  return EndJudge(traffic, Direction::egress, true).run();
}

}  // namespace postern::explain_detail
