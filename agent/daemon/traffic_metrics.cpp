// SPDX-License-Identifier: Apache-2.0
#include "agent/daemon/traffic_metrics.h"

#include <array>
#include <cstdio>
#include <ctime>
#include <string_view>
#include <utility>

#include "agent/daemon/metric_family.h"
#include "engine/abi/tables.h"
#include "engine/abi/verdict.h"
#include "engine/explain/explain.h"

namespace postern::agent {
namespace {

// Those of the Amazon agent.
prometheus::Histogram::BucketBoundaries programming_buckets() {
  prometheus::Histogram::BucketBoundaries buckets{0.25, 0.5};
  for (int second = 1; second <= 59; ++second) buckets.push_back(second);
  for (int second = 60; second <= 115; second += 5) buckets.push_back(second);
  for (int second = 120; second <= 300; second += 30) buckets.push_back(second);
  return buckets;
}

// Within one node it is a matter of milliseconds.
prometheus::Histogram::BucketBoundaries node_buckets() {
  return {0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300};
}

// Every reason that there is has its series from the first page on, at 0 if need be: a series that begins with
// its first packets has no increase by them. The numbers between the reasons have a name in common, and none.
bool is_known(std::uint32_t reason) { return reason_name(reason) != reason_name(PN_REASON_COUNT); }

bool drops(std::uint32_t reason) { return reason == PN_REASON_NONE || reason >= PN_REASON_ISOLATED; }

const char* direction_name(std::uint32_t direction) { return direction == PN_INGRESS ? "ingress" : "egress"; }

}  // namespace

TrafficMetrics::TrafficMetrics(prometheus::Registry& registry, bool event_logs)
    : verdict_packets_(family(registry, prometheus::BuildCounter, "postern_verdict_packets_total",
                              "Packets that were judged, by the pod's direction, the tier and the reason")),
      verdict_bytes_(family(registry, prometheus::BuildCounter, "postern_verdict_bytes_total",
                            "Bytes of those packets")),
      dropped_packets_(family(registry, prometheus::BuildCounter, "postern_dropped_packets_total",
                              "Packets dropped, by the pod's direction and the reason")),
      dropped_bytes_(family(registry, prometheus::BuildCounter, "postern_dropped_bytes_total",
                            "Bytes of those packets")),
      connections_(family(registry, prometheus::BuildGauge, "postern_conntrack_entries",
                          "Connections in the table, those included that have expired and were not swept yet")),
      connections_room_(family(registry, prometheus::BuildGauge, "postern_conntrack_entries_max",
                               "Connections that the table has room for")),
      opened_(family(registry, prometheus::BuildCounter, "postern_conntrack_inserts_total",
                     "Connections that got an entry")),
      evicted_(family(registry, prometheus::BuildCounter, "postern_conntrack_evictions_total",
                      "Live connections that lost their entry to another one in a full bucket")),
      seeded_(family(registry, prometheus::BuildCounter, "postern_conntrack_seeded_total",
                     "Connections older than the isolation of their pod that were taken over from the node's conntrack")),
      events_(family(registry, prometheus::BuildCounter, "postern_ring_events_total",
                     "Events that the datapath offered to a ring, lost ones included")),
      events_lost_(family(registry, prometheus::BuildCounter, "postern_ring_events_lost_total",
                          "Those that found the ring full")),
      flow_events_(family(registry, prometheus::BuildCounter, "postern_flow_log_events_total",
                          "Events that flow logs received, by what became of them")),
      flow_summaries_(family(registry, prometheus::BuildCounter, "postern_flow_log_summaries_total",
                             "Lines about the last events of a flow that its interval had held back")),
      flows_evicted_(family(registry, prometheus::BuildCounter, "postern_flow_log_flows_evicted_total",
                            "Flows that were forgotten for want of room while their interval was running")),
      cloudwatch_events_(family(registry, prometheus::BuildCounter, "postern_cloudwatch_events_total",
                                "Records for CloudWatch that were sent or lost, by what became of them")),
      cloudwatch_held_(family(registry, prometheus::BuildGauge, "postern_cloudwatch_events_held",
                              "Records that wait to be sent to CloudWatch")),
      cloudwatch_requests_(family(registry, prometheus::BuildCounter, "postern_cloudwatch_requests_total",
                                  "Requests to CloudWatch")),
      cloudwatch_failures_(family(registry, prometheus::BuildCounter, "postern_cloudwatch_failures_total",
                                  "Those that were not taken or not answered")),
      verified_(family(registry, prometheus::BuildCounter, "postern_verify_events_total",
                       "Live verdicts that were judged again by the policy in force, by what came out")),
      table_used_(family(registry, prometheus::BuildGauge, "postern_table_entries_used",
                         "Entries of a policy table that are in use")),
      table_size_(family(registry, prometheus::BuildGauge, "postern_table_entries_max",
                         "Entries that the table has room for")),
      programming_(family(registry, prometheus::BuildHistogram, "postern_policy_programming_latency_seconds",
                          "From the arrival of a change at this agent until it was in force")
                       .Add({}, node_buckets())),
      amazon_programming_(
          family(registry, prometheus::BuildHistogram, "awsnodeagent_policy_programming_latency_seconds",
                 "Seconds from the change of a policy, as its PolicyEndpoint says, until it was in force")
              .Add({}, programming_buckets())) {
  if (!event_logs) return;
  amazon_packets_ = &family(registry, prometheus::BuildCounter, "network_policy_drop_count_total",
                            "Total number of packets dropped by network policy agent");
  amazon_bytes_ = &family(registry, prometheus::BuildCounter, "network_policy_drop_bytes_total",
                          "Total number of bytes dropped by network policy agent");
}

void TrafficMetrics::set_counters(const std::vector<pn_counter>& counters) {
  if (counters.size() < PN_COUNTERS) return;
  for (std::uint32_t direction = 0; direction < 2; ++direction) {
    pn_counter dropped{};
    for (std::uint32_t reason = 0; reason < PN_REASON_COUNT; ++reason) {
      if (!is_known(reason)) continue;
      const pn_counter& one = counters[pn_counter_index(direction, reason)];
      const prometheus::Labels labels{{"direction", direction_name(direction)},
                                      {"reason", std::string(reason_name(reason))},
                                      {"tier", std::string(tier_name(tier_of_reason(reason)))}};
      raise_to(verdict_packets_.Add(labels), static_cast<double>(one.packets));
      raise_to(verdict_bytes_.Add(labels), static_cast<double>(one.bytes));
      if (!drops(reason)) continue;
      dropped.packets += one.packets;
      dropped.bytes += one.bytes;
    }
    set_dropped(direction, counters, dropped);
  }
  const auto packets = [&](std::uint32_t index) { return static_cast<double>(counters[index].packets); };
  raise_to(opened_.Add({}), packets(PN_COUNTER_OPENED));
  raise_to(evicted_.Add({}), packets(PN_COUNTER_EVICTED));
  raise_to(events_.Add({{"ring", "events"}}), packets(PN_COUNTER_EVENTS));
  raise_to(events_lost_.Add({{"ring", "events"}}), packets(PN_COUNTER_EVENTS_LOST));
  raise_to(events_.Add({{"ring", "monitor"}}), packets(PN_COUNTER_MONITOR));
  raise_to(events_lost_.Add({{"ring", "monitor"}}), packets(PN_COUNTER_MONITOR_LOST));
}

// Reasons of two tiers have one name: they are one series here.
void TrafficMetrics::set_dropped(std::uint32_t direction, const std::vector<pn_counter>& counters,
                                 const pn_counter& all) {
  std::map<std::string_view, pn_counter> by_name;
  for (std::uint32_t reason = 0; reason < PN_REASON_COUNT; ++reason) {
    if (!is_known(reason) || !drops(reason)) continue;
    const pn_counter& one = counters[pn_counter_index(direction, reason)];
    by_name[reason_name(reason)].packets += one.packets;
    by_name[reason_name(reason)].bytes += one.bytes;
  }
  for (const auto& [name, one] : by_name) {
    const prometheus::Labels labels{{"direction", direction_name(direction)}, {"reason", std::string(name)}};
    raise_to(dropped_packets_.Add(labels), static_cast<double>(one.packets));
    raise_to(dropped_bytes_.Add(labels), static_cast<double>(one.bytes));
  }
  if (amazon_packets_ == nullptr) return;
  const prometheus::Labels labels{{"direction", direction_name(direction)}};
  raise_to(amazon_packets_->Add(labels), static_cast<double>(all.packets));
  raise_to(amazon_bytes_->Add(labels), static_cast<double>(all.bytes));
}

void TrafficMetrics::set_connections(std::optional<std::uint64_t> entries, std::size_t room) {
  if (entries) connections_.Add({}).Set(static_cast<double>(*entries));
  connections_room_.Add({}).Set(static_cast<double>(room));
}

void TrafficMetrics::set_seeded(std::uint64_t connections) {
  raise_to(seeded_.Add({}), static_cast<double>(connections));
}

void TrafficMetrics::set_tables(const std::vector<TableUse>& tables) {
  for (const auto& one : tables) {
    const prometheus::Labels labels{{"table", std::string(name_of(one.table))}};
    table_used_.Add(labels).Set(static_cast<double>(one.used));
    table_size_.Add(labels).Set(static_cast<double>(one.size));
  }
}

void TrafficMetrics::set_flow_log(const FlowCounts& counts, std::uint64_t evicted_flows) {
  const auto set = [this](const char* outcome, std::uint64_t count) {
    raise_to(flow_events_.Add({{"outcome", outcome}}), static_cast<double>(count));
  };
  set("written", counts.written);
  set("suppressed", counts.suppressed);
  set("over_limit", counts.over_limit);
  set("below_level", counts.below_level);
  raise_to(flow_summaries_.Add({}), static_cast<double>(counts.summaries));
  raise_to(flows_evicted_.Add({}), static_cast<double>(evicted_flows));
}

void TrafficMetrics::set_cloudwatch(const cloudwatch::DeliveryCounters& counters) {
  const auto events = [this](const char* outcome, std::uint64_t count) {
    raise_to(cloudwatch_events_.Add({{"outcome", outcome}}), static_cast<double>(count));
  };
  events("sent", counters.sent);
  events("queue_full", counters.lost_queue_full);
  events("invalid", counters.lost_invalid);
  events("refused", counters.lost_refused);
  events("too_old", counters.lost_too_old);
  events("too_new", counters.lost_too_new);
  events("expired", counters.lost_expired);
  cloudwatch_held_.Add({}).Set(static_cast<double>(counters.held_events));
  raise_to(cloudwatch_requests_.Add({}), static_cast<double>(counters.requests));
  raise_to(cloudwatch_failures_.Add({}), static_cast<double>(counters.failures));
}

void TrafficMetrics::set_self_check(const SelfCheckCounts& counts) {
  const auto set = [this](const char* outcome, std::uint64_t count) {
    raise_to(verified_.Add({{"outcome", outcome}}), static_cast<double>(count));
  };
  set("agree", counts.agree);
  set("differ", counts.differ);
  set("not_comparable", counts.not_comparable);
}

std::optional<double> seconds_since(const std::string& moment, std::int64_t unix_ns) {
  std::tm fields{};
  const char* rest = strptime(moment.c_str(), "%Y-%m-%dT%H:%M:%S", &fields);
  if (rest == nullptr) return std::nullopt;
  double fraction = 0;
  if (*rest == '.') {
    double place = 0.1;
    for (++rest; *rest >= '0' && *rest <= '9'; ++rest, place /= 10) fraction += place * (*rest - '0');
  }
  std::int64_t zone_s = 0;
  if (*rest == '+' || *rest == '-') {
    int hours = 0, minutes = 0;
    if (std::sscanf(rest + 1, "%2d:%2d", &hours, &minutes) != 2) return std::nullopt;
    zone_s = (*rest == '-' ? -1 : 1) * (hours * 3600 + minutes * 60);
  } else if (std::string_view(rest) != "Z") {
    return std::nullopt;
  }
  const double then = static_cast<double>(timegm(&fields) - zone_s) + fraction;
  const double passed = static_cast<double>(unix_ns) / 1e9 - then;
  return passed < 0 ? std::nullopt : std::optional(passed);
}

std::vector<std::string> TriggerTimes::take(const std::map<NamespacedName, PolicyEndpoint>& slices) {
  std::vector<std::string> fresh;
  std::map<NamespacedName, std::string> now;
  for (const auto& [key, slice] : slices) {
    if (slice.last_change_trigger_time.empty()) continue;
    const auto known = known_.find(key);
    const bool is_new = known == known_.end() || known->second != slice.last_change_trigger_time;
    if (!first_ && is_new) fresh.push_back(slice.last_change_trigger_time);
    now.emplace(key, slice.last_change_trigger_time);
  }
  known_ = std::move(now);
  first_ = false;
  return fresh;
}

}  // namespace postern::agent
