// SPDX-License-Identifier: Apache-2.0
#include "sim/runner/why.h"

#include <string_view>

#include "engine/explain/explain.h"

namespace postern::sim {

namespace {

TrafficEnd traffic_end(const Party& party) {
  TrafficEnd end;
  end.address = party.address;
  switch (party.kind) {
    case Party::Kind::pod:
      end.kind = TrafficEnd::Kind::pod;
      end.pod = party.pod;
      break;
    case Party::Kind::node:
      end.kind = TrafficEnd::Kind::node;
      end.node = party.node;
      break;
    case Party::Kind::outside:
    case Party::Kind::service: end.kind = TrafficEnd::Kind::address; break;
  }
  return end;
}

std::string describe_drop(const Cluster& cluster, const ProbeOutcome& outcome) {
  if (!outcome.drop) return "no answer came, and no end reported a drop";
  const NamedVerdict named = name_verdict(cluster, *outcome.drop);
  std::string text = std::string(outcome.dropped_reply ? "the answer was dropped at " : "dropped at ") +
                     (outcome.drop->direction == PN_INGRESS ? "ingress of " : "egress of ") +
                     outcome.drop->pod.to_string() + ", reason " + named.reason;
  if (named.rule) text += ", by " + to_string(*named.rule);
  if (!named.isolating.empty()) {
    text += ", isolated by";
    const char* separator = " ";
    for (const PolicyRef& policy : named.isolating) {
      text += separator + policy.key.to_string();
      separator = ", ";
    }
  }
  return text;
}

// Whether the drop is the very denial that the policies explain: then it has nothing to add.
bool is_explained(const ProbeOutcome& outcome, const Explanation& explanation) {
  if (!outcome.drop || outcome.dropped_reply) return false;
  const EndExplanation& end = explanation.egress.allowed ? explanation.ingress : explanation.egress;
  const auto direction = outcome.drop->direction == PN_INGRESS ? Direction::ingress : Direction::egress;
  return !end.allowed && end.direction == direction && end.reason == pn_step_reason(outcome.drop->step);
}

// The nearest miss stands on a line of its own: it is what one looks for.
void add_lines(std::vector<std::string>& lines, const std::string& text) {
  constexpr std::string_view kNearest = "; nearest: ";
  std::size_t start = 0;
  for (auto found = text.find(kNearest); found != std::string::npos; found = text.find(kNearest, start)) {
    lines.push_back(text.substr(start, found - start));
    start = found + 2;
  }
  lines.push_back(text.substr(start));
}

}  // namespace

NamedVerdict name_verdict(const Cluster& cluster, const EndVerdict& verdict) {
  NamedVerdict named;
  if (verdict.step == 0) {
    named.reason = reason_name(PN_REASON_NOT_ISOLATED);
    return named;
  }
  named.allow = pn_step_allows(verdict.step) != 0;
  named.reason = reason_name(pn_step_reason(verdict.step));
  const NodeEnforcer* enforcer = cluster.enforcer(verdict.node);
  if (enforcer == nullptr) return named;
  if (const RuleOrigin* origin = enforcer->rules().find(RuleId{pn_step_rule(verdict.step)}))
    named.rule = *origin;
  if (named.allow || pn_step_reason(verdict.step) != PN_REASON_ISOLATED) return named;
  for (const EndpointPolicy& endpoint : enforcer->policy().endpoints) {
    if (endpoint.pod != verdict.pod) continue;
    const auto direction = verdict.direction == PN_INGRESS ? Direction::ingress : Direction::egress;
    named.isolating = endpoint.at(direction).isolating;
  }
  return named;
}

std::string to_string(const RuleOrigin& origin) {
  const std::string policy =
      origin.policy.key.ns.empty() ? origin.policy.key.name : origin.policy.key.to_string();
  return policy + ' ' + to_string(origin.direction) + " rule " + std::to_string(origin.index + 1);
}

std::vector<std::string> why(const Cluster& cluster, const ClusterSnapshot& objects, bool strict,
                             const WrongCell& wrong) {
  std::vector<std::string> lines;
  ExplainQuery query;
  query.from = traffic_end(wrong.cell.from);
  query.to = traffic_end(wrong.cell.to);
  query.protocol = static_cast<std::uint8_t>(ip_protocol(wrong.key.protocol));
  query.port = wrong.key.port;
  query.strict = strict;
  const auto explanation = explain(objects, query);
  if (!wrong.outcome.allowed && !(explanation && is_explained(wrong.outcome, *explanation))) {
    lines.push_back(describe_drop(cluster, wrong.outcome));
  }
  if (!explanation) {
    lines.push_back("no explanation: " + explanation.error().message);
    return lines;
  }
  if (explanation->allowed != wrong.outcome.allowed) {
    lines.push_back(std::string("the policies themselves say ") + (explanation->allowed ? "allow" : "deny") +
                    ": " + why_line(*explanation));
    lines.push_back(
        "the datapath disagrees with the policies: this is a defect of Postern, please report it");
    return lines;
  }
  add_lines(lines, why_line(*explanation));
  return lines;
}

}  // namespace postern::sim
