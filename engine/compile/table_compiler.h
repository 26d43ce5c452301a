// SPDX-License-Identifier: Apache-2.0
// ResolvedPolicy -> table bytes, incrementally: each update yields the ordered writes that switch
// the node from the policy before to the policy after. After any prefix of those writes every
// packet gets the verdict of the one or of the other, never a mixture (R26).
#pragma once

#include <compare>
#include <map>
#include <memory>
#include <vector>

#include "engine/base/time.h"
#include "engine/compile/policy_tables.h"
#include "engine/policy/resolved_policy.h"

namespace postern {

enum class EstablishedFlows : std::uint8_t { reevaluate, keep };  // R14

// R25b. One value per enum pn_timeout.
struct ConntrackTimeouts {
  Duration tcp_syn = seconds(120);
  Duration tcp_established = seconds(86400);
  Duration tcp_fin = seconds(120);
  Duration tcp_closed = seconds(120);
  Duration tcp_rst = seconds(10);
  Duration udp = seconds(30);
  Duration udp_replied = seconds(120);
  Duration sctp = seconds(210);
  Duration icmp = seconds(30);
  friend bool operator==(const ConntrackTimeouts&, const ConntrackTimeouts&) = default;
};

// The datapath's clock: tick = raw clock >> shift; one tick lasts tick_ns.
struct TickClock {
  std::uint32_t shift = 30;
  std::int64_t tick_ns = std::int64_t{1} << 30;
  friend bool operator==(const TickClock&, const TickClock&) = default;
};

// Makes them those of a node's record, in ticks.
void write_timeouts(const ConntrackTimeouts& timeouts, const TickClock& clock, pn_node& node);

// Which packets make an event.
enum class EventMode : std::uint8_t { off, denied, new_flows, all };

struct CompileSettings {
  EstablishedFlows established_flows = EstablishedFlows::reevaluate;
  ConntrackTimeouts timeouts;
  Duration fragment_timeout = seconds(30);  // R19
  TickClock clock;
  EventMode events = EventMode::off;
  bool spoof_check = true;  // R16
  bool strict = false;      // an interface without a slot is closed
  std::uint64_t hash_secret = 0;
  std::map<EndpointId, std::uint32_t> grace_until{};  // R40, ticks; who is not in it has none
  friend bool operator==(const CompileSettings&, const CompileSettings&) = default;
};

// A port of a Service whose backends these endpoints may reach in part: for them it is a plain deny,
// which is hardly what anybody meant (R7).
struct BackendsDiffer {
  NamespacedName service;
  IpAddress address;  // the ClusterIP
  Protocol protocol = Protocol::tcp;
  std::uint16_t port = 0;
  std::vector<EndpointId> endpoints;  // sorted, at least one
  friend auto operator<=>(const BackendsDiffer&, const BackendsDiffer&) = default;
};

// Where the tables left off that new ones replace: connections of theirs live on, and so do events and
// entries that name their rules.
struct TableStart {
  std::uint32_t epoch = 0;  // the new tables begin above it, so that older connections are judged again
  RuleId last_rule;         // the caller numbers rules above it
};

// How full a table is.
struct TableUse {
  TableId table = TableId::node;
  std::uint64_t used = 0;
  std::uint64_t size = 0;
};

class TableCompiler {
 public:
  explicit TableCompiler(const TableSizes& sizes, const TableStart& start = {});
  ~TableCompiler();
  TableCompiler(TableCompiler&&) noexcept;
  TableCompiler& operator=(TableCompiler&&) noexcept;

  // Errors: table_full, naming table, size and need; then nothing has changed, neither here nor in
  // what the next update starts from.
  Result<TableDelta> update(const ResolvedPolicy& policy, const CompileSettings& settings);

  // All that the last policy has of these, sorted: for warnings.
  [[nodiscard]] const std::vector<BackendsDiffer>& backends_differ() const;

  // The bytes after every update so far.
  [[nodiscard]] const PolicyTables& tables() const;

  // Of the tables that can become full; what was freed and may not be used again yet counts as used.
  [[nodiscard]] std::vector<TableUse> use() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace postern
