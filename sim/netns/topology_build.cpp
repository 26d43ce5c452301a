// SPDX-License-Identifier: Apache-2.0
// Making the namespaces, veth pairs, routes and neighbours of one slot, once and for its whole life.
#include <algorithm>
#include <array>

#include "sim/netns/topology.h"

namespace postern::sim {
namespace {

// Locally administered; the kind keeps pods, nodes and outside hosts apart in a capture.
Mac make_mac(std::uint8_t kind, std::uint32_t number) {
  return {0x02,
          kind,
          static_cast<std::uint8_t>(number >> 24),
          static_cast<std::uint8_t>(number >> 16),
          static_cast<std::uint8_t>(number >> 8),
          static_cast<std::uint8_t>(number)};
}

constexpr std::uint8_t kPodMac = 0x10;
constexpr std::uint8_t kPodHostMac = 0x11;
constexpr std::uint8_t kUplinkMac = 0x20;
constexpr std::uint8_t kUplinkFabricMac = 0x21;
constexpr std::uint8_t kOutsideMac = 0x30;
constexpr std::uint8_t kOutsideFabricMac = 0x31;

// One end of a pair, in the current namespace: up, with a neighbour behind the gateway address.
Result<std::uint32_t> finish_end(const std::string& name, const Mac& neighbour) {
  auto index = interface_index(name);
  if (!index) return index;
  if (auto done = disable_checksum_offload(name); !done) return fail_as(done);
  auto rtnl = Rtnl::open();
  if (!rtnl) return fail_as(rtnl);
  if (auto done = rtnl->set_up(*index); !done) return fail_as(done);
  const auto done = rtnl->set_permanent_neighbour(*index, gateway_address(IpFamily::v4), neighbour);
  if (!done) return fail_as(done);
  return index;
}

// The route of everything that has no other, over an interface of the current namespace.
Result<void> route_everything(std::uint32_t ifindex, IpFamily family) {
  auto rtnl = Rtnl::open();
  if (!rtnl) return fail_as(rtnl);
  const IpAddress gateway = gateway_address(family);
  return rtnl->set_route({Cidr(gateway, 0), ifindex, gateway});
}

// A pair between two namespaces, as `link` names its ends; the far end sends everything over it.
Result<void> make_pair(const Netns& near, const Netns& far, Link& link) {
  {
    auto scope = NetnsScope::enter(near);
    if (!scope) return fail_as(scope);
    auto rtnl = Rtnl::open();
    if (!rtnl) return fail_as(rtnl);
    const VethSpec spec{link.near_name, link.near_mac, link.far_name, link.far_mac, far.fd()};
    if (auto done = rtnl->add_veth(spec); !done) return fail_as(done);
    auto index = finish_end(link.near_name, link.far_mac);
    if (!index) return fail_as(index);
    link.near_ifindex = *index;
  }
  auto scope = NetnsScope::enter(far);
  if (!scope) return fail_as(scope);
  auto index = finish_end(link.far_name, link.near_mac);
  if (!index) return fail_as(index);
  link.far_ifindex = *index;
  auto rtnl = Rtnl::open();
  if (!rtnl) return fail_as(rtnl);
  if (auto done = route_everything(link.far_ifindex, IpFamily::v4); !done) return done;
  if (auto done = rtnl->wait_until_up(link.far_ifindex); !done) return fail_as(done);
  auto back = NetnsScope::enter(near);
  if (!back) return fail_as(back);
  auto near_rtnl = Rtnl::open();
  if (!near_rtnl) return fail_as(near_rtnl);
  return near_rtnl->wait_until_up(link.near_ifindex);
}

// What one end of a link gets when IPv6 comes to it.
struct Ipv6End {
  const Netns& netns;
  NetnsKind kind;
  const std::string& name;
  std::uint32_t ifindex;
  IpAddress own;
  IpAddress other;
};

// `neighbour` absent: the other end is found by neighbour discovery.
Result<void> add_ipv6_to_end(const Ipv6End& end, const std::optional<Mac>& neighbour) {
  auto scope = NetnsScope::enter(end.netns);
  if (!scope) return fail_as(scope);
  const std::array<std::string, 2> interfaces{"lo", end.name};
  if (auto done = enable_ipv6(end.kind, interfaces); !done) return done;
  auto rtnl = Rtnl::open();
  if (!rtnl) return fail_as(rtnl);
  if (auto done = rtnl->add_address(end.ifindex, end.own); !done) return done;
  return neighbour ? rtnl->set_permanent_neighbour(end.ifindex, end.other, *neighbour) : Result<void>();
}

struct Ipv6Link {
  const Netns& near;
  const Netns& far;
  NetnsKind far_kind;
  bool discovers;  // real neighbour discovery
};

Result<void> add_ipv6(const Ipv6Link& spec, Link& link) {
  if (link.has_ipv6) return {};
  const IpAddress gateway = gateway_address(IpFamily::v6);
  const auto mac = [&](const Mac& other) { return spec.discovers ? std::nullopt : std::optional(other); };
  auto done = add_ipv6_to_end(
      {spec.near, NetnsKind::router, link.near_name, link.near_ifindex, gateway, far_address()},
      mac(link.far_mac));
  if (!done) return done;
  done = add_ipv6_to_end(
      {spec.far, spec.far_kind, link.far_name, link.far_ifindex, far_address(), gateway}, mac(link.near_mac));
  if (!done) return done;
  auto scope = NetnsScope::enter(spec.far);
  if (!scope) return fail_as(scope);
  if (done = route_everything(link.far_ifindex, IpFamily::v6); !done) return done;
  link.has_ipv6 = true;
  return {};
}

struct SeenEnd {
  std::uint32_t ifindex = 0;
  Mac mac{};
};

// An interface of the current namespace that somebody else has made; waits until it sends.
Result<SeenEnd> look_at(const std::string& name) {
  auto index = interface_index(name);
  if (!index) return fail_as(index);
  auto rtnl = Rtnl::open();
  if (!rtnl) return fail_as(rtnl);
  if (auto done = rtnl->wait_until_up(*index); !done) return fail_as(done);
  auto mac = mac_of(name);
  if (!mac) return fail_as(mac);
  return SeenEnd{*index, *mac};
}

}  // namespace

IpAddress gateway_address(IpFamily family) {
  if (family == IpFamily::v4) return IpAddress::v4(0xa9fe0101);  // 169.254.1.1
  return IpAddress::v6({0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1});
}

IpAddress far_address() { return IpAddress::v6({0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2}); }

Result<NodeSlot*> Topology::build_node() {
  auto netns = Netns::create(NetnsKind::router);
  if (!netns) return fail_as(netns);
  auto slot = std::make_unique<NodeSlot>();
  slot->station.netns = std::move(*netns);
  slot->number = static_cast<std::uint32_t>(nodes_.size());
  slot->link.near_name = "n" + std::to_string(slot->number);
  slot->link.far_name = "up0";
  slot->link.near_mac = make_mac(kUplinkFabricMac, slot->number);
  slot->link.far_mac = make_mac(kUplinkMac, slot->number);
  if (auto made = make_pair(fabric_, slot->station.netns, slot->link); !made) return fail_as(made);
  return nodes_.emplace_back(std::move(slot)).get();
}

Result<PodSlot*> Topology::build_pod(NodeSlot& node) {
  auto netns = Netns::create(NetnsKind::end);
  if (!netns) return fail_as(netns);
  auto slot = std::make_unique<PodSlot>();
  slot->station.netns = std::move(*netns);
  slot->number = next_pod_number_++;
  slot->link.near_name = "c" + std::to_string(slot->number);
  slot->link.far_name = "eth0";
  slot->link.near_mac = make_mac(kPodHostMac, slot->number);
  slot->link.far_mac = make_mac(kPodMac, slot->number);
  if (auto made = make_pair(node.station.netns, slot->station.netns, slot->link); !made) return fail_as(made);
  slot->endpoint = EndpointId{next_endpoint_++};
  return node.pods.emplace_back(std::move(slot)).get();
}

// Those that stand idle with an address that somebody else has now: a node's routes lead to them still.
Result<void> Topology::remove_idle_links(const Placement& placement) {
  std::set<IpAddress> taken(placement.outside.begin(), placement.outside.end());
  for (const auto& [key, pod] : placement.cluster.pods) {
    if (pod.live()) taken.insert(pod.addresses.begin(), pod.addresses.end());
  }
  for (const auto& [name, node] : placement.cluster.nodes) {
    for (const auto& entry : node.addresses) taken.insert(entry.address);
  }
  const auto is_taken = [&](const IpAddress& address) { return taken.contains(address); };
  for (auto& node : nodes_) {
    for (auto it = node->pods.begin(); it != node->pods.end();) {
      PodSlot& slot = **it;
      const bool in_the_way = std::any_of(slot.configured.begin(), slot.configured.end(), is_taken);
      if (slot.in_use || !slot.made_for || !in_the_way) {
        ++it;
        continue;
      }
      auto scope = NetnsScope::enter(node->station.netns);
      if (!scope) return fail_as(scope);
      if (auto done = options_.pod_links->remove(*slot.made_for, slot.station.netns); !done) return done;
      it = node->pods.erase(it);
    }
  }
  return {};
}

Result<PodSlot*> Topology::build_linked_pod(NodeSlot& node, const Pod& pod) {
  const bool v6 = std::any_of(pod.addresses.begin(), pod.addresses.end(),
                              [](const IpAddress& address) { return !address.is_v4(); });
  if (v6) {
    if (auto done = add_ipv6_to_node(node); !done) return fail_as(done);
  }
  auto netns = Netns::create(NetnsKind::end);
  if (!netns) return fail_as(netns);
  auto slot = std::make_unique<PodSlot>();
  slot->station.netns = std::move(*netns);
  slot->number = next_pod_number_++;
  slot->made_for = PodLinkRequest{node.number, slot->number, pod.key, pod.addresses};
  slot->link.far_name = "eth0";
  slot->link.has_ipv6 = v6;
  slot->configured = {pod.addresses.begin(), pod.addresses.end()};
  const std::array<std::string, 2> later{"all", "default"};  // what the maker makes starts from these
  {
    auto scope = NetnsScope::enter(slot->station.netns);
    if (!scope) return fail_as(scope);
    if (v6) {
      if (auto done = enable_ipv6(NetnsKind::end, later); !done) return fail_as(done);
    }
  }
  {
    auto scope = NetnsScope::enter(node.station.netns);
    if (!scope) return fail_as(scope);
    if (v6) {
      if (auto done = enable_ipv6(NetnsKind::router, later); !done) return fail_as(done);
    }
    auto near = options_.pod_links->add(*slot->made_for, slot->station.netns);
    if (!near) return fail_as(near);
    slot->link.near_name = std::move(*near);
    auto end = look_at(slot->link.near_name);
    if (!end) return fail_as(end);
    slot->link.near_ifindex = end->ifindex;
    slot->link.near_mac = end->mac;
    // What a router looks for neighbours with.
    if (v6) {
      auto rtnl = Rtnl::open();
      if (!rtnl) return fail_as(rtnl);
      const auto done = rtnl->add_address(slot->link.near_ifindex, gateway_address(IpFamily::v6));
      if (!done) return fail_as(done);
    }
  }
  auto scope = NetnsScope::enter(slot->station.netns);
  if (!scope) return fail_as(scope);
  auto end = look_at(slot->link.far_name);
  if (!end) return fail_as(end);
  slot->link.far_ifindex = end->ifindex;
  slot->link.far_mac = end->mac;
  slot->endpoint = EndpointId{next_endpoint_++};
  return node.pods.emplace_back(std::move(slot)).get();
}

Result<OutsideSlot*> Topology::build_outside() {
  auto netns = Netns::create(NetnsKind::end);
  if (!netns) return fail_as(netns);
  auto slot = std::make_unique<OutsideSlot>();
  slot->station.netns = std::move(*netns);
  slot->number = static_cast<std::uint32_t>(outsides_.size());
  slot->link.near_name = "o" + std::to_string(slot->number);
  slot->link.far_name = "eth0";
  slot->link.near_mac = make_mac(kOutsideFabricMac, slot->number);
  slot->link.far_mac = make_mac(kOutsideMac, slot->number);
  if (auto made = make_pair(fabric_, slot->station.netns, slot->link); !made) return fail_as(made);
  return outsides_.emplace_back(std::move(slot)).get();
}

Result<void> Topology::add_ipv6_to_fabric() {
  if (fabric_has_ipv6_) return {};
  auto scope = NetnsScope::enter(fabric_);
  if (!scope) return fail_as(scope);
  const std::array<std::string, 1> interfaces{"lo"};
  if (auto done = enable_ipv6(NetnsKind::router, interfaces); !done) return done;
  if (auto done = drop_unknown(IpFamily::v6); !done) return done;
  fabric_has_ipv6_ = true;
  return {};
}

Result<void> Topology::add_ipv6_to_node(NodeSlot& node) {
  if (auto done = add_ipv6_to_fabric(); !done) return done;
  return add_ipv6({fabric_, node.station.netns, NetnsKind::router, false}, node.link);
}

Result<void> Topology::add_ipv6_to_pod(NodeSlot& node, PodSlot& pod) {
  if (auto done = add_ipv6_to_node(node); !done) return done;
  return add_ipv6({node.station.netns, pod.station.netns, NetnsKind::end, true}, pod.link);
}

Result<void> Topology::add_ipv6_to_outside(OutsideSlot& outside) {
  if (auto done = add_ipv6_to_fabric(); !done) return done;
  return add_ipv6({fabric_, outside.station.netns, NetnsKind::end, false}, outside.link);
}

}  // namespace postern::sim
