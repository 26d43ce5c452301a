// SPDX-License-Identifier: Apache-2.0
// The words of a flow's row: why it was denied, and what policy says to a connection whose opening is
// not in the capture. Many flows ask the same (every client port of a pair), so answers are kept.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <tuple>

#include "engine/explain/explain.h"
#include "sim/replay/flow_table.h"

namespace postern::sim {

class FlowWords {
 public:
  FlowWords(const ClusterSnapshot& cluster, bool strict);

  // The row as counted, with its words.
  Flow finish(const TrackedFlow& tracked);

 private:
  struct Answer {
    bool allowed = false;
    bool egress_objects = false;  // denies, or would if what is in audit were enforced
    bool ingress_objects = false;
    std::string whole;
    std::string egress;
    std::string ingress;
  };
  using Key = std::tuple<IpAddress, IpAddress, std::uint8_t, std::uint16_t>;

  [[nodiscard]] TrafficEnd traffic_end(const FlowEnd& end) const;
  // Null: the ends cannot talk at all (no common family).
  const Answer* answer(const FlowEnd& from, const FlowEnd& to, std::uint8_t protocol);
  // `forward`: of a packet from row.from to row.to.
  void explain_denial(const Flow& row, bool forward, Denial& denial);
  std::optional<OpenerVerdict> opener(const FlowEnd& from, const FlowEnd& to, std::uint8_t protocol);

  const ClusterSnapshot& cluster_;
  bool strict_;
  std::map<IpAddress, std::string> node_by_address_;
  std::map<Key, std::optional<Answer>> answers_;
};

}  // namespace postern::sim
