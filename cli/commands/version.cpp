// SPDX-License-Identifier: Apache-2.0
#include "cli/commands/version.h"

#include <fmt/format.h>

#include <cstdio>
#include <string_view>
#include <vector>

#include "backends/tc/features.h"
#include "cli/build_info.h"
#include "sim/netns/sandbox.h"

namespace postern::cli {

namespace {

// Without these rows of the features the kernel backend cannot start; the others only say how it works.
bool is_needed(std::string_view name) {
  return name == "BPF programs" || name == "ring buffer" || name == "namespaces";
}

}  // namespace

std::string version_line() { return fmt::format("postern {} (commit {})", POSTERN_VERSION, POSTERN_COMMIT); }

std::string machine_report() {
  std::string text = "on this machine:\n";
  std::vector<std::string> reasons;
  for (const tc::Feature& feature : tc::probe_features()) {
    text += fmt::format("  {:<13} {}\n", feature.name, feature.detail);
    if (!feature.available && is_needed(feature.name))
      reasons.push_back(feature.name + ": " + feature.detail);
  }
  const std::string rights = sim::missing_cluster_rights();
  if (!rights.empty()) reasons.push_back("missing rights: " + rights + " (run with sudo)");
  text += "  test --backend sim, replay and explain run here; they need no rights\n";
  if (reasons.empty()) return text + "  test --backend tc and --backend all run here\n";
  text += "  test --backend tc and --backend all cannot run here:\n";
  for (const auto& reason : reasons) text += "    " + reason + '\n';
  return text;
}

int run_version() {
  std::fputs((version_line() + "\n" + machine_report()).c_str(), stdout);
  return 0;
}

}  // namespace postern::cli
