// SPDX-License-Identifier: Apache-2.0
#include "cli/commands/node_policy.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli/commands/columns.h"
#include "cli/commands/output.h"
#include "engine/decode/elements.h"
#include "engine/explain/explain.h"

namespace postern::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kShownPrefixes = 8;

// What an answer says, in the fewest lines: (protocol, ports, step). Where everything has one step, one.
struct Line {
  std::string protocol;  // "TCP", "any"
  PortRange ports;
  bool has_ports = true;
  std::uint32_t step = 0;
};

// Whether a reader is told the same: of denials, and of what would be one, the rule counts.
bool same_meaning(std::uint32_t a, std::uint32_t b) {
  const auto denies = [](std::uint32_t step) { return pn_step_allows(step) == 0; };
  const auto would_deny = [](std::uint32_t step) { return pn_step_reason(step) == PN_REASON_WOULD_DENY; };
  const bool alike = (denies(a) && denies(b)) || (would_deny(a) && would_deny(b));
  return a == b || (alike && pn_step_said_rule(a) == pn_step_said_rule(b));
}

std::vector<Line> lines_of(const PeerAnswer& answer) {
  const bool one = std::all_of(answer.ports.begin(), answer.ports.end(), [&](const auto& spans) {
    return spans.size() == 1 && spans.front().step == answer.icmp;
  });
  if (one && same_meaning(answer.other, answer.icmp)) return {{"any", {}, false, answer.icmp}};
  std::vector<Line> lines;
  for (std::size_t i = 0; i < answer.ports.size(); ++i) {
    for (const auto& span : answer.ports[i]) {
      lines.push_back({std::string(to_string(kAnsweredProtocols[i])), span.range, true, span.step});
    }
  }
  lines.push_back({"ICMP", {}, false, answer.icmp});
  lines.push_back({"other", {}, false, answer.other});
  return lines;
}

std::string ports_text(const Line& line) {
  if (!line.has_ports || (line.ports.lo == 0 && line.ports.hi == 65535)) return "";
  return line.ports.lo == line.ports.hi ? fmt::format(" {}", line.ports.lo)
                                        : fmt::format(" {}-{}", line.ports.lo, line.ports.hi);
}

// As lines_of, but what no rule decides is one line: "anything else".
std::vector<Line> short_lines_of(const PeerAnswer& answer) {
  std::vector<Line> lines = lines_of(answer);
  const auto unnamed = [](const Line& line) {
    const bool by_default = pn_step_allows(line.step) == 0 || pn_step_reason(line.step) == PN_REASON_NOT_ISOLATED;
    return by_default && pn_step_said_rule(line.step) == 0;
  };
  const auto first = std::find_if(lines.begin(), lines.end(), unnamed);
  if (lines.size() == 1 || first == lines.end()) return lines;
  const std::uint32_t step = first->step;
  std::erase_if(lines, unnamed);
  lines.push_back({lines.empty() ? "any" : "anything else", {}, false, step});
  return lines;
}

bool is_own_node(const PeerAnswer& answer) { return pn_step_reason(answer.icmp) == PN_REASON_OWN_NODE; }

// The prefixes of each answer; the whole of a family is "everyone else".
std::string peers_text(const DecodedDirection& direction, std::uint32_t answer, bool wide) {
  std::vector<std::string> peers;
  bool rest_v4 = false;
  bool rest_v6 = false;
  for (const auto& entry : direction.prefixes) {
    if (entry.answer != answer) continue;
    const bool whole = entry.prefix.prefix_length() == 0;
    rest_v4 = rest_v4 || (whole && entry.prefix.family() == IpFamily::v4);
    rest_v6 = rest_v6 || (whole && entry.prefix.family() == IpFamily::v6);
    if (whole) continue;
    const bool host = entry.prefix.prefix_length() == entry.prefix.network().bits();
    peers.push_back(host ? entry.prefix.network().to_string() : entry.prefix.to_string());
  }
  if (!wide && is_own_node(direction.answers[answer])) {
    peers = {fmt::format("this node's own {} addresses", peers.size())};
  }
  if (!wide && peers.size() > kShownPrefixes) {
    const std::size_t more = peers.size() - kShownPrefixes;
    peers.resize(kShownPrefixes);
    peers.push_back(fmt::format("{} more (--wide)", more));
  }
  if (rest_v4 && rest_v6) {
    peers.emplace_back("everyone else");
  } else if (rest_v4) {
    peers.emplace_back("every other IPv4 address");
  } else if (rest_v6) {
    peers.emplace_back("every other IPv6 address");
  }
  return joined(peers);
}

std::string direction_text(const NodeState& node, const NodePod& pod, std::uint32_t which, bool wide) {
  std::string text = which == PN_INGRESS ? "  Ingress (from)" : "  Egress (to)";
  const auto direction =
      pod.interface.judged ? node.decoder().direction(pod.interface.pod.dir[which]) : DecodedDirection{};
  if (!direction.judged) return text + ": open, no policy isolates it\n";
  if (pod.viewed != nullptr && !pod.viewed->isolating[which].empty()) {
    text += ": isolated by " + joined(pod.viewed->isolating[which]);
  }
  if (pod.viewed != nullptr && !pod.viewed->judging[which].empty()) {
    text += (text.back() == ')' ? ": judged by " : "; judged by ") + joined(pod.viewed->judging[which]);
  }
  if (pod.viewed != nullptr && !pod.viewed->in_audit[which].empty()) {
    const bool enforced = !pod.viewed->isolating[which].empty() || !pod.viewed->judging[which].empty();
    text += (enforced ? "; in audit " : ": in audit ") + joined(pod.viewed->in_audit[which]);
  }
  text += "\n";
  // What everybody else gets comes last.
  for (std::uint32_t i = 1; i <= direction.answers.size(); ++i) {
    const auto answer = static_cast<std::uint32_t>(i % direction.answers.size());
    const std::string peers = peers_text(direction, answer, wide);
    if (peers.empty()) continue;
    std::vector<std::vector<std::string>> rows;
    for (const auto& line : short_lines_of(direction.answers[answer])) {
      rows.push_back({"      " + line.protocol + ports_text(line), verdict_word(line.step),
                      reason_words(node, line.step)});
    }
    text += "    " + peers + "\n" + in_columns(rows);
  }
  return text;
}

Json direction_json(const NodeState& node, const NodePod& pod, std::uint32_t which) {
  const auto direction =
      pod.interface.judged ? node.decoder().direction(pod.interface.pod.dir[which]) : DecodedDirection{};
  Json out{{"judged", direction.judged},
           {"isolating", pod.viewed == nullptr ? Json() : Json(pod.viewed->isolating[which])},
           {"judging", pod.viewed == nullptr ? Json() : Json(pod.viewed->judging[which])},
           {"inAudit", pod.viewed == nullptr ? Json() : Json(pod.viewed->in_audit[which])},
           {"answers", Json::array()}};
  for (std::uint32_t i = 0; i < direction.answers.size(); ++i) {
    Json prefixes = Json::array();
    for (const auto& entry : direction.prefixes) {
      if (entry.answer == i) prefixes.push_back(entry.prefix.to_string());
    }
    if (prefixes.empty()) continue;
    Json lines = Json::array();
    for (const auto& line : lines_of(direction.answers[i])) {
      Json one{{"protocol", line.protocol}};
      if (line.has_ports) one.update({{"port", line.ports.lo}, {"endPort", line.ports.hi}});
      const std::uint32_t rule = pn_step_said_rule(line.step);
      one.update({{"verdict", verdict_word(line.step)},
                  {"reason", reason_name(pn_step_reason(line.step))},
                  {"tier", tier_name(tier_of_reason(pn_step_reason(line.step)))},
                  {"rule", rule == 0 ? Json() : Json(node.rule_name(rule))},
                  {"ruleId", rule}});
      lines.push_back(std::move(one));
    }
    out["answers"].push_back({{"prefixes", std::move(prefixes)}, {"says", std::move(lines)}});
  }
  return out;
}

}  // namespace

int run_policy(const PolicyOptions& options) {
  const auto node = open_node(options.node, StaleNames::said_by_command);
  if (!node) return refuse(node.error().to_string());
  const auto pods = node->pods_named(options.pod);
  if (!pods) return refuse(pods.error().to_string());
  Json out = Json::array();
  std::string text = node->names_line();
  for (const auto& pod : *pods) {
    std::vector<std::string> addresses;
    for (const auto& address : pod.addresses) addresses.push_back(address.to_string());
    text += fmt::format("{} ({}), interface {} ({}), endpoint {}; of prefixes the longest match counts\n", pod.name,
                        joined(addresses), pod.interface_name.empty() ? "?" : pod.interface_name,
                        pod.interface.ifindex, pod.endpoint().value);
    Json entry{{"pod", pod.name},
               {"endpoint", pod.endpoint().value},
               {"ifindex", pod.interface.ifindex},
               {"interface", pod.interface_name},
               {"addresses", addresses},
               {"view", node->names_json()}};
    for (const std::uint32_t direction : {PN_INGRESS, PN_EGRESS}) {
      if (options.node.json) {
        entry[direction_name(direction)] = direction_json(*node, pod, direction);
      } else {
        text += direction_text(*node, pod, direction, options.wide);
      }
    }
    out.push_back(std::move(entry));
  }
  std::fputs((options.node.json ? out.dump(2) + "\n" : text).c_str(), stdout);
  return 0;
}

}  // namespace postern::cli
