// SPDX-License-Identifier: Apache-2.0
// The sockets of probes. Sockets are made in the caller's namespace and keep it.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "engine/base/ip.h"
#include "engine/base/result.h"
#include "net/fd.h"
#include "sim/netns/netns.h"

namespace postern::sim {

// All non-blocking. TCP sockets close with a reset, so that nothing lingers after a probe. Servers and
// raw sockets are for one family each, so that addresses are what the wire has.
Result<UniqueFd> tcp_listener(IpFamily family, std::uint16_t port);
Result<UniqueFd> udp_server(IpFamily family, std::uint16_t port);
Result<UniqueFd> raw_sctp_socket(IpFamily family);
Result<UniqueFd> raw_echo_socket(IpFamily family);  // receives echo replies only

// A client socket bound to an address and port; an empty descriptor: the port is taken.
Result<UniqueFd> bound_client(int type, const IpAddress& address, std::uint16_t port);

// A packet socket in a namespace, bound to one interface. Bound to one protocol it sees what passed
// the program on the way in; bound to all it would see it before.
Result<UniqueFd> packet_socket(const Netns& netns, std::uint32_t ifindex, std::uint16_t protocol);

// An address and port of either family as the system calls take them.
struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = sizeof(sockaddr_storage);
  [[nodiscard]] const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  [[nodiscard]] sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
  [[nodiscard]] IpAddress address() const;
  [[nodiscard]] std::uint16_t port() const;
};
SocketAddress socket_address(const IpAddress& address, std::uint16_t port);

// The header of one message: whom it is from or to, its bytes, and room for control data. It points to
// all three.
template <typename Name, typename Control>
msghdr message_of(Name& name, iovec& part, Control& control) {
  msghdr message{};
  message.msg_name = &name;
  message.msg_namelen = sizeof(name);
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  return message;
}

// One datagram as it came, with the address it was sent to.
struct Datagram {
  IpAddress source;
  IpAddress destination;
  std::uint16_t source_port = 0;
  std::vector<std::uint8_t> bytes;  // raw sockets: from the IP header on, of IPv6 from behind it
};
// Empty: nothing is there.
std::optional<Datagram> receive_datagram(int fd);

// From an address of the namespace, whichever of several it is. False: see errno.
bool send_datagram(int fd, std::span<const std::uint8_t> bytes, const IpAddress& source,
                   const SocketAddress& to);

}  // namespace postern::sim
