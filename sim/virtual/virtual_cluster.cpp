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

std::uint32_t tick_of(Instant now, std::uint32_t shift) {
  return static_cast<std::uint32_t>(static_cast<std::uint64_t>(now.ns) >> shift);
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
  remembered_.clear();
  node_objects_.clear();
  services_.clear();
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
  if (settings_.node_conntrack) {
    auto& remembered = remembered_[node];
    remembered = std::make_unique<RememberedConnections>();
    remembered->set_timeouts(settings_.enforcer.timeouts, made->backend().clock());
    made->set_node_connections(remembered.get());
  }
  return nodes_.emplace(node, std::move(made)).first->second.get();
}

void VirtualCluster::tell_time() {
  for (auto& [node, enforcer] : nodes_) {
    enforcer->backend().injector()->advance_to(now_);
    if (const auto found = remembered_.find(node); found != remembered_.end()) {
      found->second->advance_to(tick_of(now_, enforcer->backend().clock().shift));
    }
  }
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
  node_objects_ = cluster.nodes;
  std::map<std::string, std::vector<LocalEndpoint>> local;
  for (const auto& [key, interface] : interfaces_) {
    local[interface.node].push_back({interface.endpoint, interface.ifindex, key});
  }
  // A node whose last pod went keeps its enforcer: it must take the interfaces off.
  for (const auto& [node, enforcer] : nodes_) local.try_emplace(node);
  for (const auto& [node, endpoints] : local) {
    auto enforcer = node_enforcer(node);
    if (!enforcer) return fail_as(enforcer);
    tell_time();
    std::vector<IpAddress> own_node;
    const auto object = cluster.nodes.find(node);
    if (object != cluster.nodes.end()) {
      for (const auto& entry : object->second.addresses) own_node.push_back(entry.address);
    }
    if (auto done = (*enforcer)->reconcile(cluster, endpoints, own_node); !done) return done;
  }
  for (auto& [key, interface] : interfaces_) {
    Backend& backend = nodes_.at(interface.node)->backend();
    interface.injector = backend.injector();
    interface.tick_shift = backend.clock().shift;
    const auto remembered = remembered_.find(interface.node);
    interface.remembered = remembered == remembered_.end() ? nullptr : remembered->second.get();
  }
  return {};
}

Result<void> VirtualCluster::advance(Duration by) {
  now_ = now_ + by;
  tell_time();
  return {};
}

const NodeEnforcer* VirtualCluster::enforcer(const std::string& node) const {
  const auto found = nodes_.find(node);
  return found == nodes_.end() ? nullptr : found->second.get();
}

VerdictNames VirtualCluster::names_of(const EndVerdict& verdict) const {
  const NodeEnforcer* judge = enforcer(verdict.node);
  if (judge == nullptr) return {};
  return postern::names_of(*judge, {verdict.pod, verdict.direction, verdict.step});
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
  if (allowed && interface.remembered != nullptr) {
    interface.remembered->advance_to(tick_of(now_, interface.tick_shift));
    interface.remembered->passed(interface.endpoint, direction, frame);
  }
  return {station.pod, direction, said.step, interface.node};
}

VirtualCluster::Passage VirtualCluster::pass(const Station& from, const Station& to, const Frames& frames) {
  Passage passage;
  if (frames.stays_inside) {
    const std::uint32_t self = pn_step_allow(PN_REASON_SELF, 0);
    passage.from = EndVerdict{from.pod, PN_EGRESS, self, from.interface->node};
    passage.to = EndVerdict{to.pod, PN_INGRESS, self, to.interface->node};
    return passage;
  }
  if (from.interface != nullptr) {
    passage.from = judge(from, PN_EGRESS, frames.sender, passage.allowed);
    if (!passage.allowed) return passage;
  }
  if (to.interface != nullptr) passage.to = judge(to, PN_INGRESS, frames.receiver, passage.allowed);
  return passage;
}

Result<std::optional<IpAddress>> VirtualCluster::masquerade_of(const Station& from, const Station& to,
                                                               IpFamily family) const {
  if (from.interface == nullptr || from.interface != to.interface) return std::optional<IpAddress>{};
  const auto node = node_objects_.find(from.interface->node);
  auto address = node == node_objects_.end() ? std::nullopt : masquerade_address(node->second, family);
  if (address) return address;
  return fail(ErrorCode::invalid_input, "node " + from.interface->node +
                                            " has no address of this family for a pod that reaches itself "
                                            "through a Service");
}

Result<VirtualCluster::Talk> VirtualCluster::talk_of(const ProbeRequest& request, const Station& client,
                                                     const Station& server) {
  if (request.from.address.family() != request.to.address.family()) {
    return fail(ErrorCode::invalid_input, "addresses of two families");
  }
  if (request.via && request.protocol == ProbeProtocol::icmp) {
    return fail(ErrorCode::invalid_input, "no Service translates ICMP");
  }
  const auto protocol = static_cast<std::uint8_t>(ip_protocol(request.protocol));
  Talk talk;
  Conversation& near = talk.near;
  near.client = request.from.address;
  near.server = request.to.address;
  near.client_mac = client.mac;
  near.server_mac = server.mac;
  near.protocol = request.protocol;
  near.server_port = request.port;
  talk.far = near;
  if (!request.via) {
    near.client_port = ports_.next(near.client, near.server, protocol, near.server_port);
    talk.far.client_port = near.client_port;
    return talk;
  }
  const auto masquerade = masquerade_of(client, server, request.to.address.family());
  if (!masquerade) return fail_as(masquerade);
  near.server = request.via->address;
  near.server_port = request.via->port;
  talk.far.client = masquerade->value_or(near.client);
  near.client_port =
      ports_.next_on_both({near.client, near.server, near.server_port},
                          {talk.far.client, talk.far.server, talk.far.server_port}, protocol);
  talk.far.client_port = near.client_port;
  return talk;
}

Result<ProbeOutcome> VirtualCluster::probe_one(const ProbeRequest& request) {
  const auto client = station_of(request.from);
  if (!client) return fail_as(client);
  const auto server = station_of(request.to);
  if (!server) return fail_as(server);
  ProbeOutcome outcome;
  if (client->interface != nullptr && client->interface == server->interface && !request.via) {
    outcome.allowed = true;
    return outcome;
  }
  const auto talk = talk_of(request, *client, *server);
  if (!talk) return fail_as(talk);
  for (std::size_t i = 0; i < packets_in(request.protocol); ++i) {
    WirePacket at_client = packet_of(talk->near, i);
    WirePacket at_server = packet_of(talk->far, i);
    const bool from_client = at_client.from_client;
    const Passage passage =
        from_client ? pass(*client, *server, {std::move(at_client.frame), std::move(at_server.frame)})
                    : pass(*server, *client, {std::move(at_server.frame), std::move(at_client.frame)});
    if (!passage.allowed) {
      outcome.drop = passage.to ? passage.to : passage.from;
      outcome.dropped_reply = !from_client;
      return outcome;
    }
    if (request.to.kind == Party::Kind::service) return outcome;  // nobody is there to answer
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
  std::optional<IpAddress> own_node;
  if (request.via) {
    auto masquerade = masquerade_of(*from, *to, request.via->address.family());
    if (!masquerade) return fail_as(masquerade);
    own_node = *masquerade;
  }
  const auto views = services_.views_of(request, own_node);
  auto sender = packet::frame_of(*request.line, {views.sender.ends, from->mac, to->mac, views.sender.quoted});
  if (!sender) return fail_as(sender);
  auto receiver =
      packet::frame_of(*request.line, {views.receiver.ends, from->mac, to->mac, views.receiver.quoted});
  if (!receiver) return fail_as(receiver);
  now_ = std::max(now_, request.at);
  const bool inside = from->interface != nullptr && from->interface == to->interface && !request.via;
  Passage passage = pass(*from, *to, {std::move(*sender), std::move(*receiver), inside});
  if (passage.allowed || passage.to) services_.passed(request, views);
  const bool answered = request.to.kind != Party::Kind::service;
  return PacketOutcome{passage.allowed && answered, std::move(passage.from), std::move(passage.to)};
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
