// SPDX-License-Identifier: Apache-2.0
#include "test/kernel/pod_rig.h"

#include <sys/socket.h>

#include <span>

#include "net/system_error.h"
#include "sim/netns/sockets.h"
#include "test/kernel/network.h"

namespace postern::test {
namespace {

constexpr std::uint32_t kLoopback = 1;

// What a pod takes for its gateway, of the family of its address.
IpAddress gateway_of(const IpAddress& address) {
  return *IpAddress::parse(address.is_v4() ? "169.254.1.1" : "fe80::1");
}
Cidr everything_like(const IpAddress& address) { return *Cidr::parse(address.is_v4() ? "0.0.0.0/0" : "::/0"); }

IpAddress ip(const std::string& text) { return *IpAddress::parse(text); }

Result<int> connected(const PodRig::End& from, const PodRig::End& to, std::vector<UniqueFd>& owner) {
  auto socket = sim::bound_client(SOCK_DGRAM, ip(from.address), from.port);
  if (!socket) return fail_as(socket);
  const sim::SocketAddress remote = sim::socket_address(ip(to.address), to.port);
  if (!socket->valid() || connect(socket->get(), remote.get(), remote.length) != 0) {
    return tl::unexpected(system_error("connecting a socket of " + from.address));
  }
  owner.push_back(std::move(*socket));
  return owner.back().get();
}

}  // namespace

Result<std::unique_ptr<PodRig>> PodRig::make(const std::vector<std::string>& peers) {
  auto node = sim::Netns::create(sim::NetnsKind::router);
  if (!node) return fail_as(node);
  auto scope = sim::NetnsScope::enter(*node);
  if (!scope) return fail_as(scope);
  std::unique_ptr<PodRig> rig(new PodRig(std::move(*node), std::move(*scope)));
  auto rtnl = sim::Rtnl::open();
  if (!rtnl) return fail_as(rtnl);
  for (const std::string& peer : peers) {
    if (auto enabled = rig->enable_family_of(peer, sim::NetnsKind::router, "lo"); !enabled) return fail_as(enabled);
    if (auto added = rtnl->add_address(kLoopback, ip(peer)); !added) return fail_as(added);
  }
  return rig;
}

Result<void> PodRig::enable_family_of(const std::string& address, sim::NetnsKind kind, const std::string& interface) {
  if (ip(address).is_v4()) return {};
  return sim::enable_ipv6(kind, std::span(&interface, 1));
}

Result<void> PodRig::add_pod(const std::string& address) {
  const auto number = static_cast<std::uint8_t>(pods_.size());
  auto netns = sim::Netns::create(sim::NetnsKind::end);
  if (!netns) return fail_as(netns);
  auto rtnl = sim::Rtnl::open();
  if (!rtnl) return fail_as(rtnl);
  sim::VethSpec spec;
  spec.name = "veth" + std::to_string(number);
  spec.mac = {2, 0, 0, 0, 1, number};
  spec.peer_name = "eth0";
  spec.peer_mac = {2, 0, 0, 0, 2, number};
  spec.peer_netns = netns->fd();
  if (auto made = rtnl->add_veth(spec); !made) return made;
  const auto ifindex = sim::interface_index(spec.name);
  if (!ifindex) return fail_as(ifindex);
  {
    auto scope = sim::NetnsScope::enter(*netns);
    if (!scope) return fail_as(scope);
    auto inside = sim::Rtnl::open();
    const auto end = sim::interface_index(spec.peer_name);
    if (!inside) return fail_as(inside);
    if (!end) return fail_as(end);
    if (auto done = inside->set_up(*end); !done) return done;
    if (auto done = enable_family_of(address, sim::NetnsKind::end, spec.peer_name); !done) return done;
    if (auto done = inside->add_address(*end, ip(address)); !done) return done;
    const IpAddress gateway = gateway_of(ip(address));
    if (auto done = inside->set_route({everything_like(gateway), *end, gateway}); !done) return done;
    if (auto done = inside->set_permanent_neighbour(*end, gateway, spec.mac); !done) return done;
  }
  if (auto done = enable_family_of(address, sim::NetnsKind::router, spec.name); !done) return done;
  if (auto done = rtnl->set_up(*ifindex); !done) return done;
  if (auto done = rtnl->wait_until_up(*ifindex); !done) return done;
  const Cidr own = *Cidr::parse(address + (ip(address).is_v4() ? "/32" : "/128"));
  if (auto done = rtnl->set_route({own, *ifindex, std::nullopt}); !done) return done;
  if (auto done = rtnl->set_permanent_neighbour(*ifindex, ip(address), spec.peer_mac); !done) return done;
  pods_.push_back({address, *ifindex, std::move(*netns)});
  return {};
}

Result<void> PodRig::delete_pod(std::size_t index) { return delete_link(pods_[index].ifindex); }

Result<PodRig::Pair> PodRig::udp_pair(std::size_t pod, std::uint16_t port, const End& peer) {
  return udp_pair({pod, port, peer, peer, std::nullopt});
}

Result<PodRig::Pair> PodRig::udp_pair(const Call& call) {
  const End own{pods_[call.pod].address, call.port};
  std::optional<Result<int>> at_peer;
  {
    std::optional<sim::NetnsScope> peer_scope;
    if (call.peer_pod) {
      auto entered = sim::NetnsScope::enter(*pods_[*call.peer_pod].netns);
      if (!entered) return fail_as(entered);
      peer_scope.emplace(std::move(*entered));
    }
    at_peer = connected(call.peer, own, sockets_);
  }
  if (!*at_peer) return fail_as(*at_peer);
  auto scope = sim::NetnsScope::enter(*pods_[call.pod].netns);
  if (!scope) return fail_as(scope);
  const auto at_pod = connected(own, call.dialled, sockets_);
  if (!at_pod) return fail_as(at_pod);
  return Pair{*at_pod, **at_peer};
}

}  // namespace postern::test
