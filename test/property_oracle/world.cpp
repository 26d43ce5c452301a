// SPDX-License-Identifier: Apache-2.0
#include "test/property_oracle/world.h"

#include <algorithm>
#include <array>

#include "test/oracle/small_cluster.h"

namespace postern::property {

namespace {

using oracle::cidr;
using oracle::ip;

constexpr std::array<const char*, 4> kPods{"a", "b", "c", "d"};
constexpr std::array<const char*, 2> kKeys{"app", "tier"};
constexpr std::array<const char*, 3> kValues{"red", "blue", "green"};
constexpr std::array<Protocol, 3> kPortProtocols{Protocol::tcp, Protocol::udp, Protocol::sctp};

}  // namespace

Protocol some_protocol(Dice& dice) { return dice.chance(50) ? Protocol::tcp : dice.pick(kPortProtocols); }

Labels some_labels(Dice& dice) {
  Labels labels;
  for (const auto* key : kKeys) {
    if (dice.chance(70)) labels[key] = dice.pick(kValues);
  }
  return labels;
}

LabelSelector some_selector(Dice& dice, bool of_namespaces) {
  LabelSelector selector;
  if (dice.chance(15)) return selector;
  if (dice.chance(40)) {
    if (of_namespaces && dice.chance(50)) {
      selector.match_labels[kNamespaceNameLabel] = dice.pick(kNamespaces);
    } else {
      selector.match_labels[dice.pick(kKeys)] = dice.pick(kValues);
    }
    if (dice.chance(70)) return selector;
  }
  LabelRequirement requirement;
  requirement.key = dice.pick(kKeys);
  requirement.op = static_cast<SelectorOperator>(dice.below(4));
  if (requirement.op == SelectorOperator::in || requirement.op == SelectorOperator::not_in) {
    std::set<std::string> values{dice.pick(kValues)};
    if (dice.chance(50)) values.insert(dice.pick(kValues));
    requirement.values.assign(values.begin(), values.end());
  }
  selector.match_expressions.push_back(requirement);
  return selector;
}

namespace {

// ---- Pods ---------------------------------------------------------------------------------------

// Pods of a namespace lie on both sides of several block edges.
IpAddress pod_address(std::size_t ns, std::size_t name, IpFamily family) {
  static constexpr std::array<int, 4> kHosts{1, 2, 127, 128};
  static constexpr std::array<const char*, 3> kNets4{"10.0.0.", "10.0.1.", "10.1.0."};
  static constexpr std::array<const char*, 3> kNets6{"fd00::", "fd00:0:0:1::", "fd01::"};
  if (family == IpFamily::v4) return ip(kNets4[ns] + std::to_string(kHosts[name]));
  static constexpr std::array<const char*, 4> kHosts6{"1", "2", "7fff", "8000"};
  return ip(std::string(kNets6[ns]) + kHosts6[name]);
}

void give_addresses(Pod& pod, std::size_t ns, std::size_t name, Dice& dice) {
  pod.addresses.clear();
  if (dice.chance(6)) return;  // not yet
  const auto families = dice.below(10);
  if (families != 0) pod.addresses.push_back(pod_address(ns, name, IpFamily::v4));
  if (families < 5) pod.addresses.push_back(pod_address(ns, name, IpFamily::v6));
  if (families == 4) std::swap(pod.addresses[0], pod.addresses[1]);
}

std::vector<ContainerPort> some_container_ports(Dice& dice) {
  std::vector<ContainerPort> ports;
  for (std::size_t n = dice.below(4); n > 0; --n) {
    const std::string name = dice.chance(85) ? dice.pick(kPortNames) : "";
    ports.push_back({name, dice.pick(kPorts), some_protocol(dice)});
  }
  return ports;
}

void put_pod(World& world, Dice& dice) {
  const auto ns = dice.below(kNamespaces.size());
  const auto name = dice.below(kPods.size());
  Pod pod;
  pod.key = {kNamespaces[ns], kPods[name]};
  pod.labels = some_labels(dice);
  pod.node_name = dice.chance(60) ? kOwnNode : dice.chance(80) ? "n2" : "";
  pod.ready = dice.chance(80);
  pod.ports = some_container_ports(dice);
  if (dice.chance(8)) pod.phase = dice.chance(50) ? PodPhase::succeeded : PodPhase::failed;
  if (dice.chance(8)) pod.phase = PodPhase::pending;
  give_addresses(pod, ns, name, dice);
  if (dice.chance(8) && !pod.node_name.empty()) {
    pod.host_network = true;
    pod.addresses.clear();
    for (const auto& entry : world.objects.nodes.at(pod.node_name).addresses) {
      if (entry.type == "InternalIP") pod.addresses.push_back(entry.address);
    }
  }
  world.objects.pods[pod.key] = pod;
}

// A finished pod may still be listed with an address that another has by now (R23).
void reuse_address(World& world, Dice& dice) {
  for (auto& [key, pod] : world.objects.pods) {
    if (pod.phase != PodPhase::succeeded && pod.phase != PodPhase::failed) continue;
    const auto& other = dice.pick(world.objects.pods).second;
    if (dice.chance(60) && !other.host_network) pod.addresses = other.addresses;
  }
}

// ---- Policies -----------------------------------------------------------------------------------

}  // namespace

IpBlock some_block(Dice& dice) {
  static const std::vector<std::string> kBases4{"10.0.0.0",    "10.0.0.1",   "10.0.0.128",
                                                "10.0.1.0",    "10.1.0.127", "10.96.0.1",
                                                "192.168.0.1", "8.8.8.8",    "0.0.0.0"};
  static const std::vector<std::string> kBases6{"fd00::1", "fd00::8000", "fd00:0:0:1::", "fd01::7fff",
                                                "fd96::1", "fdff::1",    "2001:db8::1",  "::"};
  static constexpr std::array<int, 9> kLengths4{0, 8, 15, 16, 23, 24, 25, 31, 32};
  static constexpr std::array<int, 9> kLengths6{0, 8, 15, 16, 47, 63, 64, 113, 128};
  const bool v4 = dice.chance(65);
  IpBlock block;
  block.cidr = {ip(dice.pick(v4 ? kBases4 : kBases6)), dice.pick(v4 ? kLengths4 : kLengths6)};
  const int bits = v4 ? 32 : 128;
  for (std::size_t n = dice.chance(60) ? dice.below(4) : 0; n > 0 && block.cidr.prefix_length() < bits; --n) {
    // Around an address somebody may have, where the block holds one; else anywhere in it.
    IpAddress inside = block.cidr.network();
    for (int tries = 0; tries < 6; ++tries) {
      const IpAddress candidate = ip(dice.pick(v4 ? kBases4 : kBases6));
      if (block.cidr.contains(candidate)) inside = candidate;
    }
    const int longer =
        block.cidr.prefix_length() + 1 +
        static_cast<int>(dice.below(static_cast<std::size_t>(bits - block.cidr.prefix_length())));
    block.excepts.emplace_back(inside, longer);
  }
  return block;
}

namespace {

PolicyPeer some_peer(Dice& dice) {
  if (dice.chance(35)) return some_block(dice);
  PodPeer peer;
  const auto form = dice.below(3);
  if (form != 0) peer.namespaces = some_selector(dice, true);
  if (form != 1) peer.pods = some_selector(dice, false);
  return peer;
}

PolicyPort some_port(Dice& dice) {
  PolicyPort port;
  port.protocol = some_protocol(dice);
  const auto form = dice.below(10);
  if (form < 2) return port;
  if (form < 5) {
    port.port = dice.pick(kPortNames);
  } else {
    const std::uint16_t lo = dice.pick(kPorts);
    std::uint16_t hi = lo;
    if (form >= 8) hi = std::max(lo, dice.pick(kPorts));
    port.port = PortRange{lo, hi};
  }
  return port;
}

// ---- Services -----------------------------------------------------------------------------------

void put_service(World& world, Dice& dice) {
  static constexpr std::array<const char*, 2> kNames{"s", "t"};
  const auto ns = dice.below(kNamespaces.size());
  const auto name = dice.below(kNames.size());
  Service service;
  service.key = {kNamespaces[ns], kNames[name]};
  const auto number = std::to_string(1 + ns * kNames.size() + name);
  const auto families = dice.below(10);
  if (families > 2) service.cluster_ips.push_back(ip("10.96.0." + number));
  if (families != 0 && families < 7) service.cluster_ips.push_back(ip("fd96::" + number));
  if (dice.chance(80)) {
    service.selector = Labels{{dice.pick(kKeys), dice.pick(kValues)}};
    for (const auto& [key, pod] : world.objects.pods) {  // mostly one that somebody has
      if (key.ns == service.key.ns && !pod.labels.empty() && dice.chance(40)) {
        service.selector = Labels{dice.pick(pod.labels)};
      }
    }
  }
  const auto target = [&]() -> IntOrString {
    if (dice.chance(50)) return std::string(dice.pick(kPortNames));
    return dice.pick(kPorts);
  };
  service.ports.push_back({"main", some_protocol(dice), dice.pick(kPorts), target()});
  ServicePort second{"side", some_protocol(dice), dice.pick(kPorts), target()};
  const bool same = second.protocol == service.ports[0].protocol && second.port == service.ports[0].port;
  if (!same && dice.chance(40)) service.ports.push_back(second);
  world.objects.services[service.key] = service;
}

void put_slice(World& world, Dice& dice) {
  static const std::vector<std::string> kOutside{"8.8.8.8", "192.168.0.1", "192.168.0.2", "2001:db8::1",
                                                 "fdff::1"};
  if (world.objects.services.empty()) return;
  const auto& service = dice.pick(world.objects.services).second;
  EndpointSlice slice;
  slice.key = {service.key.ns, service.key.name + "-" + std::to_string(dice.below(2))};
  slice.service = service.key.name;
  for (const auto& port : service.ports) {
    if (dice.chance(80)) {
      const std::uint16_t number = dice.pick(kPorts);
      slice.ports.push_back({port.name, port.protocol, number, number});
    }
  }
  for (std::size_t n = dice.below(4); n > 0; --n) {
    EndpointSlice::Endpoint endpoint;
    endpoint.ready = dice.chance(80);
    const bool outside = dice.chance(20) || world.objects.pods.empty();
    if (outside) {
      endpoint.addresses.push_back(ip(dice.pick(kOutside)));
    } else {
      const auto& pod = dice.pick(world.objects.pods).second;
      if (!pod.addresses.empty()) endpoint.addresses.push_back(dice.pick(pod.addresses));
    }
    slice.endpoints.push_back(endpoint);
  }
  world.objects.endpoint_slices[slice.key] = slice;
}

void put_policy(World& world, Dice& dice) {
  const NetworkPolicy policy = random_policy(dice);
  world.objects.network_policies[policy.key] = policy;
}

void put_namespace(World& world, Dice& dice) {
  const std::string name = dice.pick(kNamespaces);
  Labels labels = some_labels(dice);
  labels[kNamespaceNameLabel] = name;
  world.objects.namespaces[name] = {.name = name, .labels = labels, .annotations = {}};
}

template <typename Map>
void erase_some(Map& map, Dice& dice) {
  if (!map.empty()) map.erase(dice.pick(map).first);
}

// Two pods of a namespace trade their addresses.
void trade_addresses(World& world, Dice& dice) {
  if (world.objects.pods.size() < 2) return;
  Pod& one = world.objects.pods.at(dice.pick(world.objects.pods).first);
  Pod& other = world.objects.pods.at(dice.pick(world.objects.pods).first);
  if (!one.host_network && !other.host_network) std::swap(one.addresses, other.addresses);
}

void edit_labels(World& world, Dice& dice) {
  if (!world.objects.pods.empty()) {
    world.objects.pods.at(dice.pick(world.objects.pods).first).labels = some_labels(dice);
  }
}

// No two live pods may have one address: the later one in order loses what is taken.
void settle_addresses(World& world) {
  std::set<IpAddress> taken;
  for (auto& [key, pod] : world.objects.pods) {
    if (pod.host_network || pod.phase == PodPhase::succeeded || pod.phase == PodPhase::failed) continue;
    std::erase_if(pod.addresses, [&](const IpAddress& address) { return !taken.insert(address).second; });
  }
}

}  // namespace

PolicyRule random_rule(Dice& dice) {
  PolicyRule rule;
  for (std::size_t n = dice.chance(15) ? 0 : 1 + dice.below(2); n > 0; --n)
    rule.peers.push_back(some_peer(dice));
  for (std::size_t n = dice.chance(35) ? 0 : 1 + dice.below(3); n > 0; --n)
    rule.ports.push_back(some_port(dice));
  return rule;
}

NetworkPolicy random_policy(Dice& dice) {
  static constexpr std::array<const char*, 3> kNames{"p", "q", "r"};
  NetworkPolicy policy;
  policy.key = {dice.pick(kNamespaces), dice.pick(kNames)};
  if (!dice.chance(45)) policy.pod_selector = some_selector(dice, false);
  const auto types = dice.below(3);
  policy.isolates_ingress = types != 1;
  policy.isolates_egress = types != 0;
  for (std::size_t n = dice.below(4); n > 0; --n) policy.ingress.push_back(random_rule(dice));
  for (std::size_t n = dice.below(4); n > 0; --n) policy.egress.push_back(random_rule(dice));
  return policy;
}

World random_world(Dice& dice) {
  World world;
  for (const auto* name : {"n1", "n2"}) {
    const std::string number(1, name[1]);
    Node& node = world.objects.nodes[name];
    node.name = name;
    node.addresses = {{"InternalIP", ip("192.168.0." + number)},
                      {"InternalIP", ip("fdff::" + number)},
                      {"ExternalIP", ip("203.0.113." + number)}};
  }
  world.host_addresses = {ip("169.254.20.10"), ip("10.0.0.254"), ip("fd00::fe")};
  world.strict = dice.chance(12);
  world.questions = dice.next();
  for (std::size_t n = dice.below(4); n > 0; --n) put_namespace(world, dice);
  for (std::size_t n = 3 + dice.below(7); n > 0; --n) put_pod(world, dice);
  reuse_address(world, dice);
  for (std::size_t n = 1 + dice.below(5); n > 0; --n) put_policy(world, dice);
  for (std::size_t n = dice.below(4); n > 0; --n) put_service(world, dice);
  for (std::size_t n = dice.below(3); n > 0; --n) put_slice(world, dice);
  settle_addresses(world);
  return world;
}

void change(World& world, Dice& dice) {
  const auto what = dice.below(24);
  if (what < 6)
    put_policy(world, dice);
  else if (what < 8)
    erase_some(world.objects.network_policies, dice);
  else if (what < 11)
    put_pod(world, dice);
  else if (what < 13)
    erase_some(world.objects.pods, dice);
  else if (what < 15)
    edit_labels(world, dice);
  else if (what < 16)
    put_namespace(world, dice);
  else if (what < 17)
    erase_some(world.objects.namespaces, dice);
  else if (what < 19)
    trade_addresses(world, dice);
  else if (what < 21)
    put_service(world, dice);
  else if (what < 22)
    erase_some(world.objects.services, dice);
  else if (what < 23)
    put_slice(world, dice);
  else
    erase_some(world.objects.endpoint_slices, dice);
  settle_addresses(world);
  world.questions = dice.next();
}

rc::Gen<World> any_world() {
  return [](const rc::Random& random, int) {
    rc::Random source = random;
    Dice dice(source.next());
    return rc::shrinkable::shrinkRecur(
        random_world(dice), [](const World& world) { return rc::seq::fromContainer(smaller(world)); });
  };
}

rc::Gen<World> any_world_with_tiers() {
  return [](const rc::Random& random, int) {
    rc::Random source = random;
    Dice dice(source.next());
    World world = random_world(dice);
    add_tiers(world, dice);
    return rc::shrinkable::shrinkRecur(
        world, [](const World& larger) { return rc::seq::fromContainer(smaller(larger)); });
  };
}

std::vector<IpAddress> World::own_node() const {
  std::vector<IpAddress> addresses(host_addresses.begin(), host_addresses.end());
  const auto node = objects.nodes.find(kOwnNode);
  if (node == objects.nodes.end()) return addresses;
  for (const auto& entry : node->second.addresses) addresses.push_back(entry.address);
  return addresses;
}

}  // namespace postern::property
