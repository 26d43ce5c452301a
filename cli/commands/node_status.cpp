// SPDX-License-Identifier: Apache-2.0
#include "cli/commands/node_status.h"

#include <fmt/format.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "backends/tc/pin_store.h"
#include "cli/commands/columns.h"
#include "cli/commands/output.h"
#include "engine/conntrack/conntrack_view.h"
#include "engine/decode/elements.h"
#include "engine/explain/explain.h"

namespace postern::cli {
namespace {

using Json = nlohmann::ordered_json;

struct Status {
  const NodeState& node;
  std::vector<NodePod> pods;
  std::vector<pn_counter> counters;
  std::map<EndpointId, std::size_t> connections;
  std::size_t all_connections = 0;
  std::string agent;  // "process 12"; empty: none runs
};

Result<Status> gather(const NodeOptions& options, const NodeState& node) {
  Status status{node, {}, {}, {}, 0, tc::holder_of_pin_path(options.pins())};
  auto pods = node.pods();
  if (!pods) return fail_as(pods);
  status.pods = std::move(*pods);
  auto counters = node.pins.counters();
  if (!counters) return fail_as(counters);
  status.counters = std::move(*counters);
  const auto connections = node.pins.connections();
  if (!connections) return fail_as(connections);
  status.all_connections = connections->size();
  for (const auto& entry : *connections) ++status.connections[endpoint_of(entry.key)];
  return status;
}

// "open", "isolated by shop/shut, judged by guard (Admin)", "judged"; with what is in audit there: "open; audit shop/db".
std::string enforcement(const NodePod& pod, std::uint32_t direction) {
  const auto flags = pod.interface.judged ? pod.interface.pod.dir[direction].flags : 0;
  if ((flags & PN_DIR_JUDGED) == 0) return "open";
  std::string text = (flags & PN_DIR_AUDIT) != 0 ? "open" : "judged";
  if (pod.viewed == nullptr) return text + ((flags & PN_DIR_AUDIT) != 0 ? "; audit" : "");
  const auto& isolating = pod.viewed->isolating[direction];
  const auto& judging = pod.viewed->judging[direction];
  const auto& in_audit = pod.viewed->in_audit[direction];
  if (!isolating.empty()) text = "isolated by " + joined(isolating);
  if (!judging.empty()) text = (isolating.empty() ? "judged by " : text + ", judged by ") + joined(judging);
  if (!in_audit.empty()) return text + "; audit " + joined(in_audit);
  return text + ((flags & PN_DIR_AUDIT) != 0 ? "; audit" : "");
}

std::string attachment(const NodePod& pod) {
  if (pod.attached[PN_INGRESS] == pod.attached[PN_EGRESS]) {
    return pod.attached[PN_INGRESS].empty() ? "not attached" : pod.attached[PN_INGRESS];
  }
  const auto shown = [](const std::string& kind) { return kind.empty() ? std::string("none") : kind; };
  return shown(pod.attached[PN_INGRESS]) + " in, " + shown(pod.attached[PN_EGRESS]) + " out";
}

std::vector<std::string> texts(const std::vector<IpAddress>& addresses) {
  std::vector<std::string> out;
  for (const auto& address : addresses) out.push_back(address.to_string());
  return out;
}

// Those that have counted something: (direction, reason, counter).
template <typename Visit>
void each_counter(const Status& status, Visit visit) {
  for (const std::uint32_t direction : {PN_INGRESS, PN_EGRESS}) {
    for (std::uint32_t reason = 0; reason < PN_REASON_COUNT; ++reason) {
      const pn_counter& counter = status.counters[pn_counter_index(direction, reason)];
      if (counter.packets != 0) visit(direction, reason, counter);
    }
  }
}

const char* verdict_of_reason(std::uint32_t reason) {
  return reason != PN_REASON_NONE && reason < PN_REASON_ISOLATED ? "allow" : "deny";
}

std::string to_text(const Status& status) {
  const auto& view = status.node.view;
  const pn_node node = status.node.decoder().node();
  std::string text = status.node.names_line();
  if (view) {
    text += fmt::format("Node {}, policy source {}, {} policies; policy {} of the agent, written {}\n", view->node,
                        view->source, view->policies, view->generation, view->written);
  }
  text += status.agent.empty() ? "Agent: none runs; what is in force stays in force and does not change\n"
                               : fmt::format("Agent: {}\n", status.agent);
  text += fmt::format("Pins: {}, epoch {}{}\n", status.node.pins.folder(), node.epoch,
                      (node.flags & PN_NODE_STRICT) != 0 ? ", strict" : "");
  text += fmt::format("Connections: {}\n\n", status.all_connections);
  std::vector<std::vector<std::string>> rows{
      {"POD", "ENDPOINT", "INTERFACE", "ATTACHED", "ADDRESSES", "CONNECTIONS", "INGRESS", "EGRESS"}};
  for (const auto& pod : status.pods) {
    const std::string name = pod.interface_name.empty() ? "" : pod.interface_name + " ";
    const auto connections = status.connections.find(pod.endpoint());
    rows.push_back({pod.name, pod.endpoint().value == 0 ? "-" : std::to_string(pod.endpoint().value),
                    name + "(" + std::to_string(pod.interface.ifindex) + ")", attachment(pod),
                    joined(texts(pod.addresses)),
                    std::to_string(connections == status.connections.end() ? 0 : connections->second),
                    enforcement(pod, PN_INGRESS), enforcement(pod, PN_EGRESS)});
  }
  text += rows.size() == 1 ? "No pod is enforced.\n" : in_columns(rows);
  if (view && !view->not_found.empty()) {
    text += "\nNot enforced, as their interface is not known:\n";
    for (const auto& pod : view->not_found) text += "  " + pod.to_string() + "\n";
  }
  rows = {{"DIRECTION", "VERDICT", "REASON", "PACKETS", "BYTES"}};
  each_counter(status, [&](std::uint32_t direction, std::uint32_t reason, const pn_counter& counter) {
    rows.push_back({direction_name(direction), verdict_of_reason(reason), std::string(reason_name(reason)),
                    std::to_string(counter.packets), std::to_string(counter.bytes)});
  });
  text += rows.size() == 1 ? "\nNothing was judged yet.\n" : "\n" + in_columns(rows);
  return text;
}

Json to_json(const Status& status) {
  const auto& view = status.node.view;
  const pn_node node = status.node.decoder().node();
  Json out{{"node", view ? Json(view->node) : Json()},
           {"policySource", view ? Json(view->source) : Json()},
           {"policies", view ? Json(view->policies) : Json()},
           {"generation", view ? Json(view->generation) : Json()},
           {"viewWritten", view ? Json(view->written) : Json()},
           {"view", status.node.names_json()},
           {"agent", status.agent.empty() ? Json() : Json(status.agent)},
           {"pins", status.node.pins.folder()},
           {"epoch", node.epoch},
           {"strict", (node.flags & PN_NODE_STRICT) != 0},
           {"connections", status.all_connections},
           {"pods", Json::array()},
           {"notFound", Json::array()},
           {"counters", Json::array()}};
  for (const auto& pod : status.pods) {
    const auto connections = status.connections.find(pod.endpoint());
    Json entry{{"pod", pod.name},
               {"endpoint", pod.endpoint().value},
               {"ifindex", pod.interface.ifindex},
               {"interface", pod.interface_name},
               {"addresses", texts(pod.addresses)},
               {"connections", connections == status.connections.end() ? 0 : connections->second}};
    for (const std::uint32_t direction : {PN_INGRESS, PN_EGRESS}) {
      const bool judged = pod.interface.judged && (pod.interface.pod.dir[direction].flags & PN_DIR_JUDGED) != 0;
      entry[direction_name(direction)] = {
          {"judged", judged},
          {"enforced", judged && (pod.interface.pod.dir[direction].flags & PN_DIR_AUDIT) == 0},
          {"attached", pod.attached[direction]},
          {"isolating", pod.viewed == nullptr ? Json() : Json(pod.viewed->isolating[direction])},
          {"judging", pod.viewed == nullptr ? Json() : Json(pod.viewed->judging[direction])},
          {"inAudit", pod.viewed == nullptr ? Json() : Json(pod.viewed->in_audit[direction])}};
    }
    out["pods"].push_back(std::move(entry));
  }
  if (view) {
    for (const auto& pod : view->not_found) out["notFound"].push_back(pod.to_string());
  }
  each_counter(status, [&](std::uint32_t direction, std::uint32_t reason, const pn_counter& counter) {
    out["counters"].push_back({{"direction", direction_name(direction)},
                               {"verdict", verdict_of_reason(reason)},
                               {"reason", reason_name(reason)},
                               {"packets", counter.packets},
                               {"bytes", counter.bytes}});
  });
  return out;
}

}  // namespace

int run_status(const NodeOptions& options) {
  const auto node = open_node(options, StaleNames::said_by_command);
  if (!node) return refuse(node.error().to_string());
  const auto status = gather(options, *node);
  if (!status) return refuse(status.error().to_string());
  std::fputs((options.json ? to_json(*status).dump(2) + "\n" : to_text(*status)).c_str(), stdout);
  return 0;
}

}  // namespace postern::cli
