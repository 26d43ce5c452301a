// SPDX-License-Identifier: Apache-2.0
#include "sim/netns/service_nat.h"

#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <nftables/libnftables.h>
#include <sys/socket.h>

#include <array>
#include <set>

#include "net/system_error.h"
#include "sim/netns/netns.h"

namespace postern::sim {
namespace {

// Packets of pods and of outside hosts arrive; those of the node itself are its own. A pod that
// reaches itself is the one connection with equal ends behind the translation.
constexpr const char* kTable = R"(
table inet postern {
  map backends4 {
    type ipv4_addr . ipv4_addr . inet_proto . inet_service . inet_service : ipv4_addr . inet_service;
  }
  map backends6 {
    type ipv6_addr . ipv6_addr . inet_proto . inet_service . inet_service : ipv6_addr . inet_service;
  }
  map own_nodes4 { type ipv4_addr . ipv4_addr : ipv4_addr; }
  map own_nodes6 { type ipv6_addr . ipv6_addr : ipv6_addr; }
  chain translate {
    meta l4proto { tcp, udp, sctp } dnat ip to \
      ip saddr . ip daddr . meta l4proto . th sport . th dport map @backends4
    meta l4proto { tcp, udp, sctp } dnat ip6 to \
      ip6 saddr . ip6 daddr . meta l4proto . th sport . th dport map @backends6
  }
  chain arriving { type nat hook prerouting priority dstnat; jump translate; }
  chain own { type nat hook output priority -100; jump translate; }
  chain leaving {
    type nat hook postrouting priority srcnat;
    snat ip to ip saddr . ip daddr map @own_nodes4
    snat ip6 to ip6 saddr . ip6 daddr map @own_nodes6
  }
}
)";

// Before fragments would be put together (-400).
constexpr const char* kTracking = R"(
table inet postern_tracking {
  chain fragments {
    type filter hook prerouting priority -450;
    ip frag-off & 0x3fff != 0 notrack
    exthdr frag exists notrack
  }
  chain tracked { type filter hook prerouting priority 0; ct state established accept; }
}
)";

constexpr std::array<const char*, 4> kMaps{"backends4", "backends6", "own_nodes4", "own_nodes6"};

std::string element_of(const ServiceFlow& flow) {
  return flow.client.to_string() + " . " + flow.service.to_string() + " . " + std::to_string(flow.protocol) +
         " . " + std::to_string(flow.client_port) + " . " + std::to_string(flow.service_port) + " : " +
         flow.backend.to_string() + " . " + std::to_string(flow.backend_port);
}

std::string add_elements(const char* map, const std::set<std::string>& elements) {
  if (elements.empty()) return {};
  std::string list;
  for (const auto& element : elements) list += (list.empty() ? "" : ", ") + element;
  return std::string("add element inet postern ") + map + " { " + list + " }\n";
}

}  // namespace

void ServiceNat::Close::operator()(nft_ctx* context) const { nft_ctx_free(context); }
void ServiceNat::Close::operator()(mnl_socket* socket) const { mnl_socket_close(socket); }

Result<ServiceNat> ServiceNat::open() {
  ServiceNat nat;
  nat.context_.reset(nft_ctx_new(NFT_CTX_DEFAULT));
  // Whatever it has to say is kept, and read after a failure.
  if (!nat.context_ || nft_ctx_buffer_error(nat.context_.get()) != 0 ||
      nft_ctx_buffer_output(nat.context_.get()) != 0) {
    return fail(ErrorCode::io, "cannot open nftables");
  }
  nat.tracking_.reset(mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC));
  if (!nat.tracking_ || mnl_socket_bind(nat.tracking_.get(), 0, MNL_SOCKET_AUTOPID) != 0) {
    return tl::unexpected(system_error("cannot open connection tracking"));
  }
  return nat;
}

Result<void> ServiceNat::run(const std::string& commands) {
  if (nft_run_cmd_from_buffer(context_.get(), commands.c_str()) == 0) return {};
  return fail(ErrorCode::io, std::string("nftables refuses the translation of Service addresses or tracking: ") +
                                 nft_ctx_get_error_buffer(context_.get()));
}

Result<void> ServiceNat::translate(std::span<const ServiceFlow> flows) {
  // In the order of kMaps.
  std::array<std::set<std::string>, kMaps.size()> elements;
  for (const auto& flow : flows) {
    const std::size_t family = flow.client.is_v4() ? 0 : 1;
    elements[family].insert(element_of(flow));
    if (!flow.own_node) continue;
    const std::string client = flow.client.to_string();
    elements[2 + family].insert(client + " . " + client + " : " + flow.own_node->to_string());
  }
  std::string commands = has_table_ ? "" : kTable;
  for (std::size_t i = 0; i < kMaps.size(); ++i) {
    if (has_table_) commands += std::string("flush map inet postern ") + kMaps[i] + "\n";
    commands += add_elements(kMaps[i], elements[i]);
  }
  if (auto done = run(commands); !done) return done;
  has_table_ = true;
  return {};
}

Result<void> ServiceNat::track(bool always) {
  if (tracks_ == always) return {};
  tracks_ = always;
  if (always) return run(kTracking);
  if (auto done = run("delete table inet postern_tracking"); !done) return done;
  return forget_connections();
}

Result<void> ServiceNat::clear() {
  if (!has_table_) return {};
  has_table_ = false;
  if (auto done = run("delete table inet postern"); !done) return done;
  return forget_connections();
}

// A request to delete that names no connection is about all of the namespace's.
Result<void> ServiceNat::forget_connections() {
  alignas(nlmsghdr) std::array<char, 256> buffer{};
  nlmsghdr* header = mnl_nlmsg_put_header(buffer.data());
  header->nlmsg_type = static_cast<std::uint16_t>(NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE);
  header->nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | NLM_F_ACK);
  auto* info = static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(header, sizeof(nfgenmsg)));
  info->nfgen_family = AF_UNSPEC;
  info->version = NFNETLINK_V0;
  alignas(nlmsghdr) std::array<char, 1024> answer{};
  ssize_t length = -1;
  if (mnl_socket_sendto(tracking_.get(), header, header->nlmsg_len) >= 0) {
    length = mnl_socket_recvfrom(tracking_.get(), answer.data(), answer.size());
  }
  const auto portid = mnl_socket_get_portid(tracking_.get());
  if (length >= 0 &&
      mnl_cb_run(answer.data(), static_cast<std::size_t>(length), 0, portid, nullptr, nullptr) >= 0) {
    return {};
  }
  return tl::unexpected(system_error("cannot have a node forget its connections"));
}

}  // namespace postern::sim
