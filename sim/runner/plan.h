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
  Party from;
  Party to;
  Expectation expect = Expectation::allow;
  std::size_t line = 0;  // index of the probe line that decides it
};

struct PlannedPacket {
  const PacketLine* line = nullptr;
  std::string from_text;
  std::string to_text;
  Party from;
  Party to;
};

struct PlannedStep {
  const Step* step = nullptr;
  Placement placement;
  std::map<CellKey, PlannedCell> cells;
  std::vector<PlannedPacket> packets;
  std::vector<const ProbeLine*> idle;  // lines that judge no pair: allowed, but hardly meant
};

// Points into the scenario, which must outlive it.
struct Plan {
  const Scenario* scenario = nullptr;
  std::vector<PlannedStep> steps;
};

// Errors: what the objects contradict, what lines name that does not exist, what is not supported
// yet; with the place in the file.
Result<Plan> make_plan(const Scenario& scenario);

// The cells of a step's probe lines: a later line overrides an earlier one for every cell it
// matches. Outside hosts that the lines name are added to the placement (sorted, unique).
Result<void> expand_probes(const std::vector<ProbeLine>& lines, PlannedStep& planned);

}  // namespace postern::sim
