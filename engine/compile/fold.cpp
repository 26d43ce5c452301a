// SPDX-License-Identifier: Apache-2.0
// One sweep over the port boundaries of each protocol. At every port the rules in force there are
// kept in the order in which their tier asks them, so a decision looks only at the first few.
#include "engine/compile/fold.h"

#include <algorithm>
#include <set>
#include <tuple>

namespace postern {

namespace {

// The rules of a cluster-wide tier that are in force at the present port.
class ClusterTier {
 public:
  void add(const ResolvedRule& rule) { active_.insert(entry_of(rule)); }
  void remove(const ResolvedRule& rule) { active_.erase(active_.find(entry_of(rule))); }

  struct Decision {
    Action action = Action::pass;
    std::uint32_t rule = 0;
  };
  // The first match of each policy of the lowest priority; Deny before Accept before Pass (R29).
  // Pass, and no match at all, leave the tier.
  [[nodiscard]] Decision decide() const {
    if (active_.empty()) return {};
    const Entry& first = *active_.begin();
    const Entry* best = &first;
    std::uint32_t policy = first.policy;
    for (auto it = std::next(active_.begin()); it != active_.end() && it->priority == first.priority; ++it) {
      if (it->policy == policy) continue;
      policy = it->policy;
      if (it->action < best->action) best = &*it;
    }
    return {best->action, best->id};
  }

 private:
  struct Entry {
    std::uint32_t priority;
    std::uint32_t policy;
    std::uint32_t order;
    std::uint32_t id;
    Action action;
    friend auto operator<=>(const Entry&, const Entry&) = default;
  };
  static Entry entry_of(const ResolvedRule& rule) {
    return {rule.priority, rule.policy, rule.order, rule.id.value, rule.action};
  }
  std::multiset<Entry> active_;
};

class Decider {
 public:
  Decider(const Content& content, bool own_node) : content_(content), own_node_(own_node) {}

  void add(const ResolvedRule& rule) {
    switch (rule.tier) {
      case Tier::admin:
        admin_.add(rule);
        return;
      case Tier::network_policy:
        allowed_.insert(rule.id.value);
        return;
      case Tier::baseline:
        baseline_.add(rule);
        return;
    }
  }

  void remove(const ResolvedRule& rule) {
    switch (rule.tier) {
      case Tier::admin:
        admin_.remove(rule);
        return;
      case Tier::network_policy:
        allowed_.erase(allowed_.find(rule.id.value));
        return;
      case Tier::baseline:
        baseline_.remove(rule);
        return;
    }
  }

  [[nodiscard]] std::uint32_t decide() const {
    if (own_node_ && content_.direction == Direction::ingress) return pn_step_allow(PN_REASON_OWN_NODE, 0);
    const auto admin = admin_.decide();
    if (admin.action == Action::deny) return pn_step_deny(PN_REASON_DENIED_ADMIN, admin.rule);
    if (admin.action == Action::accept) return pn_step_allow(PN_REASON_RULE_ADMIN, admin.rule);
    // Egress to the own node cannot be denied by a NetworkPolicy (R2).
    if (content_.isolated && !own_node_) {
      return allowed_.empty() ? pn_step_deny(PN_REASON_ISOLATED, 0)
                              : pn_step_allow(PN_REASON_RULE, *allowed_.begin());
    }
    const auto baseline = baseline_.decide();
    if (baseline.action == Action::deny) return pn_step_deny(PN_REASON_DENIED_BASELINE, baseline.rule);
    if (baseline.action == Action::accept) return pn_step_allow(PN_REASON_RULE_BASELINE, baseline.rule);
    if (own_node_) return pn_step_allow(PN_REASON_OWN_NODE, 0);
    return content_.strict ? pn_step_deny(PN_REASON_STRICT, 0) : pn_step_allow(PN_REASON_NOT_ISOLATED, 0);
  }

 private:
  const Content& content_;
  bool own_node_;
  ClusterTier admin_;
  std::multiset<std::uint32_t> allowed_;  // the lowest number names an allow
  ClusterTier baseline_;
};

struct Event {
  std::uint32_t port;
  std::uint32_t rule;
  bool begins;
};

// The ports of one rule and protocol as ranges that neither overlap nor touch, as events.
void add_events(const ResolvedRule& rule, std::uint32_t place, Protocol protocol,
                std::vector<Event>& events) {
  std::uint32_t lo = 0;
  std::uint32_t end = 0;  // one past the last port; 0 = no range yet
  const auto flush = [&] {
    if (end == 0) return;
    events.push_back({lo, place, true});
    if (end <= 65535) events.push_back({end, place, false});
  };
  for (const auto& match : rule.ports) {  // sorted by protocol, then range
    if (match.protocol != protocol) continue;
    const std::uint32_t match_end = std::uint32_t{match.range.hi} + 1;
    if (end != 0 && match.range.lo <= end) {
      end = std::max(end, match_end);
      continue;
    }
    flush();
    lo = match.range.lo;
    end = match_end;
  }
  flush();
}

std::vector<PortStep> sweep(const Content& content, std::span<const std::uint32_t> rules, Protocol protocol,
                            Decider decider) {
  std::vector<Event> events;
  for (const std::uint32_t place : rules) {
    const ResolvedRule& rule = content.rules[place];
    if (!rule.any_port) add_events(rule, place, protocol, events);
  }
  std::sort(events.begin(), events.end(), [](const Event& a, const Event& b) {
    return std::tie(a.port, a.rule, a.begins) < std::tie(b.port, b.rule, b.begins);
  });
  std::vector<PortStep> steps;
  if (events.empty() || events.front().port != 0) steps.push_back({0, decider.decide()});
  for (std::size_t i = 0; i < events.size();) {
    const std::uint32_t port = events[i].port;
    for (; i < events.size() && events[i].port == port; ++i) {
      const ResolvedRule& rule = content.rules[events[i].rule];
      if (events[i].begins) {
        decider.add(rule);
      } else {
        decider.remove(rule);
      }
    }
    const std::uint32_t step = decider.decide();
    if (steps.empty() || steps.back().step != step) steps.push_back({static_cast<std::uint16_t>(port), step});
  }
  return steps;
}

}  // namespace

Folded fold(const Content& content, std::span<const std::uint32_t> rules, bool own_node) {
  Decider decider(content, own_node);
  for (const std::uint32_t place : rules) {
    if (content.rules[place].any_port) decider.add(content.rules[place]);
  }
  Folded folded;
  folded.other = decider.decide();
  for (std::size_t i = 0; i < kPortProtocols.size(); ++i) {
    folded.ports[i] = sweep(content, rules, kPortProtocols[i], decider);
  }
  return folded;
}

namespace {

std::uint32_t with_audit(std::uint32_t enforced, std::uint32_t if_enforced) {
  const bool differ = pn_step_allows(enforced) && !pn_step_allows(if_enforced);
  return differ ? pn_step_would_deny(if_enforced) : enforced;
}

std::vector<PortStep> with_audit(const std::vector<PortStep>& enforced, const std::vector<PortStep>& if_enforced) {
  std::vector<PortStep> out;
  std::size_t a = 0;
  std::size_t b = 0;
  std::uint32_t port = 0;
  while (port <= 65535) {
    const std::uint32_t step = with_audit(enforced[a].step, if_enforced[b].step);
    if (out.empty() || out.back().step != step) out.push_back({static_cast<std::uint16_t>(port), step});
    const std::uint32_t next_a = a + 1 < enforced.size() ? enforced[a + 1].lo : 65536;
    const std::uint32_t next_b = b + 1 < if_enforced.size() ? if_enforced[b + 1].lo : 65536;
    port = std::min(next_a, next_b);
    if (next_a == port) ++a;
    if (next_b == port) ++b;
  }
  return out;
}

// The entry in force at a port.
std::vector<PortStep>::const_iterator entry_at(const std::vector<PortStep>& ports, std::uint16_t port) {
  return std::prev(std::upper_bound(ports.begin(), ports.end(), port,
                                    [](std::uint16_t at, const PortStep& entry) { return at < entry.lo; }));
}

// Makes an entry start at a port.
void cut_at(std::vector<PortStep>& ports, std::uint16_t port) {
  const auto entry = entry_at(ports, port);
  if (entry->lo != port) ports.insert(std::next(entry), PortStep{port, entry->step});
}

}  // namespace

Folded everywhere(std::uint32_t step) {
  Folded out;
  out.other = step;
  for (auto& ports : out.ports) ports = {{0, step}};
  return out;
}

Folded with_audit(const Folded& enforced, const Folded& if_enforced) {
  Folded out;
  out.other = with_audit(enforced.other, if_enforced.other);
  for (std::size_t i = 0; i < out.ports.size(); ++i) {
    out.ports[i] = with_audit(enforced.ports[i], if_enforced.ports[i]);
  }
  return out;
}

std::uint32_t step_at(const std::vector<PortStep>& ports, std::uint16_t port) {
  return entry_at(ports, port)->step;
}

void set_port(std::vector<PortStep>& ports, std::uint16_t port, std::uint32_t step) {
  cut_at(ports, port);
  if (port != 65535) cut_at(ports, static_cast<std::uint16_t>(port + 1));
  ports[static_cast<std::size_t>(entry_at(ports, port) - ports.begin())].step = step;
  const auto same = [](const PortStep& a, const PortStep& b) { return a.step == b.step; };
  ports.erase(std::unique(ports.begin(), ports.end(), same), ports.end());
}

}  // namespace postern
