// SPDX-License-Identifier: Apache-2.0
#include "sim/replay/flow_words.h"

namespace postern::sim {

namespace {

// Ports of clients are all different, and their answers are not asked for again: enough is enough.
constexpr std::size_t kKeptAnswers = 10'000;

// Denies, or would.
bool objects(const EndExplanation& end) { return !end.allowed || end.would_deny; }

}  // namespace

FlowWords::FlowWords(const ClusterSnapshot& cluster, bool strict) : cluster_(cluster), strict_(strict) {
  for (const auto& [name, node] : cluster.nodes) {
    for (const auto& entry : node.addresses) node_by_address_.emplace(entry.address, name);
  }
}

TrafficEnd FlowWords::traffic_end(const FlowEnd& end) const {
  TrafficEnd traffic;
  traffic.address = end.address;
  if (end.pod) {
    traffic.kind = TrafficEnd::Kind::pod;
    traffic.pod = *end.pod;
  } else if (const auto node = node_by_address_.find(end.address); node != node_by_address_.end()) {
    traffic.kind = TrafficEnd::Kind::node;
    traffic.node = node->second;
  }
  return traffic;
}

const FlowWords::Answer* FlowWords::answer(const FlowEnd& from, const FlowEnd& to, std::uint8_t protocol) {
  if (answers_.size() >= kKeptAnswers) answers_.clear();
  const auto [place, fresh] = answers_.try_emplace({from.address, to.address, protocol, to.port});
  if (fresh) {
    const ExplainQuery query{traffic_end(from), traffic_end(to), protocol, to.port, strict_};
    if (const auto explanation = explain(cluster_, query)) {
      place->second =
          Answer{explanation->allowed,   objects(explanation->egress),  objects(explanation->ingress),
                 why_line(*explanation), why_line(explanation->egress), why_line(explanation->ingress)};
    }
  }
  return place->second ? &*place->second : nullptr;
}

std::optional<OpenerVerdict> FlowWords::opener(const FlowEnd& from, const FlowEnd& to,
                                               std::uint8_t protocol) {
  const Answer* said = answer(from, to, protocol);
  if (said == nullptr) return std::nullopt;
  return OpenerVerdict{said->allowed, said->whole};
}

Flow FlowWords::finish(const TrackedFlow& tracked) {
  Flow row = tracked.row;
  if (row.midstream > 0) {
    row.if_from_opened = opener(row.from, row.to, row.protocol);
    row.if_to_opened = opener(row.to, row.from, row.protocol);
  }
  if (row.first_denial) explain_denial(row, tracked.denied_forward, *row.first_denial);
  if (row.first_would_deny) explain_denial(row, tracked.would_deny_forward, *row.first_would_deny);
  return row;
}

void FlowWords::explain_denial(const Flow& row, bool forward, Denial& denial) {
  if (denial.reason != PN_REASON_ISOLATED && denial.reason != PN_REASON_STRICT) return;
  const Answer* said = forward ? answer(row.from, row.to, row.protocol) : answer(row.to, row.from, row.protocol);
  if (said == nullptr) return;
  // Of a later fragment or a broken packet the objects may say otherwise than the datapath.
  const bool egress = denial.direction == Direction::egress;
  if (egress ? said->egress_objects : said->ingress_objects) denial.why = egress ? said->egress : said->ingress;
}

}  // namespace postern::sim
