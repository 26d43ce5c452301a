// SPDX-License-Identifier: Apache-2.0
// What is worth asking of a world.
#include <algorithm>

#include "test/oracle/small_cluster.h"
#include "test/property_oracle/world.h"

namespace postern::property {

namespace {

using oracle::ip;

// The neighbour of an address; itself at the end of its family.
IpAddress beside(const IpAddress& address, bool above) {
  auto bytes = address.bytes();
  const std::size_t size = address.is_v4() ? 4 : 16;
  for (std::size_t i = size; i-- > 0;) {
    bytes[i] = static_cast<std::uint8_t>(above ? bytes[i] + 1 : bytes[i] - 1);
    if (bytes[i] != (above ? 0 : 0xff)) {
      if (!address.is_v4()) return IpAddress::v6(bytes);
      return IpAddress::v4(static_cast<std::uint32_t>(bytes[0]) << 24 |
                           static_cast<std::uint32_t>(bytes[1]) << 16 |
                           static_cast<std::uint32_t>(bytes[2]) << 8 | bytes[3]);
    }
  }
  return address;
}

void add_edges(const Cidr& block, std::set<IpAddress>& addresses) {
  addresses.insert(
      {block.network(), block.last(), beside(block.network(), false), beside(block.last(), true)});
}

void add_rule(const PolicyRule& rule, std::set<IpAddress>& addresses, std::set<std::uint16_t>& ports) {
  for (const auto& peer : rule.peers) {
    const auto* block = std::get_if<IpBlock>(&peer);
    if (block == nullptr) continue;
    add_edges(block->cidr, addresses);
    for (const auto& except : block->excepts) add_edges(except, addresses);
  }
  for (const auto& port : rule.ports) {
    const auto* range = port.port ? std::get_if<PortRange>(&*port.port) : nullptr;
    if (range == nullptr) continue;
    for (const int edge : {range->lo - 1, int{range->lo}, int{range->hi}, range->hi + 1}) {
      if (edge > 0 && edge < 65536) ports.insert(static_cast<std::uint16_t>(edge));
    }
  }
}

void add_rule(const ClusterRule& rule, std::set<IpAddress>& addresses, std::set<std::uint16_t>& ports) {
  for (const auto& peer : rule.peers) {
    const auto* networks = std::get_if<ClusterNetworks>(&peer);
    if (networks == nullptr) continue;
    for (const auto& block : networks->networks) add_edges(block, addresses);
  }
  for (const auto& port : rule.protocols) {
    const auto* of = std::get_if<ProtocolPorts>(&port);
    if (of == nullptr || !of->ports) continue;
    for (const int edge : {of->ports->lo - 1, int{of->ports->lo}, int{of->ports->hi}, of->ports->hi + 1}) {
      if (edge > 0 && edge < 65536) ports.insert(static_cast<std::uint16_t>(edge));
    }
  }
}

// An IPv4-mapped address, or one that no packet carries as peer.
bool is_asked(const IpAddress& address) {
  if (address.is_v4()) return address != ip("0.0.0.0");
  return IpAddress::parse(address.to_string()).has_value() && address != ip("::");
}

Protocol icmp_of(const IpAddress& address) { return address.is_v4() ? Protocol::icmp : Protocol::icmpv6; }

bool has_family(const World& world, const NamespacedName& pod, IpFamily family) {
  return world.objects.pods.at(pod).address(family).has_value();
}

}  // namespace

Borders borders_of(const World& world) {
  std::set<IpAddress> addresses{ip("8.8.8.8"), ip("2001:db8::1")};
  std::set<std::uint16_t> ports{80, 65535};
  for (const auto& [key, pod] : world.objects.pods) {
    addresses.insert(pod.addresses.begin(), pod.addresses.end());
    for (const auto& port : pod.ports) ports.insert(port.port);
  }
  for (const auto& [name, node] : world.objects.nodes) {
    for (const auto& entry : node.addresses) addresses.insert(entry.address);
  }
  addresses.insert(world.host_addresses.begin(), world.host_addresses.end());
  for (const auto& [key, service] : world.objects.services) {
    addresses.insert(service.cluster_ips.begin(), service.cluster_ips.end());
    for (const auto& port : service.ports) ports.insert(port.port);
  }
  for (const auto& [key, policy] : world.objects.network_policies) {
    for (const auto& rule : policy.ingress) add_rule(rule, addresses, ports);
    for (const auto& rule : policy.egress) add_rule(rule, addresses, ports);
  }
  for (const auto& [name, policy] : world.objects.cluster_network_policies) {
    for (const auto& rule : policy.ingress) add_rule(rule, addresses, ports);
    for (const auto& rule : policy.egress) add_rule(rule, addresses, ports);
  }
  Borders borders;
  std::copy_if(addresses.begin(), addresses.end(), std::back_inserter(borders.addresses), is_asked);
  borders.ports.assign(ports.begin(), ports.end());
  return borders;
}

std::vector<NamespacedName> subjects_of(const World& world) {
  std::vector<NamespacedName> subjects;
  for (const auto& [key, pod] : world.objects.pods) {
    if (pod.node_name == kOwnNode && !pod.host_network && pod.live()) subjects.push_back(key);
  }
  return subjects;
}

std::vector<oracle::Question> random_questions(const World& world, const Borders& borders,
                                               std::size_t count) {
  static constexpr std::array<Protocol, 3> kProtocols{Protocol::tcp, Protocol::udp, Protocol::sctp};
  std::vector<oracle::Question> questions;
  Dice dice(world.questions);
  const oracle::Cluster cluster = world.cluster();
  const auto subjects = subjects_of(world);
  if (subjects.empty()) return questions;
  // Pods and ClusterIPs are what policies mostly speak of.
  std::vector<IpAddress> near;
  for (const auto& [key, pod] : world.objects.pods)
    near.insert(near.end(), pod.addresses.begin(), pod.addresses.end());
  std::vector<std::pair<IpAddress, ServicePort>> services;
  for (const auto& [key, service] : world.objects.services) {
    for (const auto& address : service.cluster_ips) {
      for (const auto& port : service.ports) services.emplace_back(address, port);
    }
  }
  for (std::size_t tries = 0; questions.size() < count && tries < 4 * count; ++tries) {
    oracle::Question question;
    // Mostly where a policy isolates: elsewhere little can go wrong.
    for (int again = 0; again < 3; ++again) {
      question.pod = dice.pick(subjects);
      question.direction = dice.chance(50) ? oracle::Direction::ingress : oracle::Direction::egress;
      if (oracle::judged(cluster, question.pod, question.direction)) break;
    }
    question.peer = !near.empty() && dice.chance(50) ? dice.pick(near) : dice.pick(borders.addresses);
    question.protocol = dice.chance(50) ? Protocol::tcp : dice.pick(kProtocols);
    question.port = dice.pick(borders.ports);
    if (!services.empty() && dice.chance(25)) {
      const auto& [address, port] = dice.pick(services);
      question.peer = address;
      question.direction = dice.chance(90) ? oracle::Direction::egress : oracle::Direction::ingress;
      for (int again = 0; again < 4 && !oracle::judged(cluster, question.pod, question.direction); ++again) {
        question.pod = dice.pick(subjects);
      }
      if (dice.chance(85)) {
        question.protocol = port.protocol;
        question.port = port.port;
      }
    }
    if (dice.chance(8)) question.protocol = icmp_of(question.peer);
    if (dice.chance(3)) question.protocol = kGre;
    if (!has_family(world, question.pod, question.peer.family())) continue;
    const bool self = world.objects.pods.at(question.pod).address(question.peer.family()) == question.peer;
    if (!self || dice.chance(15)) questions.push_back(question);
  }
  return questions;
}

std::vector<oracle::Question> every_question(const World& world) {
  const Borders borders = borders_of(world);
  std::vector<oracle::Question> questions;
  for (const auto& pod : subjects_of(world)) {
    for (const auto direction : {oracle::Direction::ingress, oracle::Direction::egress}) {
      for (const auto& peer : borders.addresses) {
        if (!has_family(world, pod, peer.family())) continue;
        questions.push_back({pod, direction, peer, icmp_of(peer), 0});
        questions.push_back({pod, direction, peer, kGre, 0});
        for (const auto protocol : {Protocol::tcp, Protocol::udp, Protocol::sctp}) {
          for (const auto port : borders.ports) questions.push_back({pod, direction, peer, protocol, port});
        }
      }
    }
  }
  return questions;
}

std::string to_string(const oracle::Question& question) {
  const std::string protocol = question.protocol == kGre ? "GRE" : std::string(to_string(question.protocol));
  const bool in = question.direction == oracle::Direction::ingress;
  return question.pod.to_string() + (in ? " from " : " to ") + question.peer.to_string() + ", " + protocol +
         " " + std::to_string(question.port);
}

}  // namespace postern::property
