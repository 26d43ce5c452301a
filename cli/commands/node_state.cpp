// SPDX-License-Identifier: Apache-2.0
#include "cli/commands/node_state.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <set>
#include <thread>
#include <utility>

#include "agent/settings/setting_table.h"
#include "agent/view/run_folder.h"
#include "backends/tc/attachment.h"
#include "backends/tc/pin_store.h"
#include "cli/commands/columns.h"
#include "cli/commands/output.h"
#include "engine/base/nearest_names.h"
#include "engine/conntrack/conntrack_view.h"
#include "engine/explain/explain.h"

namespace postern::cli {
namespace {

constexpr std::size_t kMostBytes = 64U << 20;

// A view follows the tables by 0.2 s.
constexpr std::chrono::seconds kPatience{1};
constexpr std::chrono::milliseconds kBetweenLooks{100};

void judge_view(NodeState& node) {
  NamesState& names = node.names;
  names.written = node.view->written;
  const std::string which = "the agent's view in " + node.run_folder + " (written " + names.written + ")";
  if (!node.view->tables) {
    names.state = "unknown";
    names.detail = which + " does not say which tables it is of: names may be wrong";
    return;
  }
  const agent::TableStamp tables = agent::stamp_of(node.tables);
  names.epoch = node.view->tables->epoch;
  const std::string epochs = fmt::format("it is of epoch {}, they of {}", *names.epoch, tables.epoch);
  switch (agent::fit_of(*node.view->tables, tables)) {
    case agent::ViewFit::current: names.state = "current"; return;
    case agent::ViewFit::older:
      names.state = "older";
      names.detail = which + " is older than the tables in force (" + epochs + "): names may be missing or wrong";
      return;
    case agent::ViewFit::newer:
      names.state = "newer";
      names.detail = which + " is newer than the tables in force (" + epochs + "): names may be missing or wrong";
      return;
    case agent::ViewFit::changed:
      names.state = "changed";
      names.detail = which + " is not of the tables in force, which have changed since, in epoch " +
                     std::to_string(tables.epoch) + ": names may be missing or wrong";
      return;
    case agent::ViewFit::other:
      names.state = "other";
      names.detail = which + " is of other tables than those in force, of another agent's: numbers stand for names";
      node.view.reset();
      return;
  }
}

void find_view(const NodeOptions& options, NodeState& node) {
  node.view.reset();
  node.names = {};
  node.run_folder = options.run_folder.empty() ? agent::newest_run_folder(agent::kViewFile) : options.run_folder;
  if (node.run_folder.empty()) {
    node.names.detail = std::string("no agent's view in ") + agent::kRunFolder + " or " + agent::kAmazonRunFolder;
  } else if (auto view = read_view(node.run_folder)) {
    node.view = std::move(*view);
    return judge_view(node);
  } else {
    node.names.detail = view.error().message;
  }
  node.names.detail += ": numbers stand for names (the agent writes it, see --run-folder)";
}

std::vector<IpAddress> addresses_of(const pn_pod& pod) {
  std::vector<IpAddress> addresses;
  if (pod.v4 != 0) addresses.push_back(IpAddress::v4(pod.v4));
  if ((pod.v6.high | pod.v6.low) != 0) addresses.push_back(address_of(pod.v6));
  return addresses;
}

// What the view says of an interface. Its endpoint has to be the one of the tables, where they name one:
// else it is the view of other times.
const agent::ViewedPod* viewed_at(const NodeState& node, const DecodedInterface& interface) {
  if (!node.view) return nullptr;
  for (const auto& pod : node.view->pods) {
    if (pod.ifindex != interface.ifindex) continue;
    return !interface.judged || pod.endpoint.value == interface.pod.endpoint ? &pod : nullptr;
  }
  return nullptr;
}

}  // namespace

Result<agent::NodeView> read_view(const std::string& folder) {
  const std::string path = folder + "/" + agent::kViewFile;
  const auto text = agent::read_run_file(path, kMostBytes);
  if (!text) return fail_as(text);
  auto view = agent::parse_view(*text);
  if (!view) return fail(view.error().code, path + ": " + view.error().message);
  return view;
}

std::string NodeOptions::pins() const {
  return pin_path.empty() ? agent::find_setting("pin-path")->default_text : pin_path;
}

EndpointId NodePod::endpoint() const {
  if (interface.judged) return EndpointId{interface.pod.endpoint};
  return viewed == nullptr ? EndpointId{} : viewed->endpoint;
}

Result<NodeState> open_node(const NodeOptions& options, StaleNames stale) {
  const auto patient_until = std::chrono::steady_clock::now() + kPatience;
  for (;;) {
    // Each time from the pins on: another agent may have taken over.
    auto pins = tc::PinnedNode::open(options.pins());
    if (!pins) return fail_as(pins);
    auto tables = pins->tables();
    if (!tables) return fail_as(tables);
    NodeState node{std::move(*pins), std::move(*tables), {}, {}, {}};
    find_view(options, node);
    const bool missing = node.names.state == "missing";
    const bool settled = missing || node.names.state == "current" || node.names.state == "unknown";
    if (!settled && std::chrono::steady_clock::now() < patient_until && !tc::holder_of_pin_path(options.pins()).empty()) {
      std::this_thread::sleep_for(kBetweenLooks);
      continue;
    }
    if (!node.names.detail.empty() && (missing || stale == StaleNames::note)) note(node.names.detail);
    return node;
  }
}

std::string NodeState::names_line() const {
  if (names.detail.empty() || names.state == "missing") return "";
  return "Attention: " + names.detail + "\n";
}

nlohmann::ordered_json NodeState::names_json() const {
  using Json = nlohmann::ordered_json;
  return {{"state", names.state},
          {"folder", run_folder.empty() ? Json() : Json(run_folder)},
          {"written", names.written.empty() ? Json() : Json(names.written)},
          {"epoch", names.epoch ? Json(*names.epoch) : Json()},
          {"detail", names.detail.empty() ? Json() : Json(names.detail)}};
}

Result<std::vector<NodePod>> NodeState::pods() const {
  const auto attached = pins.interfaces();
  if (!attached) return fail_as(attached);
  std::vector<NodePod> found;
  for (const auto& interface : decoder().interfaces()) {
    NodePod pod;
    pod.interface = interface;
    pod.viewed = viewed_at(*this, interface);
    if (pod.viewed != nullptr) {
      pod.name = pod.viewed->pod.to_string();
      pod.interface_name = pod.viewed->interface;
    } else {
      pod.name = interface.judged ? endpoint_name(EndpointId{interface.pod.endpoint})
                                  : "interface " + std::to_string(interface.ifindex);
    }
    pod.addresses = pod.viewed != nullptr ? pod.viewed->addresses : addresses_of(interface.pod);
    const auto hooks = std::find_if(attached->begin(), attached->end(),
                                    [&](const auto& one) { return one.ifindex == interface.ifindex; });
    if (hooks != attached->end()) {
      // On the host side of a veth, ingress is what the pod sends.
      pod.attached[PN_EGRESS] = hooks->kinds[static_cast<std::size_t>(tc::Hook::ingress)];
      pod.attached[PN_INGRESS] = hooks->kinds[static_cast<std::size_t>(tc::Hook::egress)];
    }
    found.push_back(std::move(pod));
  }
  return found;
}

Result<std::vector<NodePod>> NodeState::pods_named(const std::string& name) const {
  auto all = pods();
  if (!all) return all;
  std::vector<NodePod> found;
  std::set<std::string> known;
  for (auto& pod : *all) {
    known.insert(pod.name);
    if (pod.name == name) found.push_back(std::move(pod));
  }
  if (!found.empty()) return found;
  const std::vector<std::string> all_names(known.begin(), known.end());
  const std::string hint = did_you_mean(name, all_names);
  return fail(ErrorCode::not_found, "no pod " + name + " is enforced on this node" +
                                        (hint.empty() ? "; there are: " + joined(all_names) : hint));
}

std::string NodeState::rule_name(std::uint32_t rule) const {
  if (rule == 0) return "";
  const auto* known = view ? view->rule(RuleId{rule}) : nullptr;
  return known == nullptr ? "rule " + std::to_string(rule) : agent::to_string(*known);
}

std::string NodeState::endpoint_name(EndpointId endpoint) const {
  const auto* known = view ? view->pod_of(endpoint) : nullptr;
  return known == nullptr ? "endpoint " + std::to_string(endpoint.value) : known->pod.to_string();
}

const char* verdict_word(std::uint32_t step) { return pn_step_allows(step) != 0 ? "allow" : "deny"; }

std::string reason_words(const NodeState& node, std::uint32_t step) {
  const std::string rule = node.rule_name(pn_step_said_rule(step));
  const std::string said = rule.empty() ? std::string(reason_name(pn_step_said_reason(step))) : rule;
  return pn_step_reason(step) == PN_REASON_WOULD_DENY ? "would be denied, " + said : said;
}

std::string protocol_words(std::uint8_t protocol) {
  for (const Protocol known : {Protocol::icmp, Protocol::tcp, Protocol::udp, Protocol::icmpv6, Protocol::sctp}) {
    if (static_cast<std::uint8_t>(known) == protocol) return std::string(to_string(known));
  }
  return "protocol " + std::to_string(protocol);
}

}  // namespace postern::cli
