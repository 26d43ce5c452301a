// SPDX-License-Identifier: Apache-2.0
#include "sim/netns/sockets.h"

#include <linux/icmp.h>
#include <linux/if_packet.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace postern::sim {
namespace {

Result<UniqueFd> open_socket(int type, int protocol) {
  UniqueFd fd(::socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol));
  if (!fd.valid()) return tl::unexpected(system_error("cannot open a socket"));
  return fd;
}

template <typename T>
bool set_option(const UniqueFd& fd, int level, int name, const T& value) {
  return ::setsockopt(fd.get(), level, name, &value, sizeof(value)) == 0;
}

bool reset_on_close(const UniqueFd& fd) {
  linger at_once{};
  at_once.l_onoff = 1;
  return set_option(fd, SOL_SOCKET, SO_LINGER, at_once);
}

Result<UniqueFd> server(int type, std::uint16_t port) {
  auto fd = open_socket(type, 0);
  if (!fd) return fd;
  const auto any = socket_address(IpAddress(), port);
  // A probe's client socket may hold the same port on one address; it does not listen.
  if (!set_option(*fd, SOL_SOCKET, SO_REUSEADDR, 1) ||
      ::bind(fd->get(), reinterpret_cast<const sockaddr*>(&any), sizeof(any)) != 0) {
    return tl::unexpected(system_error("cannot serve port " + std::to_string(port)));
  }
  return fd;
}

}  // namespace

sockaddr_in socket_address(const IpAddress& address, std::uint16_t port) {
  sockaddr_in result{};
  result.sin_family = AF_INET;
  result.sin_port = htons(port);
  result.sin_addr.s_addr = address.v4_network_order();
  return result;
}

Result<UniqueFd> tcp_listener(std::uint16_t port) {
  auto fd = server(SOCK_STREAM, port);
  if (!fd) return fd;
  // Connections inherit how the listener closes.
  if (!reset_on_close(*fd) || ::listen(fd->get(), 1024) != 0) {
    return tl::unexpected(system_error("cannot listen on port " + std::to_string(port)));
  }
  return fd;
}

Result<UniqueFd> udp_server(std::uint16_t port) {
  auto fd = server(SOCK_DGRAM, port);
  if (fd && !set_option(*fd, IPPROTO_IP, IP_PKTINFO, 1)) {
    return tl::unexpected(system_error("cannot set IP_PKTINFO"));
  }
  return fd;
}

Result<UniqueFd> raw_sctp_socket() {
  auto fd = open_socket(SOCK_RAW, IPPROTO_SCTP);
  if (fd && !set_option(*fd, IPPROTO_IP, IP_PKTINFO, 1)) {
    return tl::unexpected(system_error("cannot set IP_PKTINFO"));
  }
  return fd;
}

Result<UniqueFd> raw_echo_socket() {
  auto fd = open_socket(SOCK_RAW, IPPROTO_ICMP);
  icmp_filter all_but_replies{};
  all_but_replies.data = ~(1u << ICMP_ECHOREPLY);
  if (fd && !set_option(*fd, SOL_RAW, ICMP_FILTER, all_but_replies)) {
    return tl::unexpected(system_error("cannot set the ICMP filter"));
  }
  return fd;
}

Result<UniqueFd> bound_client(int type, const IpAddress& address, std::uint16_t port) {
  auto fd = open_socket(type, 0);
  if (!fd) return fd;
  if (type == SOCK_STREAM && !reset_on_close(*fd)) {
    return tl::unexpected(system_error("cannot set SO_LINGER"));
  }
  const auto local = socket_address(address, port);
  if (::bind(fd->get(), reinterpret_cast<const sockaddr*>(&local), sizeof(local)) == 0) return fd;
  if (errno == EADDRINUSE) return UniqueFd();
  return tl::unexpected(system_error("cannot bind to " + address.to_string() + ":" + std::to_string(port)));
}

Result<UniqueFd> packet_socket(const Netns& netns, std::uint32_t ifindex, std::uint16_t protocol) {
  auto scope = NetnsScope::enter(netns);
  if (!scope) return fail_as(scope);
  UniqueFd socket(::socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(protocol);
  address.sll_ifindex = static_cast<int>(ifindex);
  if (!socket.valid() ||
      ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    return tl::unexpected(system_error("cannot open a packet socket"));
  }
  return socket;
}

std::optional<Datagram> receive_datagram(int fd) {
  std::array<std::uint8_t, 2048> buffer{};
  alignas(cmsghdr) std::array<char, 128> control{};
  sockaddr_in from{};
  iovec part{buffer.data(), buffer.size()};
  msghdr message = message_of(from, part, control);
  const auto length = ::recvmsg(fd, &message, 0);
  if (length < 0) return std::nullopt;
  Datagram datagram;
  datagram.source = IpAddress::v4(ntohl(from.sin_addr.s_addr));
  datagram.source_port = ntohs(from.sin_port);
  datagram.bytes.assign(buffer.begin(), buffer.begin() + length);
  for (cmsghdr* part_header = CMSG_FIRSTHDR(&message); part_header != nullptr;
       part_header = CMSG_NXTHDR(&message, part_header)) {
    if (part_header->cmsg_level != IPPROTO_IP || part_header->cmsg_type != IP_PKTINFO) continue;
    in_pktinfo info{};
    std::memcpy(&info, CMSG_DATA(part_header), sizeof(info));
    datagram.destination = IpAddress::v4(ntohl(info.ipi_addr.s_addr));
  }
  return datagram;
}

bool send_datagram(int fd, std::span<const std::uint8_t> bytes, const IpAddress& source,
                   const sockaddr_in& to) {
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(in_pktinfo))> control{};
  sockaddr_in name = to;
  iovec part{const_cast<std::uint8_t*>(bytes.data()), bytes.size()};
  msghdr message = message_of(name, part, control);
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = IPPROTO_IP;
  header->cmsg_type = IP_PKTINFO;
  header->cmsg_len = CMSG_LEN(sizeof(in_pktinfo));
  in_pktinfo info{};
  info.ipi_spec_dst.s_addr = source.v4_network_order();
  std::memcpy(CMSG_DATA(header), &info, sizeof(info));
  return ::sendmsg(fd, &message, MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size());
}

}  // namespace postern::sim
