// SPDX-License-Identifier: Apache-2.0
#include "agent/daemon/node_metrics.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <string_view>

#include "agent/daemon/metric_family.h"

namespace postern::agent {
namespace {

// A version is opaque; that of every server in use is a number, which alone can be compared.
std::optional<double> number_of(const std::string& version) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(version.data(), version.data() + version.size(), number);
  if (error != std::errc{} || end != version.data() + version.size()) return std::nullopt;
  return static_cast<double>(number);
}

// A folder of manifests counts as policies.
bool is_about_pods_or_services(std::string_view resource) {
  return resource == "pods" || resource == "namespaces" || resource == "nodes" || resource == "services" ||
         resource == "endpointslices";
}

double seconds_of(Duration duration) { return static_cast<double>(duration.ns) / 1e9; }

}  // namespace

NodeMetrics::NodeMetrics(prometheus::Registry& registry)
    : ready_(family(registry, prometheus::BuildGauge, "postern_ready",
                    "1 once policy was in force; an outage of the source does not undo it")),
      pending_(family(registry, prometheus::BuildGauge, "postern_pending",
                      "1 while something has happened that is not in force yet")),
      failing_seconds_(family(registry, prometheus::BuildGauge, "postern_failing_seconds",
                              "For how long policy could not be put in force; 0 when all is well")),
      policies_(family(registry, prometheus::BuildGauge, "postern_policies_in_force",
                       "Policies of the cluster in the snapshot that is in force")),
      pods_(family(registry, prometheus::BuildGauge, "postern_pods",
                   "Pods of this node, by whether their interface is known")),
      further_(family(registry, prometheus::BuildGauge, "postern_further_interfaces",
                      "Interfaces of this node's pods beside their primary one, by whether they are enforced")),
      stale_seconds_(family(registry, prometheus::BuildGauge, "postern_source_stale_seconds",
                            "For how long a resource could not be followed; 0 when it is")),
      rejected_(family(registry, prometheus::BuildGauge, "postern_source_rejected_objects",
                       "Objects that cannot be read; their last good version stands")),
      disagreeing_(family(registry, prometheus::BuildGauge, "postern_source_disagreeing_policies",
                          "Policies whose PolicyEndpoints disagree now; the last that agreed stand")),
      seen_version_(family(registry, prometheus::BuildGauge, "postern_source_version",
                           "The newest resourceVersion seen of a resource")),
      version_in_force_(family(registry, prometheus::BuildGauge, "postern_source_version_in_force",
                               "The newest resourceVersion of a resource that is in force")),
      disagreements_(family(registry, prometheus::BuildCounter, "postern_source_disagreements_total",
                            "How often a policy's PolicyEndpoints came to disagree, or on something else")),
      attempts_(family(registry, prometheus::BuildCounter, "postern_reconciles_total",
                       "Attempts to bring the kernel to what is wanted")),
      failures_(family(registry, prometheus::BuildCounter, "postern_reconcile_failures_total",
                       "Those that failed; the last complete policy stays in force")),
      lists_(family(registry, prometheus::BuildCounter, "postern_watch_lists_total",
                    "How often a resource was listed whole; beyond the first, a watch could not go on")),
      refused_(family(registry, prometheus::BuildGauge, "postern_policies_refused",
                      "Policies that cannot be read or whose parts disagree; their last good version stands")),
      conntrack_sweep_seconds_(family(registry, prometheus::BuildGauge, "postern_conntrack_last_sweep_seconds",
                                      "How long the last sweep took, its rests included")),
      conntrack_removed_(family(registry, prometheus::BuildCounter, "postern_conntrack_removed_total",
                                "Connections that sweeps took out: by their own timeout (expired), or idle here "
                                "and gone from the node's conntrack (gone)")),
      conntrack_spared_(family(registry, prometheus::BuildCounter, "postern_conntrack_spared_total",
                               "Connections that a sweep left alone, as they were used after it had read them")),
      conntrack_sweeps_(family(registry, prometheus::BuildCounter, "postern_conntrack_sweeps_total",
                               "Sweeps of that table, by whether the node's conntrack was read for it")) {}

void NodeMetrics::set_node(const NodeAgent& agent, Instant now) {
  const auto& status = agent.status();
  ready_.Add({}).Set(status.ready ? 1 : 0);
  pending_.Add({}).Set(status.pending ? 1 : 0);
  failing_seconds_.Add({}).Set(status.failure.empty() ? 0 : seconds_of(now - status.failing_since));
  policies_.Add({}).Set(static_cast<double>(status.policies));
  std::array<double, 2> found{};
  std::array<double, 2> further{};
  for (const auto& [key, pod] : agent.pods()) {
    found[pod.interface ? 1 : 0] += 1;
    for (const auto& one : pod.further) further[one.endpoint.value != 0 ? 1 : 0] += 1;
  }
  further_.Add({{"enforced", "true"}}).Set(further[1]);
  further_.Add({{"enforced", "false"}}).Set(further[0]);
  pods_.Add({{"interface", "known"}}).Set(found[1]);
  pods_.Add({{"interface", "unknown"}}).Set(found[0]);
  raise_to(attempts_.Add({}), static_cast<double>(status.reconciles));
  raise_to(failures_.Add({}), static_cast<double>(status.failures));
}

void NodeMetrics::set_source(const std::vector<SourceStatus>& statuses, bool in_force, Instant now) {
  double refused = 0;
  for (const auto& status : statuses) {
    const prometheus::Labels labels{{"resource", status.resource}};
    const bool stale = status.state == SourceStatus::State::failing;
    stale_seconds_.Add(labels).Set(stale ? seconds_of(now - status.since) : 0);
    rejected_.Add(labels).Set(static_cast<double>(status.rejected));
    disagreeing_.Add(labels).Set(static_cast<double>(status.disagreeing));
    raise_to(lists_.Add(labels), static_cast<double>(status.lists));
    if (!is_about_pods_or_services(status.resource)) {
      refused += static_cast<double>(status.rejected + status.disagreeing);
    }
    raise_to(disagreements_.Add(labels), static_cast<double>(status.disagreements));
    if (const auto version = number_of(status.resource_version)) {
      seen_version_.Add(labels).Set(*version);
      if (in_force && !status.held) version_in_force_.Add(labels).Set(*version);
    }
  }
  refused_.Add({}).Set(refused);
}

void NodeMetrics::set_cleanup(const CleanupNumbers& numbers) {
  conntrack_sweep_seconds_.Add({}).Set(seconds_of(numbers.last_sweep));
  raise_to(conntrack_removed_.Add({{"why", "expired"}}), static_cast<double>(numbers.totals.freed));
  raise_to(conntrack_removed_.Add({{"why", "gone"}}), static_cast<double>(numbers.totals.retired));
  raise_to(conntrack_spared_.Add({}), static_cast<double>(numbers.totals.spared));
  raise_to(conntrack_sweeps_.Add({{"cross_check", "true"}}), static_cast<double>(numbers.cross_checks));
  raise_to(conntrack_sweeps_.Add({{"cross_check", "false"}}),
           static_cast<double>(numbers.sweeps - std::min(numbers.sweeps, numbers.cross_checks)));
}

}  // namespace postern::agent
