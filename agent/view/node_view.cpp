// SPDX-License-Identifier: Apache-2.0
#include "agent/view/node_view.h"

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string_view>

namespace postern::agent {
namespace {

using nlohmann::json;

constexpr std::string_view kKinds[] = {"NetworkPolicy", "ClusterNetworkPolicy"};

std::string_view tier_name(Tier tier) {
  switch (tier) {
    case Tier::admin: return "Admin";
    case Tier::network_policy: return "NetworkPolicy";
    case Tier::baseline: return "Baseline";
  }
  return "";
}

json to_value(const ViewedPod& pod) {
  json value{{"namespace", pod.pod.ns},
             {"name", pod.pod.name},
             {"endpoint", pod.endpoint.value},
             {"ifindex", pod.ifindex},
             {"interface", pod.interface},
             {"addresses", json::array()}};
  for (const auto& address : pod.addresses) value["addresses"].push_back(address.to_string());
  for (const Direction direction : kDirections) {
    auto& side = value[to_string(direction)];
    side = {{"judged", pod.judged[index_of(direction)]},
            {"isolating", pod.isolating[index_of(direction)]},
            {"inAudit", pod.in_audit[index_of(direction)]}};
    if (const auto& judging = pod.judging[index_of(direction)]; !judging.empty()) side["judging"] = judging;
  }
  return value;
}

json to_value(const ViewedRule& rule) {
  json value{{"id", rule.id.value},
          {"kind", kKinds[static_cast<std::size_t>(rule.origin.policy.kind)]},
          {"namespace", rule.origin.policy.key.ns},
          {"name", rule.origin.policy.key.name},
          {"direction", to_string(rule.origin.direction)},
          {"rule", rule.origin.index},
          {"tier", tier_name(rule.tier)}};
  if (rule.origin.policy.kind == PolicyKind::cluster_network_policy) value["priority"] = rule.priority;
  return value;
}

// Numbers of 64 bits are no numbers to every reader of JSON.
json to_value(const TableStamp& stamp) {
  return {{"lineage", std::to_string(stamp.lineage)},
          {"epoch", stamp.epoch},
          {"digest", std::to_string(stamp.digest)}};
}

// Throws json::exception, as below.
TableStamp stamp_of(const json& value) {
  const auto number = [&](const char* key) { return std::strtoull(value.at(key).get_ref<const std::string&>().c_str(), nullptr, 10); };
  return {number("lineage"), value.at("epoch"), number("digest")};
}

// Throws json::exception where something is missing or of another type; parse_view() catches.
ViewedPod pod_of(const json& value) {
  ViewedPod pod;
  pod.pod = {value.at("namespace"), value.at("name")};
  pod.endpoint = EndpointId{value.at("endpoint").get<std::uint32_t>()};
  pod.ifindex = value.at("ifindex");
  pod.interface = value.at("interface");
  for (const auto& text : value.at("addresses")) {
    if (const auto address = IpAddress::parse(text.get<std::string>())) pod.addresses.push_back(*address);
  }
  for (const Direction direction : kDirections) {
    const auto& side = value.at(to_string(direction));
    pod.judged[index_of(direction)] = side.at("judged");
    pod.isolating[index_of(direction)] = side.at("isolating").get<std::vector<std::string>>();
    // Agents before audit do not say.
    pod.in_audit[index_of(direction)] = side.value("inAudit", std::vector<std::string>{});
    if (side.contains("judging")) pod.judging[index_of(direction)] = side.at("judging").get<std::vector<std::string>>();
  }
  return pod;
}

ViewedRule rule_of(const json& value) {
  ViewedRule rule;
  rule.id = RuleId{value.at("id").get<std::uint32_t>()};
  rule.origin.policy.kind =
      value.at("kind") == kKinds[0] ? PolicyKind::network_policy : PolicyKind::cluster_network_policy;
  rule.origin.policy.key = {value.at("namespace"), value.at("name")};
  rule.origin.direction = value.at("direction") == "ingress" ? Direction::ingress : Direction::egress;
  rule.origin.index = value.at("rule");
  for (const Tier tier : {Tier::admin, Tier::network_policy, Tier::baseline}) {
    if (value.at("tier") == tier_name(tier)) rule.tier = tier;
  }
  rule.priority = value.value("priority", 0U);
  return rule;
}

NodeView view_of(const json& value) {
  NodeView view;
  view.node = value.at("node");
  view.source = value.at("source");
  view.written = value.at("written");
  view.process = value.at("process");
  view.generation = value.at("generation");
  view.abi = value.at("abi");
  if (value.contains("tables")) view.tables = stamp_of(value.at("tables"));
  view.strict = value.at("strict");
  view.policies = value.at("policies");
  view.complete = value.at("complete");
  for (const auto& pod : value.at("pods")) view.pods.push_back(pod_of(pod));
  for (const auto& pod : value.at("notFound")) view.not_found.push_back({pod.at("namespace"), pod.at("name")});
  for (const auto& rule : value.at("rules")) view.rules.push_back(rule_of(rule));
  return view;
}

}  // namespace

const ViewedPod* NodeView::pod_of(EndpointId endpoint) const {
  const auto found = std::find_if(pods.begin(), pods.end(), [&](const auto& pod) { return pod.endpoint == endpoint; });
  return found == pods.end() ? nullptr : &*found;
}

const ViewedRule* NodeView::rule(RuleId id) const {
  const auto found =
      std::lower_bound(rules.begin(), rules.end(), id, [](const auto& rule, RuleId wanted) { return rule.id < wanted; });
  return found == rules.end() || found->id != id ? nullptr : &*found;
}

std::string to_json(const NodeView& view) {
  json value{{"format", kViewFormat},       {"node", view.node},         {"source", view.source},
             {"written", view.written},     {"process", view.process},   {"generation", view.generation},
             {"abi", view.abi},             {"strict", view.strict},     {"policies", view.policies},
             {"complete", view.complete},   {"pods", json::array()},     {"notFound", json::array()},
             {"rules", json::array()}};
  if (view.tables) value["tables"] = to_value(*view.tables);
  for (const auto& pod : view.pods) value["pods"].push_back(to_value(pod));
  for (const auto& pod : view.not_found) value["notFound"].push_back({{"namespace", pod.ns}, {"name", pod.name}});
  for (const auto& rule : view.rules) value["rules"].push_back(to_value(rule));
  return value.dump(1, ' ', false, json::error_handler_t::replace) + "\n";
}

Result<NodeView> parse_view(const std::string& text) {
  const json value = json::parse(text, nullptr, false);
  if (!value.is_object()) return fail(ErrorCode::invalid_input, "it is no JSON object");
  try {
    if (const std::uint32_t format = value.at("format"); format != kViewFormat) {
      return fail(ErrorCode::unsupported, "it has format " + std::to_string(format) + ", this program reads " +
                                              std::to_string(kViewFormat));
    }
    return view_of(value);
  } catch (const json::exception& error) {
    return fail(ErrorCode::invalid_input, error.what());
  }
}

std::string to_string(const ViewedRule& rule) {
  const auto& policy = rule.origin.policy;
  const std::string number = " rule " + std::to_string(rule.origin.index + 1);
  return policy.kind == PolicyKind::cluster_network_policy ? in_its_tier(policy.key.name + number, rule.tier)
                                                           : policy.key.to_string() + number;
}

std::string in_its_tier(const std::string& name, Tier tier) {
  return name + " (" + std::string(tier_name(tier)) + ")";
}

}  // namespace postern::agent
