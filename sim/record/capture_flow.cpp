// SPDX-License-Identifier: Apache-2.0
#include "sim/record/capture_flow.h"

#include <algorithm>
#include <map>
#include <tuple>
#include <vector>

#include "engine/explain/explain.h"
#include "sim/capture/capture.h"
#include "sim/replay/packet_facts.h"
#include "sim/replay/replay.h"

namespace postern::sim {

namespace {

FlowText text_of(const Flow& row) {
  FlowText flow;
  flow.from = row.from.address.to_string();
  flow.to = row.to.address.to_string();
  flow.protocol = std::to_string(row.protocol);
  for (const auto known : {Protocol::tcp, Protocol::udp, Protocol::sctp}) {
    if (row.protocol == static_cast<std::uint8_t>(known)) flow.protocol = to_string(known);
  }
  for (const auto known : {Protocol::icmp, Protocol::icmpv6}) {
    if (row.protocol == static_cast<std::uint8_t>(known)) flow.protocol = "ICMP";
  }
  if (has_ports(row.protocol)) flow.port = std::to_string(row.to.port);
  return flow;
}

std::string name_of(const FlowEnd& end) { return end.pod ? end.pod->to_string() : end.address.to_string(); }

std::string name_of(const Flow& row) {
  const FlowText flow = text_of(row);
  return name_of(row.from) + " -> " + name_of(row.to) + (flow.port.empty() ? "" : ":" + flow.port) + "/" +
         flow.protocol;
}

// Of the flow's opener and destination; the client's port tells connections apart, not flows.
auto key_of(const Flow& row) {
  return std::tuple(row.from.address, row.to.address, row.protocol,
                    has_ports(row.protocol) ? row.to.port : std::uint16_t{0});
}

// Whether an end of a flow is what was written: an address, a node, a Service, a pod or one of a workload's.
Result<bool> is_end(const ClusterSnapshot& cluster, const FlowEnd& end, const std::string& text) {
  const auto found = find_traffic_end(cluster, text);
  if (!found) return fail_as(found);
  if (const auto address = IpAddress::parse(text)) return end.address == *address;
  switch (found->kind) {
    case TrafficEnd::Kind::pod: {
      if (!end.pod) return false;
      const Pod& pod = cluster.pods.at(*end.pod);
      const auto slash = pod.workload.find('/');
      return end.pod->to_string() == text ||
             (slash != std::string::npos && pod.key.ns + pod.workload.substr(slash) == text);
    }
    case TrafficEnd::Kind::service: {
      const auto& addresses = cluster.services.at(found->service).cluster_ips;
      return std::find(addresses.begin(), addresses.end(), end.address) != addresses.end();
    }
    case TrafficEnd::Kind::node: {
      const auto& addresses = cluster.nodes.at(found->node).addresses;
      return std::any_of(addresses.begin(), addresses.end(),
                         [&](const NodeAddress& entry) { return entry.address == end.address; });
    }
    case TrafficEnd::Kind::address: break;
  }
  return false;
}

Result<bool> fits(const ClusterSnapshot& cluster, const Flow& row, const FlowText& wanted) {
  const FlowText flow = text_of(row);
  if (flow.protocol != wanted.protocol) return false;
  if (!wanted.port.empty() && wanted.port != flow.port) return false;
  const auto from = is_end(cluster, row.from, wanted.from);
  if (!from || !*from) return from;
  return is_end(cluster, row.to, wanted.to);
}

// The packet's facts and its time.
struct Found {
  PacketFacts facts;
  Instant at;
};

Result<Found> find_packet(const std::string& path, std::uint64_t number) {
  auto reader = CaptureReader::open(path);
  if (!reader) return fail_as(reader);
  while (true) {
    const auto packet = reader->next();
    if (!packet) return fail_as(packet);
    if (!*packet) break;
    if ((*packet)->number != number) continue;
    return Found{read_packet((*packet)->frame, (*packet)->original_length), (*packet)->at};
  }
  return fail(ErrorCode::not_found, path + ": no packet " + std::to_string(number) + ", the capture has " +
                                        std::to_string(reader->packets_read()));
}

bool is_of(const PacketFacts& facts, const Flow& row) {
  if (facts.protocol != row.protocol) return false;
  const auto same = [](const FlowEnd& end, const IpAddress& address, std::uint16_t port) {
    return end.address == address && end.port == port;
  };
  return (same(row.from, facts.source, facts.source_port) && same(row.to, facts.destination, facts.destination_port)) ||
         (same(row.to, facts.source, facts.source_port) && same(row.from, facts.destination, facts.destination_port));
}

// Reasons that lie in the packet itself or in what came before it, and in no object.
bool is_of_the_packet(std::uint32_t reason) {
  return reason != PN_REASON_ISOLATED && reason != PN_REASON_STRICT && reason != PN_REASON_BACKENDS_DIFFER &&
         reason != PN_REASON_NO_BACKEND;
}

Result<CapturedFlow> flow_of_packet(const CaptureQuestion& question, const std::vector<Flow>& flows) {
  const std::string where = question.path + ": packet " + std::to_string(*question.packet);
  const auto found = find_packet(question.path, *question.packet);
  if (!found) return fail_as(found);
  if (!found->facts.has_addresses) {
    return fail(ErrorCode::invalid_input, where + " is no whole IP packet, expected one that can be judged");
  }
  const auto row =
      std::find_if(flows.begin(), flows.end(), [&](const Flow& flow) { return is_of(found->facts, flow); });
  if (row == flows.end()) {
    return fail(ErrorCode::invalid_input, where + " (" + found->facts.source.to_string() + " -> " +
                                              found->facts.destination.to_string() +
                                              ") was not judged here: neither end is a pod of these manifests");
  }
  if (row->first_denial && row->first_denial->packet == *question.packet && is_of_the_packet(row->first_denial->reason)) {
    return fail(ErrorCode::unsupported, where + " was denied for what it is (" +
                                            std::string(reason_name(row->first_denial->reason)) +
                                            ") and by no policy, expected a verdict of policy");
  }
  if (row->if_from_opened && row->packets == row->midstream) {
    return fail(ErrorCode::invalid_input, where + " is of a connection whose opening is not in the capture, expected "
                                                  "--flow with the client first, of " +
                                              name_of(*row) + " or the other way round");
  }
  return CapturedFlow{text_of(*row), found->at};
}

Result<CapturedFlow> only_flow(const CaptureQuestion& question, const std::vector<const Flow*>& fitting,
                               std::size_t all) {
  std::map<decltype(key_of(Flow{})), const Flow*> different;
  for (const Flow* row : fitting) different.emplace(key_of(*row), row);
  if (different.size() == 1) return CapturedFlow{text_of(*fitting.front()), fitting.front()->first};
  if (different.empty()) {
    return fail(ErrorCode::not_found, question.path + ": no flow like that among " + std::to_string(all) +
                                          ", expected one that the capture has");
  }
  constexpr std::size_t kShown = 5;
  std::string names;
  std::size_t shown = 0;
  for (const auto& [key, row] : different) {
    if (shown++ == kShown) break;
    names += (names.empty() ? "" : "; ") + name_of(*row);
  }
  return fail(ErrorCode::invalid_input,
              question.path + ": " + std::to_string(different.size()) + " flows fit (" + names +
                  (different.size() > kShown ? "; …" : "") + "), expected --packet or a --flow that only one fits");
}

}  // namespace

Result<CapturedFlow> flow_of_capture(const CaptureQuestion& question, const ClusterSnapshot& cluster,
                                     const BackendFactory& factory) {
  ReplaySettings settings;
  settings.enforcer.strict = question.strict;
  const auto replayed = replay_captures(std::span(&question.path, 1), cluster, settings, factory);
  if (!replayed) return fail_as(replayed);
  if (question.packet) return flow_of_packet(question, replayed->flows);
  std::vector<const Flow*> fitting;
  for (const Flow& row : replayed->flows) {
    if (question.flow) {
      const auto fit = fits(cluster, row, *question.flow);
      if (!fit) return fail_as(fit);
      if (!*fit) continue;
    }
    fitting.push_back(&row);
  }
  return only_flow(question, fitting, replayed->flows.size());
}

}  // namespace postern::sim
