// SPDX-License-Identifier: Apache-2.0
#include "engine/policy/endpoint_plan.h"

#include <algorithm>
#include <iterator>
#include <optional>

#include "engine/policy/sort_unique.h"

namespace postern {

namespace {

using Infos = std::vector<EndpointInfo>;
using Ports = std::vector<PortMatch>;

PolicyPort written(const PortMatch& match) {
  PolicyPort port;
  port.protocol = match.protocol;
  // Every port of the protocol is an entry without one. Port 0, which no entry can name, is left out of
  // ranges that are cut.
  if (match.range != PortRange{}) {
    port.port = PortRange{std::max<std::uint16_t>(match.range.lo, 1), match.range.hi};
  }
  return port;
}

// `ports`: null is every protocol.
void add(const IpBlock& block, const Ports* ports, Infos& infos) {
  EndpointInfo info;
  info.block = block;
  if (ports != nullptr) std::transform(ports->begin(), ports->end(), std::back_inserter(info.ports), written);
  infos.push_back(std::move(info));
}

IpBlock host_block(const IpAddress& address) { return {Cidr::host(address), {}}; }

const std::array<Cidr, 2>& whole_families() {
  static const std::array<Cidr, 2> kWhole{Cidr(IpAddress::v4(0), 0), Cidr(IpAddress::v6({}), 0)};
  return kWhole;
}

// The fewest blocks that hold exactly these addresses, which are sorted and unique.
std::vector<Cidr> blocks_of(const std::vector<IpAddress>& addresses) {
  std::vector<Cidr> blocks;
  const auto halves_of_one = [&] {
    if (blocks.size() < 2) return false;
    const Cidr& high = blocks.back();
    const Cidr& low = blocks[blocks.size() - 2];
    return high.prefix_length() == low.prefix_length() && high.family() == low.family() && high.prefix_length() > 0 &&
           Cidr(high.network(), high.prefix_length() - 1) == Cidr(low.network(), low.prefix_length() - 1);
  };
  for (const auto& address : addresses) {
    blocks.push_back(Cidr::host(address));
    while (halves_of_one()) {
      blocks.pop_back();
      blocks.back() = Cidr(blocks.back().network(), blocks.back().prefix_length() - 1);
    }
  }
  return blocks;
}

// The block less these addresses (sorted, unique); none where nothing is left.
std::optional<IpBlock> less(const IpBlock& block, const std::vector<IpAddress>& addresses) {
  std::vector<IpAddress> inside;
  std::copy_if(addresses.begin(), addresses.end(), std::back_inserter(inside),
               [&](const IpAddress& address) { return block.contains(address); });
  IpBlock out = block;
  for (const auto& except : blocks_of(inside)) {
    if (except == block.cidr) return std::nullopt;
    out.excepts.push_back(except);
  }
  sort_unique(out.excepts);
  return out;
}

Ports less(const Ports& ports, Protocol protocol, std::uint16_t port) {
  Ports out;
  for (const auto& match : ports) {
    if (match.protocol != protocol || !match.range.contains(port)) {
      out.push_back(match);
      continue;
    }
    if (match.range.lo < port) out.push_back({protocol, {match.range.lo, static_cast<std::uint16_t>(port - 1)}});
    if (port < match.range.hi) out.push_back({protocol, {static_cast<std::uint16_t>(port + 1), match.range.hi}});
  }
  // What is left of every port may be port 0 alone, which no entry can name.
  std::erase_if(out, [](const PortMatch& match) { return match.range.hi == 0; });
  return out;
}

// What a rule says of addresses that are no ClusterIPs; blocks are written as they are.
void add_peers(const PlainRule& rule, const Ports* ports, Infos& infos) {
  if (rule.any_peer) {
    for (const auto& family : whole_families()) add({family, {}}, ports, infos);
  }
  for (const auto& host : rule.hosts) add(host_block(host), ports, infos);
  for (const auto& block : rule.blocks) add(block, ports, infos);
}

std::vector<EndpointPart> parts_of(ByPod<Infos>& more) {
  std::map<Infos, std::vector<const Pod*>> alike;
  for (auto& [pod, infos] : more) {
    sort_unique(infos);
    if (!infos.empty()) alike[std::move(infos)].push_back(pod);
  }
  std::vector<EndpointPart> parts;
  for (const auto& [infos, pods] : alike) parts.push_back({infos, pods});
  return parts;
}

// The numbers that the names of a rule stand for on each subject.
ByPod<Ports> named_ports(const PlainRule& rule, const std::vector<const Pod*>& subjects) {
  ByPod<Ports> out;
  for (const Pod* subject : subjects) {
    Ports& ports = out[subject];
    for (const auto& named : rule.named) {
      const auto numbers = ports_on(*subject, named);
      ports.insert(ports.end(), numbers.begin(), numbers.end());
    }
    sort_unique(ports);
  }
  return out;
}

Ports on_every(const ByPod<Ports>& named) {
  if (named.empty()) return {};
  Ports common = named.begin()->second;
  for (const auto& of_subject : named) {
    const Ports& ports = of_subject.second;
    std::erase_if(common,
                  [&](const PortMatch& match) { return !std::binary_search(ports.begin(), ports.end(), match); });
  }
  return common;
}

}  // namespace

// At ingress a ClusterIP is an address like any other (R8).
EndpointPlan plan_ingress(const PlainPolicy& policy) {
  EndpointPlan plan;
  ByPod<Infos> more;
  for (const auto& rule : policy.at(Direction::ingress)) {
    if (rule.any_port) {
      add_peers(rule, nullptr, plan.infos);
      continue;
    }
    const auto named = named_ports(rule, policy.subjects);
    Ports common = on_every(named);
    for (const auto& [subject, ports] : named) {
      Ports own;
      std::set_difference(ports.begin(), ports.end(), common.begin(), common.end(), std::back_inserter(own));
      if (!own.empty()) add_peers(rule, &own, more[subject]);
    }
    common.insert(common.end(), rule.ports.begin(), rule.ports.end());
    sort_unique(common);
    if (!common.empty()) add_peers(rule, &common, plan.infos);
  }
  sort_unique(plan.infos);
  plan.parts = parts_of(more);
  return plan;
}

namespace {

class EgressPlanner {
 public:
  EgressPlanner(const PlainPolicy& policy, const ReachableServices& services,
                const ReachableServices::Share& share)
      : policy_(policy), services_(services), share_(share), covered_(services.offers().size()) {}

  EndpointPlan run(bool with_cluster_ips) {
    EndpointPlan plan;
    const bool everything = policy_.admits_everything(Direction::egress);
    for (const auto& rule : policy_.at(Direction::egress)) {
      if (everything || with_cluster_ips) {
        add_peers(rule, rule.any_port ? nullptr : &rule.ports, plan.infos);
      } else {
        add_rule(rule, plan.infos);
      }
    }
    if (!everything) {
      Offers apart = share_.common;
      std::erase_if(apart, [&](OfferIndex offer) { return covered_[offer]; });
      add_offers(apart, plan.infos);
      ByPod<Infos> more;
      for (const auto& [pod, offers] : share_.more) add_offers(offers, more[pod]);
      plan.parts = parts_of(more);
    }
    sort_unique(plan.infos);
    return plan;
  }

 private:
  void add_rule(const PlainRule& rule, Infos& infos) {
    const Ports* ports = rule.any_port ? nullptr : &rule.ports;
    for (const auto& host : rule.hosts) add(host_block(host), ports, infos);
    // "A block over the service range opens nothing" (R7).
    for (const auto& block : rule.blocks) {
      if (const auto rest = less(block, services_.cluster_ips())) add(*rest, ports, infos);
    }
    if (rule.any_peer) add_everywhere(rule, infos);
  }

  // A rule without peers holds for a ClusterIP on ports that its Service does not have, and on those
  // that it has the backends decide. Where all subjects may take all of these, it needs no exception.
  void add_everywhere(const PlainRule& rule, Infos& infos) {
    std::vector<IpAddress> apart;
    const auto& offers = services_.offers();
    for (OfferIndex begin = 0, end = 0; begin < offers.size(); begin = end) {
      const IpAddress& address = offers[begin].address;
      Ports rest = rule.ports;
      bool is_apart = false;
      Offers named;
      for (end = begin; end < offers.size() && offers[end].address == address; ++end) {
        Ports cut = less(rest, offers[end].protocol, offers[end].port);
        if (cut == rest) continue;
        rest = std::move(cut);
        named.push_back(end);
        const auto& allowed = share_.allowed_to_all;
        is_apart = is_apart || !std::binary_search(allowed.begin(), allowed.end(), end);
      }
      if (!is_apart) {
        for (const OfferIndex offer : named) covered_[offer] = true;
        continue;
      }
      apart.push_back(address);
      if (!rest.empty()) add(host_block(address), &rest, infos);
    }
    for (const auto& family : whole_families()) {
      if (const auto others = less(IpBlock{family, {}}, apart)) add(*others, &rule.ports, infos);
    }
  }

  void add_offers(const Offers& offers, Infos& infos) const {
    std::map<IpAddress, Ports> by_address;
    for (const OfferIndex index : offers) {
      const Offer& offer = services_.offers()[index];
      by_address[offer.address].push_back({offer.protocol, {offer.port, offer.port}});
    }
    for (auto& [address, ports] : by_address) {
      sort_unique(ports);
      add(host_block(address), &ports, infos);
    }
  }

  const PlainPolicy& policy_;
  const ReachableServices& services_;
  const ReachableServices::Share& share_;
  std::vector<bool> covered_;  // offers that a rule without peers names already
};

}  // namespace

EndpointPlan plan_egress(const PlainPolicy& policy, const ReachableServices& services,
                         const ReachableServices::Share& share, ServiceIpBlocks service_ip_blocks) {
  return EgressPlanner(policy, services, share).run(service_ip_blocks == ServiceIpBlocks::compat);
}

}  // namespace postern
