// SPDX-License-Identifier: Apache-2.0
#include "sim/runner/result.h"

#include <algorithm>

namespace postern::sim {

std::size_t StepResult::wrong_cells() const {
  return static_cast<std::size_t>(
      std::count_if(cells.begin(), cells.end(), [](const auto& cell) { return cell.wrong(); }));
}

std::size_t StepResult::wrong_packets() const {
  return static_cast<std::size_t>(std::count_if(
      packets.begin(), packets.end(), [](const auto& packet) { return !packet.mismatches.empty(); }));
}

bool StepResult::passed() const {
  return wrong_cells() == 0 && wrong_packets() == 0 && !(replay && replay->wrong());
}

bool ScenarioResult::passed() const {
  return std::all_of(steps.begin(), steps.end(), [](const auto& step) { return step.passed(); });
}

std::size_t ScenarioResult::cells() const {
  std::size_t count = 0;
  for (const auto& step : steps) count += step.cells.size();
  return count;
}

std::size_t ScenarioResult::packets() const {
  std::size_t count = 0;
  for (const auto& step : steps) count += step.packets.size();
  return count;
}

std::string_view to_string(CellVerdict verdict) {
  switch (verdict) {
    case CellVerdict::deny: return "deny";
    case CellVerdict::allow: return "allow";
    case CellVerdict::differ: return "differ";
  }
  return "unknown";
}

std::string to_string(const CellKey& key) {
  std::string text = key.from + " -> " + key.to + ' ' + std::string(to_string(key.protocol));
  if (key.protocol != ProbeProtocol::icmp) text += ' ' + std::to_string(key.port);
  return text;
}

namespace {

template <typename Verdict>
std::string both(Verdict a, const std::string& name_a, Verdict b, const std::string& name_b) {
  return ": " + name_a + ' ' + std::string(to_string(a)) + ", " + name_b + ' ' + std::string(to_string(b));
}

}  // namespace

std::vector<Difference> differences(const ScenarioResult& a, const std::string& name_a,
                                    const ScenarioResult& b, const std::string& name_b) {
  std::vector<Difference> found;
  for (std::size_t s = 0; s < std::min(a.steps.size(), b.steps.size()); ++s) {
    const StepResult& left = a.steps[s];
    const StepResult& right = b.steps[s];
    for (std::size_t i = 0; i < std::min(left.cells.size(), right.cells.size()); ++i) {
      if (left.cells[i].got == right.cells[i].got) continue;
      found.push_back(
          {a.file, a.name, left.name,
           to_string(left.cells[i].key) + both(left.cells[i].got, name_a, right.cells[i].got, name_b)});
    }
    for (std::size_t i = 0; i < std::min(left.packets.size(), right.packets.size()); ++i) {
      const PacketResult& one = left.packets[i];
      const PacketResult& other = right.packets[i];
      // Several reasons of an allow may be true at once (R41); the reason of a denial is exact.
      const bool same = one.got == other.got && (one.got == Expectation::allow || one.reason == other.reason);
      if (same) continue;
      found.push_back({a.file, a.name, left.name,
                       "packet " + std::to_string(one.index) + ' ' + one.from + " -> " + one.to +
                           both(one.got, name_a + ' ' + one.reason, other.got, name_b + ' ' + other.reason)});
    }
  }
  return found;
}

}  // namespace postern::sim
