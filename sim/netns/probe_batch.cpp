// SPDX-License-Identifier: Apache-2.0
#include "sim/netns/probe_batch.h"

#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "sim/netns/probe_messages.h"

namespace postern::sim {
namespace {

// Without progress for so long, something is wrong with the rig: packets take microseconds.
constexpr int kDeadlineMs = 2000;

}  // namespace

Result<std::vector<ProbeOutcome>> ProbeBatch::run(std::span<const ProbeRequest> requests) {
  using Clock = std::chrono::steady_clock;
  // What happened before is not about these probes.
  if (auto done = drain_events(topology_, events_); !done) return fail_as(done);
  events_.clear();
  probes_.reserve(requests.size());
  for (const auto& request : requests) {
    if (auto done = prepare(request); !done) return fail_as(done);
  }
  if (auto done = watch_departures(); !done) return fail_as(done);
  if (auto done = translate_services(); !done) return fail_as(done);
  for (auto& probe : probes_) {
    if (auto done = start(probe); !done) return fail_as(done);
  }
  auto last_progress = Clock::now();
  while (open_ > 0) {
    progress_ = false;
    if (auto done = round(); !done) return fail_as(done);
    if (progress_ || open_ == 0) {
      last_progress = Clock::now();
      continue;
    }
    const auto quiet =
        std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - last_progress).count();
    if (quiet < kDeadlineMs) {
      wait(kDeadlineMs - static_cast<int>(quiet));
      continue;
    }
    for (const auto& probe : probes_) {
      if (probe.phase == Phase::done) continue;
      return tl::unexpected(
          rig_error(*probe.request, std::string("neither answered nor reported as dropped within ") +
                                        std::to_string(kDeadlineMs) + " ms (the server " +
                                        (probe.served ? "saw it)" : "never saw it)")));
    }
  }
  if (auto done = look_for_contradictions(); !done) return fail_as(done);
  std::vector<ProbeOutcome> outcomes;
  outcomes.reserve(probes_.size());
  for (auto& probe : probes_) outcomes.push_back(std::move(probe.outcome));
  return outcomes;
}

ProbeBatch::Arrivals* ProbeBatch::arrivals_of(const Pending& probe) {
  Station* station = probe.server.station;
  if (station == nullptr) return nullptr;
  const auto& request = *probe.request;
  const IpFamily family = probe.far.source.family();
  const auto of = [&](ArrivalMap& map, const UniqueFd& socket) {
    Arrivals& arrivals = map[socket.get()];
    arrivals.station = station;
    return &arrivals;
  };
  switch (request.protocol) {
    case ProbeProtocol::tcp:
      return of(listeners_, station->servers[{request.protocol, family, request.port}]);
    case ProbeProtocol::udp:
      return of(datagram_servers_, station->servers[{request.protocol, family, request.port}]);
    case ProbeProtocol::sctp: return of(sctp_servers_, station->sctp[family]);
    case ProbeProtocol::icmp: return nullptr;  // the kernel answers
  }
  return nullptr;
}

ProbeBatch::Pending* ProbeBatch::find(std::uint8_t protocol, std::uint16_t client_port) {
  const auto found = by_port_.find(static_cast<std::uint32_t>(protocol) << 16 | client_port);
  return found == by_port_.end() ? nullptr : &probes_[found->second];
}

// Drops first: they close probes that would otherwise be asked for an answer.
Result<void> ProbeBatch::round() {
  if (auto done = take_events(); !done) return done;
  for (auto& probe : probes_) {
    if (probe.phase != Phase::connecting) continue;
    if (::send(probe.client_socket.get(), kProbeByte.data(), kProbeByte.size(), MSG_NOSIGNAL) == 1) {
      probe.phase = Phase::waiting;
      progress_ = true;
    } else if (errno != EAGAIN && errno != EALREADY && errno != EINPROGRESS && errno != ENOTCONN) {
      return tl::unexpected(rig_error(*probe.request, std::string("refused: ") + std::strerror(errno)));
    }
  }
  if (auto done = serve(); !done) return done;
  return read_clients();
}

Result<void> ProbeBatch::take_events() {
  events_.clear();
  if (auto done = drain_events(topology_, events_); !done) return done;
  for (const auto& event : events_) {
    if (pn_step_allows(event.event.step)) continue;
    const FlowKey flow = flow_of(event.event);
    for (const bool reply : {false, true}) {
      const FlowKey opener = reply ? flow.reversed() : flow;
      Pending* probe = find(opener.protocol, opener.source_port);
      // An echo reads alike in both directions but for its addresses.
      if (probe == nullptr || (probe->near != opener && probe->far != opener)) continue;
      if (auto done = take_drop(*probe, event, reply); !done) return done;
      break;
    }
  }
  return {};
}

Result<void> ProbeBatch::take_drop(Pending& probe, const NodeEvent& event, bool reply) {
  if (probe.phase == Phase::done) {
    if (probe.outcome.drop) return {};  // a later packet of a probe that is over
    const char* passed = probe.outcome.allowed ? "answered" : "passed";
    return tl::unexpected(
        rig_error(*probe.request, std::string(passed) + ", but the datapath reports a drop of it"));
  }
  progress_ = true;
  probe.outcome.drop = verdict_of(event);
  probe.outcome.dropped_reply = reply;
  bool delivered = false;
  constexpr std::uint8_t kSyn = packet::kSyn;
  std::uint8_t byte = 0;
  if (probe.phase == Phase::connecting && (event.event.tcp_flags & kSyn) != 0) {
    delivered = ::send(probe.client_socket.get(), kProbeByte.data(), kProbeByte.size(), MSG_NOSIGNAL) == 1;
  } else if (probe.request->protocol == ProbeProtocol::udp) {
    delivered = ::recv(probe.client_socket.get(), &byte, 1, 0) == 1;
  }
  if (delivered) return tl::unexpected(rig_error(*probe.request, "reported as dropped, but it was answered"));
  if (!probe.served) {
    if (Arrivals* arrivals = arrivals_of(probe)) --arrivals->awaited;
  }
  finish(probe);
  return {};
}

Result<void> ProbeBatch::serve() {
  for (auto& [socket, arrivals] : listeners_) {
    if (auto done = accept_streams(socket, arrivals, false); !done) return done;
  }
  for (auto& probe : probes_) {
    std::uint8_t byte = 0;
    if (probe.phase == Phase::done || !probe.server_socket.valid()) continue;
    if (::recv(probe.server_socket.get(), &byte, 1, 0) != 1) continue;
    progress_ = true;
    if (::send(probe.server_socket.get(), &byte, 1, MSG_NOSIGNAL) != 1) {
      return tl::unexpected(
          rig_error(*probe.request, std::string("the server cannot answer: ") + std::strerror(errno)));
    }
  }
  for (auto& [socket, arrivals] : datagram_servers_) {
    if (auto done = serve_datagrams(socket, arrivals, false); !done) return done;
  }
  for (auto& [socket, arrivals] : sctp_servers_) {
    if (arrivals.awaited == 0) continue;
    if (auto done = read_sctp(socket, *arrivals.station); !done) return done;
  }
  return {};
}

// The server saw a probe. That of one whose first packet was reported as dropped is a contradiction.
Result<void> ProbeBatch::arrived(Pending& probe) {
  if (probe.phase == Phase::done && !probe.outcome.allowed && !probe.outcome.dropped_reply) {
    return tl::unexpected(rig_error(*probe.request, "reported as dropped, but it reached the server"));
  }
  if (!probe.served && probe.phase != Phase::done) {
    if (Arrivals* arrivals = arrivals_of(probe)) --arrivals->awaited;
  }
  probe.served = true;
  progress_ = true;
  return {};
}

Result<void> ProbeBatch::accept_streams(int listener, Arrivals& arrivals, bool once) {
  while (arrivals.awaited > 0 || once) {
    SocketAddress from;
    UniqueFd socket(::accept4(listener, from.get(), &from.length, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!socket.valid()) return {};
    Pending* probe = find(IPPROTO_TCP, from.port());
    if (probe == nullptr || probe->far.source != from.address()) continue;
    if (auto done = arrived(*probe); !done) return done;
    if (probe->phase != Phase::done) probe->server_socket = std::move(socket);
  }
  return {};
}

Result<void> ProbeBatch::serve_datagrams(int server, Arrivals& arrivals, bool once) {
  while (arrivals.awaited > 0 || once) {
    const auto datagram = receive_datagram(server);
    if (!datagram) return {};
    Pending* probe = find(IPPROTO_UDP, datagram->source_port);
    if (probe == nullptr || probe->far.source != datagram->source) continue;
    if (auto done = arrived(*probe); !done) return done;
    if (probe->phase == Phase::done) continue;
    const auto to = socket_address(datagram->source, datagram->source_port);
    if (!send_datagram(server, datagram->bytes, datagram->destination, to)) {
      return tl::unexpected(
          rig_error(*probe->request, std::string("the server cannot answer: ") + std::strerror(errno)));
    }
  }
  return {};
}

// Both ends at once: what a namespace's raw socket gets are openings and answers.
Result<void> ProbeBatch::read_sctp(int socket, Station& station) {
  while (const auto datagram = receive_datagram(socket)) {
    const auto message = read_sctp_message(*datagram);
    if (!message) continue;
    if (message->chunk == packet::SctpChunk::init) {
      Pending* probe = find(IPPROTO_SCTP, message->source_port);
      if (probe == nullptr || probe->server.station != &station ||
          probe->far.source != datagram->source) {
        continue;
      }
      if (auto done = arrived(*probe); !done) return done;
      if (probe->phase == Phase::done) continue;
      const auto answer =
          sctp_message(message->destination_port, message->source_port, packet::SctpChunk::init_ack);
      if (!send_datagram(socket, answer, datagram->destination, socket_address(datagram->source, 0))) {
        return tl::unexpected(
            rig_error(*probe->request, std::string("the server cannot answer: ") + std::strerror(errno)));
      }
    } else if (message->chunk == packet::SctpChunk::init_ack) {
      Pending* probe = find(IPPROTO_SCTP, message->destination_port);
      if (probe == nullptr || &station != client_.station || probe->near.destination != datagram->source) {
        continue;
      }
      if (probe->phase == Phase::done && !probe->outcome.allowed) {
        return tl::unexpected(rig_error(*probe->request, "reported as dropped, but it was answered"));
      }
      answered(*probe);
    }
  }
  return {};
}

Result<void> ProbeBatch::read_clients() {
  for (auto& probe : probes_) {
    if (probe.phase != Phase::waiting || !probe.client_socket.valid()) continue;
    std::uint8_t byte = 0;
    const auto length = ::recv(probe.client_socket.get(), &byte, 1, 0);
    if (length == 1) {
      answered(probe);
    } else if (length == 0 || errno != EAGAIN) {
      return tl::unexpected(rig_error(
          *probe.request, std::string("refused: ") + (length == 0 ? "closed" : std::strerror(errno))));
    }
  }
  if (open_sctp_ > 0) {
    if (auto done = read_sctp_answers(); !done) return done;
  }
  if (auto done = read_departures(); !done) return done;
  return open_icmp_ > 0 ? read_echo_replies() : Result<void>();
}

Result<void> ProbeBatch::read_sctp_answers() {
  for (const auto& [family, socket] : client_.station->sctp) {
    if (auto done = read_sctp(socket.get(), *client_.station); !done) return done;
  }
  return {};
}

Result<void> ProbeBatch::read_echo_replies() {
  for (const auto& [family, socket] : client_.station->icmp) {
    while (const auto datagram = receive_datagram(socket.get())) {
      const auto id = read_echo_id(*datagram);
      if (!id) continue;
      Pending* probe = find(ip_protocol_of(ProbeProtocol::icmp, family), *id);
      if (probe == nullptr || probe->near.destination != datagram->source) continue;
      if (probe->phase == Phase::done && !probe->outcome.allowed) {
        return tl::unexpected(rig_error(*probe->request, "reported as dropped, but it was answered"));
      }
      answered(*probe);
    }
  }
  return {};
}

// What left for a Service that nobody stands behind is as good as unanswered.
Result<void> ProbeBatch::read_departures() {
  std::array<std::uint8_t, 2048> buffer{};
  for (const auto& socket : departures_) {
    for (;;) {
      const auto length = ::recv(socket.get(), buffer.data(), buffer.size(), 0);
      if (length < 0) break;
      const auto flow = flow_of_frame(std::span(buffer).first(static_cast<std::size_t>(length)));
      if (!flow) continue;
      Pending* probe = find(flow->protocol, flow->source_port);
      if (probe == nullptr || probe->near != *flow) continue;
      if (probe->request->to.kind != Party::Kind::service) continue;
      if (probe->outcome.drop) {
        return tl::unexpected(rig_error(*probe->request, "reported as dropped, but it passed"));
      }
      if (probe->phase != Phase::done) finish(*probe);
    }
  }
  return {};
}

void ProbeBatch::answered(Pending& probe) {
  if (probe.phase == Phase::done) return;
  probe.outcome.allowed = true;
  finish(probe);
}

void ProbeBatch::finish(Pending& probe) {
  progress_ = true;
  probe.phase = Phase::done;
  // The client first: its reset closes the server's side as well.
  probe.client_socket.reset();
  probe.server_socket.reset();
  --open_;
  if (probe.request->protocol == ProbeProtocol::sctp) --open_sctp_;
  if (probe.request->protocol == ProbeProtocol::icmp) --open_icmp_;
}

// Once more, when everything has its outcome: a drop of what was answered, an arrival of what was dropped.
Result<void> ProbeBatch::look_for_contradictions() {
  if (auto done = take_events(); !done) return done;
  for (const auto& probe : probes_) {
    if (probe.outcome.allowed) continue;
    Arrivals* arrivals = arrivals_of(probe);
    if (arrivals != nullptr) arrivals->awaited = 1;  // worth a look
  }
  for (auto& [socket, arrivals] : listeners_) {
    if (arrivals.awaited == 0) continue;
    if (auto done = accept_streams(socket, arrivals, true); !done) return done;
  }
  for (auto& [socket, arrivals] : datagram_servers_) {
    if (arrivals.awaited == 0) continue;
    if (auto done = serve_datagrams(socket, arrivals, true); !done) return done;
  }
  for (auto& [socket, arrivals] : sctp_servers_) {
    if (arrivals.awaited == 0) continue;
    if (auto done = read_sctp(socket, *arrivals.station); !done) return done;
  }
  if (auto done = read_departures(); !done) return done;
  if (!sctp_servers_.empty()) {
    if (auto done = read_sctp_answers(); !done) return done;
  }
  return read_echo_replies();
}

void ProbeBatch::wait(int timeout_ms) {
  std::vector<pollfd> sockets;
  const auto watch = [&](int fd, short events) {
    if (fd >= 0) sockets.push_back({fd, events, 0});
  };
  for (const auto& node : topology_.nodes()) {
    if (node->in_use && node->watch) watch(node->watch->event_fd(), POLLIN);
  }
  for (const auto* servers : {&listeners_, &datagram_servers_, &sctp_servers_}) {
    for (const auto& [socket, arrivals] : *servers) {
      if (arrivals.awaited > 0) watch(socket, POLLIN);
    }
  }
  for (const auto& probe : probes_) {
    if (probe.phase == Phase::done) continue;
    watch(probe.client_socket.get(), probe.phase == Phase::connecting ? POLLOUT : POLLIN);
    watch(probe.server_socket.get(), POLLIN);
  }
  if (open_sctp_ > 0) {
    for (const auto& [family, socket] : client_.station->sctp) watch(socket.get(), POLLIN);
  }
  if (open_icmp_ > 0) {
    for (const auto& [family, socket] : client_.station->icmp) watch(socket.get(), POLLIN);
  }
  for (const auto& socket : departures_) watch(socket.get(), POLLIN);
  ::poll(sockets.data(), sockets.size(), timeout_ms);
}

}  // namespace postern::sim
