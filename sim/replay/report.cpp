// SPDX-License-Identifier: Apache-2.0
#include "sim/replay/report.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <vector>

#include "engine/explain/explain.h"

namespace postern::sim {

namespace {

using Json = nlohmann::ordered_json;

std::string protocol_text(std::uint8_t protocol) {
  const auto name = to_string(static_cast<Protocol>(protocol));
  return name == "unknown" ? "IP " + std::to_string(protocol) : std::string(name);
}

std::string policy_text(const PolicyRef& policy) {
  return policy.key.ns.empty() ? policy.key.name : policy.key.to_string();
}

// Rows of text in columns as wide as their widest cell; numbers to the right.
class Table {
 public:
  explicit Table(std::vector<std::string> heads, std::size_t text_columns)
      : text_columns_(text_columns), rows_{std::move(heads)} {}
  void add(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
  // A line that stands under the row before it, over all columns.
  void note(std::string text) { rows_.push_back({std::move(text)}); }

  [[nodiscard]] std::string text() const {
    std::vector<std::size_t> widths(rows_.front().size());
    for (const auto& row : rows_) {
      if (row.size() != widths.size()) continue;
      for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
    }
    std::string text;
    for (const auto& row : rows_)
      text += row.size() == widths.size() ? line(row, widths) : "    " + row.front() + "\n";
    return text;
  }

 private:
  [[nodiscard]] std::string line(const std::vector<std::string>& row,
                                 const std::vector<std::size_t>& widths) const {
    std::string text = " ";
    for (std::size_t i = 0; i < row.size(); ++i) {
      text += i < text_columns_ ? fmt::format(" {:<{}}", row[i], widths[i])
                                : fmt::format(" {:>{}}", row[i], widths[i]);
    }
    text.erase(text.find_last_not_of(' ') + 1);
    return text + "\n";
  }

  std::size_t text_columns_;
  std::vector<std::vector<std::string>> rows_;
};

std::string denial_text(const Denial& denial, const char* verdict, const ReplayResult& result) {
  std::string text = "packet " + std::to_string(denial.packet);
  if (result.captures.size() > 1) text += " of " + result.captures[denial.capture].path;
  if (!denial.why.empty()) return text + " " + denial.why;
  text += fmt::format(" {} at {} of {}", verdict, to_string(denial.direction), denial.pod.to_string());
  if (denial.reason != PN_REASON_NONE) text += fmt::format(", reason {}", reason_name(denial.reason));
  for (std::size_t i = 0; i < denial.policies.size(); ++i) {
    text += (i == 0 ? ", by " : ", ") + policy_text(denial.policies[i]);
  }
  if (denial.rule) text += " rule " + std::to_string(*denial.rule);
  return text;
}

// What policy says to a connection whose opener nobody saw.
std::string openers_text(const Flow& flow) {
  const auto said = [](const FlowEnd& opener, const OpenerVerdict& verdict) {
    return (verdict.allowed ? "allows it if opened by " : "denies it if opened by ") + opener.to_string();
  };
  return "opening not in the capture; policy " + said(flow.from, *flow.if_from_opened) + ", " +
         said(flow.to, *flow.if_to_opened);
}

void add_flow(Table& table, const Flow& flow, const ReplayResult& result) {
  table.add({flow.from.to_string(), flow.to.to_string(), protocol_text(flow.protocol),
             std::to_string(flow.packets), std::to_string(flow.bytes), std::to_string(flow.allowed),
             std::to_string(flow.denied), std::to_string(flow.midstream)});
  if (flow.first_denial) table.note(denial_text(*flow.first_denial, "denied", result));
  if (flow.first_would_deny) {
    table.note(denial_text(*flow.first_would_deny, "allowed, would be denied", result) +
               fmt::format("; {} such packets", flow.would_deny));
  }
  if (flow.if_from_opened && flow.if_to_opened) table.note(openers_text(flow));
}

std::vector<const Flow*> most_telling(const ReplayResult& result, std::size_t count) {
  std::vector<const Flow*> flows;
  for (const auto& flow : result.flows) flows.push_back(&flow);
  std::stable_sort(flows.begin(), flows.end(), [](const Flow* left, const Flow* right) {
    if (left->denied != right->denied) return left->denied > right->denied;
    if (left->would_deny != right->would_deny) return left->would_deny > right->would_deny;
    if ((left->midstream > 0) != (right->midstream > 0)) return left->midstream > 0;
    return left->packets > right->packets;
  });
  if (flows.size() > count) flows.resize(count);
  return flows;
}

std::string totals_text(const ReplayTotals& totals) {
  Table table({"packets", "judged", "allowed", "denied", "midstream", "not IP", "no pod", "truncated"}, 0);
  table.add({std::to_string(totals.packets), std::to_string(totals.judged), std::to_string(totals.allowed),
             std::to_string(totals.denied), std::to_string(totals.midstream), std::to_string(totals.not_ip),
             std::to_string(totals.no_pod), std::to_string(totals.truncated)});
  std::string text = table.text();
  if (totals.would_deny != 0) {
    text += fmt::format("  {} of the allowed packets would be denied if what is in audit were enforced\n",
                        totals.would_deny);
  }
  return text;
}

std::string flows_text(const ReplayResult& result, std::size_t count) {
  if (result.flows.empty()) return {};
  const auto shown = most_telling(result, count);
  std::string text = fmt::format("\nFlows: {}", result.flows.size());
  if (shown.size() < result.flows.size()) text += fmt::format(", the {} most telling", shown.size());
  text += "\n";
  if (shown.empty()) return text;
  Table table({"from", "to", "protocol", "packets", "bytes", "allowed", "denied", "midstream"}, 3);
  for (const auto* flow : shown) add_flow(table, *flow, result);
  return text + table.text();
}

std::string policies_text(const ReplayResult& result) {
  if (result.policies.empty()) return "\nPolicies: none\n";
  Table table({"policy", "rule", "packets"}, 2);
  for (const auto& account : result.policies) {
    const std::string name = policy_text(account.policy);
    for (const auto& rule : account.rules) {
      table.add({name, fmt::format("{} rule {}", to_string(rule.direction), rule.rule),
                 std::to_string(rule.packets)});
    }
    if (account.isolation_denials > 0) {
      table.add({name, "isolates, no rule allows: denied", std::to_string(account.isolation_denials)});
    }
    if (account.would_denials > 0) {
      table.add({name, "in audit: would be denied", std::to_string(account.would_denials)});
    }
    const bool idle = account.rules.empty() && account.isolation_denials + account.would_denials == 0;
    if (idle) table.add({name, "(decided nothing)", "0"});
  }
  return fmt::format("\nPolicies: {}\n", result.policies.size()) + table.text();
}

Json end_json(const FlowEnd& end) {
  Json json{{"address", end.address.to_string()}, {"port", end.port}};
  if (end.pod) json["pod"] = end.pod->to_string();
  return json;
}

Json policies_json(const std::vector<PolicyRef>& policies) {
  Json json = Json::array();
  for (const auto& policy : policies) json.push_back(policy_text(policy));
  return json;
}

Json denial_json(const Denial& denial) {
  Json json{{"capture", denial.capture},
            {"packet", denial.packet},
            {"at", denial.pod.to_string()},
            {"direction", to_string(denial.direction)},
            {"reason", denial.reason == PN_REASON_NONE ? "denied" : reason_name(denial.reason)},
            {"policies", policies_json(denial.policies)}};
  if (denial.rule) json["rule"] = *denial.rule;
  if (!denial.why.empty()) json["why"] = denial.why;
  return json;
}

Json opener_json(const OpenerVerdict& verdict) {
  return {{"verdict", verdict.allowed ? "allow" : "deny"}, {"why", verdict.why}};
}

Json flow_json(const Flow& flow) {
  Json json{
      {"from", end_json(flow.from)}, {"to", end_json(flow.to)},    {"protocol", protocol_text(flow.protocol)},
      {"first_ns", flow.first.ns},   {"last_ns", flow.last.ns},    {"packets", flow.packets},
      {"bytes", flow.bytes},         {"allowed", flow.allowed},    {"denied", flow.denied},
      {"would_deny", flow.would_deny}, {"midstream", flow.midstream}, {"truncated", flow.truncated}};
  if (flow.first_denial) json["first_denial"] = denial_json(*flow.first_denial);
  if (flow.first_would_deny) json["first_would_deny"] = denial_json(*flow.first_would_deny);
  if (flow.if_from_opened) json["if_from_opened"] = opener_json(*flow.if_from_opened);
  if (flow.if_to_opened) json["if_to_opened"] = opener_json(*flow.if_to_opened);
  return json;
}

Json account_json(const PolicyAccount& account) {
  Json rules = Json::array();
  for (const auto& rule : account.rules) {
    rules.push_back(
        {{"direction", to_string(rule.direction)}, {"rule", rule.rule}, {"packets", rule.packets}});
  }
  return {{"policy", policy_text(account.policy)},
          {"rules", rules},
          {"isolation_denials", account.isolation_denials},
          {"would_denials", account.would_denials}};
}

Json totals_json(const ReplayTotals& totals) {
  return {{"packets", totals.packets}, {"bytes", totals.bytes},     {"judged", totals.judged},
          {"allowed", totals.allowed}, {"denied", totals.denied},   {"would_deny", totals.would_deny},
          {"midstream", totals.midstream}, {"not_ip", totals.not_ip}, {"no_pod", totals.no_pod},
          {"truncated", totals.truncated}};
}

}  // namespace

std::string replay_text(const ReplayResult& result, std::size_t flows) {
  std::string text;
  for (const auto& capture : result.captures)
    text += fmt::format("{}: {} packets\n", capture.path, capture.packets);
  text += totals_text(result.totals) + flows_text(result, flows) + policies_text(result);
  if (result.totals.packets > 0 && result.totals.packets == result.totals.no_pod + result.totals.not_ip) {
    text +=
        "\nNo address in the capture belongs to a pod of the manifests. Pods get the addresses of their\n"
        "status.podIPs: save them with the policies (kubectl get pods,namespaces,nodes -A -o yaml).\n";
  }
  return text;
}

std::string replay_json(const ReplayResult& result) {
  Json captures = Json::array();
  for (const auto& capture : result.captures) {
    Json entry{{"path", capture.path}, {"packets", capture.packets}};
    if (capture.damaged) entry["damaged"] = capture.damaged->message;
    captures.push_back(std::move(entry));
  }
  Json flows = Json::array();
  for (const auto& flow : result.flows) flows.push_back(flow_json(flow));
  Json policies = Json::array();
  for (const auto& account : result.policies) policies.push_back(account_json(account));
  const Json json{{"apiVersion", "postern.dev/v1alpha1"}, {"kind", "ReplayResult"}, {"captures", captures},
                  {"totals", totals_json(result.totals)}, {"flows", flows},         {"policies", policies}};
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace postern::sim
