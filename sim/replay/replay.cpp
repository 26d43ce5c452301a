// SPDX-License-Identifier: Apache-2.0
#include "sim/replay/replay.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "engine/policy/policy_endpoints.h"
#include "sim/replay/flow_table.h"
#include "sim/replay/flow_words.h"
#include "sim/replay/packet_facts.h"

namespace postern::sim {

namespace {

constexpr std::uint32_t kFirstIfindex = 100;
// Frames longer than any IP packet are offloaded ones; judging needs their headers only.
constexpr std::size_t kLongestFrame = 65535 + 32;
// Fragmented midstream packets whose later fragments are still expected.
constexpr std::size_t kRememberedFragments = 4096;

struct LocalPod {
  NamespacedName key;
  EndpointId endpoint;
  std::uint32_t ifindex = 0;
  NodeEnforcer* node = nullptr;
  PacketInjector* injector = nullptr;
};

struct NodePlan {
  std::vector<LocalEndpoint> endpoints;
  std::vector<std::size_t> pods;  // indexes into the list of local pods
};

using FragmentKey = std::tuple<IpAddress, IpAddress, std::uint32_t, std::uint8_t>;

// What one end said of one packet.
struct EndSaid {
  const LocalPod* pod = nullptr;
  Direction direction = Direction::ingress;
  Classified classified;

  [[nodiscard]] bool would_deny() const { return pn_step_reason(classified.step) == PN_REASON_WOULD_DENY; }
  // Of a would-deny, of the denial.
  [[nodiscard]] std::uint32_t reason() const { return pn_step_said_reason(classified.step); }
  [[nodiscard]] RuleId rule() const { return RuleId{pn_step_said_rule(classified.step)}; }
};

}  // namespace

struct Replay::State {
  ClusterSnapshot cluster;
  ReplaySettings settings;
  std::vector<std::unique_ptr<NodeEnforcer>> nodes;
  std::vector<LocalPod> pods;
  std::unordered_map<IpAddress, std::size_t, AddressHash> by_address;
  FlowTable flows;
  ReplayTotals totals;
  // Counted by small numbers, named at the end.
  using ByRule = std::map<std::pair<const NodeEnforcer*, RuleId>, std::uint64_t>;
  using ByEnd = std::map<std::pair<const LocalPod*, Direction>, std::uint64_t>;
  ByRule rule_hits;
  ByRule rule_would_hits;
  ByEnd isolation_denials;
  ByEnd isolation_would_denials;
  std::set<FragmentKey> midstream_fragments;
  std::vector<std::byte> padded;
  Instant now;

  Result<void> set_up(const BackendFactory& factory);
  Result<void> set_up_node(const std::string& name, const NodePlan& plan, const BackendFactory& factory);
  const LocalPod* pod_of(const IpAddress& address) const;

  void judge(const CapturedPacket& packet, std::size_t capture);
  bool is_midstream(const PacketFacts& facts, TrackedFlow& flow);
  // The end that decides: the one that denies, or the first that would; or none.
  std::optional<EndSaid> objection_to(const CapturedPacket& packet, const PacketFacts& facts);
  EndSaid ask(const LocalPod& pod, Direction direction, std::span<const std::byte> frame);
  void account(const EndSaid& said);
  // Null: the node does not know the pod.
  static const DirectionPolicy* direction_policy(const LocalPod& pod, Direction direction);
  static std::vector<PolicyRef> isolating(const LocalPod& pod, Direction direction, bool with_audit);
  static Denial denial_of(const EndSaid& said);
  std::vector<PolicyAccount> policies() const;
};

Result<Vantage> parse_vantage(std::string_view text) {
  if (text == "pod-veth") return Vantage::pod_veth;
  return fail(ErrorCode::invalid_input, "vantage \"" + std::string(text) + "\": expected pod-veth");
}

std::string FlowEnd::to_string() const {
  const std::string name = pod ? pod->to_string() : address.to_string();
  if (port == 0) return name;
  return (pod || address.is_v4() ? name : "[" + name + "]") + ":" + std::to_string(port);
}

Replay::Replay(std::unique_ptr<State> state) : state_(std::move(state)) {}
Replay::~Replay() = default;
Replay::Replay(Replay&&) noexcept = default;
Replay& Replay::operator=(Replay&&) noexcept = default;

Result<Replay> Replay::start(const ClusterSnapshot& cluster, const ReplaySettings& settings,
                             const BackendFactory& factory) {
  auto state = std::make_unique<State>();
  state->cluster = cluster;
  state->settings = settings;
  state->settings.enforcer.events = EventMode::off;  // verdicts come straight from the injector
  if (auto done = state->set_up(factory); !done) return fail_as(done);
  return Replay(std::move(state));
}

Result<void> Replay::State::set_up(const BackendFactory& factory) {
  std::map<std::string, NodePlan> plans;
  for (const auto& [key, pod] : cluster.pods) {
    if (!pod.live() || pod.host_network) continue;
    LocalPod local;
    local.key = key;
    local.endpoint.value = static_cast<std::uint32_t>(pods.size() + 1);
    local.ifindex = kFirstIfindex + local.endpoint.value;
    for (const auto& address : pod.addresses) by_address.emplace(address, pods.size());
    auto& plan = plans[pod.node_name];
    plan.endpoints.push_back({local.endpoint, local.ifindex, key});
    plan.pods.push_back(pods.size());
    pods.push_back(std::move(local));
  }
  for (const auto& [name, plan] : plans) {
    if (auto done = set_up_node(name, plan, factory); !done) return done;
  }
  return {};
}

Result<void> Replay::State::set_up_node(const std::string& name, const NodePlan& plan,
                                        const BackendFactory& factory) {
  auto backend = factory(settings.limits);
  if (!backend) return fail_as(backend);
  PacketInjector* injector = (*backend)->injector();
  if (injector == nullptr) {
    return fail(ErrorCode::internal, "backend " + std::string((*backend)->name()) +
                                         " cannot classify single packets: it cannot replay");
  }
  auto enforcer = std::make_unique<NodeEnforcer>(std::move(*backend), settings.enforcer);
  std::vector<IpAddress> own_node;
  if (const auto node = cluster.nodes.find(name); node != cluster.nodes.end()) {
    for (const auto& entry : node->second.addresses) own_node.push_back(entry.address);
  }
  if (auto done = enforcer->reconcile(cluster, plan.endpoints, own_node); !done) return done;
  for (const auto index : plan.pods) {
    pods[index].node = enforcer.get();
    pods[index].injector = injector;
  }
  nodes.push_back(std::move(enforcer));
  return {};
}

const LocalPod* Replay::State::pod_of(const IpAddress& address) const {
  const auto found = by_address.find(address);
  return found == by_address.end() ? nullptr : &pods[found->second];
}

void Replay::judge(const CapturedPacket& packet, std::size_t capture) {
  state_->judge(packet, capture);
}

void Replay::State::judge(const CapturedPacket& packet, std::size_t capture) {
  ++totals.packets;
  totals.bytes += packet.wire_length;
  now = std::max(now, packet.at);
  const PacketFacts facts = read_packet(packet.frame, packet.original_length);
  if (!facts.has_addresses) {
    ++(facts.headers_cut ? totals.truncated : facts.ip ? totals.no_pod : totals.not_ip);
    return;
  }
  const LocalPod* source = pod_of(facts.source);
  const LocalPod* destination = pod_of(facts.destination);
  if (source == nullptr && destination == nullptr) {
    ++totals.no_pod;
    return;
  }
  const auto [flow, fresh, forward] = flows.place(facts, now);
  if (fresh) {
    flow->row.first = now;
    for (auto* end : {&flow->row.from, &flow->row.to}) {
      if (const auto* pod = pod_of(end->address)) end->pod = pod->key;
    }
  }
  flow->row.last = now;
  ++flow->row.packets;
  flow->row.bytes += packet.wire_length;
  if (facts.headers_cut) {
    ++totals.truncated;
    ++flow->row.truncated;
    return;
  }
  if (is_midstream(facts, *flow)) {
    ++totals.midstream;
    ++flow->row.midstream;
    return;
  }
  ++totals.judged;
  const auto objection = objection_to(packet, facts);
  const bool would = objection && objection->would_deny();
  const bool drop = objection && !would;
  ++(drop ? totals.denied : totals.allowed);
  ++(drop ? flow->row.denied : flow->row.allowed);
  if (would) {
    ++totals.would_deny;
    ++flow->row.would_deny;
  }
  if (!objection) return;
  auto& first = would ? flow->row.first_would_deny : flow->row.first_denial;
  if (first) return;
  first = denial_of(*objection);
  first->capture = capture;
  first->packet = packet.number;
  (would ? flow->would_deny_forward : flow->denied_forward) = forward;
}

// A TCP packet of a connection whose opening is not in the capture.
bool Replay::State::is_midstream(const PacketFacts& facts, TrackedFlow& flow) {
  const FragmentKey fragment{facts.source, facts.destination, facts.fragment_id, facts.fragment_protocol};
  if (facts.later_fragment) return midstream_fragments.contains(fragment);
  if (!facts.is_tcp()) return false;
  flow.opened = flow.opened || (facts.syn() && !facts.ack());
  if (flow.opened) return false;
  if (facts.fragment) {
    if (midstream_fragments.size() >= kRememberedFragments) midstream_fragments.clear();
    midstream_fragments.insert(fragment);
  }
  return true;
}

std::optional<EndSaid> Replay::State::objection_to(const CapturedPacket& packet, const PacketFacts& facts) {
  std::span<const std::byte> frame = packet.frame;
  if (packet.cut()) {
    // The headers are whole; zeros stand for the payload that the capture left out, so that lengths agree.
    padded.assign(packet.frame.begin(), packet.frame.end());
    padded.resize(std::max(padded.size(), std::min<std::size_t>(packet.original_length, kLongestFrame)));
    frame = padded;
  }
  std::optional<EndSaid> would;
  const auto denies = [&](const EndSaid& said) {
    if (said.would_deny() && !would) would = said;
    return !said.classified.allow;
  };
  if (const LocalPod* source = pod_of(facts.source)) {
    const EndSaid said = ask(*source, Direction::egress, frame);
    if (denies(said)) return said;
  }
  if (const LocalPod* destination = pod_of(facts.destination)) {
    const EndSaid said = ask(*destination, Direction::ingress, frame);
    if (denies(said)) return said;
  }
  return would;
}

EndSaid Replay::State::ask(const LocalPod& pod, Direction direction, std::span<const std::byte> frame) {
  EndSaid said{&pod, direction, {}};
  said.classified = pod.injector->classify(pod.ifindex, static_cast<std::uint8_t>(direction), frame, now);
  account(said);
  return said;
}

void Replay::State::account(const EndSaid& said) {
  const RuleId rule = said.rule();
  auto& by_rule = said.would_deny() ? rule_would_hits : rule_hits;
  auto& by_isolation = said.would_deny() ? isolation_would_denials : isolation_denials;
  if (rule.value != 0) {
    ++by_rule[{said.pod->node, rule}];
  } else if (said.reason() == PN_REASON_ISOLATED) {
    ++by_isolation[{said.pod, said.direction}];
  }
}

const DirectionPolicy* Replay::State::direction_policy(const LocalPod& pod, Direction direction) {
  const auto& endpoints = pod.node->policy().endpoints;
  const auto found =
      std::lower_bound(endpoints.begin(), endpoints.end(), pod.endpoint,
                       [](const EndpointPolicy& endpoint, EndpointId id) { return endpoint.endpoint < id; });
  if (found == endpoints.end() || found->endpoint != pod.endpoint) return nullptr;
  return &found->at(direction);
}

std::vector<PolicyRef> Replay::State::isolating(const LocalPod& pod, Direction direction, bool with_audit) {
  const DirectionPolicy* policy = direction_policy(pod, direction);
  if (policy == nullptr) return {};
  return with_audit ? policy->with_audit().isolating : policy->isolating;
}

Denial Replay::State::denial_of(const EndSaid& said) {
  Denial denial;
  denial.pod = said.pod->key;
  denial.direction = said.direction;
  denial.reason = said.reason();
  if (const auto* origin = said.pod->node->rules().find(said.rule())) {
    denial.policies = {origin->policy};
    denial.rule = origin->index + 1;
  } else if (denial.reason == PN_REASON_ISOLATED) {
    denial.policies = isolating(*said.pod, said.direction, said.would_deny());
  }
  return denial;
}

std::vector<PolicyAccount> Replay::State::policies() const {
  std::map<PolicyRef, PolicyAccount> accounts;
  std::map<PolicyRef, std::map<std::pair<Direction, std::uint32_t>, std::uint64_t>> hits;
  for (const auto& [key, policy] : cluster.network_policies) accounts[{PolicyKind::network_policy, key}];
  for (const auto& [name, policy] : cluster.cluster_network_policies) {
    accounts[{PolicyKind::cluster_network_policy, {"", name}}];
  }
  for (const auto& [key, slice] : cluster.policy_endpoints) {
    accounts[{PolicyKind::network_policy, policy_of(slice.policy)}];
  }
  for (const auto& [key, packets] : rule_hits) {
    const auto* origin = key.first->rules().find(key.second);
    // Pods on several nodes meet one rule under several numbers.
    if (origin != nullptr) hits[origin->policy][{origin->direction, origin->index + 1}] += packets;
  }
  for (const auto& [policy, rules] : hits) {
    for (const auto& [rule, packets] : rules)
      accounts[policy].rules.push_back({rule.first, rule.second, packets});
  }
  for (const auto& [key, packets] : rule_would_hits) {
    const auto* origin = key.first->rules().find(key.second);
    if (origin != nullptr) accounts[origin->policy].would_denials += packets;
  }
  for (const auto& [place, packets] : isolation_denials) {
    for (const auto& policy : isolating(*place.first, place.second, false)) {
      accounts[policy].isolation_denials += packets;
    }
  }
  for (const auto& [place, packets] : isolation_would_denials) {
    for (const auto& policy : isolating(*place.first, place.second, true)) accounts[policy].would_denials += packets;
  }
  std::vector<PolicyAccount> sorted;
  for (auto& [policy, account] : accounts) {
    account.policy = policy;
    sorted.push_back(std::move(account));
  }
  return sorted;
}

ReplayResult Replay::result() const {
  ReplayResult result;
  result.totals = state_->totals;
  FlowWords words(state_->cluster, state_->settings.enforcer.strict);
  for (const auto& flow : state_->flows.flows()) result.flows.push_back(words.finish(flow));
  result.policies = state_->policies();
  return result;
}

namespace {

// One file and its next packet.
struct Source {
  CaptureReader reader;
  std::optional<CapturedPacket> next;
};

void read_ahead(Source& source, ReplayedCapture& capture) {
  auto packet = source.reader.next();
  source.next.reset();
  if (!packet) {
    capture.damaged = packet.error();
  } else {
    source.next = std::move(*packet);
  }
  capture.packets = source.reader.packets_read();
}

// The file whose next packet is the earliest; of equal ones the first named.
Source* earliest(std::vector<Source>& sources) {
  Source* best = nullptr;
  for (auto& source : sources) {
    if (source.next && (best == nullptr || source.next->at < best->next->at)) best = &source;
  }
  return best;
}

}  // namespace

Result<ReplayResult> replay_captures(std::span<const std::string> paths, const ClusterSnapshot& cluster,
                                     const ReplaySettings& settings, const BackendFactory& factory) {
  std::vector<Source> sources;
  std::vector<ReplayedCapture> captures(paths.size());
  for (std::size_t i = 0; i < paths.size(); ++i) {
    captures[i].path = paths[i];
    auto reader = CaptureReader::open(paths[i]);
    if (!reader) return fail_as(reader);
    sources.push_back({std::move(*reader), std::nullopt});
  }
  auto replay = Replay::start(cluster, settings, factory);
  if (!replay) return fail_as(replay);
  for (std::size_t i = 0; i < sources.size(); ++i) read_ahead(sources[i], captures[i]);
  while (Source* source = earliest(sources)) {
    const auto index = static_cast<std::size_t>(source - sources.data());
    replay->judge(*source->next, index);
    read_ahead(*source, captures[index]);
  }
  ReplayResult result = replay->result();
  result.captures = std::move(captures);
  return result;
}

}  // namespace postern::sim
