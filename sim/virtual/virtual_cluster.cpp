// SPDX-License-Identifier: Apache-2.0
#include "sim/virtual/virtual_cluster.h"

#include <algorithm>
#include <set>
#include <utility>

#include "sim/packet/packet_line.h"

namespace postern::sim {

namespace {

// Interface indexes look like a real host's: low numbers belong to loopback and uplinks.
constexpr std::uint32_t kFirstIfindex = 100;

packet::MacAddress mac_of(std::uint32_t number) {
  return {0x02,
          0x50,
          static_cast<std::uint8_t>(number >> 24),
          static_cast<std::uint8_t>(number >> 16),
          static_cast<std::uint8_t>(number >> 8),
          static_cast<std::uint8_t>(number)};
}

std::string describe(const Party& party) {
  switch (party.kind) {
    case Party::Kind::pod: return party.pod.to_string();
    case Party::Kind::node: return "node:" + party.node;
    case Party::Kind::outside:
    case Party::Kind::service: return party.address.to_string();
  }
  return {};
}

bool has_interface(const Pod& pod) { return pod.live() && !pod.host_network; }

}  // namespace

VirtualCluster::VirtualCluster(std::string name, BackendFactory factory)
    : name_(std::move(name)), factory_(std::move(factory)) {}

VirtualCluster::~VirtualCluster() = default;

Result<void> VirtualCluster::begin(const ClusterSettings& settings) {
  settings_ = settings;
  settings_.enforcer.events = EventMode::off;  // verdicts come straight from the injector
  interfaces_.clear();
  nodes_.clear();
  ports_.clear();
  now_ = Instant{};
  next_id_ = 1;
  return {};
}

Result<NodeEnforcer*> VirtualCluster::node_enforcer(const std::string& node) {
  const auto found = nodes_.find(node);
  if (found != nodes_.end()) return found->second.get();
  auto backend = factory_(settings_.limits);
  if (!backend) return fail_as(backend);
  if ((*backend)->injector() == nullptr) {
    return fail(ErrorCode::internal,
                "backend " + std::string((*backend)->name()) +
                    " cannot classify single packets: it has no place on a virtual cluster");
  }
  auto made = std::make_unique<NodeEnforcer>(std::move(*backend), settings_.enforcer);
  return nodes_.emplace(node, std::move(made)).first->second.get();
}

// A pod keeps its interface as long as its addresses and node stay; any other is a new pod.
void VirtualCluster::update_interfaces(const ClusterSnapshot& cluster) {
  for (auto it = interfaces_.begin(); it != interfaces_.end();) {
    const auto pod = cluster.pods.find(it->first);
    const bool kept = pod != cluster.pods.end() && has_interface(pod->second) &&
                      pod->second.node_name == it->second.node &&
                      pod->second.addresses == it->second.addresses;
    it = kept ? std::next(it) : interfaces_.erase(it);
  }
  for (const auto& [key, pod] : cluster.pods) {
    if (!has_interface(pod) || interfaces_.contains(key)) continue;
    const std::uint32_t id = next_id_++;
    Interface fresh;
    fresh.endpoint = EndpointId{id};
    fresh.ifindex = kFirstIfindex + id;
    fresh.node = pod.node_name;
    fresh.addresses = pod.addresses;
    fresh.mac = mac_of(id);
    interfaces_.emplace(key, std::move(fresh));
  }
}

Result<void> VirtualCluster::place(const Placement& placement) {
  const ClusterSnapshot& cluster = placement.cluster;
  update_interfaces(cluster);
  std::map<std::string, std::vector<LocalEndpoint>> local;
  for (const auto& [key, interface] : interfaces_) {
    local[interface.node].push_back({interface.endpoint, interface.ifindex, key});
  }
  // A node whose last pod went keeps its enforcer: it must take the interfaces off.
  for (const auto& [node, enforcer] : nodes_) local.try_emplace(node);
  for (const auto& [node, endpoints] : local) {
    auto enforcer = node_enforcer(node);
    if (!enforcer) return fail_as(enforcer);
    std::vector<IpAddress> own_node;
    const auto object = cluster.nodes.find(node);
    if (object != cluster.nodes.end()) {
      for (const auto& entry : object->second.addresses) own_node.push_back(entry.address);
    }
    if (auto done = (*enforcer)->reconcile(cluster, endpoints, own_node); !done) return done;
  }
  for (auto& [key, interface] : interfaces_)
    interface.injector = nodes_.at(interface.node)->backend().injector();
  return {};
}

Result<void> VirtualCluster::advance(Duration by) {
  now_ = now_ + by;
  return {};
}

const NodeEnforcer* VirtualCluster::enforcer(const std::string& node) const {
  const auto found = nodes_.find(node);
  return found == nodes_.end() ? nullptr : found->second.get();
}

EndpointId VirtualCluster::endpoint_of(const NamespacedName& pod) const {
  const auto found = interfaces_.find(pod);
  return found == interfaces_.end() ? EndpointId{} : found->second.endpoint;
}

Result<VirtualCluster::Station> VirtualCluster::station_of(const Party& party) const {
  Station station;
  station.mac = mac_of(0xffff0000u);
  if (party.kind != Party::Kind::pod) return station;
  station.pod = party.pod;
  const auto found = interfaces_.find(party.pod);
  // A hostNetwork pod has no interface of its own: its traffic is its node's.
  if (found == interfaces_.end()) return station;
  const auto& addresses = found->second.addresses;
  if (std::find(addresses.begin(), addresses.end(), party.address) == addresses.end()) {
    return fail(ErrorCode::internal,
                "pod " + describe(party) + " does not have address " + party.address.to_string());
  }
  station.interface = &found->second;
  station.mac = found->second.mac;
  return station;
}

EndVerdict VirtualCluster::judge(const Station& station, pn_direction direction,
                                 std::span<const std::uint8_t> frame, bool& allowed) {
  const Interface& interface = *station.interface;
  const auto said = interface.injector->classify(interface.ifindex, static_cast<std::uint8_t>(direction),
                                                 std::as_bytes(frame), now_);
  allowed = said.allow;
  return {station.pod, direction, said.step, interface.node};
}

VirtualCluster::Passage VirtualCluster::pass(const Station& from, const Station& to,
                                             std::span<const std::uint8_t> frame) {
  Passage passage;
  if (from.interface != nullptr && from.interface == to.interface) {
    const std::uint32_t self = pn_step_allow(PN_REASON_SELF, 0);
    passage.from = EndVerdict{from.pod, PN_EGRESS, self, from.interface->node};
    passage.to = EndVerdict{to.pod, PN_INGRESS, self, to.interface->node};
    return passage;
  }
  if (from.interface != nullptr) {
    passage.from = judge(from, PN_EGRESS, frame, passage.allowed);
    if (!passage.allowed) return passage;
  }
  if (to.interface != nullptr) passage.to = judge(to, PN_INGRESS, frame, passage.allowed);
  return passage;
}

Result<ProbeOutcome> VirtualCluster::probe_one(const ProbeRequest& request) {
  const auto client = station_of(request.from);
  if (!client) return fail_as(client);
  const auto server = station_of(request.to);
  if (!server) return fail_as(server);
  ProbeOutcome outcome;
  if (client->interface != nullptr && client->interface == server->interface) {
    outcome.allowed = true;
    return outcome;
  }
  if (!request.from.address.is_v4() || !request.to.address.is_v4()) {
    return fail(ErrorCode::unsupported, "IPv6 probes are not supported yet");
  }
  Conversation talk;
  talk.client = request.from.address;
  talk.server = request.to.address;
  talk.client_mac = client->mac;
  talk.server_mac = server->mac;
  talk.protocol = request.protocol;
  talk.server_port = request.port;
  talk.client_port = ports_.next(talk.client, talk.server,
                                 static_cast<std::uint8_t>(ip_protocol(talk.protocol)), talk.server_port);
  for (std::size_t i = 0; i < packets_in(talk.protocol); ++i) {
    const WirePacket wire = packet_of(talk, i);
    const Passage passage =
        wire.from_client ? pass(*client, *server, wire.frame) : pass(*server, *client, wire.frame);
    if (passage.allowed) continue;
    outcome.drop = passage.to ? passage.to : passage.from;
    outcome.dropped_reply = !wire.from_client;
    return outcome;
  }
  outcome.allowed = true;
  return outcome;
}

Result<std::vector<ProbeOutcome>> VirtualCluster::probe(std::span<const ProbeRequest> requests) {
  std::vector<ProbeOutcome> outcomes;
  outcomes.reserve(requests.size());
  for (const auto& request : requests) {
    auto outcome = probe_one(request);
    if (!outcome) {
      return fail(
          outcome.error().code,
          "probe " + describe(request.from) + " -> " + describe(request.to) + ": " + outcome.error().message,
          outcome.error().location);
    }
    outcomes.push_back(std::move(*outcome));
  }
  return outcomes;
}

Result<PacketOutcome> VirtualCluster::send_one(const PacketRequest& request) {
  const auto from = station_of(request.from);
  if (!from) return fail_as(from);
  const auto to = station_of(request.to);
  if (!to) return fail_as(to);
  const auto frame =
      packet::frame_of(*request.line, {{request.from.address, request.to.address}, from->mac, to->mac});
  if (!frame) return fail_as(frame);
  now_ = std::max(now_, request.at);
  Passage passage = pass(*from, *to, *frame);
  return PacketOutcome{passage.allowed, std::move(passage.from), std::move(passage.to)};
}

Result<std::vector<PacketOutcome>> VirtualCluster::send(std::span<const PacketRequest> requests) {
  std::vector<PacketOutcome> outcomes;
  outcomes.reserve(requests.size());
  for (const auto& request : requests) {
    auto outcome = send_one(request);
    if (!outcome) return fail_as(outcome);
    outcomes.push_back(std::move(*outcome));
  }
  return outcomes;
}

}  // namespace postern::sim
