// SPDX-License-Identifier: Apache-2.0
#include "test/property/random_policies.h"

#include <algorithm>
#include <tuple>

#include "engine/policy/judge.h"

namespace postern {

namespace {

using AddressBytes = std::array<std::uint8_t, 16>;

IpAddress from_bytes(IpFamily family, const AddressBytes& bytes) {
  if (family == IpFamily::v6) return IpAddress::v6(bytes);
  return IpAddress::v4(std::uint32_t{bytes[0]} << 24 | std::uint32_t{bytes[1]} << 16 |
                       std::uint32_t{bytes[2]} << 8 | bytes[3]);
}

// The address next to this one; past the last one comes the first.
IpAddress neighbour(const IpAddress& address, bool after) {
  AddressBytes bytes = address.bytes();
  for (std::size_t i = static_cast<std::size_t>(address.bits()) / 8; i-- > 0;) {
    bytes[i] = static_cast<std::uint8_t>(after ? bytes[i] + 1 : bytes[i] - 1);
    if (bytes[i] != (after ? 0 : 0xff)) break;
  }
  return from_bytes(address.family(), bytes);
}

IpAddress pod_address(std::uint32_t id, IpFamily family) {
  if (family == IpFamily::v4) return IpAddress::v4(0x0a0a0000 + id);
  return IpAddress::v6({0xfd, 0x0a, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, static_cast<std::uint8_t>(id >> 8),
                        static_cast<std::uint8_t>(id)});
}

constexpr std::array<std::uint16_t, 8> kPorts{0, 1, 79, 80, 255, 256, 8080, 65535};

std::pair<Cidr, Cidr> halves(const Cidr& block) {
  const int length = block.prefix_length() + 1;
  const Cidr low(block.network(), length);
  auto bytes = block.network().bytes();
  const auto bit = static_cast<std::size_t>(block.prefix_length());
  bytes[bit / 8] = static_cast<std::uint8_t>(bytes[bit / 8] | 0x80u >> bit % 8);
  return {low, Cidr(from_bytes(block.family(), bytes), length)};
}

}  // namespace

RandomPolicies::RandomPolicies(std::uint64_t seed) : prng_(seed) {
  settings_.hash_secret = prng_.next();
  for (int i = 0; i < 6; ++i) selectors_["pods " + std::to_string(i)];
  for (int i = 0; i < 40; ++i) change_once();
}

// Few addresses, close together and at the edges of /16s, so that sets overlap. Of IPv6 also the
// first and the last page and what surrounds the numbers of IPv4.
IpAddress RandomPolicies::some_address() {
  const auto low = static_cast<std::uint8_t>(chance(50) ? prng_.below(6) : 250 + prng_.below(6));
  if (chance(55)) {
    static constexpr std::array<std::uint32_t, 6> kBases{0x0a000000, 0x0a000100, 0x0a00ff00,
                                                         0x0a010000, 0x00000000, 0xffffff00};
    return IpAddress::v4(kBases[prng_.below(kBases.size())] + low);
  }
  static constexpr std::array<const char*, 8> kBases{
      "fd00::",     "fd00::100",        "fd00:ffff:ffff:ffff:ffff:ffff:ffff:ff00", "fd01::", "::",
      "::1:0:0:ff", "::fffe:ffff:ff00", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ff00"};
  auto bytes = IpAddress::parse(kBases[prng_.below(kBases.size())])->bytes();
  bytes[15] = low;
  return IpAddress::v6(bytes);
}

Cidr RandomPolicies::some_block() {
  static constexpr std::array<int, 12> kLengthsV4{0, 1, 7, 8, 14, 15, 16, 17, 24, 30, 31, 32};
  static constexpr std::array<int, 14> kLengthsV6{0, 1, 7, 15, 16, 17, 64, 79, 80, 95, 112, 120, 127, 128};
  const IpAddress address = some_address();
  return {address, address.is_v4() ? kLengthsV4[prng_.below(kLengthsV4.size())]
                                   : kLengthsV6[prng_.below(kLengthsV6.size())]};
}

std::string RandomPolicies::some_peer() {
  if (chance(55)) {
    auto it = selectors_.begin();
    std::advance(it, static_cast<std::ptrdiff_t>(prng_.below(selectors_.size())));
    return it->first;
  }
  IpBlock block;
  block.cidr = some_block();
  for (std::uint64_t n = prng_.below(3); n > 0; --n) block.excepts.push_back(some_block());
  std::string key = "block " + block.cidr.to_string();
  for (const auto& except : block.excepts) key += " except " + except.to_string();
  blocks_[key] = block;
  return key;
}

RandomPolicies::RandomRule RandomPolicies::some_rule() {
  RandomRule rule;
  if (chance(30)) {
    rule.tier = chance(50) ? Tier::admin : Tier::baseline;
    rule.action = static_cast<Action>(prng_.below(3));
    rule.priority = static_cast<std::uint32_t>(prng_.below(3));
    rule.policy = rule.priority * 2 + static_cast<std::uint32_t>(prng_.below(2));
  }
  rule.any_peer = chance(15);
  rule.names_cluster_ips = rule.tier == Tier::network_policy && chance(30);
  if (!rule.any_peer) {
    for (std::uint64_t n = 1 + prng_.below(3); n > 0; --n) rule.peers.insert(some_peer());
  }
  rule.any_port = chance(25);
  if (!rule.any_port) {
    static constexpr std::array<Protocol, 3> kProtocols{Protocol::tcp, Protocol::udp, Protocol::sctp};
    for (std::uint64_t n = 1 + prng_.below(3); n > 0; --n) {
      const auto a = kPorts[prng_.below(kPorts.size())];
      const auto b = chance(50) ? a : kPorts[prng_.below(kPorts.size())];
      rule.ports.push_back({kProtocols[prng_.below(chance(60) ? 1 : 3)], {std::min(a, b), std::max(a, b)}});
    }
  }
  return rule;
}

void RandomPolicies::change_direction(RandomDirection& direction) {
  if (chance(25)) direction.isolated = !direction.isolated;
  if (chance(10)) direction.strict = !direction.strict;
  if (chance(15)) direction.rules.clear();
  if (!direction.rules.empty() && chance(30)) direction.rules.erase(direction.rules.begin());
  if (!rules_.empty() && chance(80)) {
    auto it = rules_.begin();
    std::advance(it, static_cast<std::ptrdiff_t>(prng_.below(rules_.size())));
    direction.rules.insert(it->first);
    // As a resolver would: rules of NetworkPolicies come with isolation.
    if (it->second.tier == Tier::network_policy && chance(95)) direction.isolated = true;
  }
  if (chance(8)) direction.audit_isolates = !direction.audit_isolates;
  if (chance(5)) direction.audit_is_strict = !direction.audit_is_strict;
  for (const auto id : direction.rules) {
    if (chance(8)) direction.audited.insert(id);
    if (chance(15)) direction.audited.erase(id);
  }
}

void RandomPolicies::change_endpoint() {
  static constexpr std::array<std::uint32_t, 7> kInterfaces{5, 6, 65536 + 5, 65536 + 6, 2 * 65536 + 5, 9, 11};
  const std::uint32_t ifindex = kInterfaces[prng_.below(kInterfaces.size())];
  const auto found = endpoints_.find(ifindex);
  if (found == endpoints_.end()) {
    RandomEndpoint endpoint;
    endpoint.id = next_endpoint_++;
    // Often with the very rules of another one.
    if (!endpoints_.empty() && chance(50)) {
      auto it = endpoints_.begin();
      std::advance(it, static_cast<std::ptrdiff_t>(prng_.below(endpoints_.size())));
      endpoint.directions = it->second.directions;
    }
    endpoints_[ifindex] = endpoint;
    return;
  }
  if (chance(12)) {
    endpoints_.erase(found);
  } else if (endpoints_.size() > 1 && chance(25)) {
    auto it = endpoints_.begin();
    std::advance(it, static_cast<std::ptrdiff_t>(prng_.below(endpoints_.size())));
    found->second.directions = it->second.directions;
  } else {
    change_direction(found->second.directions[prng_.below(2)]);
  }
}

// ClusterIPs lie where pods and blocks lie too: they must win over both.
void RandomPolicies::change_service() {
  if (services_.size() < 5 || chance(10)) {
    services_[some_address()];
  }
  auto it = services_.begin();
  std::advance(it, static_cast<std::ptrdiff_t>(prng_.below(services_.size())));
  if (chance(8)) {
    services_.erase(it);
    return;
  }
  static constexpr std::array<Protocol, 3> kProtocols{Protocol::tcp, Protocol::udp, Protocol::sctp};
  const std::pair place(kProtocols[prng_.below(chance(60) ? 1 : 3)], kPorts[prng_.below(kPorts.size())]);
  if (chance(10)) {
    it->second.ports.erase(place);
    return;
  }
  auto& port = it->second.ports[place];
  const auto target = kPorts[prng_.below(kPorts.size())];
  if (!endpoints_.empty() && chance(30)) {
    auto endpoint = endpoints_.begin();
    std::advance(endpoint, static_cast<std::ptrdiff_t>(prng_.below(endpoints_.size())));
    const std::pair backend(endpoint->second.id, target);
    if (!port.endpoints.erase(backend)) port.endpoints.insert(backend);
    return;
  }
  for (std::uint64_t n = 1 + prng_.below(3); n > 0; --n) {
    // Mostly pods that rules name, else nobody would ever disagree.
    auto members = selectors_.begin();
    std::advance(members, static_cast<std::ptrdiff_t>(prng_.below(selectors_.size())));
    const bool named = !members->second.empty() && chance(70);
    const std::pair backend(named ? *members->second.begin() : some_address(), target);
    if (!port.backends.erase(backend)) port.backends.insert(backend);
  }
}

ResolvedService RandomPolicies::resolved(const IpAddress& address, const RandomService& service) const {
  ResolvedService out;
  out.address = address;
  for (const auto& [place, port] : service.ports) {
    ResolvedServicePort& added = out.ports.emplace_back();
    std::tie(added.protocol, added.port) = place;
    added.service = {"default", "service-" + address.to_string()};
    for (const auto& [backend, target] : port.backends) {
      if (backend.family() == address.family()) added.backends.push_back({backend, target, {}});
    }
    for (const auto& [ifindex, endpoint] : endpoints_) {
      const auto& egress = endpoint.directions[PN_EGRESS];
      const bool judged = egress.isolated || egress.strict || !egress.rules.empty();
      for (const auto& [id, target] : port.endpoints) {
        if (id != endpoint.id) continue;
        added.backends.push_back({pod_address(id, address.family()), target, EndpointId{judged ? id : 0}});
      }
    }
    std::sort(added.backends.begin(), added.backends.end());
  }
  return out;
}

void RandomPolicies::change_members() {
  auto it = selectors_.begin();
  std::advance(it, static_cast<std::ptrdiff_t>(prng_.below(selectors_.size())));
  const IpAddress address = some_address();
  if (!it->second.erase(address)) it->second.insert(address);
}

void RandomPolicies::change_once() {
  switch (prng_.below(12)) {
    case 0:
    case 1:
    case 2:
      change_members();
      return;
    case 3:
    case 4:
      rules_[next_rule_++] = some_rule();
      return;
    case 5:
      if (!rules_.empty()) {
        auto it = rules_.begin();
        std::advance(it, static_cast<std::ptrdiff_t>(prng_.below(rules_.size())));
        it->second = some_rule();
      }
      return;
    case 6:
      if (chance(30)) {
        const IpAddress address = some_address();
        if (!own_node_.erase(address)) own_node_.insert(address);
      }
      if (chance(10)) settings_.spoof_check = !settings_.spoof_check;
      if (chance(10)) settings_.events = static_cast<EventMode>(prng_.below(4));
      return;
    case 7:
    case 8:
      change_service();
      return;
    default:
      change_endpoint();
      return;
  }
}

void RandomPolicies::change() {
  for (std::uint64_t n = 1 + prng_.below(chance(20) ? 12 : 3); n > 0; --n) change_once();
}

void RandomPolicies::add_rule_to_isolated_endpoint() {
  RandomRule rule = some_rule();
  rule.tier = Tier::network_policy;
  rule.action = Action::accept;
  rule.priority = rule.policy = 0;
  const std::uint32_t id = next_rule_++;
  rules_[id] = rule;
  for (auto& [ifindex, endpoint] : endpoints_) {
    for (auto& direction : endpoint.directions) {
      if (direction.isolated) direction.rules.insert(id);
    }
  }
}

std::vector<std::string> RandomPolicies::keys_of(const std::string& peer) const {
  const auto block = blocks_.find(peer);
  if (!split_blocks || block == blocks_.end() ||
      block->second.cidr.prefix_length() == block->second.cidr.network().bits()) {
    return {peer};
  }
  return {peer + " low", peer + " high"};
}

ResolvedRule RandomPolicies::resolved(std::uint32_t id, const RandomRule& rule,
                                      const std::map<std::string, TermIndex>& places) const {
  ResolvedRule out;
  out.tier = rule.tier;
  out.action = rule.action;
  out.priority = rule.priority;
  out.policy = rule.policy;
  out.id = RuleId{id};
  out.any_peer = rule.any_peer;
  for (const auto& peer : rule.peers) {
    for (const auto& key : keys_of(peer)) out.peers.push_back(places.at(key));
  }
  std::sort(out.peers.begin(), out.peers.end());
  out.names_cluster_ips = rule.names_cluster_ips;
  out.any_port = rule.any_port;
  for (const auto& port : rule.ports) {
    if (!split_ports || port.range.lo == port.range.hi) {
      out.ports.push_back(port);
      continue;
    }
    const auto middle = static_cast<std::uint16_t>(port.range.lo + (port.range.hi - port.range.lo) / 2);
    out.ports.push_back({port.protocol, {port.range.lo, middle}});
    out.ports.push_back({port.protocol, {static_cast<std::uint16_t>(middle + 1), port.range.hi}});
  }
  std::sort(out.ports.begin(), out.ports.end());
  out.ports.erase(std::unique(out.ports.begin(), out.ports.end()), out.ports.end());
  return out;
}

DirectionPolicy RandomPolicies::resolved(const RandomDirection& direction,
                                         const std::map<std::string, TermIndex>& places) const {
  DirectionPolicy out;
  out.isolated = direction.isolated;
  out.strict = direction.strict;
  DirectionRules with_audit;
  with_audit.isolated = direction.isolated || direction.audit_isolates;
  with_audit.strict = direction.strict || direction.audit_is_strict;
  for (const auto id : direction.rules) {
    with_audit.rules.push_back(resolved(id, rules_.at(id), places));
    if (!direction.audited.contains(id)) out.rules.push_back(with_audit.rules.back());
  }
  const bool audits = with_audit.isolated != out.isolated || with_audit.strict != out.strict ||
                      with_audit.rules.size() != out.rules.size();
  if (audits) out.if_enforced = std::move(with_audit);
  return out;
}

ResolvedPolicy RandomPolicies::policy() const {
  std::set<std::string> used;
  for (const auto& [ifindex, endpoint] : endpoints_) {
    for (const auto& direction : endpoint.directions) {
      for (const auto id : direction.rules)
        used.insert(rules_.at(id).peers.begin(), rules_.at(id).peers.end());
    }
  }
  std::map<std::string, Term> terms;
  const auto add_block = [&](const std::string& key, const Cidr& cidr, const std::vector<Cidr>& excepts) {
    terms[key] = {key, TermKind::block, {}, {cidr, excepts}};
  };
  for (const auto& peer : used) {
    const auto block = blocks_.find(peer);
    if (block == blocks_.end()) {
      const auto& members = selectors_.at(peer);
      terms[peer] = {peer, TermKind::addresses, {members.begin(), members.end()}, {}};
    } else if (keys_of(peer).size() == 1) {
      add_block(peer, block->second.cidr, block->second.excepts);
    } else {
      const auto [low, high] = halves(block->second.cidr);
      add_block(peer + " low", low, block->second.excepts);
      add_block(peer + " high", high, block->second.excepts);
    }
  }
  if (idle_terms) {
    terms["idle pods"] = {"idle pods", TermKind::addresses, {IpAddress::v4(0x0a000001)}, {}};
    terms["an idle block"] = {"an idle block", TermKind::block, {}, {Cidr(IpAddress::v4(0x0a000000), 9), {}}};
  }

  ResolvedPolicy policy;
  std::map<std::string, TermIndex> places;
  for (const auto& [key, term] : terms) {
    places[key] = static_cast<TermIndex>(policy.terms.size());
    policy.terms.push_back(term);
  }
  policy.own_node.assign(own_node_.begin(), own_node_.end());
  for (const auto& [ifindex, endpoint] : endpoints_) {
    EndpointPolicy out;
    out.endpoint = EndpointId{endpoint.id};
    out.ifindex = ifindex;
    out.pod = {"default", "pod-" + std::to_string(endpoint.id)};
    out.addresses = {pod_address(endpoint.id, IpFamily::v4), pod_address(endpoint.id, IpFamily::v6)};
    for (std::size_t i = 0; i < 2; ++i) out.directions[i] = resolved(endpoint.directions[i], places);
    policy.endpoints.push_back(std::move(out));
  }
  for (const auto& [address, service] : services_) policy.services.push_back(resolved(address, service));
  std::sort(policy.endpoints.begin(), policy.endpoints.end(),
            [](const EndpointPolicy& a, const EndpointPolicy& b) { return a.endpoint < b.endpoint; });
  return policy;
}

std::vector<Question> RandomPolicies::questions() const {
  std::set<IpAddress> peers;
  // The ends of both families, and the IPv6 addresses that surround the numbers of IPv4.
  for (const char* edge :
       {"0.0.0.0", "255.255.255.255", "10.0.0.3", "127.0.0.1", "::", "::1", "::fffe:ffff:ffff", "::1:0:0:0",
        "fd00::3", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"}) {
    peers.insert(*IpAddress::parse(edge));
  }
  for (const auto& [key, members] : selectors_) peers.insert(members.begin(), members.end());
  peers.insert(own_node_.begin(), own_node_.end());
  for (const auto& [address, service] : services_) peers.insert(address);
  const auto add_ends = [&](const Cidr& block) {
    for (const IpAddress& end : {block.network(), block.last()}) {
      for (const IpAddress& peer : {end, neighbour(end, false), neighbour(end, true)}) {
        // An IPv6 packet cannot carry a number of IPv4 (engine/abi/address.h).
        if (peer.is_v4() || pn_is_v4(table_address(peer)) == 0) peers.insert(peer);
      }
    }
  };
  std::set<std::string> used;
  for (const auto& [id, rule] : rules_) used.insert(rule.peers.begin(), rule.peers.end());
  for (const auto& [key, block] : blocks_) {
    if (!used.contains(key)) continue;
    add_ends(block.cidr);
    for (const auto& except : block.excepts) add_ends(except);
  }
  static constexpr std::array<std::pair<std::uint8_t, std::uint16_t>, 10> kTransports{
      {{6, 0}, {6, 79}, {6, 80}, {6, 81}, {6, 256}, {6, 65535}, {17, 80}, {132, 8080}, {1, 0}, {47, 0}}};
  std::vector<Question> questions;
  for (const auto& [ifindex, endpoint] : endpoints_) {
    for (const std::uint32_t direction : {PN_INGRESS, PN_EGRESS}) {
      for (const auto& peer : peers) {
        for (const auto& [protocol, port] : kTransports)
          questions.push_back({ifindex, direction, peer, protocol, port});
      }
      for (const auto& [address, service] : services_) {
        for (const auto& [place, port] : service.ports) {
          const auto protocol = static_cast<std::uint8_t>(place.first);
          questions.push_back({ifindex, direction, address, protocol, place.second});
        }
      }
    }
  }
  return questions;
}

std::uint32_t judged(const ResolvedPolicy& policy, const Question& question) {
  for (const auto& endpoint : policy.endpoints) {
    if (endpoint.ifindex != question.ifindex) continue;
    const auto direction = static_cast<Direction>(question.direction);
    if (!endpoint.at(direction).judged()) return kNotJudged;
    return judge(policy, endpoint, direction, question.peer, question.protocol, question.port);
  }
  return kNotJudged;
}

std::string to_string(const Question& question) {
  return "interface " + std::to_string(question.ifindex) +
         (question.direction == PN_INGRESS ? " ingress" : " egress") + " peer " + question.peer.to_string() +
         " protocol " + std::to_string(question.protocol) + " port " + std::to_string(question.port);
}

std::string step_text(std::uint32_t step) {
  if (step == kNotJudged) return "not judged";
  if (step == kBroken) return "broken";
  return std::string(pn_step_allows(step) ? "allow" : "deny") + " reason " +
         std::to_string(pn_step_reason(step)) + " rule " + std::to_string(pn_step_rule(step));
}

}  // namespace postern
