// SPDX-License-Identifier: Apache-2.0
#include "sim/record/scenario_text.h"

#include <nlohmann/json.hpp>

#include "engine/model/snapshot.h"
#include "sim/objects/object_json.h"
#include "sim/objects/yaml_text.h"
#include "sim/runner/plan.h"
#include "sim/runner/run.h"
#include "sim/scenario/scenario_reader.h"

namespace postern::sim {

namespace {

using nlohmann::json;
using Json = nlohmann::ordered_json;

json written_json(const Namespace& object) {
  Labels labels = object.labels;
  labels.erase(kNamespaceNameLabel);  // it comes by itself
  json made = object_head({"v1", "Namespace", {"", object.name}}, labels);
  const auto annotate = [&](const char* key, const std::optional<Enforcement>& enforcement) {
    if (!enforcement) return;
    made["metadata"]["annotations"][key] = *enforcement == Enforcement::strict ? "strict" : "standard";
  };
  if (object.enforcement[0] == object.enforcement[1]) {
    annotate("postern.dev/enforcement", object.enforcement[0]);
  } else {
    annotate("postern.dev/enforcement-ingress", object.enforcement[index_of(Direction::ingress)]);
    annotate("postern.dev/enforcement-egress", object.enforcement[index_of(Direction::egress)]);
  }
  annotate_audit(object.audit, made);
  return made;
}

json written_json(const Node& node) {
  json object = object_head({"v1", "Node", {"", node.name}});
  for (const auto& entry : node.addresses) {
    object["status"]["addresses"].push_back({{"type", entry.type}, {"address", entry.address.to_string()}});
  }
  return object;
}

json written_json(const manifest::PodObject& written) {
  const Pod& pod = written.pod;
  json object = object_head({"v1", "Pod", pod.key}, pod.labels);
  json& spec = object["spec"];
  spec["containers"] = containers_json(pod.ports);
  for (auto& container : spec["containers"]) container.erase("image");
  if (!pod.node_name.empty()) spec["nodeName"] = pod.node_name;
  if (pod.host_network) spec["hostNetwork"] = true;
  if (!pod.ready) object["status"]["conditions"] = json::array({{{"type", "Ready"}, {"status", "False"}}});
  if (!written.assign_address) {
    for (const auto& address : pod.addresses) {
      object["status"]["podIPs"].push_back({{"ip", address.to_string()}});
    }
    object["status"]["podIP"] = pod.addresses.front().to_string();
  }
  return object;
}

json written_json(const manifest::ServiceObject& written) {
  json object = object_json(written.service);
  if (!written.assign_address) return object;
  object["spec"].erase("clusterIP");
  object["spec"].erase("clusterIPs");
  return object;
}

// A recording has none.
json written_json(const manifest::Workload& workload) {
  return object_head({"apps/v1", workload.kind, workload.key});
}

template <typename Value>
json written_json(const Value& value) {
  return object_json(value);
}

Json apply_json(const std::vector<manifest::Object>& objects) {
  Json list = Json::array();
  for (const auto& object : objects) {
    list.push_back(std::visit([](const auto& value) { return Json(written_json(value)); }, object.value));
  }
  return list;
}

std::string protocol_word(std::uint8_t protocol) {
  for (const auto known : {Protocol::tcp, Protocol::udp, Protocol::sctp, Protocol::icmp}) {
    if (protocol == static_cast<std::uint8_t>(known)) return std::string(to_string(known));
  }
  return {};
}

const char* verdict_word(bool allowed) { return allowed ? "allow" : "deny"; }

// The first packet of a connection; each of a file has ports of its own, and so is no reply to another.
void add_part(const Recording& recording, std::size_t index, Json& packet) {
  const auto source = static_cast<std::uint16_t>(40000 + index);
  switch (static_cast<Protocol>(recording.protocol)) {
    case Protocol::tcp:
      packet["tcp"] = {{"sport", source}, {"dport", recording.port}, {"flags", "S"}};
      return;
    case Protocol::udp: packet["udp"] = {{"sport", source}, {"dport", recording.port}}; return;
    case Protocol::sctp:
      packet["sctp"] = {{"sport", source}, {"dport", recording.port}, {"chunk", "INIT"}};
      return;
    case Protocol::icmp:
    case Protocol::icmpv6:
      packet["icmp"] = {{"type", recording.family == ScenarioFamily::v6 ? 128 : 8}, {"code", 0}, {"id", source}};
      return;
  }
  packet["ip"] = {{"protocol", recording.protocol}};
}

Json packet_json(const Recording& recording, std::size_t index) {
  const RecordedEnd& end = recording.ends[index];
  Json packet{{"at", std::to_string(index) + "ms"}, {"from", recording.from}, {"to", recording.to}};
  add_part(recording, index, packet);
  Json& expect = packet["expect"];
  expect["verdict"] = verdict_word(recording.allowed);
  expect["reason"] = std::string(reason_name(end.reason));
  if (end.policy) expect["policy"] = end.policy->ns.empty() ? end.policy->name : end.policy->to_string();
  if (end.rule) expect["rule"] = *end.rule;
  expect["at"] = end.direction == Direction::egress ? "from" : "to";
  return packet;
}

Json step_json(const Recording& recording) {
  Json step{{"name", "as it was recorded"}, {"apply", apply_json(recording.objects)}};
  const std::string protocol = protocol_word(recording.protocol);
  if (!protocol.empty()) {
    Json probe{{"from", recording.from}, {"to", recording.to}};
    if (recording.port != 0) probe["port"] = recording.port;
    probe["protocol"] = protocol;
    probe["expect"] = verdict_word(recording.allowed);
    step["probes"].push_back(std::move(probe));
  }
  // What a pod says to itself never leaves it: no interface sees such a packet, and so none has a reason.
  if (recording.from == recording.to) return step;
  for (std::size_t i = 0; i < recording.ends.size(); ++i) step["packets"].push_back(packet_json(recording, i));
  return step;
}

std::string traffic_text(const Recording& recording) {
  const std::string protocol = protocol_word(recording.protocol);
  std::string text = recording.from + " -> " + recording.to + ", " +
                     (protocol.empty() ? "IP protocol " + std::to_string(recording.protocol) : protocol);
  if (recording.port != 0) text += " " + std::to_string(recording.port);
  return text;
}

std::string end_text(const Recording& recording, const RecordedEnd& end) {
  std::string text = std::string(end.direction == Direction::egress ? "leaving " + recording.from
                                                                     : "arriving at " + recording.to) +
                     ": " + std::string(reason_name(end.reason));
  if (end.policy) text += ", by " + (end.policy->ns.empty() ? end.policy->name : end.policy->to_string());
  return text;
}

// "deny-shop-web-to-shop-db-tcp-5432".
std::string name_of(const Recording& recording) {
  std::string name;
  const std::string all = std::string(verdict_word(recording.allowed)) + " " + recording.from + " to " +
                          recording.to + " " + protocol_word(recording.protocol) + " " +
                          std::to_string(recording.port == 0 ? recording.protocol : recording.port);
  for (const char c : all) {
    const bool upper = c >= 'A' && c <= 'Z';
    const bool right = upper || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    if (right) name += upper ? static_cast<char>(c - 'A' + 'a') : c;
    else if (!name.empty() && name.back() != '-') name += '-';
  }
  return name;
}

}  // namespace

std::string scenario_text(const Recording& recording, const RecordingOrigin& origin) {
  std::string text = "# Recorded from " + origin.source + (origin.when.empty() ? "" : ", " + origin.when) + ".\n" +
                     "# " + traffic_text(recording) + ": " + (recording.allowed ? "allowed" : "denied") + ".\n";
  for (const auto& end : recording.ends) text += "# " + end_text(recording, end) + ".\n";
  text +=
      "# The fewest objects for which that holds: none of them, and no part of them, can go. What policy does\n"
      "# not read was left out, and so were the addresses that do not matter.\n";
  Json spec{{"ipFamily", recording.family == ScenarioFamily::v6 ? "IPv6" : "IPv4"}};
  if (recording.strict) spec["enforcement"] = "strict";
  spec["steps"] = Json::array({step_json(recording)});
  const Json file{{"apiVersion", "postern.dev/v1alpha1"},
                  {"kind", "Scenario"},
                  {"metadata", {{"name", name_of(recording)}, {"labels", {{"suite", "recorded"}}}}},
                  {"spec", std::move(spec)}};
  return text + yaml_text(file);
}

Result<void> check_scenario_holds(const std::string& text, Cluster& cluster) {
  const auto file = read_scenario(text, "recording.yaml");
  if (!file.scenario) {
    return tl::unexpected<Error>(file.errors.empty() ? Error{ErrorCode::internal, "the recording is no scenario"}
                                                     : file.errors.front());
  }
  const auto plan = make_plan(*file.scenario);
  if (!plan) return fail_as(plan);
  const auto result = run_plan(*plan, cluster);
  if (!result) return fail_as(result);
  if (result->passed()) return {};
  std::string wrong;
  for (const auto& step : result->steps) {
    for (const auto& cell : step.cells) {
      if (cell.wrong()) wrong += "; " + to_string(cell.key) + ": " + std::string(to_string(cell.got));
    }
    for (const auto& packet : step.packets) {
      for (const auto& mismatch : packet.mismatches) wrong += "; " + mismatch;
    }
  }
  return fail(ErrorCode::internal, "the simulator does not agree" + wrong);
}

}  // namespace postern::sim
