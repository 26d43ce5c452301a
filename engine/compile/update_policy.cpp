// SPDX-License-Identifier: Apache-2.0
// Reading what the policy asks for, and the words that hold for the whole node.
#include <algorithm>
#include <cstring>

#include "engine/compile/bundles.h"
#include "engine/compile/update.h"

namespace postern {

namespace {

constexpr std::uint32_t kEndpointMax = 0xffffff;  // conntrack keys have 24 bits for it

// The highest number among an endpoint's rules.
Result<std::uint32_t> check_rules(const EndpointPolicy& endpoint, std::size_t terms) {
  std::uint32_t highest = 0;
  for (const auto& direction : endpoint.directions) {
    for (const auto& rule : direction.with_audit().rules) {
      if (rule.id.value > PN_RULE_ID_MAX) {
        return fail(ErrorCode::table_full, "rule " + std::to_string(rule.id.value) + " of " +
                                               endpoint.pod.to_string() + ": steps have room for " +
                                               std::to_string(PN_RULE_ID_MAX) + " rules");
      }
      for (const TermIndex term : rule.peers) {
        if (term < terms) continue;
        return fail(ErrorCode::internal,
                    "rule " + std::to_string(rule.id.value) + " of " + endpoint.pod.to_string() +
                        " names term " + std::to_string(term) + ", but there are " + std::to_string(terms));
      }
      highest = std::max(highest, rule.id.value);
    }
  }
  return highest;
}

std::uint32_t ticks(Duration duration, const TickClock& clock) {
  const std::int64_t count = (duration.ns + clock.tick_ns - 1) / clock.tick_ns;
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>(count, 1, 0x7fffffff));
}

}  // namespace

void write_timeouts(const ConntrackTimeouts& timeouts, const TickClock& clock, pn_node& node) {
  const auto set = [&](pn_timeout which, Duration duration) { node.timeouts[which] = ticks(duration, clock); };
  set(PN_TIMEOUT_TCP_SYN, timeouts.tcp_syn);
  set(PN_TIMEOUT_TCP_ESTABLISHED, timeouts.tcp_established);
  set(PN_TIMEOUT_TCP_FIN, timeouts.tcp_fin);
  set(PN_TIMEOUT_TCP_CLOSED, timeouts.tcp_closed);
  set(PN_TIMEOUT_TCP_RST, timeouts.tcp_rst);
  set(PN_TIMEOUT_UDP, timeouts.udp);
  set(PN_TIMEOUT_UDP_REPLIED, timeouts.udp_replied);
  set(PN_TIMEOUT_SCTP, timeouts.sctp);
  set(PN_TIMEOUT_ICMP, timeouts.icmp);
}

Result<void> Update::read_policy() {
  const ResolvedPolicy& policy = input_.policy;
  for (const auto& endpoint : policy.endpoints) {
    const auto highest = check_rules(endpoint, policy.terms.size());
    if (!highest) return fail_as(highest);
    highest_rule_ = std::max(highest_rule_, *highest);
  }
  const auto term_ids = number_terms();
  read_services();
  return read_endpoints(term_ids);
}

// Numbers of the terms that rules name; a term that no rule names splits no class.
std::vector<TermId> Update::number_terms() {
  const ResolvedPolicy& policy = input_.policy;
  const auto bundles = bundle_terms(policy);
  std::vector<TermId> term_ids(policy.terms.size());
  std::map<std::uint32_t, std::vector<TermId>> members;
  for (std::size_t i = 0; i < policy.terms.size(); ++i) {
    if (bundles[i] == 0) continue;
    term_ids[i] = pools_.terms.id_of(policy.terms[i].key);
    members[bundles[i]].push_back(term_ids[i]);
    used_terms_.push_back(term_ids[i]);
  }
  std::vector<BundledTerm> terms;
  for (auto& [number, ids] : members) {
    std::sort(ids.begin(), ids.end());
    const BundleId bundle = pools_.bundles.id_of(ids);
    for (const TermId id : ids) bundle_of_.emplace(id, bundle);
    used_bundles_.push_back(bundle);
  }
  for (std::size_t i = 0; i < policy.terms.size(); ++i) {
    if (bundles[i] != 0) terms.push_back({bundle_of_.at(term_ids[i]), &policy.terms[i]});
  }
  std::sort(used_terms_.begin(), used_terms_.end());
  std::sort(used_bundles_.begin(), used_bundles_.end());
  std::sort(terms.begin(), terms.end(),
            [](const BundledTerm& a, const BundledTerm& b) { return a.bundle < b.bundle; });
  addresses_ = sign_addresses(terms, policy.own_node, pools_.signatures);
  after_.blocks = before_.blocks || addresses_.has_blocks;
  return term_ids;
}

// ClusterIPs are told apart for egress alone; where none is judged they are addresses like any other.
void Update::read_services() {
  const ResolvedPolicy& policy = input_.policy;
  const bool asked = std::any_of(policy.endpoints.begin(), policy.endpoints.end(), [](const auto& endpoint) {
    return endpoint.at(Direction::egress).judged();
  });
  if (asked) cluster_ips_ = sign_services(policy.services, pools_.signatures, addresses_);
}

Result<void> Update::read_endpoints(const std::vector<TermId>& term_ids) {
  for (const auto& endpoint : input_.policy.endpoints) {
    if (endpoint.endpoint.value == 0 || endpoint.endpoint.value > kEndpointMax || endpoint.ifindex == 0) {
      return fail(ErrorCode::internal,
                  "endpoint " + std::to_string(endpoint.endpoint.value) + " of " + endpoint.pod.to_string() +
                      " on interface " + std::to_string(endpoint.ifindex) +
                      ": both must be above 0, the endpoint at most " + std::to_string(kEndpointMax));
    }
    const auto [found, inserted] = wanted_.try_emplace(endpoint.ifindex);
    if (!inserted) {
      return fail(ErrorCode::internal, "interface " + std::to_string(endpoint.ifindex) + " belongs to " +
                                           found->second.endpoint->pod.to_string() + " and to " +
                                           endpoint.pod.to_string());
    }
    found->second.endpoint = &endpoint;
  }
  std::set<EndpointId> backends;
  for (const auto& service : input_.policy.services) {
    for (const auto& port : service.ports) {
      for (const auto& backend : port.backends) backends.insert(backend.endpoint);
    }
  }
  // Contents get their numbers in the order of interfaces, whatever the order of the endpoints.
  for (auto& [ifindex, wanted] : wanted_) {
    for (const Direction direction : kDirections) {
      wanted.contents[index_of(direction)] =
          pools_.contents.intern(wanted.endpoint->at(direction), direction, term_ids);
    }
    auto& egress = wanted.contents[index_of(Direction::egress)];
    const EndpointId endpoint = wanted.endpoint->endpoint;
    if (egress && backends.contains(endpoint)) egress = pools_.contents.for_backend(egress, endpoint.value);
  }
  return {};
}

// Everything but the epoch, each field that changed as one word.
Result<void> Update::write_node() {
  const CompileSettings& settings = input_.settings;
  pn_node before{};
  if (before_.node) before = *before_.node;
  if (before_.node && before.hash_secret != settings.hash_secret) {
    return fail(ErrorCode::unsupported, "the hash secret cannot change while tables are in use");
  }
  pn_node node = before;
  if (!before_.node) {
    node.epoch = input_.start.epoch;
    node.last_rule = input_.start.last_rule.value;
  }
  node.last_rule = std::max(node.last_rule, highest_rule_);
  node.hash_secret = settings.hash_secret;
  node.flags = settings.strict ? std::uint32_t{PN_NODE_STRICT} : 0u;
  node.hosts_mask = after_.hosts_table.mask();
  const std::uint32_t buckets = input_.tables.sizes().conntrack_buckets;
  node.ct_mask = buckets == 0 ? 0 : buckets - 1;
  node.tick_shift = settings.clock.shift;
  write_timeouts(settings.timeouts, settings.clock, node);
  const std::uint32_t fragments = input_.tables.sizes().fragment_buckets;
  node.fragment_mask = fragments == 0 ? 0 : fragments - 1;
  node.fragment_timeout = ticks(settings.fragment_timeout, settings.clock);

  if (node.hash_secret != before.hash_secret) {
    gone_.store(TableId::node, 0, node.hash_secret, offsetof(pn_node, hash_secret));
  }
  const auto word = [&](std::size_t offset) {
    std::uint32_t old_value = 0;
    std::uint32_t value = 0;
    std::memcpy(&old_value, reinterpret_cast<const std::byte*>(&before) + offset, sizeof(value));
    std::memcpy(&value, reinterpret_cast<const std::byte*>(&node) + offset, sizeof(value));
    if (value != old_value) gone_.store(TableId::node, 0, value, offset);
  };
  for (const std::size_t offset : {offsetof(pn_node, flags), offsetof(pn_node, hosts_mask),
                                   offsetof(pn_node, ct_mask), offsetof(pn_node, tick_shift),
                                   offsetof(pn_node, last_rule), offsetof(pn_node, fragment_mask),
                                   offsetof(pn_node, fragment_timeout)}) {
    word(offset);
  }
  for (std::size_t i = 0; i < PN_TIMEOUT_COUNT; ++i) word(offsetof(pn_node, timeouts) + i * sizeof(pn_u32));
  after_.node = node;
  // The first policy counts as narrower than having none, so epochs start at 1, or above those of the
  // tables before.
  if (!before_.node) narrowed_ = true;
  return {};
}

// Older entries of the connection table are judged again from here on.
void Update::write_epoch() {
  ++after_.node->epoch;
  out_.store(TableId::node, 0, after_.node->epoch, offsetof(pn_node, epoch));
}

std::vector<BackendsDiffer> Update::backends_differ() const {
  std::vector<BackendsDiffer> out;
  std::set<SignatureId> affected;  // few, if any
  for (const auto& [question, ports] : pools_.differing) affected.insert(question.signature);
  for (std::size_t i = 0; i < cluster_ips_.size(); ++i) {
    const ResolvedService& service = input_.policy.services[i];
    const auto* signature = pools_.signatures.service_of(cluster_ips_[i]);
    if (signature == nullptr || !affected.contains(cluster_ips_[i])) continue;
    std::map<std::pair<Protocol, std::uint16_t>, std::vector<EndpointId>> endpoints;
    for (const auto& endpoint : wanted_) {
      const auto& content = endpoint.second.contents[index_of(Direction::egress)];
      if (!content) continue;
      auto question = question_of(*content, cluster_ips_[i], *signature);
      if (const auto& enforced = rules_of(*content).enforced) question.rules = enforced->id;
      const auto found = pools_.differing.find(question);
      if (found == pools_.differing.end()) continue;
      for (const auto& port : found->second) endpoints[port].push_back(endpoint.second.endpoint->endpoint);
    }
    for (const auto& port : service.ports) {
      const auto found = endpoints.find({port.protocol, port.port});
      if (found == endpoints.end()) continue;
      std::sort(found->second.begin(), found->second.end());
      out.push_back({port.service, service.address, port.protocol, port.port, std::move(found->second)});
    }
  }
  std::sort(out.begin(), out.end());
  return out;
}

}  // namespace postern
