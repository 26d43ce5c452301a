// SPDX-License-Identifier: Apache-2.0
#include "agent/http/listen_socket.h"

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace postern::agent {
namespace {

constexpr int kBacklog = 256;

struct Target {
  sockaddr_storage address{};
  socklen_t length = 0;
};

Target any_address(int family, std::uint16_t port) {
  Target target;
  if (family == AF_INET6) {
    sockaddr_in6 any{};
    any.sin6_family = AF_INET6;
    any.sin6_port = htons(port);
    any.sin6_addr = in6addr_any;
    target.length = sizeof any;
    std::memcpy(&target.address, &any, sizeof any);
  } else {
    sockaddr_in any{};
    any.sin_family = AF_INET;
    any.sin_port = htons(port);
    target.length = sizeof any;
    std::memcpy(&target.address, &any, sizeof any);
  }
  return target;
}

Result<Target> look_up(const BindAddress& address) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int status = getaddrinfo(address.host.c_str(), std::to_string(address.port).c_str(), &hints, &found);
  if (status != 0) return fail(ErrorCode::not_found, gai_strerror(status));
  Target target;
  target.length = found->ai_addrlen;
  std::memcpy(&target.address, found->ai_addr, found->ai_addrlen);
  freeaddrinfo(found);
  return target;
}

// errno says why there is none.
int listening(const Target& target) {
  const int family = target.address.ss_family;
  const int descriptor = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (descriptor < 0) return -1;
  const int on = 1;
  const int off = 0;
  setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (family == AF_INET6) setsockopt(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  if (bind(descriptor, reinterpret_cast<const sockaddr*>(&target.address), target.length) == 0 &&
      listen(descriptor, kBacklog) == 0) {
    return descriptor;
  }
  const int error = errno;
  close(descriptor);
  errno = error;
  return -1;
}

std::uint16_t port_of(int descriptor) {
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  getsockname(descriptor, reinterpret_cast<sockaddr*>(&address), &length);
  if (address.ss_family == AF_INET6) {
    sockaddr_in6 v6{};
    std::memcpy(&v6, &address, sizeof v6);
    return ntohs(v6.sin6_port);
  }
  sockaddr_in v4{};
  std::memcpy(&v4, &address, sizeof v4);
  return ntohs(v4.sin_port);
}

tl::unexpected<Error> refuse(const BindAddress& address, const std::string& flag, int error) {
  std::string text = flag + ": cannot listen on " + address.to_string() + ": " + std::strerror(error);
  if (error == EADDRINUSE) {
    text += "; another process has it (ss -ltnp names it), or another endpoint of this agent";
  }
  return fail(error == EACCES ? ErrorCode::permission : ErrorCode::io, text);
}

}  // namespace

Result<ListenSocket> open_listen_socket(const BindAddress& address, const std::string& flag) {
  int descriptor = -1;
  if (address.host.empty()) {
    descriptor = listening(any_address(AF_INET6, address.port));
    // A kernel without IPv6.
    if (descriptor < 0 && errno == EAFNOSUPPORT) {
      descriptor = listening(any_address(AF_INET, address.port));
    }
  } else {
    const auto target = look_up(address);
    if (!target) {
      return fail(target.error().code,
                  flag + ": cannot listen on " + address.to_string() + ": " + target.error().message);
    }
    descriptor = listening(*target);
  }
  if (descriptor < 0) return refuse(address, flag, errno);
  return ListenSocket{descriptor, port_of(descriptor)};
}

}  // namespace postern::agent
