// SPDX-License-Identifier: Apache-2.0
#include "sim/replay/explanation_json.h"

#include <nlohmann/json.hpp>

namespace postern::sim {

namespace {

using Json = nlohmann::ordered_json;

const char* kind_name(MissingKind kind) {
  switch (kind) {
    case MissingKind::pod_label: return "pod-label";
    case MissingKind::namespace_label: return "namespace-label";
    case MissingKind::own_namespace: return "own-namespace";
    case MissingKind::not_a_pod: return "not-a-pod";
    case MissingKind::outside_block: return "outside-block";
    case MissingKind::in_except: return "in-except";
    case MissingKind::port: return "port";
    case MissingKind::protocol: return "protocol";
    case MissingKind::named_port: return "named-port";
    case MissingKind::subject_label: return "subject-label";
    case MissingKind::policy_type: return "policy-type";
  }
  return "unknown";
}

Json rule_json(const RuleRef& rule) {
  const std::string policy = rule.policy.ns.empty() ? rule.policy.name : rule.policy.to_string();
  return {{"policy", policy}, {"rule", rule.rule}};
}

Json cluster_json(const ClusterVerdict& said) {
  static constexpr const char* kActions[] = {"Deny", "Accept", "Pass"};
  Json json = rule_json(said.rule);
  if (!said.rule_name.empty()) json["name"] = said.rule_name;
  json["tier"] = said.tier == Tier::admin ? "Admin" : "Baseline";
  if (said.priority != kNoPriority) json["priority"] = said.priority;
  json["action"] = kActions[static_cast<std::size_t>(said.action)];
  return json;
}

Json miss_json(const NearMiss& miss) {
  Json json = rule_json(miss.rule);
  Json missing = Json::array();
  for (const auto& entry : miss.missing)
    missing.push_back({{"kind", kind_name(entry.kind)}, {"text", entry.text}});
  json["missing"] = std::move(missing);
  return json;
}

Json end_json(const EndExplanation& end) {
  Json isolating = Json::array();
  for (const auto& policy : end.isolating) isolating.push_back(policy.to_string());
  Json allowing = Json::array();
  for (const auto& rule : end.allowing) allowing.push_back(rule_json(rule));
  Json misses = Json::array();
  for (const auto& miss : end.near_misses) misses.push_back(miss_json(miss));
  Json json{{"direction", to_string(end.direction)}, {"at", end.who}, {"judged", end.judged}};
  if (end.judged) json["verdict"] = end.allowed ? "allow" : "deny";
  if (end.would_deny) json["would_deny"] = end_json(*end.would_deny);
  if (end.judged) json["reason"] = reason_name(end.reason);
  json["isolated_by"] = std::move(isolating);
  json["allowed_by"] = std::move(allowing);
  json["near_misses"] = std::move(misses);
  if (end.decided_by) json["decided_by"] = cluster_json(*end.decided_by);
  for (const auto& said : end.passed) json["passed_by"].push_back(cluster_json(said));
  if (!end.note.empty()) json["note"] = end.note;
  return json;
}

// Each with both its ends: the client's rules towards it, and its own.
Json backends_json(const Explanation& explanation) {
  Json json = Json::array();
  for (const auto& backend : explanation.backends) {
    json.push_back({{"backend", backend.who},
                    {"ends", Json::array({end_json(backend.egress), end_json(backend.ingress)})}});
  }
  return json;
}

}  // namespace

std::string explanation_json(const Explanation& explanation) {
  Json json{
      {"apiVersion", "postern.dev/v1alpha1"}, {"kind", "Explanation"}, {"traffic", explanation.traffic}};
  json["verdict"] = explanation.allowed ? "allow" : "deny";
  if (explanation.would_deny) json["would_deny"] = true;
  if (explanation.no_endpoint.empty()) {
    json["ends"] = Json::array({end_json(explanation.egress), end_json(explanation.ingress)});
  } else {
    json["no_endpoint"] = explanation.no_endpoint;
  }
  if (!explanation.service.empty()) {
    json["service"] = explanation.service;
    json["backends"] = backends_json(explanation);
  }
  json["hints"] = explanation.hints;
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace postern::sim
