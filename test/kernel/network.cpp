// SPDX-License-Identifier: Apache-2.0
#include "test/kernel/network.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace postern::test {
namespace {

using Buffer = std::array<char, 8192>;

nlmsghdr* link_request(Buffer& buffer, std::uint16_t type, std::uint16_t flags) {
  nlmsghdr* header = mnl_nlmsg_put_header(buffer.data());
  header->nlmsg_type = type;
  header->nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | NLM_F_ACK | flags);
  header->nlmsg_seq = 1;
  return header;
}

Result<void> send_request(nlmsghdr* header, const std::string& what) {
  mnl_socket* socket = mnl_socket_open(NETLINK_ROUTE);
  if (socket == nullptr) return fail(ErrorCode::io, what + ": no netlink socket");
  Buffer reply{};
  int error = 0;
  if (mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0 ||
      mnl_socket_sendto(socket, header, header->nlmsg_len) < 0) {
    error = errno;
  } else {
    const ssize_t length = mnl_socket_recvfrom(socket, reply.data(), reply.size());
    if (length < 0 || mnl_cb_run(reply.data(), static_cast<std::size_t>(length), 1,
                                 mnl_socket_get_portid(socket), nullptr, nullptr) < 0) {
      error = errno;
    }
  }
  mnl_socket_close(socket);
  if (error != 0) return fail(ErrorCode::io, what + ": " + std::strerror(error));
  return {};
}

Result<void> set_up(std::uint32_t index) {
  Buffer buffer{};
  nlmsghdr* header = link_request(buffer, RTM_NEWLINK, 0);
  auto* info = static_cast<ifinfomsg*>(mnl_nlmsg_put_extra_header(header, sizeof(ifinfomsg)));
  info->ifi_index = static_cast<int>(index);
  info->ifi_flags = IFF_UP;
  info->ifi_change = IFF_UP;
  return send_request(header, "link up");
}

}  // namespace

Result<std::uint32_t> make_veth(const std::string& name, const std::string& peer, std::uint32_t index) {
  Buffer buffer{};
  nlmsghdr* header = link_request(buffer, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
  auto* info = static_cast<ifinfomsg*>(mnl_nlmsg_put_extra_header(header, sizeof(ifinfomsg)));
  info->ifi_index = static_cast<int>(index);
  mnl_attr_put_strz(header, IFLA_IFNAME, name.c_str());
  nlattr* link = mnl_attr_nest_start(header, IFLA_LINKINFO);
  mnl_attr_put_strz(header, IFLA_INFO_KIND, "veth");
  nlattr* data = mnl_attr_nest_start(header, IFLA_INFO_DATA);
  nlattr* other = mnl_attr_nest_start(header, VETH_INFO_PEER);
  auto* peer_info = static_cast<ifinfomsg*>(mnl_nlmsg_put_extra_header(header, sizeof(ifinfomsg)));
  // The other end is made first, and must not take the index that was asked for.
  peer_info->ifi_index = index == 0 ? 0 : static_cast<int>(index) + 10'000'000;
  mnl_attr_put_strz(header, IFLA_IFNAME, peer.c_str());
  mnl_attr_nest_end(header, other);
  mnl_attr_nest_end(header, data);
  mnl_attr_nest_end(header, link);
  if (auto made = send_request(header, "making veth " + name); !made) return fail_as(made);
  const std::uint32_t made_index = if_nametoindex(name.c_str());
  for (const std::uint32_t end : {made_index, if_nametoindex(peer.c_str())}) {
    if (auto up = set_up(end); !up) return fail_as(up);
  }
  return made_index;
}

Result<void> delete_link(std::uint32_t index) {
  Buffer buffer{};
  nlmsghdr* header = link_request(buffer, RTM_DELLINK, 0);
  auto* info = static_cast<ifinfomsg*>(mnl_nlmsg_put_extra_header(header, sizeof(ifinfomsg)));
  info->ifi_index = static_cast<int>(index);
  return send_request(header, "deleting link " + std::to_string(index));
}

FrameSocket::FrameSocket(const std::string& interface) {
  fd_ = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(ETH_P_ALL);
  address.sll_ifindex = static_cast<int>(if_nametoindex(interface.c_str()));
  if (bind(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    close(fd_);
    fd_ = -1;
  }
}

FrameSocket::~FrameSocket() {
  if (fd_ >= 0) close(fd_);
}

bool FrameSocket::send(std::span<const std::byte> frame) const {
  return ::send(fd_, frame.data(), frame.size(), 0) == static_cast<ssize_t>(frame.size());
}

std::vector<std::vector<std::byte>> FrameSocket::receive(int wait_ms) const {
  std::vector<std::vector<std::byte>> frames;
  pollfd ready{fd_, POLLIN, 0};
  while (poll(&ready, 1, frames.empty() ? wait_ms : 0) > 0) {
    std::vector<std::byte> frame(2048);
    sockaddr_ll from{};
    socklen_t size = sizeof from;
    const ssize_t length =
        recvfrom(fd_, frame.data(), frame.size(), 0, reinterpret_cast<sockaddr*>(&from), &size);
    if (length < 0) break;
    if (from.sll_pkttype == PACKET_OUTGOING) continue;
    frame.resize(static_cast<std::size_t>(length));
    frames.push_back(std::move(frame));
  }
  return frames;
}

}  // namespace postern::test
