// SPDX-License-Identifier: Apache-2.0
#include "agent/flow/flow_names.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "engine/enforce/event_address.h"
#include "engine/explain/explain.h"

namespace postern::agent {
namespace {

bool is_icmp(std::uint8_t protocol) { return protocol == 1 || protocol == 58; }

bool is_tcp_udp_or_sctp(std::uint8_t protocol) { return protocol == 6 || protocol == 17 || protocol == 132; }

const EndpointPolicy* find_endpoint(const ResolvedPolicy& policy, std::uint32_t number) {
  const auto found = std::lower_bound(
      policy.endpoints.begin(), policy.endpoints.end(), number,
      [](const EndpointPolicy& endpoint, std::uint32_t wanted) { return endpoint.endpoint.value < wanted; });
  return found != policy.endpoints.end() && found->endpoint.value == number ? &*found : nullptr;
}

}  // namespace

std::size_t FlowNames::Hash::operator()(const IpAddress& address) const {
  std::uint64_t words[2];
  std::memcpy(words, address.bytes().data(), sizeof words);
  return static_cast<std::size_t>((words[0] * 0x9e3779b97f4a7c15ull) ^ (words[1] * 0xc2b2ae3d27d4eb4full) >> 17);
}

// Pods of the host's network share the node's address: it names none of them.
void FlowNames::refresh(std::uint64_t now_ns) {
  const bool young = indexes_ != 0 && now_ns < made_ns_ + static_cast<std::uint64_t>(kLeastAge.ns);
  if (!changed_ || young) return;
  changed_ = false;
  made_ns_ = now_ns;
  ++indexes_;
  by_address_.clear();
  for (const auto& [key, pod] : sources_.cluster().pods) {
    if (pod.host_network || !pod.live()) continue;
    for (const auto& address : pod.addresses) by_address_[address] = {key, pod.workload};
  }
}

void FlowNames::name_end(FlowEnd& end) const {
  const auto found = by_address_.find(end.address);
  if (found == by_address_.end()) return;
  end.pod = found->second.pod;
  end.workload = found->second.workload;
}

// A policy of the whole cluster is found by its name; one that has gone since had been of some tier.
pn_tier FlowNames::tier_of(const PolicyRef& policy) const {
  if (policy.kind == PolicyKind::network_policy) return PN_TIER_NETWORK_POLICY;
  const auto& policies = sources_.cluster().cluster_network_policies;
  const auto found = policies.find(policy.key.name);
  if (found == policies.end()) return PN_TIER_DEFAULT;
  return found->second.tier == Tier::admin ? PN_TIER_ADMIN : PN_TIER_BASELINE;
}

void FlowNames::name_rule(FlowRecord& record, std::uint32_t step) const {
  const RuleOrigin* origin = sources_.rules().find(RuleId{pn_step_said_rule(step)});
  if (origin == nullptr) return;
  record.rule = FlowRule{origin->policy, origin->index + 1};
  // These reasons are of no tier by themselves; their rule's policy is.
  const bool of_its_rule = record.reason == PN_REASON_ESTABLISHED || record.reason == PN_REASON_GRACE ||
                           record.reason == PN_REASON_WOULD_DENY;
  if (of_its_rule) record.tier = tier_of(origin->policy);
}

// The pod whose policy was asked is known by its number, whatever addresses the packet has.
void FlowNames::name_endpoint(FlowRecord& record, const pn_event& event) const {
  const EndpointPolicy* endpoint = find_endpoint(sources_.policy(), event.endpoint);
  if (endpoint == nullptr) return;
  FlowEnd& own = record.direction == Direction::ingress ? record.destination : record.source;
  if (own.pod != endpoint->pod) {
    own.pod = endpoint->pod;
    const auto& pods = sources_.cluster().pods;
    const auto found = pods.find(own.pod);
    own.workload = found == pods.end() ? std::string() : found->second.workload;
  }
  const DirectionPolicy& policy = endpoint->at(record.direction);
  const bool would_deny = record.reason == PN_REASON_WOULD_DENY;
  if (pn_step_said_reason(event.step) != PN_REASON_ISOLATED) return;
  const DirectionRules& said = would_deny ? policy.with_audit() : policy;
  for (const auto& isolating : said.isolating) record.isolating.push_back(isolating.key);
}

FlowRecord FlowNames::name(const pn_event& event, std::int64_t unix_offset_ns) {
  refresh(event.time_ns);
  FlowRecord record;
  record.unix_ns = static_cast<std::int64_t>(event.time_ns) + unix_offset_ns;
  record.node = sources_.node;
  record.direction = event.direction == PN_EGRESS ? Direction::egress : Direction::ingress;
  record.family = event.family;
  record.protocol = event.protocol;
  record.source.address = event_address(event.source, event.family);
  record.destination.address = event_address(event.destination, event.family);
  if (is_icmp(event.protocol)) {
    record.icmp_type = static_cast<std::uint8_t>(event.source_port >> 8);
    record.icmp_code = static_cast<std::uint8_t>(event.source_port);
  } else if (is_tcp_udp_or_sctp(event.protocol)) {
    record.source.port = event.source_port;
    record.destination.port = event.destination_port;
  }
  record.tcp_flags = event.tcp_flags;
  record.allowed = pn_step_allows(event.step) != 0;
  record.reason = pn_step_reason(event.step);
  record.tier = tier_of_reason(record.reason);
  if (record.reason == PN_REASON_WOULD_DENY) {
    const std::uint32_t denial = pn_step_said_reason(event.step);
    record.would_deny = denial == PN_REASON_NONE ? "denied" : reason_name(denial);
    record.tier = tier_of_reason(denial);
  }
  record.ifindex = event.ifindex;
  record.interface = sources_.interface_name(event.ifindex);
  record.bytes = event.length;
  record.cpu = event.cpu;
  record.sequence = event.sequence;
  if (event.family != 0) {
    name_end(record.source);
    name_end(record.destination);
  }
  name_rule(record, event.step);
  name_endpoint(record, event);
  return record;
}

}  // namespace postern::agent
