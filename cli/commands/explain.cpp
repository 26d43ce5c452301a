// SPDX-License-Identifier: Apache-2.0
#include "cli/commands/explain.h"

#include <cstdio>
#include <optional>

#include "cli/commands/cluster.h"
#include "cli/commands/output.h"
#include "cli/commands/query.h"
#include "engine/explain/explain.h"
#include "sim/replay/explanation_json.h"

namespace postern::cli {

namespace {

// Two ends of two families may be two stories; the one that is not told must not go unnoticed.
void tell_other_family(const ClusterSnapshot& cluster, const ExplainQuery& query, bool allowed) {
  if (!in_family(cluster, query, IpFamily::v4)) return;  // then IPv6 is what was told
  const auto other = in_family(cluster, query, IpFamily::v6);
  if (!other) return;
  const auto explanation = explain(cluster, *other);
  if (!explanation || explanation->allowed == allowed) return;
  note(std::string("over IPv6 it is ") + (explanation->allowed ? "allowed" : "denied") +
       ": --family IPv6 says why");
}

}  // namespace

int run_explain(const ExplainOptions& options) {
  const auto loaded = load_manifests(options.manifests, options.ignore_unsupported);
  if (!loaded) return 2;
  const ClusterSnapshot* cluster = &loaded->cluster;
  const auto query = query_of(*cluster, {options.from, options.to, options.port, options.protocol, options.strict});
  if (!query) return refuse(query.error().to_string());
  std::optional<ExplainQuery> asked = *query;
  if (!options.family.empty()) {
    asked = in_family(*cluster, *query, options.family == "IPv4" ? IpFamily::v4 : IpFamily::v6);
    if (!asked) return refuse("--family " + options.family + ": not both ends have such an address");
  }
  const auto explanation = explain(*cluster, *asked);
  if (!explanation) return refuse(explanation.error().to_string());
  if (options.family.empty()) tell_other_family(*cluster, *query, explanation->allowed);
  std::fputs((options.json ? sim::explanation_json(*explanation) : to_text(*explanation)).c_str(), stdout);
  return explanation->allowed ? 0 : 1;
}

}  // namespace postern::cli
