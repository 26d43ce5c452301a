// SPDX-License-Identifier: Apache-2.0
#include "test/kernel_cluster/conversation.h"

#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

#include "net/system_error.h"
#include "sim/netns/sockets.h"
#include "sim/packet/packet.h"

namespace postern::sim::testing_support {
namespace {

// A socket in an end's namespace, bound to its address.
Result<UniqueFd> socket_at(const TalkEnd& end, int type, int protocol, std::uint16_t port) {
  auto scope = NetnsScope::enter(*end.netns);
  if (!scope) return fail_as(scope);
  UniqueFd fd(::socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol));
  const int on = 1;
  const auto local = socket_address(end.address, port);
  if (!fd.valid() || ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
      ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&local), sizeof(local)) != 0) {
    return tl::unexpected(system_error("cannot make a socket at " + end.address.to_string()));
  }
  return fd;
}

bool ready(const UniqueFd& fd, short events, int patience_ms) {
  pollfd one{fd.get(), events, 0};
  return ::poll(&one, 1, patience_ms) == 1 && (one.revents & events) != 0;
}

bool pass_on(const UniqueFd& from, const UniqueFd& to, const std::string& text, int patience_ms) {
  if (::send(from.get(), text.data(), text.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(text.size())) {
    return false;
  }
  std::array<char, 4096> buffer{};
  std::size_t got = 0;
  while (got < text.size()) {
    if (!ready(to, POLLIN, patience_ms)) return false;
    const auto length = ::recv(to.get(), buffer.data(), buffer.size(), 0);
    if (length <= 0) return false;
    got += static_cast<std::size_t>(length);
  }
  return true;
}

Result<void> connect_to(const UniqueFd& fd, const TalkEnd& end, std::uint16_t port) {
  const auto to = socket_address(end.address, port);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&to), sizeof(to)) == 0 || errno == EINPROGRESS) {
    return {};
  }
  return tl::unexpected(system_error("cannot connect to " + end.address.to_string()));
}

}  // namespace

Result<bool> talk_tcp(const Talk& talk, int patience_ms) {
  auto listener = socket_at(talk.server, SOCK_STREAM, 0, talk.port);
  if (!listener) return fail_as(listener);
  if (::listen(listener->get(), 16) != 0) return tl::unexpected(system_error("cannot listen"));
  auto client = socket_at(talk.client, SOCK_STREAM, 0, 0);
  if (!client) return fail_as(client);
  if (auto done = connect_to(*client, talk.server, talk.port); !done) return fail_as(done);
  if (!ready(*client, POLLOUT, patience_ms) || !ready(*listener, POLLIN, patience_ms)) return false;
  UniqueFd server(::accept4(listener->get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (!server.valid()) return tl::unexpected(system_error("cannot accept"));
  if (!pass_on(*client, server, talk.request, patience_ms)) return false;
  if (!pass_on(server, *client, talk.answer, patience_ms)) return false;
  ::shutdown(server.get(), SHUT_WR);
  ready(*client, POLLIN, patience_ms);  // the server's FIN
  client->reset();
  ready(server, POLLIN, patience_ms);
  return true;
}

Result<bool> talk_udp(const Talk& talk, int patience_ms) {
  auto server = socket_at(talk.server, SOCK_DGRAM, 0, talk.port);
  if (!server) return fail_as(server);
  auto client = socket_at(talk.client, SOCK_DGRAM, 0, 0);
  if (!client) return fail_as(client);
  if (auto done = connect_to(*client, talk.server, talk.port); !done) return fail_as(done);
  if (::send(client->get(), talk.request.data(), talk.request.size(), 0) < 0) {
    return tl::unexpected(system_error("cannot send"));
  }
  if (!ready(*server, POLLIN, patience_ms)) return false;
  const auto question = receive_datagram(server->get());
  if (!question) return tl::unexpected(system_error("cannot receive"));
  const auto back = socket_address(question->source, question->source_port);
  if (::sendto(server->get(), talk.answer.data(), talk.answer.size(), 0,
               reinterpret_cast<const sockaddr*>(&back), sizeof(back)) < 0) {
    return tl::unexpected(system_error("cannot answer"));
  }
  return ready(*client, POLLIN, patience_ms);
}

Result<bool> talk_ping(const Talk& talk, std::uint16_t id, int patience_ms) {
  auto scope = NetnsScope::enter(*talk.client.netns);
  if (!scope) return fail_as(scope);
  auto socket = raw_echo_socket(IpFamily::v4);
  if (!socket) return fail_as(socket);
  packet::Icmp icmp;
  icmp.id = id;
  const std::vector<std::uint8_t> payload(talk.request.begin(), talk.request.end());
  const auto bytes = (icmp / packet::Raw{payload}).bytes();
  if (!send_datagram(socket->get(), bytes, talk.client.address, socket_address(talk.server.address, 0))) {
    return tl::unexpected(system_error("cannot send"));
  }
  return ready(*socket, POLLIN, patience_ms);
}

}  // namespace postern::sim::testing_support
