// SPDX-License-Identifier: Apache-2.0
// An explanation in plain words, for somebody who has to mend it tonight.
#include <algorithm>

#include "engine/explain/explain.h"
#include "engine/model/cluster_policy_id.h"

namespace postern {

namespace {

constexpr std::size_t kShownMisses = 3;
constexpr std::size_t kShownNames = 6;

std::string rule_text(const RuleRef& rule) {
  const std::string policy =
      rule.policy.ns.empty() ? cluster_policy_title(rule.policy.name) : rule.policy.to_string();
  return policy + " rule " + std::to_string(rule.rule);
}

// "ClusterNetworkPolicy guard rule 2 \"no ssh\" (Admin tier, priority 10)"
std::string cluster_text(const ClusterVerdict& said) {
  std::string text = rule_text(said.rule);
  if (!said.rule_name.empty()) text += " \"" + said.rule_name + "\"";
  text += std::string(" (") + (said.tier == Tier::admin ? "Admin" : "Baseline") + " tier";
  if (said.priority != kNoPriority) text += ", priority " + std::to_string(said.priority);
  if (said.failed_closed) text += ", which has a peer of an unknown kind and so denies every peer";
  return text + ")";
}

std::string passed_text(const EndExplanation& end, const char* before, const char* after) {
  std::string text;
  for (const auto& said : end.passed) text += before + std::string("passed on by ") + cluster_text(said) + after;
  return text;
}

template <typename T, typename Text>
std::string list_of(const std::vector<T>& items, const Text& text_of) {
  std::string text;
  for (std::size_t i = 0; i < items.size() && i < kShownNames; ++i)
    text += (i == 0 ? "" : ", ") + text_of(items[i]);
  if (items.size() > kShownNames) text += " and " + std::to_string(items.size() - kShownNames) + " more";
  return text;
}

std::string policies(const std::vector<NamespacedName>& names) {
  return list_of(names, [](const NamespacedName& name) { return name.to_string(); });
}

std::string rules(const std::vector<RuleRef>& refs) {
  return list_of(refs, rule_text);
}

std::string missing_text(const NearMiss& miss) {
  std::string text;
  for (const auto& missing : miss.missing) text += (text.empty() ? "" : "; and ") + missing.text;
  return text;
}

std::string head(const EndExplanation& end) {
  return end.direction == Direction::egress ? "Leaving " + end.who + " (egress): "
                                            : "Arriving at " + end.who + " (ingress): ";
}

// What no list of policies and rules says better than a sentence.
bool says_itself(const EndExplanation& end) {
  return end.reason == PN_REASON_BACKENDS_DIFFER || end.reason == PN_REASON_NO_BACKEND;
}

std::string denied_text(const EndExplanation& end) {
  if (says_itself(end)) return "denied: " + end.note + ".\n";
  if (end.reason == PN_REASON_STRICT) {
    return "denied: no policy selects it for " + std::string(to_string(end.direction)) +
           ", and strict enforcement denies by default.\n";
  }
  std::string text = end.decided_by
                         ? "denied by " + cluster_text(*end.decided_by) + ".\n"
                         : "denied.\n  isolated by " + policies(end.isolating) + "; no rule allows this\n";
  for (std::size_t i = 0; i < end.near_misses.size() && i < kShownMisses; ++i) {
    const auto& miss = end.near_misses[i];
    // A rule that lacks much more than the nearest one is no help to anybody.
    if (miss.cost > end.near_misses.front().cost + 1) break;
    text +=
        (i == 0 ? "  nearest:  " : "  then:     ") + rule_text(miss.rule) + ": " + missing_text(miss) + "\n";
  }
  if (end.near_misses.empty() && !end.decided_by)
    text += "  no " + std::string(to_string(end.direction)) + " rule of its namespace comes near\n";
  return text;
}

std::string allowed_text(const EndExplanation& end) {
  if (end.would_deny) {
    std::string text = "allowed, but if what is in audit were enforced: " + denied_text(*end.would_deny);
    return text + passed_text(*end.would_deny, "  ", "\n");
  }
  if (end.decided_by) return "allowed by " + cluster_text(*end.decided_by) + ".\n";
  if (end.reason == PN_REASON_NOT_ISOLATED) {
    return "allowed: no policy isolates it for " + std::string(to_string(end.direction)) + ".\n";
  }
  if (end.reason == PN_REASON_RULE) {
    return "allowed by " + rules(end.allowing) + ".\n  isolated by " + policies(end.isolating) + "\n";
  }
  return "allowed: " + end.note + ".\n";
}

std::string end_text(const EndExplanation& end) {
  if (!end.judged) return head(end) + "not judged: " + end.note + ".\n";
  if (end.would_deny) return head(end) + allowed_text(end);
  return head(end) + (end.allowed ? allowed_text(end) : denied_text(end)) + passed_text(end, "  ", "\n");
}

// One backend after the other: each has its own rules at both ends.
std::string backends_text(const Explanation& explanation) {
  const auto& egress = explanation.egress;
  std::string text;
  if (!egress.judged || egress.reason == PN_REASON_NOT_ISOLATED || says_itself(egress) || egress.would_deny) {
    text = end_text(egress);
  } else {
    text = head(egress) + (egress.allowed ? "every backend is allowed.\n" : "denied, as every backend is.\n");
  }
  for (const auto& backend : explanation.backends) {
    const bool reached = backend.egress.allowed && backend.ingress.allowed;
    const bool would = backend.egress.would_deny || backend.ingress.would_deny;
    text += "Backend " + backend.who + ": " +
            (!reached ? "denied" : would ? "allowed, would be denied" : "allowed") + "\n";
    text += "  " + why_line(backend.egress) + "\n  " + why_line(backend.ingress) + "\n";
  }
  return text;
}

}  // namespace

std::string to_text(const Explanation& explanation) {
  std::string text = explanation.traffic + ": ";
  if (!explanation.no_endpoint.empty()) return text + "NO CONNECTION\n" + explanation.no_endpoint + "\n";
  text += !explanation.allowed ? "DENIED\n" : explanation.would_deny ? "ALLOWED, would be denied\n" : "ALLOWED\n";
  if (explanation.backends.empty()) text += end_text(explanation.egress) + end_text(explanation.ingress);
  else text += backends_text(explanation);
  for (const auto& hint : explanation.hints) text += "Hint: " + hint + ".\n";
  return text;
}

std::string why_line(const EndExplanation& end) {
  const std::string place = std::string(to_string(end.direction)) + " of " + end.who;
  if (!end.judged) return "nothing judged at " + place + ": " + end.note;
  if (end.would_deny) return "allowed at " + place + ", but in audit: " + why_line(*end.would_deny);
  if (end.allowed) {
    if (end.decided_by) return "allowed at " + place + " by " + cluster_text(*end.decided_by);
    if (end.reason == PN_REASON_RULE) return "allowed at " + place + " by " + rules(end.allowing);
    if (end.reason == PN_REASON_NOT_ISOLATED) return "allowed at " + place + ", which no policy isolates";
    return "allowed at " + place + ": " + end.note;
  }
  if (end.reason == PN_REASON_STRICT)
    return "denied at " + place + " by strict enforcement, no policy selects it";
  if (says_itself(end)) return "denied at " + place + ": " + end.note;
  std::string text = "denied at " + place + (end.decided_by ? " by " + cluster_text(*end.decided_by)
                                                            : ", isolated by " + policies(end.isolating));
  if (end.near_misses.empty() && end.decided_by) return text;
  if (end.near_misses.empty()) return text + "; no rule of its namespace comes near";
  const auto& nearest = end.near_misses.front();
  return text + "; nearest: " + rule_text(nearest.rule) + ": " + missing_text(nearest);
}

std::string why_line(const Explanation& explanation) {
  if (!explanation.no_endpoint.empty()) return explanation.no_endpoint;
  if (explanation.egress.reason == PN_REASON_BACKENDS_DIFFER) {
    const auto& backends = explanation.backends;
    const auto denied = std::find_if(backends.begin(), backends.end(),
                                     [](const auto& backend) { return !backend.egress.allowed; });
    return why_line(explanation.egress) + "; " + why_line(denied->egress);
  }
  if (!explanation.egress.allowed && !explanation.ingress.allowed) {
    return why_line(explanation.egress) + "; also " + why_line(explanation.ingress);
  }
  if (!explanation.egress.allowed) return why_line(explanation.egress);
  if (!explanation.ingress.allowed) return why_line(explanation.ingress);
  return why_line(explanation.egress) + "; " + why_line(explanation.ingress);
}

std::string_view reason_name(std::uint32_t reason) {
  switch (static_cast<pn_reason>(reason)) {
    case PN_REASON_NONE: return "none";
    case PN_REASON_NOT_ISOLATED: return "not-isolated";
    case PN_REASON_RULE_ADMIN:
    case PN_REASON_RULE:
    case PN_REASON_RULE_BASELINE: return "rule";
    case PN_REASON_ESTABLISHED: return "established";
    case PN_REASON_RELATED: return "related";
    case PN_REASON_SELF: return "self";
    case PN_REASON_OWN_NODE: return "own-node";
    case PN_REASON_ALWAYS: return "always";
    case PN_REASON_GRACE: return "grace";
    case PN_REASON_WOULD_DENY: return "would-deny";
    case PN_REASON_ISOLATED: return "isolated";
    case PN_REASON_DENIED_ADMIN:
    case PN_REASON_DENIED_BASELINE: return "denied";
    case PN_REASON_STRICT: return "strict";
    case PN_REASON_BACKENDS_DIFFER: return "backends-differ";
    case PN_REASON_NO_BACKEND: return "no-backend";
    case PN_REASON_SPOOFED_SOURCE: return "spoofed-source";
    case PN_REASON_FRAGMENT: return "fragment";
    case PN_REASON_MALFORMED: return "malformed";
    case PN_REASON_PROTOCOL: return "protocol";
    case PN_REASON_ETHERTYPE: return "ethertype";
    case PN_REASON_COUNT: break;
  }
  return "unknown";
}

pn_tier tier_of_reason(std::uint32_t reason) {
  switch (static_cast<pn_reason>(reason)) {
    case PN_REASON_RULE_ADMIN:
    case PN_REASON_DENIED_ADMIN: return PN_TIER_ADMIN;
    case PN_REASON_RULE:
    case PN_REASON_GRACE:
    case PN_REASON_ISOLATED:
    case PN_REASON_BACKENDS_DIFFER:
    case PN_REASON_NO_BACKEND:
    case PN_REASON_PROTOCOL: return PN_TIER_NETWORK_POLICY;
    case PN_REASON_RULE_BASELINE:
    case PN_REASON_DENIED_BASELINE: return PN_TIER_BASELINE;
    case PN_REASON_NOT_ISOLATED:
    case PN_REASON_ESTABLISHED:
    case PN_REASON_RELATED:
    case PN_REASON_SELF:
    case PN_REASON_OWN_NODE:
    case PN_REASON_ALWAYS:
    case PN_REASON_WOULD_DENY:
    case PN_REASON_STRICT: return PN_TIER_DEFAULT;
    case PN_REASON_NONE:
    case PN_REASON_SPOOFED_SOURCE:
    case PN_REASON_FRAGMENT:
    case PN_REASON_MALFORMED:
    case PN_REASON_ETHERTYPE:
    case PN_REASON_COUNT: break;
  }
  return PN_TIER_ERROR;
}

std::string_view tier_name(pn_tier tier) {
  switch (tier) {
    case PN_TIER_ERROR: return "ERROR";
    case PN_TIER_ADMIN: return "ADMIN";
    case PN_TIER_NETWORK_POLICY: return "NETWORK_POLICY";
    case PN_TIER_BASELINE: return "BASELINE";
    case PN_TIER_DEFAULT: return "DEFAULT";
  }
  return "ERROR";
}

}  // namespace postern
