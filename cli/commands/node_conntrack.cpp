// SPDX-License-Identifier: Apache-2.0
#include "cli/commands/node_conntrack.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "backends/tc/kernel_clock.h"
#include "cli/commands/columns.h"
#include "cli/commands/output.h"
#include "engine/conntrack/conntrack_view.h"
#include "engine/datapath/lifetime.h"

namespace postern::cli {
namespace {

using Json = nlohmann::ordered_json;

// Those of a pod, of all its interfaces; empty: of all.
Result<std::set<EndpointId>> endpoints_of(const NodeState& node, const std::string& pod) {
  std::set<EndpointId> endpoints;
  if (pod.empty()) return endpoints;
  const auto pods = node.pods_named(pod);
  if (!pods) return fail_as(pods);
  for (const auto& one : *pods) endpoints.insert(one.endpoint());
  return endpoints;
}

std::string socket_text(const IpAddress& address, std::uint16_t port) {
  return (address.is_v4() ? address.to_string() : "[" + address.to_string() + "]") + ":" + std::to_string(port);
}

std::vector<std::string> state_words(const ConnectionView& connection) {
  std::vector<std::string> words;
  const auto add = [&](std::uint32_t bit, const char* word) {
    if ((connection.state & bit) != 0) words.emplace_back(word);
  };
  words.emplace_back((connection.state & PN_CT_REPLIED) != 0 ? "replied" : "unreplied");
  add(PN_CT_FIN_OPENER, "fin-opener");
  add(PN_CT_FIN_REPLIER, "fin-replier");
  add(PN_CT_RST, "rst");
  return words;
}

// What the clock says: idle time, and whether the connection is over but for being swept away.
struct Age {
  std::int64_t idle_s = 0;
  bool live = true;
};

std::optional<Age> age_of(const pn_node& node, const ConntrackEntry& entry, const Result<std::uint32_t>& now) {
  if (!now) return std::nullopt;
  const TickClock clock = tc::kernel_tick_clock();
  const auto protocol = view_of(entry.key, entry.value).protocol;
  return Age{pn_ct_idle(&entry.value, *now) * clock.tick_ns / 1'000'000'000,
             pn_ct_live(&node, &entry.value, protocol, *now) != 0};
}

}  // namespace

int run_conntrack_list(const ConntrackOptions& options) {
  const auto node = open_node(options.node);
  if (!node) return refuse(node.error().to_string());
  const auto wanted = endpoints_of(*node, options.pod);
  if (!wanted) return refuse(wanted.error().to_string());
  const auto entries = node->pins.connections();
  if (!entries) return refuse(entries.error().to_string());
  const pn_node values = node->decoder().node();
  const auto now = tc::kernel_tick_now(values.tick_shift);
  Json out = Json::array();
  std::vector<std::vector<std::string>> rows{
      {"POD", "PROTOCOL", "OPENER", "TO", "DIRECTION", "STATE", "IDLE", "ADMITTED BY"}};
  for (const auto& entry : *entries) {
    const ConnectionView connection = view_of(entry.key, entry.value);
    if (!wanted->empty() && !wanted->contains(connection.endpoint)) continue;
    const auto age = age_of(values, entry, now);
    const char* direction = connection.opened_by_pod ? "egress" : "ingress";
    const auto words = state_words(connection);
    out.push_back({{"pod", node->endpoint_name(connection.endpoint)},
                   {"endpoint", connection.endpoint.value},
                   {"protocol", protocol_words(connection.protocol)},
                   {"opener", connection.opener.to_string()},
                   {"openerPort", connection.opener_port},
                   {"to", connection.replier.to_string()},
                   {"toPort", connection.replier_port},
                   {"direction", direction},
                   {"state", words},
                   {"expired", age && !age->live},
                   {"idleSeconds", age ? Json(age->idle_s) : Json()},
                   {"admittedBy", reason_words(*node, connection.step)}});
    rows.push_back({node->endpoint_name(connection.endpoint), protocol_words(connection.protocol),
                    socket_text(connection.opener, connection.opener_port),
                    socket_text(connection.replier, connection.replier_port), direction,
                    joined(words) + (age && !age->live ? ", expired" : ""),
                    age ? std::to_string(age->idle_s) + " s" : "?", reason_words(*node, connection.step)});
  }
  if (!now) note("how long they are idle is not known: " + now.error().to_string());
  const std::string text = rows.size() == 1 ? "No connections.\n" : in_columns(rows);
  std::fputs((options.node.json ? out.dump(2) + "\n" : text).c_str(), stdout);
  return 0;
}

int run_conntrack_flush(const ConntrackOptions& options) {
  if (options.pod.empty() != options.all) return refuse("whose connections? Expected --pod NAMESPACE/NAME or --all");
  auto node = open_node(options.node);
  if (!node) return refuse(node.error().to_string());
  const auto wanted = endpoints_of(*node, options.pod);
  if (!wanted) return refuse(wanted.error().to_string());
  const auto before = node->pins.connections();
  if (!before) return refuse(before.error().to_string());
  const auto count = std::count_if(before->begin(), before->end(), [&](const ConntrackEntry& entry) {
    return wanted->empty() || wanted->contains(endpoint_of(entry.key));
  });
  // Endpoint 0 is everybody to the table, and a pod that nobody judges has none.
  std::set<EndpointId> endpoints = *wanted;
  if (options.all) endpoints = {EndpointId{}};
  if (!options.all) endpoints.erase(EndpointId{});
  for (const EndpointId endpoint : endpoints) {
    if (auto done = node->pins.forget_connections(endpoint); !done) return refuse(done.error().to_string());
  }
  if (options.node.json) {
    std::fputs((Json{{"forgotten", count}}.dump(2) + "\n").c_str(), stdout);
  } else {
    fmt::print("{} connections of {} forgotten; their next packet is judged as that of a new one\n", count,
               options.all ? "every pod" : options.pod);
  }
  return 0;
}

}  // namespace postern::cli
