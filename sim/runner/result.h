// SPDX-License-Identifier: Apache-2.0
// What came out of a scenario, cell by cell: what every report is made from.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "sim/runner/plan.h"

namespace postern::sim {

// What came of a cell. `differ`: not all that it asks (families, backends of a Service) answered
// alike, which is wrong whatever was expected.
enum class CellVerdict : std::uint8_t { deny, allow, differ };
std::string_view to_string(CellVerdict verdict);

struct CellResult {
  CellKey key;
  Expectation expected = Expectation::allow;
  CellVerdict got = CellVerdict::allow;
  Location line;                 // the probe line that says so
  std::vector<std::string> why;  // only where wrong: lines of plain text
  std::string would_deny{};      // of an allow: what in audit would deny it; empty: nothing (R44)
  [[nodiscard]] bool wrong() const { return to_string(expected) != to_string(got); }
};

struct PacketResult {
  std::size_t index = 0;  // within the step, from 0
  std::string from;
  std::string to;
  std::optional<Expectation> expected;
  Expectation got = Expectation::allow;
  std::string reason;  // public name; empty: nothing judged it
  Location line;
  std::vector<std::string> mismatches;  // "expected reason isolated, got strict"; empty: as expected
};

struct ReplayCounts {
  std::optional<std::uint64_t> expected_allowed;
  std::optional<std::uint64_t> expected_denied;
  std::uint64_t allowed = 0;
  std::uint64_t denied = 0;
  [[nodiscard]] bool wrong() const {
    return (expected_allowed && *expected_allowed != allowed) ||
           (expected_denied && *expected_denied != denied);
  }
};

struct StepResult {
  std::string name;
  std::vector<CellResult> cells;  // sorted by key
  std::vector<PacketResult> packets;
  std::optional<ReplayCounts> replay;
  [[nodiscard]] std::size_t wrong_cells() const;
  [[nodiscard]] std::size_t wrong_packets() const;
  [[nodiscard]] bool passed() const;
};

struct ScenarioResult {
  std::string file;
  std::string name;
  std::map<std::string, std::string> labels;
  std::vector<StepResult> steps;
  [[nodiscard]] bool passed() const;
  [[nodiscard]] std::size_t cells() const;
  [[nodiscard]] std::size_t packets() const;
};

// A cell or packet on which two clusters disagree.
struct Difference {
  std::string file;
  std::string scenario;
  std::string step;
  std::string what;  // "x/a -> x/b TCP 80: sim allow, tc deny"
};

// Both results are of one plan.
std::vector<Difference> differences(const ScenarioResult& a, const std::string& name_a,
                                    const ScenarioResult& b, const std::string& name_b);

std::string to_string(const CellKey& key);  // "x/a -> x/b TCP 80"

}  // namespace postern::sim
