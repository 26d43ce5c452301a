// SPDX-License-Identifier: Apache-2.0
#include "test/kernel_conntrack/node_table.h"

#include <arpa/inet.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

namespace postern::test {
namespace {

void put_tuple(nlmsghdr* header, std::uint16_t attribute, const NodeTuple& tuple, bool reply) {
  const bool v4 = tuple.source.is_v4();
  nlattr* const whole = mnl_attr_nest_start(header, attribute);
  nlattr* const ip = mnl_attr_nest_start(header, CTA_TUPLE_IP);
  const std::size_t length = v4 ? 4 : 16;
  mnl_attr_put(header, v4 ? CTA_IP_V4_SRC : CTA_IP_V6_SRC, length, tuple.source.bytes().data());
  mnl_attr_put(header, v4 ? CTA_IP_V4_DST : CTA_IP_V6_DST, length, tuple.destination.bytes().data());
  mnl_attr_nest_end(header, ip);
  nlattr* const proto = mnl_attr_nest_start(header, CTA_TUPLE_PROTO);
  mnl_attr_put_u8(header, CTA_PROTO_NUM, tuple.protocol);
  if (tuple.protocol == PN_IP_ICMP) {
    mnl_attr_put_u16(header, CTA_PROTO_ICMP_ID, pn_swap16(tuple.source_port));
    mnl_attr_put_u8(header, CTA_PROTO_ICMP_TYPE, reply ? 0 : 8);
    mnl_attr_put_u8(header, CTA_PROTO_ICMP_CODE, 0);
  } else if (tuple.protocol == PN_IP_ICMPV6) {
    mnl_attr_put_u16(header, CTA_PROTO_ICMPV6_ID, pn_swap16(tuple.source_port));
    mnl_attr_put_u8(header, CTA_PROTO_ICMPV6_TYPE, reply ? 129 : 128);
    mnl_attr_put_u8(header, CTA_PROTO_ICMPV6_CODE, 0);
  } else {
    mnl_attr_put_u16(header, CTA_PROTO_SRC_PORT, pn_swap16(tuple.source_port));
    mnl_attr_put_u16(header, CTA_PROTO_DST_PORT, pn_swap16(tuple.destination_port));
  }
  mnl_attr_nest_end(header, proto);
  mnl_attr_nest_end(header, whole);
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

Result<void> add_to_node_conntrack(NetlinkSocket& socket, const NodeTuple& tuple) {
  NetlinkRequest request(NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_NEW, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL);
  auto& fixed = request.fixed<nfgenmsg>();
  fixed.nfgen_family = netlink_family(tuple.source);
  fixed.version = NFNETLINK_V0;
  put_tuple(request.header(), CTA_TUPLE_ORIG, tuple, false);
  put_tuple(request.header(), CTA_TUPLE_REPLY, turned(tuple), true);
  request.put(CTA_TIMEOUT, htonl(600));
  return socket.change(request, "adding to the node's conntrack");
}

Result<void> take_out_of_node_conntrack(const NodeTuple& tuple) {
  auto socket = NetlinkSocket::open(NETLINK_NETFILTER);
  if (!socket) return fail_as(socket);
  NetlinkRequest request(NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE, NLM_F_ACK);
  auto& fixed = request.fixed<nfgenmsg>();
  fixed.nfgen_family = netlink_family(tuple.source);
  fixed.version = NFNETLINK_V0;
  put_tuple(request.header(), CTA_TUPLE_ORIG, tuple, false);
  return socket->change(request, "deleting from the node's conntrack");
}

}  // namespace postern::test
