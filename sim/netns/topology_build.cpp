// SPDX-License-Identifier: Apache-2.0
// Making the namespaces, veth pairs, routes and neighbours of one slot, once and for its whole life.
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
  if (auto done = rtnl->set_permanent_neighbour(*index, gateway_address(), neighbour); !done) {
    return fail_as(done);
  }
  return index;
}

struct PairIndexes {
  std::uint32_t near = 0;
  std::uint32_t far = 0;
};

// A pair between two namespaces; the far end sends everything over it.
Result<PairIndexes> make_pair(const Netns& near, const Netns& far, VethSpec spec) {
  PairIndexes indexes;
  {
    auto scope = NetnsScope::enter(near);
    if (!scope) return fail_as(scope);
    auto rtnl = Rtnl::open();
    if (!rtnl) return fail_as(rtnl);
    spec.peer_netns = far.fd();
    if (auto done = rtnl->add_veth(spec); !done) return fail_as(done);
    auto index = finish_end(spec.name, spec.peer_mac);
    if (!index) return fail_as(index);
    indexes.near = *index;
  }
  auto scope = NetnsScope::enter(far);
  if (!scope) return fail_as(scope);
  auto index = finish_end(spec.peer_name, spec.mac);
  if (!index) return fail_as(index);
  indexes.far = *index;
  auto rtnl = Rtnl::open();
  if (!rtnl) return fail_as(rtnl);
  const RouteSpec everything{Cidr(gateway_address(), 0), indexes.far, gateway_address()};
  if (auto done = rtnl->set_route(everything); !done) return fail_as(done);
  if (auto done = rtnl->wait_until_up(indexes.far); !done) return fail_as(done);
  auto back = NetnsScope::enter(near);
  if (!back) return fail_as(back);
  auto near_rtnl = Rtnl::open();
  if (!near_rtnl) return fail_as(near_rtnl);
  if (auto done = near_rtnl->wait_until_up(indexes.near); !done) return fail_as(done);
  return indexes;
}

}  // namespace

IpAddress gateway_address() { return IpAddress::v4(0xa9fe0101); }  // 169.254.1.1

Result<NodeSlot*> Topology::build_node() {
  auto netns = Netns::create(NetnsKind::router);
  if (!netns) return fail_as(netns);
  auto slot = std::make_unique<NodeSlot>();
  slot->station.netns = std::move(*netns);
  slot->number = static_cast<std::uint32_t>(nodes_.size());
  slot->uplink_mac = make_mac(kUplinkMac, slot->number);
  slot->fabric_mac = make_mac(kUplinkFabricMac, slot->number);
  VethSpec spec{"n" + std::to_string(slot->number), slot->fabric_mac, "up0", slot->uplink_mac, -1};
  auto pair = make_pair(fabric_, slot->station.netns, spec);
  if (!pair) return fail_as(pair);
  slot->fabric_ifindex = pair->near;
  slot->uplink_ifindex = pair->far;
  return nodes_.emplace_back(std::move(slot)).get();
}

Result<PodSlot*> Topology::build_pod(NodeSlot& node) {
  auto netns = Netns::create(NetnsKind::end);
  if (!netns) return fail_as(netns);
  auto slot = std::make_unique<PodSlot>();
  slot->station.netns = std::move(*netns);
  slot->number = next_pod_number_++;
  slot->pod_mac = make_mac(kPodMac, slot->number);
  slot->host_mac = make_mac(kPodHostMac, slot->number);
  VethSpec spec{"c" + std::to_string(slot->number), slot->host_mac, "eth0", slot->pod_mac, -1};
  auto pair = make_pair(node.station.netns, slot->station.netns, spec);
  if (!pair) return fail_as(pair);
  slot->host_ifindex = pair->near;
  slot->pod_ifindex = pair->far;
  slot->endpoint = EndpointId{next_endpoint_++};
  return node.pods.emplace_back(std::move(slot)).get();
}

Result<OutsideSlot*> Topology::build_outside() {
  auto netns = Netns::create(NetnsKind::end);
  if (!netns) return fail_as(netns);
  auto slot = std::make_unique<OutsideSlot>();
  slot->station.netns = std::move(*netns);
  slot->number = static_cast<std::uint32_t>(outsides_.size());
  slot->host_mac = make_mac(kOutsideMac, slot->number);
  slot->fabric_mac = make_mac(kOutsideFabricMac, slot->number);
  VethSpec spec{"o" + std::to_string(slot->number), slot->fabric_mac, "eth0", slot->host_mac, -1};
  auto pair = make_pair(fabric_, slot->station.netns, spec);
  if (!pair) return fail_as(pair);
  slot->fabric_ifindex = pair->near;
  slot->host_ifindex = pair->far;
  return outsides_.emplace_back(std::move(slot)).get();
}

}  // namespace postern::sim
