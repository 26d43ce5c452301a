// SPDX-License-Identifier: Apache-2.0
#include "sim/netns/sockets.h"

#include <linux/icmp.h>
#include <linux/if_packet.h>
#include <netinet/icmp6.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "net/system_error.h"

namespace postern::sim {
namespace {

Result<UniqueFd> open_socket(IpFamily family, int type, int protocol) {
  const int domain = family == IpFamily::v4 ? AF_INET : AF_INET6;
  UniqueFd fd(::socket(domain, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol));
  if (!fd.valid()) return tl::unexpected(system_error("cannot open a socket"));
  return fd;
}

IpAddress address_of(const in6_addr& address) {
  std::array<std::uint8_t, 16> bytes{};
  std::memcpy(bytes.data(), &address, bytes.size());
  return IpAddress::v6(bytes);
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

Result<UniqueFd> server(IpFamily family, int type, std::uint16_t port) {
  auto fd = open_socket(family, type, 0);
  if (!fd) return fd;
  const auto any = socket_address(family == IpFamily::v4 ? IpAddress() : IpAddress::v6({}), port);
  const bool own_family_only = family == IpFamily::v4 || set_option(*fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
  // A probe's client socket may hold the same port on one address; it does not listen.
  if (!own_family_only || !set_option(*fd, SOL_SOCKET, SO_REUSEADDR, 1) ||
      ::bind(fd->get(), any.get(), any.length) != 0) {
    return tl::unexpected(system_error("cannot serve port " + std::to_string(port)));
  }
  return fd;
}

// Has every datagram say which address it was sent to.
Result<UniqueFd> with_destinations(Result<UniqueFd> fd, IpFamily family) {
  if (!fd) return fd;
  const bool done = family == IpFamily::v4 ? set_option(*fd, IPPROTO_IP, IP_PKTINFO, 1)
                                           : set_option(*fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
  if (!done) return tl::unexpected(system_error("cannot have datagrams say where they were sent to"));
  return fd;
}

// The address that control data of a datagram says it was sent to.
std::optional<IpAddress> destination_in(const cmsghdr* header) {
  if (header->cmsg_level == IPPROTO_IP && header->cmsg_type == IP_PKTINFO) {
    in_pktinfo info{};
    std::memcpy(&info, CMSG_DATA(header), sizeof(info));
    return IpAddress::v4(ntohl(info.ipi_addr.s_addr));
  }
  if (header->cmsg_level == IPPROTO_IPV6 && header->cmsg_type == IPV6_PKTINFO) {
    in6_pktinfo info{};
    std::memcpy(&info, CMSG_DATA(header), sizeof(info));
    return address_of(info.ipi6_addr);
  }
  return std::nullopt;
}

}  // namespace

SocketAddress socket_address(const IpAddress& address, std::uint16_t port) {
  SocketAddress result;
  if (address.is_v4()) {
    sockaddr_in name{};
    name.sin_family = AF_INET;
    name.sin_port = htons(port);
    name.sin_addr.s_addr = address.v4_network_order();
    result.length = sizeof(name);
    std::memcpy(&result.storage, &name, sizeof(name));
  } else {
    sockaddr_in6 name{};
    name.sin6_family = AF_INET6;
    name.sin6_port = htons(port);
    std::memcpy(&name.sin6_addr, address.bytes().data(), sizeof(name.sin6_addr));
    result.length = sizeof(name);
    std::memcpy(&result.storage, &name, sizeof(name));
  }
  return result;
}

IpAddress SocketAddress::address() const {
  if (storage.ss_family == AF_INET6) {
    sockaddr_in6 name{};
    std::memcpy(&name, &storage, sizeof(name));
    return address_of(name.sin6_addr);
  }
  sockaddr_in name{};
  std::memcpy(&name, &storage, sizeof(name));
  return IpAddress::v4(ntohl(name.sin_addr.s_addr));
}

std::uint16_t SocketAddress::port() const {
  // The port is at the same place in both families' addresses.
  sockaddr_in name{};
  std::memcpy(&name, &storage, sizeof(name));
  return ntohs(name.sin_port);
}

Result<UniqueFd> tcp_listener(IpFamily family, std::uint16_t port) {
  auto fd = server(family, SOCK_STREAM, port);
  if (!fd) return fd;
  // Connections inherit how the listener closes.
  if (!reset_on_close(*fd) || ::listen(fd->get(), 1024) != 0) {
    return tl::unexpected(system_error("cannot listen on port " + std::to_string(port)));
  }
  return fd;
}

Result<UniqueFd> udp_server(IpFamily family, std::uint16_t port) {
  return with_destinations(server(family, SOCK_DGRAM, port), family);
}

Result<UniqueFd> raw_sctp_socket(IpFamily family) {
  return with_destinations(open_socket(family, SOCK_RAW, IPPROTO_SCTP), family);
}

Result<UniqueFd> raw_echo_socket(IpFamily family) {
  const bool v4 = family == IpFamily::v4;
  auto fd = open_socket(family, SOCK_RAW, static_cast<int>(v4 ? Protocol::icmp : Protocol::icmpv6));
  if (!fd) return fd;
  icmp_filter replies{};
  replies.data = ~(1u << ICMP_ECHOREPLY);
  icmp6_filter replies6{};
  ICMP6_FILTER_SETBLOCKALL(&replies6);
  ICMP6_FILTER_SETPASS(ICMP6_ECHO_REPLY, &replies6);
  if (v4 ? set_option(*fd, SOL_RAW, ICMP_FILTER, replies)
         : set_option(*fd, IPPROTO_ICMPV6, ICMP6_FILTER, replies6)) {
    return fd;
  }
  return tl::unexpected(system_error("cannot set the ICMP filter"));
}

Result<UniqueFd> bound_client(int type, const IpAddress& address, std::uint16_t port) {
  auto fd = open_socket(address.family(), type, 0);
  if (!fd) return fd;
  if (type == SOCK_STREAM && !reset_on_close(*fd)) {
    return tl::unexpected(system_error("cannot set SO_LINGER"));
  }
  const auto local = socket_address(address, port);
  if (::bind(fd->get(), local.get(), local.length) == 0) return fd;
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
  SocketAddress from;
  iovec part{buffer.data(), buffer.size()};
  msghdr message = message_of(from.storage, part, control);
  const auto length = ::recvmsg(fd, &message, 0);
  if (length < 0) return std::nullopt;
  Datagram datagram;
  datagram.source = from.address();
  datagram.source_port = from.port();
  datagram.bytes.assign(buffer.begin(), buffer.begin() + length);
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
    if (const auto destination = destination_in(header)) datagram.destination = *destination;
  }
  return datagram;
}

bool send_datagram(int fd, std::span<const std::uint8_t> bytes, const IpAddress& source,
                   const SocketAddress& to) {
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(in6_pktinfo))> control{};
  SocketAddress name = to;
  iovec part{const_cast<std::uint8_t*>(bytes.data()), bytes.size()};
  msghdr message = message_of(name.storage, part, control);
  message.msg_namelen = to.length;
  const auto say_source = [&](int level, int type, const auto& info) {
    message.msg_controllen = CMSG_SPACE(sizeof(info));
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = level;
    header->cmsg_type = type;
    header->cmsg_len = CMSG_LEN(sizeof(info));
    std::memcpy(CMSG_DATA(header), &info, sizeof(info));
  };
  if (source.is_v4()) {
    in_pktinfo info{};
    info.ipi_spec_dst.s_addr = source.v4_network_order();
    say_source(IPPROTO_IP, IP_PKTINFO, info);
  } else {
    in6_pktinfo info{};
    std::memcpy(&info.ipi6_addr, source.bytes().data(), sizeof(info.ipi6_addr));
    say_source(IPPROTO_IPV6, IPV6_PKTINFO, info);
  }
  return ::sendmsg(fd, &message, MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size());
}

}  // namespace postern::sim
