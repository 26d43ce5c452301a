// SPDX-License-Identifier: Apache-2.0
#include "sim/netns/packet_exchange.h"

#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <optional>

#include "net/system_error.h"
#include "sim/netns/sockets.h"
#include "sim/packet/packet_line.h"

namespace postern::sim {
namespace {

constexpr int kExchangeMs = 2000;
constexpr std::size_t kEthernet = 14;
// Locally administered, and no interface of the rig has it.
constexpr packet::MacAddress kNobody{0x02, 0xff, 0xff, 0xff, 0xff, 0xfe};

std::uint16_t type_at(const std::vector<std::uint8_t>& frame, std::size_t at) {
  return at + 2 <= frame.size() ? static_cast<std::uint16_t>(frame[at] << 8 | frame[at + 1])
                                : std::uint16_t{0};
}

bool is_tag(std::uint16_t type) { return type == ETH_P_8021Q || type == ETH_P_8021AD; }

// The protocol under which the stack hands a frame on behind the program: it takes off the outermost
// tag, and more only behind tags that name no VLAN.
std::uint16_t handed_on_as(const std::vector<std::uint8_t>& frame) {
  std::size_t at = 12;
  std::uint16_t type = type_at(frame, at);
  for (bool more = true; more && is_tag(type);) {
    more = (type_at(frame, at + 2) & 0x0fff) == 0;
    type = type_at(frame, at += 4);
  }
  if (type >= ETH_P_802_3_MIN) return type;
  return type_at(frame, at + 2) == 0xffff ? ETH_P_802_3 : ETH_P_802_2;
}

// The part of a frame after addresses and tags: tags travel beside the bytes that a socket shows.
std::span<const std::uint8_t> untagged(const std::vector<std::uint8_t>& frame) {
  std::size_t at = 12;
  while (is_tag(type_at(frame, at))) at += 4;
  return std::span(frame).subspan(std::min(at, frame.size()));
}

bool transmit(int socket, const std::vector<std::uint8_t>& frame) {
  return ::send(socket, frame.data(), frame.size(), 0) == static_cast<ssize_t>(frame.size());
}

// Whether the frame is among those that arrived since the last look. Frames that this host sent on
// the interface itself do not count.
bool take_arrival(int socket, const std::vector<std::uint8_t>& frame) {
  bool found = false;
  for (;;) {
    std::array<std::uint8_t, 4096> buffer{};
    sockaddr_ll from{};
    socklen_t length_of_from = sizeof(from);
    const auto length = ::recvfrom(socket, buffer.data(), buffer.size(), 0,
                                   reinterpret_cast<sockaddr*>(&from), &length_of_from);
    if (length < 0) return found;
    if (from.sll_pkttype == PACKET_OUTGOING) continue;
    const std::vector<std::uint8_t> seen(buffer.begin(), buffer.begin() + length);
    const auto a = untagged(seen);
    const auto b = untagged(frame);
    // Short frames may have been padded on the way.
    found = found || (a.size() >= b.size() && std::equal(b.begin(), b.end(), a.begin()));
  }
}

enum class LinkEnd : std::uint8_t { near, far };

// With nothing in it that came before.
Result<int> socket_at(const Place& pod, LinkEnd end, std::uint16_t protocol) {
  UniqueFd& socket = pod.pod->packet_sockets[static_cast<std::size_t>(end)][protocol];
  if (!socket.valid()) {
    const Link& link = pod.pod->link;
    auto opened = end == LinkEnd::near ? packet_socket(pod.node->station.netns, link.near_ifindex, protocol)
                                   : packet_socket(pod.pod->station.netns, link.far_ifindex, protocol);
    if (!opened) return fail_as(opened);
    socket = std::move(*opened);
  }
  std::array<std::uint8_t, 1> start{};
  while (::recv(socket.get(), start.data(), start.size(), MSG_TRUNC) >= 0) {
  }
  return socket.get();
}

// Whether an event can be about a frame: tags travel beside the bytes, and may be counted or not.
bool may_be(const pn_event& event, const std::vector<std::uint8_t>& frame) {
  const std::size_t most = frame.size();
  const std::size_t least = kEthernet - 2 + untagged(frame).size();
  return event.length >= least && event.length <= most;
}

}  // namespace

Result<PacketExchange::Crossing> PacketExchange::leave(const Place& pod, const Frame& frame) {
  const auto seen_at = socket_at(pod, LinkEnd::near, handed_on_as(frame));
  if (!seen_at) return fail_as(seen_at);
  const auto sender = socket_at(pod, LinkEnd::far, 0);
  if (!sender) return fail_as(sender);
  if (!transmit(*sender, frame)) return tl::unexpected(system_error("cannot send the frame"));
  return watch(pod, PN_EGRESS, *seen_at, frame);
}

Result<PacketExchange::Crossing> PacketExchange::enter(const Place& pod, const Frame& frame) {
  const auto seen_at = socket_at(pod, LinkEnd::far, ETH_P_ALL);
  if (!seen_at) return fail_as(seen_at);
  const auto sender = socket_at(pod, LinkEnd::near, 0);
  if (!sender) return fail_as(sender);
  // A frame that the egress program drops still counts as sent, or fails with ENOBUFS.
  if (!transmit(*sender, frame) && errno != ENOBUFS) {
    return tl::unexpected(system_error("cannot send the frame"));
  }
  return watch(pod, PN_INGRESS, *seen_at, frame);
}

Result<PacketExchange::Crossing> PacketExchange::watch(const Place& pod, pn_direction direction, int seen_at,
                                                       const Frame& frame) {
  using Clock = std::chrono::steady_clock;
  const NodeWatch* datapath = pod.node->watch.get();
  const auto give_up = Clock::now() + std::chrono::milliseconds(kExchangeMs);
  std::optional<std::uint32_t> step;
  bool arrived = false;
  for (;;) {
    std::vector<NodeEvent> events;
    if (auto done = drain_events(topology_, events); !done) return fail_as(done);
    for (const auto& event : events) {
      const bool here = event.node == pod.node && event.event.ifindex == pod.pod->link.near_ifindex;
      if (!here || event.event.direction != direction) continue;
      // Neighbour discovery goes on meanwhile; it is not the packet, unless it may be by its length.
      const bool always = pn_step_reason(event.event.step) == PN_REASON_ALWAYS;
      if (always && (step || !may_be(event.event, frame))) continue;
      step = event.event.step;
    }
    arrived = take_arrival(seen_at, frame) || arrived;
    // Either alone settles it: a drop leaves nothing to arrive, and who is not judged reports nothing.
    if (arrived || (step && !pn_step_allows(*step))) break;
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(give_up - Clock::now()).count();
    if (left <= 0) {
      return fail(ErrorCode::io,
                  step ? "allowed, but it did not pass" : "neither passed nor reported as dropped");
    }
    std::array<pollfd, 2> ready{
        {{seen_at, POLLIN, 0}, {datapath != nullptr ? datapath->event_fd() : -1, POLLIN, 0}}};
    ::poll(ready.data(), ready.size(), static_cast<int>(left));
  }
  Crossing crossing;
  crossing.passed = arrived;
  crossing.verdict = {pod.pod->pod, direction, step.value_or(0), pod.node->name};
  if (arrived && step && !pn_step_allows(*step)) {
    return fail(ErrorCode::io, "reported as dropped, but it passed");
  }
  if (arrived) pod.node->memory.passed(pod.pod->endpoint, direction, frame);
  return crossing;
}

Result<std::optional<IpAddress>> PacketExchange::own_node_of(const PacketRequest& request, const Place& from,
                                                             const Place& to) const {
  if (!request.via || from.pod == nullptr || from.pod != to.pod) return std::optional<IpAddress>{};
  auto address = masquerade_address(from.node->object, request.via->address.family());
  if (address) return address;
  return fail(ErrorCode::invalid_input, "node " + from.node->name +
                                            " has no address of this family for a pod that reaches itself "
                                            "through a Service");
}

Result<PacketExchange::Frames> PacketExchange::frames_of(const PacketRequest& request, const Place& from,
                                                         const ServiceViews::Views& views) {
  const auto frame_at = [&](const ServiceViews::Ends& end) -> Result<Frame> {
    packet::LineAddresses addresses{end.ends, kNobody, kNobody, end.quoted};
    if (from.pod != nullptr) addresses.source_mac = from.pod->link.far_mac;
    auto frame = packet::frame_of(*request.line, addresses);
    if (frame && frame->size() < kEthernet) {
      return fail(ErrorCode::invalid_input, "the frame is shorter than an Ethernet header");
    }
    return frame;
  };
  auto sender = frame_at(views.sender);
  if (!sender) return fail_as(sender);
  auto receiver = frame_at(views.receiver);
  if (!receiver) return fail_as(receiver);
  return Frames{std::move(*sender), std::move(*receiver)};
}

Result<PacketOutcome> PacketExchange::send(const PacketRequest& request) {
  auto from = topology_.find(request.from);
  if (!from) return fail_as(from);
  auto to = topology_.find(request.to);
  if (!to) return fail_as(to);
  PacketOutcome outcome;
  outcome.allowed = true;
  if (from->pod != nullptr && from->pod == to->pod && !request.via) {
    // It never leaves its namespace (R1).
    const std::uint32_t self = pn_step_allow(PN_REASON_SELF, 0);
    outcome.from = EndVerdict{from->pod->pod, PN_EGRESS, self, from->node->name};
    outcome.to = EndVerdict{to->pod->pod, PN_INGRESS, self, to->node->name};
    return outcome;
  }
  const auto own_node = own_node_of(request, *from, *to);
  if (!own_node) return fail_as(own_node);
  const auto views = services_.views_of(request, *own_node);
  const auto frames = frames_of(request, *from, views);
  if (!frames) return fail_as(frames);

  std::vector<NodeEvent> before;
  if (auto done = drain_events(topology_, before); !done) return fail_as(done);
  if (from->pod != nullptr) {
    auto crossing = leave(*from, frames->sender);
    if (!crossing) return fail_as(crossing);
    outcome.from = crossing->verdict;
    outcome.allowed = crossing->passed;
  }
  if (outcome.allowed) services_.passed(request, views);
  const bool translated = outcome.allowed && request.via && from->node != nullptr;
  if (translated) from->node->memory.translated(frames->sender, frames->receiver);
  if (request.to.kind == Party::Kind::service) outcome.allowed = false;  // nobody is there
  if (outcome.allowed && to->pod != nullptr) {
    auto crossing = enter(*to, frames->receiver);
    if (!crossing) return fail_as(crossing);
    outcome.to = crossing->verdict;
    outcome.allowed = crossing->passed;
  }
  return outcome;
}

}  // namespace postern::sim
