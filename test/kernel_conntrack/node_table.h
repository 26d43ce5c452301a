// SPDX-License-Identifier: Apache-2.0
// The node's nf_conntrack as tests change it, by ctnetlink: connections that were never there come and go
// without a packet.
#pragma once

#include "engine/base/ip.h"
#include "engine/base/result.h"
#include "engine/datapath/parse.h"
#include "net/conntrack_writer.h"

namespace postern::test {

// One end of a connection as nf_conntrack keeps it; ICMP: the port is the id.
struct NodeTuple {
  IpAddress source;
  IpAddress destination;
  std::uint8_t protocol = PN_IP_TCP;
  std::uint16_t source_port = 0;
  std::uint16_t destination_port = 0;
};

NodeTuple turned(const NodeTuple& tuple);

// All of the caller's network namespace.
Result<void> flush_node_conntrack();
Result<void> add_to_node_conntrack(ConntrackWriter& writer, const NodeTuple& tuple);
// That one connection, and no other.
Result<void> take_out_of_node_conntrack(const NodeTuple& tuple);

}  // namespace postern::test
