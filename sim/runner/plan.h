// SPDX-License-Identifier: Apache-2.0
// Scenario -> Plan: everything that can be known before anything runs. Each step's objects, the
// cells its probe lines stand for, its packets with their ends. A scenario that names what does not
// exist fails here, so it is run not at all; and every cluster runs the same plan.
#pragma once

#include <compare>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "sim/cluster.h"
#include "sim/scenario/scenario.h"

namespace postern::sim {

std::string_view to_string(ProbeProtocol protocol);   // "TCP"
std::string_view to_string(Expectation expectation);  // "allow"

// Ordered as results are sorted: from, to, protocol's name, port.
struct CellKey {
  std::string from;
  std::string to;
  ProbeProtocol protocol = ProbeProtocol::tcp;
  std::uint16_t port = 0;  // 0 for ICMP
  friend bool operator==(const CellKey&, const CellKey&) = default;
  friend bool operator<(const CellKey& a, const CellKey& b);
};

struct PlannedCell {
  // One for each family that both ends have, and to a Service one for each backend; never empty.
  std::vector<ProbeRequest> requests;
  Expectation expect = Expectation::allow;
  std::size_t line = 0;  // index of the probe line that decides it
  bool literal = false;  // that line writes an end as an address
};

struct PlannedPacket {
  const PacketLine* line = nullptr;
  std::string from_text;
  std::string to_text;
  Party from;
  Party to;
  std::optional<ServiceHop> via;
  std::uint16_t target_port = 0;  // with `via`
  std::optional<QuotedAddresses> quoted;
};

struct PlannedStep {
  const Step* step = nullptr;
  Placement placement;
  std::map<CellKey, PlannedCell> cells;
  std::size_t pairs = 0;  // that its lines name, overridden ones counted each time
  std::vector<PlannedPacket> packets;
  std::vector<const ProbeLine*> idle;  // lines that judge no pair: allowed, but hardly meant
};

// Points into the scenario, which must outlive it.
struct Plan {
  const Scenario* scenario = nullptr;
  std::vector<PlannedStep> steps;
};

// Over all steps of a scenario.
struct PlanLimits {
  std::size_t bytes = std::size_t{256} << 20;  // of objects, as estimated; every step holds all that exist
  std::size_t cells = 2'000'000;               // some 500 bytes each
  std::size_t pairs = 10'000'000;              // some microseconds each
};

struct PlanOptions {
  // Pairs of pods are asked through a ClusterIP of the destination's own (via_service.h).
  bool via_service = false;
  PlanLimits limits{};
};

// Errors: what the objects contradict, what lines name that does not exist; with the place in the
// file.
Result<Plan> make_plan(const Scenario& scenario, const PlanOptions& options = {});

// The cells of a step's probe lines: a later line overrides an earlier one for every cell it
// matches. Outside hosts that the lines name are added to the placement (sorted, unique).
Result<void> expand_probes(const std::vector<ProbeLine>& lines, ScenarioFamily family, PlannedStep& planned);
// The same for the step's packets.
Result<void> plan_packets(const std::vector<PacketLine>& lines, ScenarioFamily family, PlannedStep& planned);

}  // namespace postern::sim
