// SPDX-License-Identifier: Apache-2.0
#include "net/conntrack_writer.h"

#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>

#include <cerrno>
#include <utility>

#include "net/system_error.h"

namespace postern {
namespace {

struct EchoAttributes {
  std::uint16_t id;
  std::uint16_t type;
  std::uint16_t code;
};

void put_echo(nlmsghdr* header, const EchoAttributes& attributes, std::uint16_t id, std::uint8_t type) {
  mnl_attr_put_u16(header, attributes.id, id);
  mnl_attr_put_u8(header, attributes.type, type);
  mnl_attr_put_u8(header, attributes.code, 0);
}

// `attribute`: CTA_TUPLE_ORIG or CTA_TUPLE_REPLY.
void put_tuple(NetlinkRequest& request, std::uint16_t attribute, const TrackedTuple& tuple) {
  nlmsghdr* const header = request.header();
  const bool v4 = tuple.source.is_v4();
  const bool reply = attribute == CTA_TUPLE_REPLY;
  nlattr* const whole = mnl_attr_nest_start(header, attribute);
  nlattr* const ip = mnl_attr_nest_start(header, CTA_TUPLE_IP);
  request.put(v4 ? CTA_IP_V4_SRC : CTA_IP_V6_SRC, tuple.source);
  request.put(v4 ? CTA_IP_V4_DST : CTA_IP_V6_DST, tuple.destination);
  mnl_attr_nest_end(header, ip);
  nlattr* const proto = mnl_attr_nest_start(header, CTA_TUPLE_PROTO);
  mnl_attr_put_u8(header, CTA_PROTO_NUM, tuple.protocol);
  if (tuple.protocol == IPPROTO_ICMP) {
    put_echo(header, {CTA_PROTO_ICMP_ID, CTA_PROTO_ICMP_TYPE, CTA_PROTO_ICMP_CODE}, tuple.source_port,
             reply ? ICMP_ECHOREPLY : ICMP_ECHO);
  } else if (tuple.protocol == IPPROTO_ICMPV6) {
    put_echo(header, {CTA_PROTO_ICMPV6_ID, CTA_PROTO_ICMPV6_TYPE, CTA_PROTO_ICMPV6_CODE}, tuple.source_port,
             reply ? ICMP6_ECHO_REPLY : ICMP6_ECHO_REQUEST);
  } else {
    mnl_attr_put_u16(header, CTA_PROTO_SRC_PORT, tuple.source_port);
    mnl_attr_put_u16(header, CTA_PROTO_DST_PORT, tuple.destination_port);
  }
  mnl_attr_nest_end(header, proto);
  mnl_attr_nest_end(header, whole);
}

void put_tcp_state(nlmsghdr* header, std::uint8_t state) {
  nlattr* const info = mnl_attr_nest_start(header, CTA_PROTOINFO);
  nlattr* const tcp = mnl_attr_nest_start(header, CTA_PROTOINFO_TCP);
  mnl_attr_put_u8(header, CTA_PROTOINFO_TCP_STATE, state);
  mnl_attr_nest_end(header, tcp);
  mnl_attr_nest_end(header, info);
}

void begin(NetlinkRequest& request, const TrackedTuple& original) {
  auto& fixed = request.fixed<nfgenmsg>();
  fixed.nfgen_family = netlink_family(original.source);
  fixed.version = NFNETLINK_V0;
}

}  // namespace

Result<ConntrackWriter> ConntrackWriter::open() {
  auto socket = NetlinkSocket::open(NETLINK_NETFILTER);
  if (!socket) return fail_as(socket);
  return ConntrackWriter(std::move(*socket));
}

Result<bool> ConntrackWriter::add(const TrackedConnection& connection, Duration lives) {
  if (!connection.original || !connection.reply) {
    return fail(ErrorCode::invalid_input, "adding to the node's conntrack: a connection has two tuples");
  }
  NetlinkRequest request((NFNL_SUBSYS_CTNETLINK << 8) | IPCTNL_MSG_CT_NEW, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL);
  begin(request, *connection.original);
  put_tuple(request, CTA_TUPLE_ORIG, *connection.original);
  put_tuple(request, CTA_TUPLE_REPLY, *connection.reply);
  const std::uint32_t status = IPS_CONFIRMED | (connection.replied ? IPS_SEEN_REPLY | IPS_ASSURED : 0);
  request.put(CTA_STATUS, htonl(status));
  request.put(CTA_TIMEOUT, htonl(static_cast<std::uint32_t>(lives.ns / 1'000'000'000)));
  if (connection.tcp_state != 0) put_tcp_state(request.header(), connection.tcp_state);
  const auto answer = socket_.exchange(request);
  if (!answer) return fail_as(answer);
  if (*answer == 0 || *answer == EEXIST) return *answer == 0;
  return tl::unexpected(system_error("adding to the node's conntrack", *answer));
}

Result<bool> ConntrackWriter::remove(const TrackedTuple& original) {
  NetlinkRequest request((NFNL_SUBSYS_CTNETLINK << 8) | IPCTNL_MSG_CT_DELETE, NLM_F_ACK);
  begin(request, original);
  put_tuple(request, CTA_TUPLE_ORIG, original);
  const auto answer = socket_.exchange(request);
  if (!answer) return fail_as(answer);
  if (*answer == 0 || *answer == ENOENT) return *answer == 0;
  return tl::unexpected(system_error("deleting from the node's conntrack", *answer));
}

}  // namespace postern
