// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <string_view>

#include "sim/runner/report_files.h"

namespace postern::sim {

namespace {

std::string escaped(std::string_view text) {
  std::string result;
  for (const char c : text) {
    switch (c) {
      case '&': result += "&amp;"; break;
      case '<': result += "&lt;"; break;
      case '>': result += "&gt;"; break;
      case '"': result += "&quot;"; break;
      // XML 1.0 has no other control characters, escaped or not.
      default: result += static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t' ? '?' : c;
    }
  }
  return result;
}

std::string attribute(std::string_view name, std::string_view value) {
  return ' ' + std::string(name) + "=\"" + escaped(value) + '"';
}

std::string test_case(std::string_view name, std::string_view file) {
  return "    <testcase" + attribute("classname", file) + attribute("name", name);
}

std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const auto& line : lines) text += line + '\n';
  return text;
}

std::string failure(const Outcome& outcome) {
  if (!outcome.error.empty()) return "      <error" + attribute("message", outcome.error) + "/>\n";
  std::size_t cells = 0;
  std::size_t packets = 0;
  for (const auto& step : outcome.result.steps) {
    cells += step.wrong_cells();
    packets += step.wrong_packets();
  }
  std::string message =
      std::to_string(cells) + " wrong of " + std::to_string(outcome.result.cells()) + " cells";
  if (outcome.result.packets() != 0) {
    message += ", " + std::to_string(packets) + " wrong of " + std::to_string(outcome.result.packets()) +
               " packets";
  }
  return "      <failure" + attribute("message", message) +
         ">" + escaped(joined(outcome.notes)) + "</failure>\n";
}

}  // namespace

std::string junit_report(const std::vector<Outcome>& outcomes, const std::vector<Refusal>& refusals) {
  std::size_t failures = 0;
  std::size_t errors = refusals.size();
  for (const auto& outcome : outcomes) {
    if (!outcome.error.empty())
      ++errors;
    else if (!outcome.passed)
      ++failures;
  }
  const std::string counts = attribute("tests", std::to_string(outcomes.size() + refusals.size())) +
                             attribute("failures", std::to_string(failures)) +
                             attribute("errors", std::to_string(errors));
  std::string text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites" + counts + ">\n  <testsuite" +
                     attribute("name", "postern") + counts + ">\n";
  for (const auto& outcome : outcomes) {
    text += test_case(outcome.result.name, outcome.result.file);
    text += outcome.passed ? "/>\n" : ">\n" + failure(outcome) + "    </testcase>\n";
  }
  for (const auto& refusal : refusals) {
    text += test_case(refusal.file, refusal.file) + ">\n      <error" +
            attribute("message", "the file was refused") + ">" + escaped(joined(refusal.messages)) +
            "</error>\n    </testcase>\n";
  }
  return text + "  </testsuite>\n</testsuites>\n";
}

}  // namespace postern::sim
