// SPDX-License-Identifier: Apache-2.0
#include "sim/netns/netns_cluster.h"

#include <algorithm>
#include <chrono>
#include <optional>

#include "sim/netns/packet_exchange.h"
#include "sim/netns/packet_tap.h"
#include "sim/netns/probe_batch.h"
#include "sim/netns/probe_messages.h"
#include "sim/netns/topology.h"

namespace postern::sim {
namespace {

using Clock = std::chrono::steady_clock;

// Probes in flight at once: enough to share the entering of a namespace, few enough for every queue.
constexpr std::size_t kBatch = 128;

}  // namespace

struct NetnsCluster::State {
  explicit State(TopologyOptions options) : topology(std::move(options)) {}

  // Connections of every node become as old as the scenario's clock says, less `short_of`. The kernel's clock has
  // gone on since the last packet, and the rest is added. Only whole ticks of a node's datapath are handed on, so
  // that the rests of many small steps add up.
  Result<void> age(Duration short_of = {}) {
    const std::int64_t due_ns = now.ns - short_of.ns - aged_to.ns;
    if (due_ns > 0) {
      const auto passed = std::min<Clock::duration>(Clock::now() - passed_since, std::chrono::nanoseconds(due_ns));
      passed_since += passed;
      added_ns += due_ns - std::chrono::duration_cast<std::chrono::nanoseconds>(passed).count();
      aged_to = aged_to + Duration{due_ns};
    }
    for (auto* node : topology.active_nodes()) {
      node->memory.advance_to(now);
      if (!node->watch) continue;
      const std::int64_t tick = std::max<std::int64_t>(1, node->watch->tick_ns());
      const std::int64_t by = (added_ns - node->aged_ns) / tick * tick;
      if (by <= 0) continue;
      if (auto done = node->watch->age_connections(Duration{by}); !done) return done;
      node->aged_ns += by;
    }
    return {};
  }

  Topology topology;
  ServiceViews services;
  Instant now;
  Instant aged_to;            // so old connections are
  std::int64_t added_ns = 0;  // to what the kernel's clock has made of it
  Clock::time_point passed_since = Clock::now();
  std::optional<PacketTap> tap;
};

NetnsCluster::NetnsCluster(std::unique_ptr<State> state) : state_(std::move(state)) {}
NetnsCluster::~NetnsCluster() = default;

Result<std::unique_ptr<NetnsCluster>> NetnsCluster::make(BackendFactory factory) {
  return make_of(TopologyOptions{std::move(factory), nullptr, {}});
}

Result<std::unique_ptr<NetnsCluster>> NetnsCluster::make_of(TopologyOptions options) {
  auto state = std::make_unique<State>(std::move(options));
  if (auto done = state->topology.start(); !done) return fail_as(done);
  return std::unique_ptr<NetnsCluster>(new NetnsCluster(std::move(state)));
}

Result<void> NetnsCluster::begin(const ClusterSettings& settings) {
  state_->now = Instant{};
  state_->aged_to = Instant{};
  state_->added_ns = 0;
  state_->passed_since = Clock::now();
  state_->services.clear();
  return state_->topology.begin(settings);
}

Result<void> NetnsCluster::place(const Placement& placement) {
  // Before policy comes, which may take connections over that are new to the datapath.
  if (auto done = state_->age(state_->topology.place_takes()); !done) return done;
  return state_->topology.place(placement);
}

Result<void> NetnsCluster::advance(Duration by) {
  state_->now = state_->now + by;
  return {};
}

Result<std::vector<ProbeOutcome>> NetnsCluster::probe(std::span<const ProbeRequest> requests) {
  Topology& topology = state_->topology;
  if (auto done = state_->age(); !done) return fail_as(done);
  for (const auto& request : requests) {
    if (request.from.address.family() != request.to.address.family()) {
      return fail(ErrorCode::invalid_input, "probe " + describe(request) + ": addresses of two families");
    }
    auto client = topology.find(request.from);
    if (!client) return fail_as(client);
    auto server = topology.find(request.to);
    if (!server) return fail_as(server);
    if (auto done = open_probe_sockets(request, *client, *server); !done) return fail_as(done);
  }
  // A full table of connections forgets; which one must not depend on how many probes fly at once.
  const bool usual_table = topology.settings().limits.conntrack_buckets >= TableSizes().conntrack_buckets;
  const std::size_t most = usual_table ? kBatch : 1;

  std::vector<ProbeOutcome> outcomes;
  outcomes.reserve(requests.size());
  while (outcomes.size() < requests.size()) {
    const auto rest = requests.subspan(outcomes.size());
    auto client = topology.find(rest.front().from);
    if (!client) return fail_as(client);
    auto scope = NetnsScope::enter(client->station->netns);
    if (!scope) return fail_as(scope);
    std::size_t count = 1;
    while (count < rest.size() && count < most && rest[count].from == rest.front().from) ++count;
    auto some = ProbeBatch(topology, *client).run(rest.first(count));
    if (!some) return fail_as(some);
    std::move(some->begin(), some->end(), std::back_inserter(outcomes));
    if (state_->tap) state_->tap->collect();
  }
  state_->passed_since = Clock::now();
  return outcomes;
}

Result<std::vector<PacketOutcome>> NetnsCluster::send(std::span<const PacketRequest> requests) {
  std::vector<PacketOutcome> outcomes;
  outcomes.reserve(requests.size());
  PacketExchange exchange(state_->topology, state_->services);
  for (const auto& request : requests) {
    state_->now = std::max(state_->now, request.at);
    if (auto done = state_->age(); !done) return fail_as(done);
    auto outcome = exchange.send(request);
    if (!outcome) {
      return fail(outcome.error().code,
                  "packet " + std::to_string(outcomes.size()) + " (" + request.line->from_text + " -> " +
                      request.line->to_text + "): " + outcome.error().message,
                  request.line->location);
    }
    outcomes.push_back(std::move(*outcome));
    state_->passed_since = Clock::now();
  }
  return outcomes;
}

VerdictNames NetnsCluster::names_of(const EndVerdict& verdict) const {
  const NodeSlot* slot = std::as_const(state_->topology).find_node(verdict.node);
  if (slot == nullptr || !slot->watch) return {};
  return slot->watch->names_of({verdict.pod, verdict.direction, verdict.step});
}

Result<void> NetnsCluster::start_capture(const std::string& path) {
  auto tap = PacketTap::start(state_->topology, path);
  if (!tap) return fail_as(tap);
  state_->tap = std::move(*tap);
  return {};
}

Result<std::size_t> NetnsCluster::stop_capture() {
  if (!state_->tap) return fail(ErrorCode::invalid_input, "nothing is being captured");
  auto count = state_->tap->stop();
  state_->tap.reset();
  return count;
}

Result<const Netns*> NetnsCluster::netns_of(const Party& party) {
  auto place = state_->topology.find(party);
  if (!place) return fail_as(place);
  return &place->station->netns;
}

Topology& NetnsCluster::topology() { return state_->topology; }

void NetnsCluster::watch(NodeSlot& node, std::unique_ptr<NodeWatch> watch) {
  node.watch = std::move(watch);
  node.aged_ns = state_->added_ns;
}

Result<std::uint64_t> NetnsCluster::dropped_packets() {
  std::uint64_t total = 0;
  for (auto* node : state_->topology.active_nodes()) {
    if (!node->enforcer) continue;
    const auto counters = node->enforcer->backend().counters();
    if (!counters) return fail_as(counters);
    for (const pn_direction direction : {PN_INGRESS, PN_EGRESS}) {
      for (std::uint32_t reason = PN_REASON_ISOLATED; reason < PN_REASON_COUNT; ++reason) {
        total += counters->at(pn_counter_index(direction, reason)).packets;
      }
    }
  }
  return total;
}

NetnsCluster::PoolSize NetnsCluster::pool_size() const {
  PoolSize size;
  size.nodes = state_->topology.nodes().size();
  for (const auto& node : state_->topology.nodes()) size.pods += node->pods.size();
  size.outside = state_->topology.outsides().size();
  return size;
}

}  // namespace postern::sim
