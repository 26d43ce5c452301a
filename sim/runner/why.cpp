// SPDX-License-Identifier: Apache-2.0
#include "sim/runner/why.h"

#include <algorithm>
#include <map>
#include <set>
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
  const VerdictNames names = cluster.names_of(*outcome.drop);
  std::string text = std::string(outcome.dropped_reply ? "the answer was dropped at " : "dropped at ") +
                     (outcome.drop->direction == PN_INGRESS ? "ingress of " : "egress of ") +
                     outcome.drop->pod.to_string() + ", reason " + reason_of(*outcome.drop);
  if (names.rule) text += ", by " + to_string(*names.rule);
  if (!names.isolating.empty()) {
    text += ", isolated by";
    const char* separator = " ";
    for (const PolicyRef& policy : names.isolating) {
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

std::string reason_of(const EndVerdict& verdict) {
  const std::uint32_t reason = verdict.step == 0 ? std::uint32_t{PN_REASON_NOT_ISOLATED} : pn_step_reason(verdict.step);
  return std::string(reason_name(reason));
}

std::string to_string(const RuleOrigin& origin) {
  const std::string policy =
      origin.policy.key.ns.empty() ? origin.policy.key.name : origin.policy.key.to_string();
  return policy + ' ' + to_string(origin.direction) + " rule " + std::to_string(origin.index + 1);
}

namespace {

// What all explanations of a cell share.
struct Context {
  const Cluster& cluster;
  const ClusterSnapshot& objects;
  const EnforcerSettings& settings;
};

// Whether the client's own end stopped it for what stands behind the ClusterIP, not for one backend.
bool stopped_before_a_backend(const ProbeRequest& request, const ProbeOutcome& outcome) {
  if (request.to.kind == Party::Kind::service) return true;
  if (!request.via || !outcome.drop) return false;
  const auto reason = pn_step_reason(outcome.drop->step);
  return reason == PN_REASON_BACKENDS_DIFFER || reason == PN_REASON_NO_BACKEND;
}

// What explain is asked: the one backend of this request, or the ClusterIP as the client sees it.
ExplainQuery query_of(const ProbeRequest& request, const ProbeOutcome& outcome, const EnforcerSettings& settings) {
  ExplainQuery query;
  query.protocol = static_cast<std::uint8_t>(ip_protocol(request.protocol));
  query.strict = settings.strict;
  query.service_ip_blocks = settings.service_ip_blocks;
  query.from = traffic_end(request.from);
  query.to = traffic_end(request.to);
  query.port = request.port;
  if (stopped_before_a_backend(request, outcome) && request.via) {
    query.to = {};
    query.to.address = request.via->address;
    query.port = request.via->port;
  }
  return query;
}

// Why one request of a cell came out as it did.
std::vector<std::string> why_one(const Context& context, const ProbeRequest& request,
                                 const ProbeOutcome& outcome) {
  std::vector<std::string> lines;
  const auto explanation = explain(context.objects, query_of(request, outcome, context.settings));
  const bool unanswered = request.to.kind == Party::Kind::service && !outcome.drop;
  if (!outcome.allowed && !unanswered && !(explanation && is_explained(outcome, *explanation))) {
    lines.push_back(describe_drop(context.cluster, outcome));
  }
  if (!explanation) {
    lines.push_back("no explanation: " + explanation.error().message);
    return lines;
  }
  if (explanation->allowed != outcome.allowed) {
    lines.push_back(std::string("the policies themselves say ") + (explanation->allowed ? "allow" : "deny") +
                    ": " + why_line(*explanation));
    lines.push_back(
        "the datapath disagrees with the policies: this is a defect of Postern, please report it");
    return lines;
  }
  add_lines(lines, why_line(*explanation));
  return lines;
}

const char* family_name(const ProbeRequest& request) {
  return request.from.address.is_v4() ? "IPv4" : "IPv6";
}

std::string receiver(const ProbeRequest& request) {
  switch (request.to.kind) {
    case Party::Kind::pod: return request.to.pod.to_string();
    case Party::Kind::node: return "node:" + request.to.node;
    case Party::Kind::outside:
    case Party::Kind::service: break;
  }
  return request.to.address.to_string();
}

// Which requests of a cell disagree, and in what they differ.
struct Disagreement {
  bool two_families = false;  // both were asked
  bool by_family = true;      // within a family all came out alike
};

Disagreement disagreement_of(const WrongCell& wrong) {
  Disagreement found;
  std::map<bool, bool> first;  // by is_v4: allowed
  for (std::size_t i = 0; i < wrong.outcomes.size(); ++i) {
    const bool v4 = wrong.cell.requests[i].from.address.is_v4();
    const bool allowed = first.emplace(v4, wrong.outcomes[i].allowed).first->second;
    if (allowed != wrong.outcomes[i].allowed) found.by_family = false;
  }
  found.two_families = first.size() > 1;
  return found;
}

constexpr std::size_t kDifferingShown = 8;

// "denied at ingress of x/b, isolated by x/p" of one request; what else there is to say goes to `rest`.
std::string denial(const std::string& name, std::vector<std::string> lines, std::vector<std::string>& rest) {
  std::string first = lines.front();
  lines.erase(lines.begin());
  if (const auto end = first.find("; "); end != std::string::npos) {
    lines.insert(lines.begin(), first.substr(end + 2));
    first.erase(end);
  }
  for (const std::string& line : lines) rest.push_back(name + ": " + line);
  constexpr std::string_view kDenied = "denied ";
  return first.compare(0, kDenied.size(), kDenied) == 0 ? first : "denied, " + first;
}

// "backends differ: x/a allowed; x/b denied at ingress of x/b, …", then what else there is to say.
std::vector<std::string> why_differing(const Context& context, const WrongCell& wrong) {
  const Disagreement disagreement = disagreement_of(wrong);
  std::string first = disagreement.by_family ? "families differ: " : "backends differ: ";
  std::vector<std::string> rest;
  std::set<std::string> seen;
  std::size_t shown = 0;
  for (std::size_t i = 0; i < wrong.outcomes.size(); ++i) {
    const ProbeRequest& request = wrong.cell.requests[i];
    std::string name = disagreement.by_family ? family_name(request) : receiver(request);
    if (!disagreement.by_family && disagreement.two_families) {
      name += std::string(" over ") + family_name(request);
    }
    if (!seen.insert(name).second) continue;
    if (shown++ == kDifferingShown) {
      first += "; …";
      break;
    }
    first += (shown == 1 ? "" : "; ") + name + ' ' +
             (wrong.outcomes[i].allowed
                  ? "allowed"
                  : denial(name, why_one(context, request, wrong.outcomes[i]), rest));
  }
  rest.insert(rest.begin(), first);
  return rest;
}

}  // namespace

std::string why_would_deny(const ClusterSnapshot& objects, const EnforcerSettings& settings, const PlannedCell& cell) {
  for (const ProbeRequest& request : cell.requests) {
    const auto explanation = explain(objects, query_of(request, {}, settings));
    if (!explanation || !explanation->would_deny) continue;
    const auto& end = explanation->egress.would_deny ? explanation->egress : explanation->ingress;
    return why_line(*end.would_deny);
  }
  return {};
}

std::vector<std::string> why(const Cluster& cluster, const ClusterSnapshot& objects,
                             const EnforcerSettings& settings, const WrongCell& wrong) {
  const Context context{cluster, objects, settings};
  const bool first = wrong.outcomes.front().allowed;
  const bool alike = std::all_of(wrong.outcomes.begin(), wrong.outcomes.end(),
                                 [&](const ProbeOutcome& outcome) { return outcome.allowed == first; });
  return alike ? why_one(context, wrong.cell.requests.front(), wrong.outcomes.front())
               : why_differing(context, wrong);
}

}  // namespace postern::sim
