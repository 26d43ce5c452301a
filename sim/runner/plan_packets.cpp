// SPDX-License-Identifier: Apache-2.0
// Packet lines -> who sends what to whom: one sender, one receiver, one family.
#include <algorithm>

#include "sim/runner/ends.h"
#include "sim/runner/outside.h"
#include "sim/runner/plan.h"
#include "sim/runner/service_port.h"

namespace postern::sim {

namespace {

Result<ResolvedEnd> packet_end(EndResolver& ends, const End& end, const std::string& text,
                               const Location& where) {
  auto found = ends.resolve(end, text, where);
  if (!found) return fail_as(found);
  if (found->ends.size() != 1) {
    return fail(ErrorCode::invalid_input,
                text + " matches " + std::to_string(found->ends.size()) +
                    " pods; a packet has one sender and one receiver",
                where);
  }
  return found->ends.front();
}

// Whether the line can be of the family: what it writes may exist in one alone.
bool can_be(const PacketLine& line, IpFamily family) {
  if (line.source && line.source->family() != family) return false;
  return family == IpFamily::v4 ? line.extensions.empty() : line.ip_options.empty();
}

// The first family, IPv4 before IPv6, that both ends have and the line can be of.
std::optional<IpFamily> family_of(const PacketLine& line, const ResolvedEnd& from, const ResolvedEnd& to) {
  for (const IpFamily family : {IpFamily::v4, IpFamily::v6}) {
    if (from.address(family) && to.address(family) && can_be(line, family)) return family;
  }
  return std::nullopt;
}

// Protocol and destination port, of those that have one.
struct PortOf {
  std::optional<std::pair<Protocol, std::uint16_t>> operator()(const TcpPart& tcp) const {
    return std::pair(Protocol::tcp, tcp.dport);
  }
  std::optional<std::pair<Protocol, std::uint16_t>> operator()(const UdpPart& udp) const {
    return std::pair(Protocol::udp, udp.dport);
  }
  std::optional<std::pair<Protocol, std::uint16_t>> operator()(const SctpPart& sctp) const {
    return std::pair(Protocol::sctp, sctp.dport);
  }
  template <typename T>
  std::optional<std::pair<Protocol, std::uint16_t>> operator()(const T&) const {
    return std::nullopt;
  }
};

class PacketPlanner {
 public:
  PacketPlanner(ScenarioFamily family, PlannedStep& planned)
      : ends_(planned.placement.cluster, family), planned_(planned) {}

  Result<void> add(const PacketLine& line) {
    const auto from = packet_end(ends_, line.from, line.from_text, line.location);
    if (!from) return fail_as(from);
    const auto to = packet_end(ends_, line.to, line.to_text, line.location);
    if (!to) return fail_as(to);
    if (from->service != nullptr) {
      return fail(ErrorCode::invalid_input, line.from_text + " is a ClusterIP, expected a Service only in to",
                  line.location);
    }
    const auto family = family_of(line, *from, *to);
    if (!family) {
      return fail(ErrorCode::invalid_input,
                  from->text + " and " + to->text +
                      " have no address family in common that this packet can be of",
                  line.location);
    }
    PlannedPacket packet{&line, from->text, to->text, from->at(*from->address(*family)), {}, {}, 0, {}};
    const auto target = target_of(line, *to, *family);
    if (!target) return fail_as(target);
    packet.to = target->to;
    packet.via = target->via;
    if (packet.via) packet.target_port = target->port;
    if (line.quotes) {
      const auto quoted = quoted_addresses(line, *family);
      if (!quoted) return fail_as(quoted);
      packet.quoted = *quoted;
    }
    note_outside(packet.from, planned_.placement);
    note_outside(packet.to, planned_.placement);
    planned_.packets.push_back(std::move(packet));
    return {};
  }

 private:
  Result<Target> target_of(const PacketLine& line, const ResolvedEnd& to, IpFamily family) const {
    if (to.service == nullptr) return Target{to.at(*to.address(family)), 0, std::nullopt};
    const bool later = line.fragment && line.fragment->offset != 0;
    const auto port = later ? std::nullopt : std::visit(PortOf{}, line.part);
    if (!port) {
      return fail(ErrorCode::invalid_input,
                  "a packet to " + to.text + " names no port of it, expected tcp, udp or sctp, whole",
                  line.location);
    }
    const auto meant = service_port(*to.service, port->first, IntOrString(port->second), line.location);
    if (!meant) return fail_as(meant);
    auto found = ends_.targets(to, port->second, *meant);
    std::erase_if(found, [&](const Target& target) { return target.to.address.family() != family; });
    // Without a backend the packet leaves for the ClusterIP and nobody gets it. Of several the first by
    // address does: at the client's end they are judged together anyway.
    return found.front();
  }

  Result<QuotedAddresses> quoted_addresses(const PacketLine& line, IpFamily family) {
    const auto from = packet_end(ends_, line.quotes->from, line.quotes->from_text, line.location);
    if (!from) return fail_as(from);
    const auto to = packet_end(ends_, line.quotes->to, line.quotes->to_text, line.location);
    if (!to) return fail_as(to);
    const auto source = from->address(family);
    const auto destination = to->address(family);
    if (source && destination) return QuotedAddresses{*source, *destination};
    return fail(ErrorCode::invalid_input,
                "the quoted packet from " + from->text + " to " + to->text +
                    " is of another address family than the packet that quotes it",
                line.location);
  }

  EndResolver ends_;
  PlannedStep& planned_;
};

}  // namespace

Result<void> plan_packets(const std::vector<PacketLine>& lines, ScenarioFamily family, PlannedStep& planned) {
  PacketPlanner planner(family, planned);
  for (const PacketLine& line : lines) {
    if (auto added = planner.add(line); !added) return added;
  }
  sort_outside(planned.placement);
  return {};
}

}  // namespace postern::sim
