// SPDX-License-Identifier: Apache-2.0
// What the datapath did, as Prometheus reads it: verdicts from the kernel's own counters, connections, how
// full its tables are, events and what became of them, and how long policy took. Read when somebody asks
// for the page, and not otherwise. Labels come from closed sets.
#pragma once

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agent/cloudwatch/log_delivery.h"
#include "agent/flow/flow_log.h"
#include "agent/flow/self_check.h"
#include "engine/enforce/node_enforcer.h"

namespace postern::agent {

class TrafficMetrics {
 public:
  // `event_logs`: the two counters of the Amazon agent are there only with its event logs on, as there.
  TrafficMetrics(prometheus::Registry& registry, bool event_logs);
  TrafficMetrics(const TrafficMetrics&) = delete;
  TrafficMetrics& operator=(const TrafficMetrics&) = delete;

  // As Backend::counters() has them.
  void set_counters(const std::vector<pn_counter>& counters);
  // `entries`: nothing as long as nobody has counted them.
  void set_connections(std::optional<std::uint64_t> entries, std::size_t room);
  // Taken over from the node, ever, by this agent.
  void set_seeded(std::uint64_t connections);
  void set_tables(const std::vector<TableUse>& tables);
  void set_flow_log(const FlowCounts& counts, std::uint64_t evicted_flows);
  void set_cloudwatch(const cloudwatch::DeliveryCounters& counters);
  void set_self_check(const SelfCheckCounts& counts);

  // The oldest change of an attempt that went well waited so long for it.
  void policy_in_force(Duration waited) { programming_.Observe(static_cast<double>(waited.ns) / 1e9); }
  // Since the policy was changed, as its PolicyEndpoint says.
  void policy_endpoint_in_force(double seconds) { amazon_programming_.Observe(seconds); }

 private:
  void set_dropped(std::uint32_t direction, const std::vector<pn_counter>& counters, const pn_counter& all);

  using Gauges = prometheus::Family<prometheus::Gauge>;
  using Counters = prometheus::Family<prometheus::Counter>;
  Counters& verdict_packets_;
  Counters& verdict_bytes_;
  Counters& dropped_packets_;
  Counters& dropped_bytes_;
  Counters* amazon_packets_ = nullptr;  // none without event logs
  Counters* amazon_bytes_ = nullptr;
  Gauges& connections_;
  Gauges& connections_room_;
  Counters& opened_;
  Counters& evicted_;
  Counters& seeded_;
  Counters& events_;
  Counters& events_lost_;
  Counters& flow_events_;
  Counters& flow_summaries_;
  Counters& flows_evicted_;
  Counters& cloudwatch_events_;
  Gauges& cloudwatch_held_;
  Counters& cloudwatch_requests_;
  Counters& cloudwatch_failures_;
  Counters& verified_;
  Gauges& table_used_;
  Gauges& table_size_;
  prometheus::Histogram& programming_;
  prometheus::Histogram& amazon_programming_;
};

// Seconds from an RFC 3339 moment ("2026-01-02T03:04:05.678901234Z") to `unix_ns`; nothing for other texts
// and for moments to come.
std::optional<double> seconds_since(const std::string& moment, std::int64_t unix_ns);

// Which PolicyEndpoints came into force with a change that was not in force before: each trigger time of
// each of them is told once, and none of those that were there at the first call.
class TriggerTimes {
 public:
  std::vector<std::string> take(const std::map<NamespacedName, PolicyEndpoint>& slices);

 private:
  std::map<NamespacedName, std::string> known_;
  bool first_ = true;
};

}  // namespace postern::agent
