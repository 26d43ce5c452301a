// SPDX-License-Identifier: Apache-2.0
#include "test/kernel/pod_rig.h"

#include <sys/socket.h>

#include "net/system_error.h"
#include "sim/netns/sockets.h"
#include "test/kernel/network.h"

namespace postern::test {
namespace {

constexpr std::uint32_t kLoopback = 1;
constexpr const char* kGateway = "169.254.1.1";

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
    if (auto added = rtnl->add_address(kLoopback, ip(peer)); !added) return fail_as(added);
  }
  return rig;
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
    if (auto done = inside->add_address(*end, ip(address)); !done) return done;
    if (auto done = inside->set_route({*Cidr::parse("0.0.0.0/0"), *end, ip(kGateway)}); !done) return done;
    if (auto done = inside->set_permanent_neighbour(*end, ip(kGateway), spec.mac); !done) return done;
  }
  if (auto done = rtnl->set_up(*ifindex); !done) return done;
  if (auto done = rtnl->wait_until_up(*ifindex); !done) return done;
  if (auto done = rtnl->set_route({*Cidr::parse(address + "/32"), *ifindex, std::nullopt}); !done) return done;
  if (auto done = rtnl->set_permanent_neighbour(*ifindex, ip(address), spec.peer_mac); !done) return done;
  pods_.push_back({address, *ifindex, std::move(*netns)});
  return {};
}

Result<void> PodRig::delete_pod(std::size_t index) { return delete_link(pods_[index].ifindex); }

Result<PodRig::Pair> PodRig::udp_pair(std::size_t pod, std::uint16_t port, const End& peer) {
  const End own{pods_[pod].address, port};
  const auto at_peer = connected(peer, own, sockets_);
  if (!at_peer) return fail_as(at_peer);
  auto scope = sim::NetnsScope::enter(*pods_[pod].netns);
  if (!scope) return fail_as(scope);
  const auto at_pod = connected(own, peer, sockets_);
  if (!at_pod) return fail_as(at_pod);
  return Pair{*at_pod, *at_peer};
}

}  // namespace postern::test
