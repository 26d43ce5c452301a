// SPDX-License-Identifier: Apache-2.0
#include "sim/netns/topology.h"

#include <algorithm>

namespace postern::sim {
namespace {

constexpr std::uint16_t kFirstPort = 20000;
constexpr std::uint16_t kLastPort = 60999;

// Makes the routes of a namespace those of `wanted`. `gateway6`: over which IPv6 goes; absent: the
// address itself is on the link.
Result<void> change_routes(const Netns& netns, RouteTable& current, const RouteTable& wanted,
                           const std::optional<IpAddress>& gateway6) {
  if (current == wanted) return {};
  auto scope = NetnsScope::enter(netns);
  if (!scope) return fail_as(scope);
  auto rtnl = Rtnl::open();
  if (!rtnl) return fail_as(rtnl);
  for (const auto& [address, ifindex] : current) {
    if (wanted.contains(address)) continue;
    if (auto done = rtnl->delete_route(Cidr::host(address)); !done) return done;
  }
  for (const auto& [address, ifindex] : wanted) {
    const auto before = current.find(address);
    if (before != current.end() && before->second == ifindex) continue;
    const auto gateway = address.is_v4() ? gateway_address(IpFamily::v4) : gateway6;
    const RouteSpec route{Cidr::host(address), ifindex, gateway};
    if (auto done = rtnl->set_route(route); !done) return done;
  }
  current = wanted;
  return {};
}

bool has_family(const std::set<IpAddress>& addresses, IpFamily family) {
  return std::any_of(addresses.begin(), addresses.end(),
                     [&](const IpAddress& address) { return address.family() == family; });
}

bool includes(const std::set<IpAddress>& all, const std::set<IpAddress>& some) {
  return std::includes(all.begin(), all.end(), some.begin(), some.end());
}

// Gives an end its addresses. New ones first, and the last IPv4 address stays until there is another:
// without any, an interface loses its routes.
Result<void> change_addresses(const Netns& netns, std::uint32_t ifindex, std::set<IpAddress>& current,
                              const std::set<IpAddress>& wanted) {
  if (current == wanted) return {};
  auto scope = NetnsScope::enter(netns);
  if (!scope) return fail_as(scope);
  auto rtnl = Rtnl::open();
  if (!rtnl) return fail_as(rtnl);
  for (const auto& address : wanted) {
    if (current.contains(address)) continue;
    if (auto done = rtnl->add_address(ifindex, address); !done) return done;
    current.insert(address);
  }
  for (auto it = current.begin(); it != current.end();) {
    const bool stays = wanted.contains(*it) || (it->is_v4() && !has_family(wanted, IpFamily::v4));
    if (stays) {
      ++it;
      continue;
    }
    if (auto done = rtnl->delete_address(ifindex, *it); !done) return done;
    it = current.erase(it);
  }
  return {};
}

Result<ServiceNat*> opened(std::optional<ServiceNat>& nat, const Netns& netns) {
  if (nat) return &*nat;
  auto scope = NetnsScope::enter(netns);
  if (!scope) return fail_as(scope);
  auto made = ServiceNat::open();
  if (!made) return fail_as(made);
  return &nat.emplace(std::move(*made));
}

}  // namespace

std::uint16_t Station::take_port() {
  next_port = next_port < kFirstPort || next_port >= kLastPort ? kFirstPort
                                                               : static_cast<std::uint16_t>(next_port + 1);
  return next_port;
}

// Beside those of its own connections, which the same address may have with the same pod.
std::uint16_t NodeSlot::take_masquerade_port() {
  constexpr std::uint16_t kFirst = kLastPort + 1;
  next_masquerade_port = next_masquerade_port < kFirst || next_masquerade_port == 65535
                             ? kFirst
                             : static_cast<std::uint16_t>(next_masquerade_port + 1);
  return next_masquerade_port;
}

void NodeSlot::drop_enforcer() {
  if (!enforcer) return;
  const auto scope = NetnsScope::enter(station.netns);
  watch.reset();
  enforcer.reset();
}

Result<void> Topology::start() {
  auto fabric = Netns::create(NetnsKind::router);
  if (!fabric) return fail_as(fabric);
  fabric_ = std::move(*fabric);
  return drop_unknown(IpFamily::v4);
}

// Nobody answers for an address that no party has: a ClusterIP without backends (R7).
Result<void> Topology::drop_unknown(IpFamily family) {
  auto scope = NetnsScope::enter(fabric_);
  if (!scope) return fail_as(scope);
  auto rtnl = Rtnl::open();
  if (!rtnl) return fail_as(rtnl);
  return rtnl->set_route({Cidr(gateway_address(family), 0), 0, std::nullopt});
}

Result<void> Topology::begin(const ClusterSettings& settings) {
  settings_ = settings;
  pods_.clear();
  for (auto& node : nodes_) {
    if (node->dirty && node->watch) {
      if (auto done = node->watch->forget_connections(); !done) return done;
    }
    if (node->dirty && node->nat) {
      if (auto done = node->nat->forget_connections(); !done) return done;
    }
    node->in_use = false;
    node->dirty = false;
    node->aged_ns = 0;
    node->memory.forget();
    for (auto& pod : node->pods) {
      pod->in_use = false;
      pod->spent = false;
    }
  }
  for (auto& outside : outsides_) outside->in_use = false;
  return {};
}

Result<void> Topology::forget_services() {
  if (fabric_nat_) {
    if (auto done = fabric_nat_->clear(); !done) return done;
  }
  for (auto& node : nodes_) {
    if (!node->nat) continue;
    if (auto done = node->nat->clear(); !done) return done;
  }
  return {};
}

Result<void> Topology::place(const Placement& placement) {
  if (auto done = forget_services(); !done) return done;
  if (auto done = place_nodes(placement.cluster); !done) return done;
  if (auto done = place_pods(placement); !done) return done;
  if (auto done = place_outsides(placement.outside); !done) return done;
  if (auto done = sync_routes(); !done) return done;
  for (auto* node : active_nodes()) {
    node->dirty = true;
    auto nat = opened(node->nat, node->station.netns);
    if (!nat) return fail_as(nat);
    if (auto done = (*nat)->track(settings_.node_conntrack); !done) return done;
    if (auto done = node->memory.write(*node, settings_); !done) return done;
    if (auto done = enforce(*node, placement); !done) return done;
  }
  return {};
}

Result<void> Topology::place_nodes(const ClusterSnapshot& cluster) {
  std::map<std::string, std::set<IpAddress>> wanted;
  for (const auto& [name, node] : cluster.nodes) {
    std::set<IpAddress> addresses;
    for (const auto& address : node.addresses) addresses.insert(address.address);
    if (!addresses.empty()) wanted.emplace(name, std::move(addresses));
  }
  for (auto& node : nodes_) {
    if (node->in_use && !wanted.contains(node->name)) {
      node->in_use = false;
      for (auto& pod : node->pods) pod->in_use = false;
    }
  }
  // First those that were called so before, so that none of them is taken by another.
  std::vector<std::string> left;
  for (const auto& [name, addresses] : wanted) {
    const auto same =
        std::find_if(nodes_.begin(), nodes_.end(), [&n = name](auto& node) { return node->name == n; });
    if (same != nodes_.end()) (*same)->in_use = true;
    else left.push_back(name);
  }
  for (const auto& name : left) {
    auto idle = std::find_if(nodes_.begin(), nodes_.end(), [](auto& node) { return !node->in_use; });
    NodeSlot* slot = idle == nodes_.end() ? nullptr : idle->get();
    if (slot == nullptr) {
      auto built = build_node();
      if (!built) return fail_as(built);
      slot = *built;
    }
    slot->name = name;
    slot->in_use = true;
  }
  for (const auto& [name, addresses] : wanted) {
    NodeSlot& slot = *find_node(name);
    slot.object = cluster.nodes.at(name);
    if (auto done = sync_node_addresses(slot, addresses); !done) return done;
  }
  return {};
}

Result<void> Topology::sync_node_addresses(NodeSlot& node, const std::set<IpAddress>& wanted) {
  if (node.addresses == wanted) return {};
  if (has_family(wanted, IpFamily::v6)) {
    if (auto done = add_ipv6_to_node(node); !done) return done;
  }
  auto scope = NetnsScope::enter(node.station.netns);
  if (!scope) return fail_as(scope);
  auto rtnl = Rtnl::open();
  if (!rtnl) return fail_as(rtnl);
  constexpr std::uint32_t kLoopback = 1;
  for (const auto& address : node.addresses) {
    if (wanted.contains(address)) continue;
    if (auto done = rtnl->delete_address(kLoopback, address); !done) return done;
  }
  for (const auto& address : wanted) {
    if (node.addresses.contains(address)) continue;
    if (auto done = rtnl->add_address(kLoopback, address); !done) return done;
  }
  node.addresses = wanted;
  return {};
}

Result<void> Topology::claim(NodeSlot& node, PodSlot& slot, const Pod& pod) {
  // Another pod of this scenario had this interface: its connections must not be the new one's.
  if (slot.spent) {
    if (next_endpoint_ > kMaxEndpoint) return fail(ErrorCode::internal, "endpoint ids are used up");
    slot.endpoint = EndpointId{next_endpoint_++};
  }
  slot.spent = true;
  slot.in_use = true;
  slot.pod = pod.key;
  slot.addresses = {pod.addresses.begin(), pod.addresses.end()};
  if (slot.made_for) return {};
  if (has_family(slot.addresses, IpFamily::v6)) {
    if (auto done = add_ipv6_to_pod(node, slot); !done) return done;
  }
  return change_addresses(slot.station.netns, slot.link.far_ifindex, slot.configured, slot.addresses);
}

Result<void> Topology::claim(OutsideSlot& slot, const IpAddress& address) {
  slot.in_use = true;
  slot.address = address;
  if (!address.is_v4()) {
    if (auto done = add_ipv6_to_outside(slot); !done) return done;
  }
  return change_addresses(slot.station.netns, slot.link.far_ifindex, slot.configured, {address});
}

Result<void> Topology::place_pods(const Placement& placement) {
  const ClusterSnapshot& cluster = placement.cluster;
  struct Wanted {
    const Pod* pod;
    NodeSlot* node;
    std::set<IpAddress> addresses;
  };
  std::map<NamespacedName, Place> before;
  before.swap(pods_);
  std::vector<Wanted> fresh;
  std::set<PodSlot*> kept;
  for (const auto& [key, pod] : cluster.pods) {
    if (!pod.live()) continue;
    NodeSlot* node = find_node(pod.node_name);
    if (node == nullptr) {
      return fail(ErrorCode::internal, "pod " + key.to_string() + " is on node \"" + pod.node_name +
                                           "\", which has no address in the placement");
    }
    if (pod.host_network) {
      pods_.emplace(key, Place{&node->station, node, nullptr, nullptr});
      continue;
    }
    std::set<IpAddress> addresses(pod.addresses.begin(), pod.addresses.end());
    const auto old = before.find(key);
    if (old != before.end() && old->second.node == node && old->second.pod != nullptr &&
        old->second.pod->in_use && old->second.pod->addresses == addresses) {
      pods_.emplace(key, old->second);
      kept.insert(old->second.pod);
      continue;
    }
    fresh.push_back({&pod, node, std::move(addresses)});
  }
  for (auto& node : nodes_) {
    for (auto& slot : node->pods) slot->in_use = kept.contains(slot.get());
  }
  // First the interfaces that have the addresses already, then any idle one, then new ones.
  for (const bool same_address : {true, false}) {
    if (!same_address && options_.pod_links) {
      if (auto done = remove_idle_links(placement); !done) return done;
    }
    for (const auto& want : fresh) {
      if (pods_.contains(want.pod->key)) continue;
      auto& slots = want.node->pods;
      const auto idle = std::find_if(slots.begin(), slots.end(), [&](const auto& slot) {
        if (slot->made_for) return !slot->in_use && !slot->spent && slot->configured == want.addresses;
        return !slot->in_use && (!same_address || includes(slot->configured, want.addresses));
      });
      PodSlot* slot = idle == slots.end() ? nullptr : idle->get();
      if (slot == nullptr && same_address) continue;
      if (slot == nullptr) {
        auto built = options_.pod_links ? build_linked_pod(*want.node, *want.pod) : build_pod(*want.node);
        if (!built) return fail_as(built);
        slot = *built;
      }
      if (auto done = claim(*want.node, *slot, *want.pod); !done) return done;
      pods_.emplace(want.pod->key, Place{&slot->station, want.node, slot, nullptr});
    }
  }
  return {};
}

Result<void> Topology::place_outsides(const std::vector<IpAddress>& addresses) {
  for (auto& slot : outsides_) slot->in_use = false;
  std::set<IpAddress> left;
  for (const auto& address : addresses) {
    const auto same = std::find_if(outsides_.begin(), outsides_.end(),
                                   [&](auto& slot) { return slot->address == address; });
    if (same != outsides_.end()) (*same)->in_use = true;
    else left.insert(address);
  }
  for (const auto& address : left) {
    const auto idle =
        std::find_if(outsides_.begin(), outsides_.end(), [](auto& slot) { return !slot->in_use; });
    OutsideSlot* slot = idle == outsides_.end() ? nullptr : idle->get();
    if (slot == nullptr) {
      auto built = build_outside();
      if (!built) return fail_as(built);
      slot = *built;
    }
    if (auto done = claim(*slot, address); !done) return done;
  }
  return {};
}

Result<void> Topology::sync_routes() {
  RouteTable fabric;
  for (auto* node : active_nodes()) {
    RouteTable wanted;
    for (const auto& pod : node->pods) {
      if (!pod->in_use) continue;
      for (const auto& address : pod->addresses) {
        if (!pod->made_for) wanted.emplace(address, pod->link.near_ifindex);
        fabric.emplace(address, node->link.near_ifindex);
      }
    }
    for (const auto& address : node->addresses) fabric.emplace(address, node->link.near_ifindex);
    // The link to a pod finds it by neighbour discovery.
    const auto done = change_routes(node->station.netns, node->routes, wanted, std::nullopt);
    if (!done) return done;
  }
  for (const auto& outside : outsides_) {
    if (outside->in_use) fabric.emplace(outside->address, outside->link.near_ifindex);
  }
  return change_routes(fabric_, fabric_routes_, fabric, far_address());
}

Result<void> Topology::enforce(NodeSlot& node, const Placement& placement) {
  if (!options_.factory) return {};
  auto scope = NetnsScope::enter(node.station.netns);
  if (!scope) return fail_as(scope);
  EnforcerSettings settings = settings_.enforcer;
  settings.events = placement.trace_all ? EventMode::all : EventMode::denied;
  if (!node.enforcer || !(node.sizes == settings_.limits)) {
    node.watch.reset();
    node.enforcer.reset();
    auto backend = options_.factory(settings_.limits);
    if (!backend) return fail_as(backend);
    node.sizes = settings_.limits;
    node.enforcer = std::make_unique<NodeEnforcer>(std::move(*backend), settings);
    node.watch = std::make_unique<EnforcerWatch>(*node.enforcer);
  }
  node.enforcer->set_settings(settings);

  std::vector<LocalEndpoint> endpoints;
  for (const auto& pod : node.pods) {
    // An idle interface stays attached, under a name that no pod can have: nothing judges it.
    const NamespacedName name =
        pod->in_use ? pod->pod : NamespacedName{"", "idle-" + std::to_string(pod->number)};
    endpoints.push_back({pod->endpoint, pod->link.near_ifindex, name});
  }
  std::vector<IpAddress> own(node.addresses.begin(), node.addresses.end());
  // Configured in the node's namespace like the rest, on the host side of every pod's link (R2).
  if (has_family(node.addresses, IpFamily::v6)) own.push_back(gateway_address(IpFamily::v6));
  return node.enforcer->reconcile(placement.cluster, endpoints, own);
}

Result<Place> Topology::find(const Party& party) {
  switch (party.kind) {
    case Party::Kind::pod: {
      const auto found = pods_.find(party.pod);
      if (found == pods_.end()) {
        return fail(ErrorCode::not_found, "pod " + party.pod.to_string() + " was not placed");
      }
      return found->second;
    }
    case Party::Kind::node: {
      NodeSlot* node = find_node(party.node);
      if (node == nullptr) return fail(ErrorCode::not_found, "node " + party.node + " was not placed");
      return Place{&node->station, node, nullptr, nullptr};
    }
    case Party::Kind::service: return Place{};  // nobody stands there
    case Party::Kind::outside: break;
  }
  for (const auto& slot : outsides_) {
    if (slot->in_use && slot->address == party.address) {
      return Place{&slot->station, nullptr, nullptr, slot.get()};
    }
  }
  return fail(ErrorCode::not_found, "outside host " + party.address.to_string() + " was not placed");
}

Result<ServiceNat*> Topology::nat_of(const Place& client) {
  if (client.node == nullptr) return opened(fabric_nat_, fabric_);
  return opened(client.node->nat, client.node->station.netns);
}

NodeSlot* Topology::find_node(const std::string& name) {
  const auto found = std::find_if(nodes_.begin(), nodes_.end(),
                                  [&](const auto& node) { return node->in_use && node->name == name; });
  return found == nodes_.end() ? nullptr : found->get();
}

const NodeSlot* Topology::find_node(const std::string& name) const {
  const auto found = std::find_if(nodes_.begin(), nodes_.end(),
                                  [&](const auto& node) { return node->in_use && node->name == name; });
  return found == nodes_.end() ? nullptr : found->get();
}

std::vector<NodeSlot*> Topology::active_nodes() {
  std::vector<NodeSlot*> active;
  for (const auto& node : nodes_) {
    if (node->in_use) active.push_back(node.get());
  }
  return active;
}

}  // namespace postern::sim
