// SPDX-License-Identifier: Apache-2.0
// How the node stands, as Prometheus reads it: whether policy is in force, how old what it follows from
// is, and what was dropped. Written on the loop, read by the endpoint's thread.
#pragma once

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/registry.h>

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "agent/conntrack/cleanup_loop.h"
#include "agent/node/node_agent.h"
#include "agent/source/policy_source.h"

namespace postern::agent {

class NodeMetrics {
 public:
  explicit NodeMetrics(prometheus::Registry& registry);

  void set_node(const NodeAgent& agent, Instant now);
  // `in_force`: what the sources say was part of the last attempt that went well.
  void set_source(const std::vector<SourceStatus>& statuses, bool in_force, Instant now);
  void set_cleanup(const CleanupNumbers& numbers);

 private:
  using Gauges = prometheus::Family<prometheus::Gauge>;
  using Counters = prometheus::Family<prometheus::Counter>;
  Gauges& ready_;
  Gauges& pending_;
  Gauges& failing_seconds_;
  Gauges& policies_;
  Gauges& pods_;
  Gauges& further_;
  Gauges& stale_seconds_;
  Gauges& rejected_;
  Gauges& disagreeing_;
  Gauges& seen_version_;
  Gauges& version_in_force_;
  Counters& disagreements_;
  Counters& attempts_;
  Counters& failures_;
  Counters& lists_;
  Gauges& refused_;
  Gauges& conntrack_sweep_seconds_;
  Counters& conntrack_removed_;
  Counters& conntrack_spared_;
  Counters& conntrack_sweeps_;
};

}  // namespace postern::agent
