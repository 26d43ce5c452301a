// SPDX-License-Identifier: Apache-2.0
// What every command that looks at a node starts from: the pins of what is in force, and the names that
// the agent keeps beside them. No agent has to run; without its view numbers stand in place of names.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "agent/view/node_view.h"
#include "backends/tc/pinned_node.h"
#include "engine/decode/policy_decoder.h"

namespace postern::cli {

struct NodeOptions {
  std::string pin_path;    // empty: the agent's default
  std::string run_folder;  // empty: wherever the newest view is
  bool json = false;
  [[nodiscard]] std::string pins() const;
};

// A pod's interface, as the kernel and the agent's view have it.
struct NodePod {
  DecodedInterface interface;            // of the tables
  std::string name;                      // "shop/a"; without a view "endpoint 7"
  std::string interface_name;            // "veth12"; empty: not known
  std::vector<IpAddress> addresses;      // of the view, else of the record
  std::array<std::string, 2> attached;   // by pn_direction: "tcx", "clsact", or empty
  const agent::ViewedPod* viewed = nullptr;
  [[nodiscard]] EndpointId endpoint() const;
};

// How far the names can be believed.
struct NamesState {
  std::string state = "missing";  // "current", or why not: "missing", "older", "newer", "other", "changed", "unknown"
  std::string detail;             // for people; empty: they are current
  std::string written;            // RFC 3339; empty: missing
  std::optional<std::uint32_t> epoch;  // of the tables that the view is of
};

struct NodeState {
  tc::PinnedNode pins;
  PolicyTables tables;
  std::optional<agent::NodeView> view;  // none where it is of other tables: its names would be wrong
  NamesState names;
  std::string run_folder;  // that was read; may be empty

  [[nodiscard]] PolicyDecoder decoder() const { return PolicyDecoder(tables); }
  // Sorted by ifindex.
  [[nodiscard]] Result<std::vector<NodePod>> pods() const;
  // By "namespace/name" or "endpoint 7"; one pod can have several interfaces.
  [[nodiscard]] Result<std::vector<NodePod>> pods_named(const std::string& name) const;
  // "shop/db-in rule 1", without a view "rule 7"; empty for rule 0.
  [[nodiscard]] std::string rule_name(std::uint32_t rule) const;
  [[nodiscard]] std::string endpoint_name(EndpointId endpoint) const;
  // For the head of a text, with its end of line; empty: the names are those of the tables, or there is no view
  // at all, which standard error has.
  [[nodiscard]] std::string names_line() const;
  [[nodiscard]] nlohmann::ordered_json names_json() const;
};

// Whether the command says itself, by names_line() and names_json(), that the view is not of these tables;
// else a line on standard error does.
enum class StaleNames : std::uint8_t { note, said_by_command };

// Errors: tc::PinnedNode's. A view that is missing is a line on standard error, and no error. While an agent
// runs, one that is not of the tables is read again for a second: it is written a moment after them.
Result<NodeState> open_node(const NodeOptions& options, StaleNames stale = StaleNames::note);

// The agent's view in a folder. Errors: not_found, permission, and those of agent::parse_view.
Result<agent::NodeView> read_view(const std::string& folder);

// "allow", "deny" of a final step.
const char* verdict_word(std::uint32_t step);
// Why: "shop/db-in rule 1", "isolated".
std::string reason_words(const NodeState& node, std::uint32_t step);
// "TCP", "ICMPv6", "protocol 47".
std::string protocol_words(std::uint8_t protocol);

}  // namespace postern::cli
