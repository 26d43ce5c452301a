// SPDX-License-Identifier: Apache-2.0
// Written by hand rather than through a document: one line a cell, so that results of two runs can
// be compared with diff, and a hundred thousand cells cost no tree.
#include <nlohmann/json.hpp>

#include "sim/runner/report_files.h"

namespace postern::sim {

namespace {

std::string quoted(std::string_view text) {
  return nlohmann::json(std::string(text)).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string member(std::string_view key, std::string_view value) {
  return quoted(key) + ": " + quoted(value);
}

template <typename Verdict>
std::string verdict(Verdict value) {
  return quoted(to_string(value));
}

// "[" lines "]" with one line each, or "[]".
std::string list(const std::vector<std::string>& lines, const std::string& indent) {
  if (lines.empty()) return "[]";
  std::string text = "[\n";
  for (std::size_t i = 0; i < lines.size(); ++i) {
    text += indent + "  " + lines[i] + (i + 1 < lines.size() ? ",\n" : "\n");
  }
  return text + indent + "]";
}

std::string cell_line(const CellResult& cell) {
  return "{" + member("from", cell.key.from) + ", " + member("to", cell.key.to) +
         ", \"port\": " + std::to_string(cell.key.port) + ", " +
         member("protocol", to_string(cell.key.protocol)) + ", \"expected\": " + verdict(cell.expected) +
         ", \"got\": " + verdict(cell.got) +
         (cell.would_deny.empty() ? "" : ", \"would_deny\": true") + "}";
}

std::string packet_line(const PacketResult& packet) {
  return "{\"index\": " + std::to_string(packet.index) +
         ", \"expected\": " + (packet.expected ? verdict(*packet.expected) : "null") +
         ", \"got\": " + verdict(packet.got) + ", " + member("reason", packet.reason) + "}";
}

std::string optional_count(const std::optional<std::uint64_t>& count) {
  return count ? std::to_string(*count) : "null";
}

std::string step_object(const StepResult& step) {
  std::vector<std::string> cells;
  cells.reserve(step.cells.size());
  for (const auto& cell : step.cells) cells.push_back(cell_line(cell));
  std::vector<std::string> packets;
  for (const auto& packet : step.packets) packets.push_back(packet_line(packet));
  std::string text = "{\n          " + member("name", step.name) +
                     ",\n          \"probes\": " + list(cells, "          ") +
                     ",\n          \"packets\": " + list(packets, "          ");
  if (step.replay) {
    text += ",\n          \"replay\": {\"expected\": {\"allowed\": " +
            optional_count(step.replay->expected_allowed) +
            ", \"denied\": " + optional_count(step.replay->expected_denied) +
            "}, \"got\": {\"allowed\": " + std::to_string(step.replay->allowed) +
            ", \"denied\": " + std::to_string(step.replay->denied) + "}}";
  }
  return text + "\n        }";
}

std::string labels_object(const std::map<std::string, std::string>& labels) {
  std::string text;
  for (const auto& [key, value] : labels) text += (text.empty() ? "" : ", ") + member(key, value);
  return "{" + text + "}";
}

std::string scenario_object(const Outcome& outcome) {
  const ScenarioResult& result = outcome.result;
  std::vector<std::string> steps;
  for (const auto& step : result.steps) steps.push_back(step_object(step));
  std::string text = "{\n      " + member("name", result.name) + ",\n      " + member("file", result.file) +
                     ",\n      \"labels\": " + labels_object(result.labels) +
                     ",\n      \"passed\": " + (outcome.passed ? "true" : "false");
  if (!outcome.error.empty()) text += ",\n      " + member("error", outcome.error);
  return text + ",\n      \"steps\": " + list(steps, "      ") + "\n    }";
}

std::string run_object(const RunInfo& run) {
  std::string text = "{" + member("backend", run.backend) + ", " + member("version", run.version) +
                     ", \"duration_ms\": " + std::to_string(run.duration_ms);
  if (!run.via.empty()) text += ", " + member("via", run.via);
  if (run.interrupted) text += ", \"interrupted\": true";
  if (run.backend == "all") {
    std::vector<std::string> lines;
    for (const auto& difference : run.differences) {
      lines.push_back("{" + member("file", difference.file) + ", " + member("scenario", difference.scenario) +
                      ", " + member("step", difference.step) + ", " + member("what", difference.what) + "}");
    }
    text += ", \"differences\": " + list(lines, "  ");
  }
  return text + "}";
}

}  // namespace

std::string json_report(const RunInfo& run, const std::vector<Outcome>& outcomes) {
  std::vector<std::string> scenarios;
  scenarios.reserve(outcomes.size());
  for (const auto& outcome : outcomes) scenarios.push_back(scenario_object(outcome));
  return "{\n  \"apiVersion\": \"postern.dev/v1alpha1\",\n  \"kind\": \"TestResult\",\n  \"run\": " +
         run_object(run) + ",\n  \"scenarios\": " + list(scenarios, "  ") + "\n}\n";
}

}  // namespace postern::sim
