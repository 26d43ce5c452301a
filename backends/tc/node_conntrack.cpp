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

using Pods = std::map<IpAddress, EndpointId>;

void add(const TrackedConnection& connection, const Pods& pods, std::vector<NodeConnection>& into) {
  if (connection.original) {
    if (const auto pod = pods.find(connection.original->source); pod != pods.end()) {
      into.push_back({pod->second, true, abi_tuple(*connection.original), state_of(connection), 0});
    }
  }
  if (connection.reply) {
    if (const auto pod = pods.find(connection.reply->source); pod != pods.end()) {
      into.push_back({pod->second, false, turned(abi_tuple(*connection.reply)), state_of(connection), 0});
    }
  }
}

}  // namespace

Result<std::vector<NodeConnection>> NodeConntrack::live(std::span<const NodeConnectionsOf> pods) {
  Pods by_address;
  for (const auto& pod : pods) {
    for (const auto& address : pod.addresses) by_address.emplace(address, pod.endpoint);
  }
  // A table that changes while it is read is read again.
  Error last;
  for (int attempt = 0; attempt < 3; ++attempt) {
    ConntrackDump dump;
    if (auto begun = dump.begin(); !begun) return fail_as(begun);
    std::vector<NodeConnection> connections;
    for (;;) {
      const auto done =
          dump.step([&](const TrackedConnection& connection) { add(connection, by_address, connections); });
      if (!done) {
        last = done.error();
        break;
      }
      if (*done) return connections;
    }
  }
  return tl::unexpected(last);
}

}  // namespace postern::tc
