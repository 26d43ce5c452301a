// SPDX-License-Identifier: Apache-2.0
#include "net/conntrack_dump.h"

#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstring>
#include <fstream>

#include "net/system_error.h"

namespace postern {
namespace {

// Datagrams of one step: up to 32 KiB each, some 150 connections.
constexpr int kDatagramsOfStep = 4;
// Steps in a row that found nothing to read; the kernel has always the next piece ready.
constexpr int kPatience = 1000;

// CTA_TUPLE_ORIG or CTA_TUPLE_REPLY. nullopt: of another protocol, or not to be understood.
std::optional<TrackedTuple> tuple_of(const nlattr* nest, int family) {
  if (nest == nullptr) return std::nullopt;
  const NetlinkAttributes tuple(*nest);
  const nlattr* const ip = tuple.find(CTA_TUPLE_IP);
  const nlattr* const proto = tuple.find(CTA_TUPLE_PROTO);
  if (ip == nullptr || proto == nullptr) return std::nullopt;
  const NetlinkAttributes addresses(*ip);
  const NetlinkAttributes ports(*proto);
  const bool v4 = family == AF_INET;
  const auto source = addresses.address(v4 ? CTA_IP_V4_SRC : CTA_IP_V6_SRC, family);
  const auto destination = addresses.address(v4 ? CTA_IP_V4_DST : CTA_IP_V6_DST, family);
  const auto protocol = ports.byte(CTA_PROTO_NUM);
  if (!source || !destination || !protocol) return std::nullopt;
  std::optional<std::uint16_t> from;
  std::optional<std::uint16_t> to;
  switch (*protocol) {
    case IPPROTO_TCP:
    case IPPROTO_UDP:
    case IPPROTO_SCTP:
      from = ports.short_number(CTA_PROTO_SRC_PORT);
      to = ports.short_number(CTA_PROTO_DST_PORT);
      break;
    case IPPROTO_ICMP: from = to = ports.short_number(CTA_PROTO_ICMP_ID); break;
    case IPPROTO_ICMPV6: from = to = ports.short_number(CTA_PROTO_ICMPV6_ID); break;
    default: return std::nullopt;
  }
  if (!from || !to) return std::nullopt;
  return TrackedTuple{*source, *destination, *from, *to, *protocol};
}

std::uint8_t tcp_state_of(const NetlinkAttributes& attributes) {
  const nlattr* const info = attributes.find(CTA_PROTOINFO);
  const nlattr* const tcp = info == nullptr ? nullptr : NetlinkAttributes(*info).find(CTA_PROTOINFO_TCP);
  return tcp == nullptr ? std::uint8_t{0} : NetlinkAttributes(*tcp).byte(CTA_PROTOINFO_TCP_STATE).value_or(0);
}

// nullopt: of no family that is known here.
std::optional<TrackedConnection> connection_of(const nlmsghdr& message) {
  const auto* const fixed = netlink_fixed<nfgenmsg>(message);
  if (fixed == nullptr || (fixed->nfgen_family != AF_INET && fixed->nfgen_family != AF_INET6)) return std::nullopt;
  const NetlinkAttributes attributes(message, sizeof(nfgenmsg));
  TrackedConnection connection;
  connection.original = tuple_of(attributes.find(CTA_TUPLE_ORIG), fixed->nfgen_family);
  connection.reply = tuple_of(attributes.find(CTA_TUPLE_REPLY), fixed->nfgen_family);
  connection.replied = (ntohl(attributes.number(CTA_STATUS).value_or(0)) & IPS_SEEN_REPLY) != 0;
  connection.tcp_state = tcp_state_of(attributes);
  return connection;
}

// What of a filter's tuple counts, as in the kernel's nf_internals.h; no header of user space has it.
constexpr std::uint32_t kFilterBySource = 1;

void put_source(NetlinkRequest& request, const TrackedFilter& only) {
  nlmsghdr* const header = request.header();
  nlattr* const tuple = mnl_attr_nest_start(header, only.of_reply ? CTA_TUPLE_REPLY : CTA_TUPLE_ORIG);
  nlattr* const ip = mnl_attr_nest_start(header, CTA_TUPLE_IP);
  request.put(CTA_IP_V4_SRC, *only.source);
  mnl_attr_nest_end(header, ip);
  mnl_attr_nest_end(header, tuple);
  nlattr* const filter = mnl_attr_nest_start(header, CTA_FILTER);
  mnl_attr_put_u32(header, CTA_FILTER_ORIG_FLAGS, only.of_reply ? 0 : kFilterBySource);
  mnl_attr_put_u32(header, CTA_FILTER_REPLY_FLAGS, only.of_reply ? kFilterBySource : 0);
  mnl_attr_nest_end(header, filter);
}

}  // namespace

Result<void> ConntrackDump::begin(const std::optional<TrackedFilter>& only) {
  socket_.reset();
  empty_steps_ = 0;
  const auto count = nf_conntrack_number("nf_conntrack_count");
  if (!count) return fail(ErrorCode::not_found, "nf_conntrack is not loaded");
  if (*count == 0) return fail(ErrorCode::not_found, "the node's conntrack is empty");
  auto socket = NetlinkSocket::open(NETLINK_NETFILTER);
  if (!socket) return fail_as(socket);
  // No family: both.
  NetlinkRequest request((NFNL_SUBSYS_CTNETLINK << 8) | IPCTNL_MSG_CT_GET, NLM_F_DUMP);
  const int family = !only ? AF_UNSPEC : only->family == IpFamily::v4 ? AF_INET : AF_INET6;
  request.fixed<nfgenmsg>() = {
      .nfgen_family = static_cast<std::uint8_t>(family), .version = NFNETLINK_V0, .res_id = 0};
  if (only && only->source && only->source->is_v4()) put_source(request, *only);
  const auto sent = socket->send(request);
  if (!sent) return fail_as(sent);
  sequence_ = *sent;
  socket_ = std::make_unique<NetlinkSocket>(std::move(*socket));
  return {};
}

Result<bool> ConntrackDump::step(const Take& take) {
  auto done = read_some(take);
  if (done && !*done) return done;
  socket_.reset();
  return done;
}

Result<bool> ConntrackDump::read_some(const Take& take) {
  bool done = false;
  int error = 0;
  bool overtaken = false;
  const auto take_message = [&](const nlmsghdr& message) {
    if (message.nlmsg_seq != sequence_ || done) return;
    overtaken = overtaken || (message.nlmsg_flags & NLM_F_DUMP_INTR) != 0;
    if (message.nlmsg_type == NLMSG_DONE || message.nlmsg_type == NLMSG_ERROR) {
      done = true;
      if (mnl_nlmsg_get_payload_len(&message) >= sizeof error) {
        std::memcpy(&error, mnl_nlmsg_get_payload(&message), sizeof error);
      }
      return;
    }
    if (const auto connection = connection_of(message)) take(*connection);
  };
  for (int i = 0; i < kDatagramsOfStep && !done; ++i) {
    const auto received = socket_->receive(take_message);
    if (!received) return fail_as(received);
    if (*received == NetlinkSocket::Received::lost) {
      return fail(ErrorCode::io, "reading the node's conntrack: a part of it was lost");
    }
    if (*received == NetlinkSocket::Received::nothing) {
      if (++empty_steps_ > kPatience) return fail(ErrorCode::io, "reading the node's conntrack: no answer");
      return false;
    }
    empty_steps_ = 0;
  }
  if (overtaken) return fail(ErrorCode::io, "reading the node's conntrack: it changed too fast");
  if (error != 0) return tl::unexpected(system_error("reading the node's conntrack", -error));
  return done;
}

std::optional<std::uint64_t> nf_conntrack_number(const std::string& name) {
  std::ifstream file("/proc/sys/net/netfilter/" + name);
  std::uint64_t number = 0;
  if (!(file >> number)) return std::nullopt;
  return number;
}

}  // namespace postern
