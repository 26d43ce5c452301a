// SPDX-License-Identifier: Apache-2.0
#include "test/property_oracle/ground.h"

#include <algorithm>
#include <set>

#include "backends/native/native_backend.h"
#include "sim/packet/packet.h"

namespace postern::property {

namespace {

using oracle::Kind;
using oracle::Reason;
using packet::Packet;

oracle::Direction of(Direction direction) {
  return direction == Direction::ingress ? oracle::Direction::ingress : oracle::Direction::egress;
}

Packet ip_layer(const IpAddress& source, const IpAddress& destination, Protocol protocol) {
  if (source.is_v4()) {
    packet::Ipv4 header{.source = source, .destination = destination};
    if (protocol == kGre) header.protocol = 47;
    return Packet(header);
  }
  packet::Ipv6 header{.source = source, .destination = destination};
  if (protocol == kGre) header.next_header = 47;
  return Packet(header);
}

std::uint8_t tcp_flags(Kind kind) {
  switch (kind) {
    case Kind::syn: return packet::kSyn;
    case Kind::syn_ack: return packet::kSyn | packet::kAck;
    case Kind::fin: return packet::kFin | packet::kAck;
    case Kind::rst: return packet::kRst;
    default: return packet::kAck;
  }
}

Packet icmp_layer(const oracle::Packet& packet) {
  const bool v4 = packet.source.is_v4();
  const bool request = packet.kind == Kind::echo_request;
  std::uint8_t type = 13;  // a timestamp request, and a node information query: neither echo nor error
  if (!v4) type = 139;
  if (packet.kind == Kind::icmp_error) type = v4 ? packet::kIcmpUnreachable : packet::kIcmpv6Unreachable;
  if (packet.kind == Kind::echo_request || packet.kind == Kind::echo_reply) {
    if (v4)
      type = request ? packet::kIcmpEcho : packet::kIcmpEchoReply;
    else
      type = request ? packet::kIcmpv6Echo : packet::kIcmpv6EchoReply;
  }
  if (packet.kind == Kind::discovery)
    return packet::neighbour_solicitation(packet.destination, {2, 0, 0, 0, 0, 1});
  if (v4) return Packet(packet::Icmp{.type = type, .id = packet.source_port});
  return Packet(packet::Icmpv6{.type = type, .id = packet.source_port});
}

Packet transport_layer(const oracle::Packet& packet) {
  switch (packet.protocol) {
    case Protocol::tcp:
      return Packet(packet::Tcp{.source_port = packet.source_port,
                                .destination_port = packet.destination_port,
                                .flags = tcp_flags(packet.kind)});
    case Protocol::udp:
      return Packet(
          packet::Udp{.source_port = packet.source_port, .destination_port = packet.destination_port});
    case Protocol::sctp:
      return Packet(
          packet::Sctp{.source_port = packet.source_port,
                       .destination_port = packet.destination_port,
                       .chunk = packet.kind == Kind::init ? packet::SctpChunk::init : packet::SctpChunk::data,
                       .verification_tag = packet.kind == Kind::init ? 0u : 1u});
    case Protocol::icmp:
    case Protocol::icmpv6: return icmp_layer(packet);
  }
  return Packet(packet::Raw{.bytes = std::vector<std::uint8_t>(16)});
}

EnforcerSettings settings_for(EstablishedFlows established) {
  EnforcerSettings settings;
  settings.established_flows = established;
  settings.hash_secret = 7;
  return settings;
}

// Reasons of rules name their tier.
Tier tier_of(const Classified& got) {
  switch (pn_step_reason(got.step)) {
    case PN_REASON_RULE_ADMIN:
    case PN_REASON_DENIED_ADMIN: return Tier::admin;
    case PN_REASON_RULE_BASELINE:
    case PN_REASON_DENIED_BASELINE: return Tier::baseline;
    default: return Tier::network_policy;
  }
}

std::string names(const std::set<NamespacedName>& policies) {
  std::string out;
  for (const auto& policy : policies) out += " " + policy.to_string();
  return out.empty() ? " nobody" : out;
}

}  // namespace

TableSizes small_tables() {
  TableSizes sizes;
  const auto set = [&](TableId table, std::uint32_t entries) {
    sizes.entries[static_cast<std::size_t>(table)] = entries;
  };
  set(TableId::slots_far, 64);
  set(TableId::pods, 256);
  set(TableId::hosts, 8);
  set(TableId::hosts_far, 512);
  set(TableId::seg, 4096);
  set(TableId::rows, 2048);
  set(TableId::bodies, 2048);
  set(TableId::portdirs, 512);
  set(TableId::portpages, 1024);
  sizes.conntrack_buckets = 64;
  return sizes;
}

std::vector<std::byte> frame_of(const oracle::Packet& packet) {
  Packet whole = packet::Ethernet{} / ip_layer(packet.source, packet.destination, packet.protocol);
  whole.append(transport_layer(packet));
  if (packet.quoted) {
    const auto& quoted = *packet.quoted;
    const oracle::Packet inner{.direction = packet.direction,
                               .source = quoted.source,
                               .destination = quoted.destination,
                               .protocol = quoted.protocol,
                               .kind = Kind::other,
                               .source_port = quoted.source_port,
                               .destination_port = quoted.destination_port,
                               .quoted = {}};
    whole.append(ip_layer(inner.source, inner.destination, inner.protocol));
    whole.append(transport_layer(inner));
  }
  const auto bytes = whole.bytes();
  const auto* data = reinterpret_cast<const std::byte*>(bytes.data());
  return {data, data + bytes.size()};
}

Ground::Ground(EstablishedFlows established)
    : settings_(settings_for(established)),
      enforcer_(std::make_unique<NativeBackend>(small_tables()), settings_) {}

void Ground::follow_pods(const World& world) {
  std::map<NamespacedName, Interface> now;
  for (const auto& [key, pod] : world.objects.pods) {
    const bool finished = pod.phase == PodPhase::succeeded || pod.phase == PodPhase::failed;
    if (pod.host_network || finished || pod.node_name != kOwnNode) continue;
    const auto before = interfaces_.find(key);
    const bool kept = before != interfaces_.end() &&
                      (before->second.addresses == pod.addresses || before->second.addresses.empty());
    Interface interface = kept ? before->second : Interface{};
    // Some in the first table of interfaces, some in the one for high numbers.
    if (!kept) interface.ifindex = next_interface_++ * 20011;
    interface.addresses = pod.addresses;
    now[key] = interface;
  }
  interfaces_ = std::move(now);
}

std::optional<std::string> Ground::follow(const World& world) {
  follow_pods(world);
  settings_.strict = world.strict;
  enforcer_.set_settings(settings_);
  std::vector<LocalEndpoint> endpoints;
  for (const auto& [key, interface] : interfaces_) {
    endpoints.push_back({EndpointId{interface.ifindex / 20011}, interface.ifindex, key});
  }
  const auto done = enforcer_.reconcile(world.objects, endpoints, world.own_node());
  if (!done) return done.error().to_string();
  return std::nullopt;
}

Classified Ground::send(const NamespacedName& pod, const oracle::Packet& packet, Instant now) {
  const auto direction = packet.direction == oracle::Direction::ingress ? PN_INGRESS : PN_EGRESS;
  return enforcer_.backend().injector()->classify(
      interfaces_.at(pod).ifindex, static_cast<std::uint8_t>(direction), frame_of(packet), now);
}

Classified Ground::ask(const World& world, const oracle::Question& question) {
  const IpAddress own = *world.objects.pods.at(question.pod).address(question.peer.family());
  const bool leaves = question.direction == oracle::Direction::egress;
  // Away from every port that questions ask about, so that no question answers another.
  const auto source = static_cast<std::uint16_t>(20000 + next_source_++ % 30000);
  oracle::Packet packet{.direction = question.direction,
                        .source = leaves ? own : question.peer,
                        .destination = leaves ? question.peer : own,
                        .protocol = question.protocol,
                        .kind = Kind::syn,
                        .source_port = source,
                        .destination_port = question.port,
                        .quoted = {}};
  if (question.protocol == Protocol::udp) packet.kind = Kind::datagram;
  if (question.protocol == Protocol::sctp) packet.kind = Kind::init;
  if (question.protocol == Protocol::icmp || question.protocol == Protocol::icmpv6)
    packet.kind = Kind::echo_request;
  return send(question.pod, packet, Instant{std::int64_t{1000} << 30});
}

std::optional<Reason> reason_of(const Classified& got) {
  switch (pn_step_reason(got.step)) {
    case PN_REASON_NONE: return got.allow ? std::optional(Reason::not_isolated) : std::nullopt;
    case PN_REASON_NOT_ISOLATED: return Reason::not_isolated;
    case PN_REASON_RULE:
    case PN_REASON_RULE_ADMIN:
    case PN_REASON_RULE_BASELINE: return Reason::rule;
    case PN_REASON_ESTABLISHED: return Reason::established;
    case PN_REASON_RELATED: return Reason::related;
    case PN_REASON_SELF: return Reason::self;
    case PN_REASON_OWN_NODE: return Reason::own_node;
    case PN_REASON_ALWAYS: return Reason::always;
    case PN_REASON_ISOLATED: return Reason::isolated;
    case PN_REASON_DENIED_ADMIN:
    case PN_REASON_DENIED_BASELINE: return Reason::denied;
    case PN_REASON_STRICT: return Reason::strict;
    case PN_REASON_BACKENDS_DIFFER: return Reason::backends_differ;
    case PN_REASON_NO_BACKEND: return Reason::no_backend;
    case PN_REASON_SPOOFED_SOURCE: return Reason::spoofed_source;
    case PN_REASON_PROTOCOL: return Reason::protocol;
    default: return std::nullopt;
  }
}

bool would_deny(const Classified& got) { return pn_step_reason(got.step) == PN_REASON_WOULD_DENY; }

std::string to_string(const Classified& got) {
  if (would_deny(got)) return "allow, would deny, rule " + std::to_string(pn_step_said_rule(got.step));
  const auto reason = reason_of(got);
  return std::string(got.allow ? "allow " : "deny ") +
         (reason ? oracle::to_string(*reason) : "reason number " + std::to_string(pn_step_reason(got.step))) +
         " rule " + std::to_string(pn_step_rule(got.step));
}

std::optional<std::string> difference(const oracle::Verdict& expected, const Classified& got,
                                      const RuleRegistry& rules) {
  const auto reason = reason_of(got);
  std::string said =
      "the tables say " + to_string(got) + ", the oracle " + (expected.allow ? "allow" : "deny");
  for (const auto true_reason : expected.reasons) said += " " + oracle::to_string(true_reason);
  if (expected.would_deny) said += ", would deny";
  if (would_deny(got) != expected.would_deny) return said;
  if (expected.would_deny) return expected.allow && got.allow ? std::nullopt : std::optional(said);
  if (got.allow != expected.allow || !reason || !expected.reasons.contains(*reason)) return said;
  const std::uint32_t id = pn_step_rule(got.step);
  const bool by_rule = *reason == Reason::rule || *reason == Reason::denied;
  if (id == 0) return by_rule ? std::optional(said + ": which rule?") : std::nullopt;
  const RuleOrigin* origin = rules.find(RuleId{id});
  if (origin == nullptr) return said + ": unknown rule";
  const oracle::RuleName name{origin->policy.key, of(origin->direction), origin->index, tier_of(got)};
  if (expected.rules.contains(name)) return std::nullopt;
  return said + ": rule " + std::to_string(name.index) + " of " + name.policy.to_string() +
         " does not say so";
}

std::optional<std::string> difference_in_isolation(const World& world, const ResolvedPolicy& policy) {
  for (const auto& endpoint : policy.endpoints) {
    for (const auto direction : kDirections) {
      const auto& resolved = endpoint.at(direction);
      std::set<NamespacedName> got;
      for (const auto& ref : resolved.isolating) got.insert(ref.key);
      // Any question will do: isolation does not depend on it.
      const auto expected =
          oracle::verdict(world.cluster(), {endpoint.pod, of(direction), {}, Protocol::tcp, 1});
      if (got == expected.isolating) continue;
      return endpoint.pod.to_string() + " " + to_string(direction) + " is isolated by" + names(got) +
             ", the oracle says" + names(expected.isolating);
    }
  }
  return std::nullopt;
}

}  // namespace postern::property
