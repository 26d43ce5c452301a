// SPDX-License-Identifier: Apache-2.0
#include "backends/tc/node_conntrack.h"

#include <linux/netfilter/nf_conntrack_tcp.h>

#include <map>

#include "engine/conntrack/conntrack_view.h"
#include "net/conntrack_dump.h"

namespace postern::tc {
namespace {

pn_tuple abi_tuple(const TrackedTuple& tuple) {
  return {.source = to_abi(tuple.source),
          .destination = to_abi(tuple.destination),
          .source_port = tuple.source_port,
          .destination_port = tuple.destination_port,
          .protocol = tuple.protocol};
}

pn_tuple turned(const pn_tuple& tuple) {
  return {tuple.destination, tuple.source, tuple.destination_port, tuple.source_port, tuple.protocol};
}

// Which side sent the first FIN the kernel does not say, and no timeout asks.
std::uint32_t state_of(const TrackedConnection& connection) {
  std::uint32_t state = connection.replied ? std::uint32_t{PN_CT_REPLIED} : 0u;
  switch (connection.tcp_state) {
    case TCP_CONNTRACK_FIN_WAIT:
    case TCP_CONNTRACK_CLOSE_WAIT: state |= PN_CT_FIN_OPENER; break;
    case TCP_CONNTRACK_LAST_ACK:
    case TCP_CONNTRACK_TIME_WAIT: state |= PN_CT_FIN_OPENER | PN_CT_FIN_REPLIER; break;
    case TCP_CONNTRACK_CLOSE: state |= PN_CT_RST; break;
    default: break;
  }
  return state;
}

constexpr int kDumpAttempts = 3;

using Pods = std::map<IpAddress, EndpointId>;

// `only`: by which tuple the connection was asked for. Whether it is a pod's is looked up in any case.
void add(const TrackedConnection& connection, const Pods& pods, const std::optional<TrackedFilter>& only,
         std::vector<NodeConnection>& into) {
  if (connection.original && (!only || !only->source || !only->of_reply)) {
    if (const auto pod = pods.find(connection.original->source); pod != pods.end()) {
      into.push_back({pod->second, true, abi_tuple(*connection.original), state_of(connection), 0});
    }
  }
  if (connection.reply && (!only || !only->source || only->of_reply)) {
    if (const auto pod = pods.find(connection.reply->source); pod != pods.end()) {
      into.push_back({pod->second, false, turned(abi_tuple(*connection.reply)), state_of(connection), 0});
    }
  }
}

// A table that changes while it is read is read again.
Result<void> read(const Pods& pods, const std::optional<TrackedFilter>& only, std::vector<NodeConnection>& into) {
  const std::size_t before = into.size();
  Error last;
  for (int attempt = 0; attempt < kDumpAttempts; ++attempt) {
    into.resize(before);
    ConntrackDump dump;
    if (auto begun = dump.begin(only); !begun) return begun;
    Result<bool> done = false;
    while (done && !*done) {
      done = dump.step([&](const TrackedConnection& connection) { add(connection, pods, only, into); });
    }
    if (done) return {};
    last = done.error();
  }
  return tl::unexpected(last);
}

}  // namespace

Result<std::vector<NodeConnection>> NodeConntrack::live(std::span<const NodeConnectionsOf> pods) {
  Pods by_address;
  for (const auto& pod : pods) {
    for (const auto& address : pod.addresses) by_address.emplace(address, pod.endpoint);
  }
  std::vector<std::optional<TrackedFilter>> readings;
  bool any_v6 = false;
  for (const auto& [address, endpoint] : by_address) {
    any_v6 = any_v6 || !address.is_v4();
    for (const bool of_reply : {false, true}) {
      if (address.is_v4()) readings.emplace_back(TrackedFilter{IpFamily::v4, address, of_reply});
    }
  }
  if (any_v6) readings.emplace_back(TrackedFilter{IpFamily::v6});
  const std::uint64_t count = nf_conntrack_number("nf_conntrack_count").value_or(0);
  if (count <= readings.size() * worth_a_walk_) readings.assign(1, std::nullopt);
  std::vector<NodeConnection> connections;
  for (const auto& only : readings) {
    if (auto done = read(by_address, only, connections); !done) return fail_as(done);
  }
  return connections;
}

}  // namespace postern::tc
