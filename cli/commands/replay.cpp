// SPDX-License-Identifier: Apache-2.0
#include "cli/commands/replay.h"

#include <cstdio>
#include <limits>
#include <string>
#include <vector>

#include "backends/native/native_backend.h"
#include "cli/commands/cluster.h"
#include "cli/commands/output.h"
#include "sim/replay/replay.h"
#include "sim/replay/report.h"

namespace postern::cli {

namespace {

int report(const ReplayOptions& options, const sim::ReplayResult& result) {
  if (options.json == "-") {
    std::fputs(sim::replay_json(result).c_str(), stdout);
  } else {
    const std::size_t flows = options.verbose ? std::numeric_limits<std::size_t>::max() : options.flows;
    std::fputs(sim::replay_text(result, flows).c_str(), stdout);
    if (!options.json.empty() && !write_file(options.json, sim::replay_json(result))) return 2;
  }
  bool damaged = false;
  for (const auto& capture : result.captures) {
    if (!capture.damaged) continue;
    damaged = true;
    refuse(capture.damaged->to_string());
  }
  if (damaged) return 2;
  if (result.totals.judged == 0) {
    const int status = refuse("no packet could be judged; do captures and manifests belong together?");
    if (options.fail_on_denied) return status;
  }
  return options.fail_on_denied && result.totals.denied > 0 ? 1 : 0;
}

// A capture tells pods by their addresses; ones that were made up fit it only by chance, or because it was
// recorded in such a world.
void tell_assigned(const sim::ManifestCluster& cluster) {
  if (cluster.assigned_pods == 0) return;
  note(std::to_string(cluster.assigned_pods) +
       " pods have no status.podIPs and were given addresses here: a capture from elsewhere shows other pods "
       "at them");
}

}  // namespace

int run_replay(const ReplayOptions& options) {
  const auto vantage = sim::parse_vantage(options.vantage);
  if (!vantage) return refuse(vantage.error().to_string());
  const auto cluster = load_manifests(options.manifests, options.ignore_unsupported);
  if (!cluster) return 2;
  std::vector<std::string> inputs = options.captures;
  inputs.insert(inputs.end(), cluster->files.begin(), cluster->files.end());
  if (auto checked = check_output(options.json, inputs); !checked) return refuse(checked.error().to_string());
  sim::ReplaySettings settings;
  settings.vantage = *vantage;
  settings.enforcer.strict = options.strict;
  const auto result = sim::replay_captures(options.captures, cluster->cluster, settings, make_native_backend);
  if (!result) return refuse(result.error().to_string());
  if (result->totals.judged > 0) tell_assigned(*cluster);
  return report(options, *result);
}

}  // namespace postern::cli
