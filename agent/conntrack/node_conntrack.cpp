// SPDX-License-Identifier: Apache-2.0
#include "agent/conntrack/node_conntrack.h"

#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <sys/socket.h>

#include <array>
#include <cstring>
#include <fstream>

#include "net/netlink.h"
#include "net/system_error.h"

namespace postern::agent {
namespace {

// Datagrams of one step: up to 32 KiB each, some 150 connections.
constexpr int kDatagramsOfStep = 4;
// Steps in a row that found nothing to read; the kernel has always the next piece ready.
constexpr int kPatience = 1000;

pn_address abi_address(const IpAddress& address) {
  const auto& bytes = address.bytes();
  if (address.is_v4()) {
    std::uint32_t host_order = 0;
    for (std::size_t i = 0; i < 4; ++i) host_order = host_order << 8 | bytes[i];
    return pn_address_v4(host_order);
  }
  pn_address made{};
  for (std::size_t i = 0; i < 8; ++i) {
    made.high = made.high << 8 | bytes[i];
    made.low = made.low << 8 | bytes[i + 8];
  }
  return made;
}

// CTA_TUPLE_ORIG or CTA_TUPLE_REPLY, as the datapath would read a packet of it: ICMP has its id for both
// ports. nullopt: of a protocol that is not tracked here, or not to be understood.
std::optional<pn_tuple> tuple_of(const nlattr& nest, int family) {
  const NetlinkAttributes tuple(nest);
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
    case PN_IP_TCP:
    case PN_IP_UDP:
    case PN_IP_SCTP:
      from = ports.short_number(CTA_PROTO_SRC_PORT);
      to = ports.short_number(CTA_PROTO_DST_PORT);
      break;
    case PN_IP_ICMP: from = to = ports.short_number(CTA_PROTO_ICMP_ID); break;
    case PN_IP_ICMPV6: from = to = ports.short_number(CTA_PROTO_ICMPV6_ID); break;
    default: return std::nullopt;
  }
  if (!from || !to) return std::nullopt;
  return pn_tuple{.source = abi_address(*source),
                  .destination = abi_address(*destination),
                  .source_port = *from,
                  .destination_port = *to,
                  .protocol = *protocol};
}

// Both tuples: at a client's interface a connection to a Service has the original one, at its backend's the
// reply's, and neither needs to be the other turned round.
void add_connection(const nlmsghdr& message, ListedConnections& into) {
  const auto* const fixed = netlink_fixed<nfgenmsg>(message);
  if (fixed == nullptr || (fixed->nfgen_family != AF_INET && fixed->nfgen_family != AF_INET6)) return;
  const NetlinkAttributes attributes(message, sizeof(nfgenmsg));
  for (const std::uint16_t side : {CTA_TUPLE_ORIG, CTA_TUPLE_REPLY}) {
    const nlattr* const nest = attributes.find(side);
    if (nest == nullptr) continue;
    if (const auto tuple = tuple_of(*nest, fixed->nfgen_family)) into.add(*tuple);
  }
}

class CtnetlinkDump final : public NodeConntrack {
 public:
  Result<void> begin() override {
    socket_.reset();
    empty_steps_ = 0;
    if (auto counts = worth_asking(); !counts) return counts;
    auto socket = NetlinkSocket::open(NETLINK_NETFILTER);
    if (!socket) return fail_as(socket);
    // Family 0: both.
    NetlinkRequest request((NFNL_SUBSYS_CTNETLINK << 8) | IPCTNL_MSG_CT_GET, NLM_F_DUMP);
    request.fixed<nfgenmsg>() = {.nfgen_family = AF_UNSPEC, .version = NFNETLINK_V0, .res_id = 0};
    const auto sent = socket->send(request);
    if (!sent) return fail_as(sent);
    sequence_ = *sent;
    socket_ = std::make_unique<NetlinkSocket>(std::move(*socket));
    return {};
  }

  Result<bool> step(ListedConnections& into) override {
    auto done = read_some(into);
    if (done && !*done) return done;
    socket_.reset();
    if (done && into.size() == 0) return fail(ErrorCode::not_found, "the node's conntrack is empty");
    return done;
  }

 private:
  // A table that fills up drops connections that are alive: what it lacks is no sign then.
  static Result<void> worth_asking() {
    const auto count = nf_conntrack_number("nf_conntrack_count");
    const auto most = nf_conntrack_number("nf_conntrack_max");
    if (!count || !most) return fail(ErrorCode::not_found, "nf_conntrack is not loaded");
    if (*count == 0) return fail(ErrorCode::not_found, "the node's conntrack is empty");
    if (*count >= *most / 10 * 9) {
      return fail(ErrorCode::not_found, "the node's conntrack is nearly full: " + std::to_string(*count) + " of " +
                                            std::to_string(*most));
    }
    return {};
  }

  Result<bool> read_some(ListedConnections& into) {
    bool done = false;
    int error = 0;
    bool overtaken = false;
    const auto take = [&](const nlmsghdr& message) {
      if (message.nlmsg_seq != sequence_ || done) return;
      overtaken = overtaken || (message.nlmsg_flags & NLM_F_DUMP_INTR) != 0;
      if (message.nlmsg_type == NLMSG_DONE || message.nlmsg_type == NLMSG_ERROR) {
        done = true;
        if (mnl_nlmsg_get_payload_len(&message) >= sizeof error) {
          std::memcpy(&error, mnl_nlmsg_get_payload(&message), sizeof error);
        }
        return;
      }
      add_connection(message, into);
    };
    for (int i = 0; i < kDatagramsOfStep && !done; ++i) {
      const auto received = socket_->receive(take);
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

  std::unique_ptr<NetlinkSocket> socket_;
  std::uint32_t sequence_ = 0;
  int empty_steps_ = 0;
};

}  // namespace

std::unique_ptr<NodeConntrack> make_node_conntrack() { return std::make_unique<CtnetlinkDump>(); }

std::optional<std::uint64_t> nf_conntrack_number(const std::string& name) {
  std::ifstream file("/proc/sys/net/netfilter/" + name);
  std::uint64_t number = 0;
  if (!(file >> number)) return std::nullopt;
  return number;
}

}  // namespace postern::agent
