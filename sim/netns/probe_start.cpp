// SPDX-License-Identifier: Apache-2.0
// How the probes of a batch begin: their sockets and ports, what the node has to know of them before
// the first packet, and that packet.
#include <linux/if_ether.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <set>

#include "sim/netns/probe_batch.h"
#include "sim/netns/probe_messages.h"
#include "sim/packet/service_views.h"

namespace postern::sim {

Result<void> ProbeBatch::prepare(const ProbeRequest& request) {
  auto server = topology_.find(request.to);
  if (!server) return fail_as(server);
  Pending& probe = probes_.emplace_back();
  probe.request = &request;
  probe.server = *server;
  const ServiceHop asked = request.via.value_or(ServiceHop{request.to.address, request.port});
  probe.near = {request.from.address, asked.address, 0, asked.port,
                ip_protocol_of(request.protocol, request.from.address.family())};
  Result<void> done;
  switch (request.protocol) {
    case ProbeProtocol::tcp: done = open_client(probe, SOCK_STREAM); break;
    case ProbeProtocol::udp: done = open_client(probe, SOCK_DGRAM); break;
    case ProbeProtocol::icmp: probe.near.destination_port = 0; [[fallthrough]];
    case ProbeProtocol::sctp: probe.near.source_port = take_port(probe); break;
  }
  if (!done) return done;
  if (done = set_far_flow(probe); !done) return done;
  by_port_.emplace(static_cast<std::uint32_t>(probe.near.protocol) << 16 | probe.near.source_port,
                   probes_.size() - 1);
  return {};
}

bool ProbeBatch::reaches_itself(const Pending& probe) const {
  return probe.request->via && client_.pod != nullptr && client_.pod == probe.server.pod;
}

std::uint16_t ProbeBatch::take_port(const Pending& probe) {
  return reaches_itself(probe) ? client_.node->take_masquerade_port() : client_.station->take_port();
}

// A socket of the client on a source port of its own.
Result<void> ProbeBatch::open_client(Pending& probe, int type) {
  while (!probe.client_socket.valid()) {
    probe.near.source_port = take_port(probe);
    auto socket = bound_client(type, probe.request->from.address, probe.near.source_port);
    if (!socket) return fail_as(socket);
    probe.client_socket = std::move(*socket);
  }
  return {};
}

Result<void> ProbeBatch::set_far_flow(Pending& probe) {
  const auto& request = *probe.request;
  probe.far = probe.near;
  if (!request.via) return {};
  if (request.protocol == ProbeProtocol::icmp) {
    return tl::unexpected(rig_error(request, "no Service translates ICMP"));
  }
  probe.far.destination = request.to.address;
  probe.far.destination_port = request.port;
  if (!reaches_itself(probe)) return {};
  const auto own_node = masquerade_address(client_.node->object, request.to.address.family());
  if (!own_node) {
    return tl::unexpected(rig_error(request, "the node " + client_.node->name +
                                                 " has no address of this family for a pod that reaches "
                                                 "itself through a Service"));
  }
  probe.far.source = *own_node;
  return {};
}

Result<void> ProbeBatch::translate_services() {
  std::vector<ServiceFlow> flows;
  for (const auto& probe : probes_) {
    if (!probe.request->via) continue;
    const FlowKey& near = probe.near;
    ServiceFlow flow;
    flow.protocol = near.protocol;
    flow.client = near.source;
    flow.client_port = near.source_port;
    flow.service = near.destination;
    flow.service_port = near.destination_port;
    flow.backend = probe.far.destination;
    flow.backend_port = probe.far.destination_port;
    if (probe.far.source != near.source) flow.own_node = probe.far.source;
    flows.push_back(flow);
  }
  if (flows.empty()) return {};
  auto nat = topology_.nat_of(client_);
  if (!nat) return fail_as(nat);
  return (*nat)->translate(flows);
}

Result<void> ProbeBatch::watch_departures() {
  if (client_.pod == nullptr) return {};
  std::set<std::uint16_t> ether_types;
  for (const auto& probe : probes_) {
    if (probe.request->to.kind != Party::Kind::service) continue;
    ether_types.insert(probe.near.source.is_v4() ? ETH_P_IP : ETH_P_IPV6);
  }
  for (const std::uint16_t type : ether_types) {
    auto socket = packet_socket(client_.node->station.netns, client_.pod->link.near_ifindex, type);
    if (!socket) return fail_as(socket);
    departures_.push_back(std::move(*socket));
  }
  return {};
}

Result<void> ProbeBatch::start(Pending& probe) {
  ++open_;
  const ProbeProtocol protocol = probe.request->protocol;
  if (protocol == ProbeProtocol::sctp) ++open_sctp_;
  if (protocol == ProbeProtocol::icmp) ++open_icmp_;
  if (Arrivals* arrivals = arrivals_of(probe)) ++arrivals->awaited;
  // Nothing judges what leaves a node or an outside host, and nobody answers at such a Service.
  if (probe.request->to.kind == Party::Kind::service && client_.pod == nullptr) {
    finish(probe);
    return {};
  }
  switch (protocol) {
    case ProbeProtocol::tcp: return start_stream(probe);
    case ProbeProtocol::udp: return start_datagram(probe);
    case ProbeProtocol::sctp:
    case ProbeProtocol::icmp: return start_raw(probe);
  }
  return {};
}

Result<void> ProbeBatch::start_stream(Pending& probe) {
  const auto to = socket_address(probe.near.destination, probe.near.destination_port);
  probe.phase = Phase::connecting;
  if (::connect(probe.client_socket.get(), to.get(), to.length) == 0 || errno == EINPROGRESS) return {};
  return tl::unexpected(rig_error(*probe.request, std::string("cannot connect: ") + std::strerror(errno)));
}

Result<void> ProbeBatch::start_datagram(Pending& probe) {
  const auto to = socket_address(probe.near.destination, probe.near.destination_port);
  const int socket = probe.client_socket.get();
  // Connected, so that a refusal would be seen.
  if (::connect(socket, to.get(), to.length) == 0 &&
      ::send(socket, kProbeByte.data(), kProbeByte.size(), MSG_NOSIGNAL) == 1) {
    return {};
  }
  return tl::unexpected(rig_error(*probe.request, std::string("cannot send: ") + std::strerror(errno)));
}

Result<void> ProbeBatch::start_raw(Pending& probe) {
  Station& station = *client_.station;
  const FlowKey& flow = probe.near;
  const IpFamily family = flow.source.family();
  const bool sctp = probe.request->protocol == ProbeProtocol::sctp;
  const auto bytes = sctp ? sctp_message(flow.source_port, flow.destination_port, packet::SctpChunk::init)
                          : echo_request(flow.source_port, family);
  const int socket = sctp ? station.sctp[family].get() : station.icmp[family].get();
  if (send_datagram(socket, bytes, flow.source, socket_address(flow.destination, 0))) return {};
  return tl::unexpected(rig_error(*probe.request, std::string("cannot send: ") + std::strerror(errno)));
}

}  // namespace postern::sim
