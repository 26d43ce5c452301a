// SPDX-License-Identifier: Apache-2.0
#include "sim/netns/node_memory.h"

#include <linux/netfilter/nf_conntrack_tcp.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "engine/conntrack/conntrack_view.h"
#include "sim/netns/topology.h"

namespace postern::sim {
namespace {

// Longer than any scenario runs: the scenario's clock ends a connection, not the kernel's.
constexpr Duration kLives = seconds(86400);
constexpr TickClock kClock{};
constexpr std::uint32_t kLoopback = 0x7f000001;  // 127.0.0.1

TrackedTuple tracked(const pn_tuple& tuple) {
  return {address_of(tuple.source), address_of(tuple.destination), tuple.source_port, tuple.destination_port,
          static_cast<std::uint8_t>(tuple.protocol)};
}

TrackedTuple turned(const TrackedTuple& tuple) {
  return {tuple.destination, tuple.source, tuple.destination_port, tuple.source_port, tuple.protocol};
}

// Of what the datapath tells apart; which of the two sides sent the first FIN is not among it.
std::uint8_t tcp_state_of(std::uint32_t state) {
  constexpr std::uint32_t kFins = PN_CT_FIN_OPENER | PN_CT_FIN_REPLIER;
  if ((state & PN_CT_RST) != 0) return TCP_CONNTRACK_CLOSE;
  if ((state & kFins) == kFins) return TCP_CONNTRACK_TIME_WAIT;
  if ((state & kFins) != 0) return TCP_CONNTRACK_FIN_WAIT;
  return (state & PN_CT_REPLIED) != 0 ? TCP_CONNTRACK_ESTABLISHED : TCP_CONNTRACK_SYN_SENT;
}

// A node's table is never empty, and grace asks whether it is: of its kubelet, say, with itself.
TrackedConnection nodes_own() {
  const TrackedTuple tuple{IpAddress::v4(kLoopback), IpAddress::v4(kLoopback), 1, 1,
                           static_cast<std::uint8_t>(Protocol::udp)};
  return {tuple, tuple, false, 0};
}

std::vector<NodeConnectionsOf> pods_in_use(const NodeSlot& node) {
  std::vector<NodeConnectionsOf> pods;
  for (const auto& pod : node.pods) {
    if (pod->in_use) pods.push_back({pod->endpoint, {pod->addresses.begin(), pod->addresses.end()}});
  }
  return pods;
}

}  // namespace

void NodeMemory::translated(std::span<const std::uint8_t> frame, std::span<const std::uint8_t> made) {
  const auto at_client = connection_of_frame(frame);
  const auto at_backend = connection_of_frame(made);
  if (!at_client || !at_backend) return;
  backend_of_.insert_or_assign(tracked(*at_client), tracked(*at_backend));
  service_of_.insert_or_assign(tracked(*at_backend), tracked(*at_client));
}

void NodeMemory::advance_to(Instant now) {
  connections_.advance_to(static_cast<std::uint32_t>(static_cast<std::uint64_t>(now.ns) >> kClock.shift));
}

// A connection between two pods of the node, or to a Service whose backend is here, is seen at two interfaces.
Result<NodeMemory::Written> NodeMemory::alive(const NodeSlot& node) {
  const auto seen = connections_.live(pods_in_use(node));
  if (!seen) return fail_as(seen);
  std::map<TrackedTuple, std::pair<TrackedTuple, std::uint32_t>> states;  // by original: the opener's at its end
  for (const auto& connection : *seen) {
    TrackedTuple original = tracked(connection.tuple);
    TrackedTuple at_end = original;
    if (const auto backend = backend_of_.find(original); backend != backend_of_.end()) at_end = backend->second;
    else if (const auto service = service_of_.find(at_end); service != service_of_.end()) original = service->second;
    states.try_emplace(original, at_end, 0).first->second.second |= connection.state;
  }
  Written alive;
  for (const auto& [original, end] : states) {
    const bool tcp = original.protocol == static_cast<std::uint8_t>(Protocol::tcp);
    alive.emplace(original, TrackedConnection{original, turned(end.first), (end.second & PN_CT_REPLIED) != 0,
                                              tcp ? tcp_state_of(end.second) : std::uint8_t{0}});
  }
  return alive;
}

Result<void> NodeMemory::write(const NodeSlot& node, const ClusterSettings& settings) {
  if (!settings.node_conntrack) return {};
  connections_.set_timeouts(settings.enforcer.timeouts, kClock);
  auto wanted = alive(node);
  if (!wanted) return fail_as(wanted);
  if (settings.enforcer.midflow_grace.ns > 0) wanted->emplace(*nodes_own().original, nodes_own());
  if (wanted->empty() && written_.empty()) return {};
  auto scope = NetnsScope::enter(node.station.netns);
  if (!scope) return fail_as(scope);
  auto writer = ConntrackWriter::open();
  if (!writer) return fail_as(writer);
  for (const auto& [original, connection] : written_) {
    const auto still = wanted->find(original);
    if (still != wanted->end() && still->second == connection) continue;
    if (const auto done = writer->remove(original); !done) return fail_as(done);
  }
  // One that is there already is left: written before, or a probe's.
  for (const auto& [original, connection] : *wanted) {
    if (const auto done = writer->add(connection, kLives); !done) return fail_as(done);
  }
  written_ = std::move(*wanted);
  return {};
}

}  // namespace postern::sim
