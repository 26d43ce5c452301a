// SPDX-License-Identifier: Apache-2.0
#include "test/kernel_conntrack/node_table.h"

#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

#include "net/netlink.h"

namespace postern::test {
namespace {

TrackedTuple tracked(const NodeTuple& tuple) {
  return {tuple.source, tuple.destination, pn_swap16(tuple.source_port), pn_swap16(tuple.destination_port),
          tuple.protocol};
}

}  // namespace

NodeTuple turned(const NodeTuple& tuple) {
  return {tuple.destination, tuple.source, tuple.protocol, tuple.destination_port, tuple.source_port};
}

// A request to delete that names no connection is about all of the namespace's.
Result<void> flush_node_conntrack() {
  auto socket = NetlinkSocket::open(NETLINK_NETFILTER);
  if (!socket) return fail_as(socket);
  NetlinkRequest request(NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE, NLM_F_ACK);
  request.fixed<nfgenmsg>().version = NFNETLINK_V0;
  return socket->change(request, "flushing the node's conntrack");
}

Result<void> add_to_node_conntrack(ConntrackWriter& writer, const NodeTuple& tuple) {
  const auto added = writer.add({tracked(tuple), tracked(turned(tuple)), false, 0}, seconds(600));
  if (!added) return fail_as(added);
  if (*added) return {};
  return fail(ErrorCode::internal, "the node's conntrack has it already");
}

Result<void> take_out_of_node_conntrack(const NodeTuple& tuple) {
  auto writer = ConntrackWriter::open();
  if (!writer) return fail_as(writer);
  const auto removed = writer->remove(tracked(tuple));
  if (!removed) return fail_as(removed);
  if (*removed) return {};
  return fail(ErrorCode::not_found, "the node's conntrack does not have it");
}

}  // namespace postern::test
