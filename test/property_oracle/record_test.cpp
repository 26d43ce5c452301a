// SPDX-License-Identifier: Apache-2.0
// Random verdicts of random clusters as scenario files: each gives the verdict and the reasons of the whole
// cluster, by the oracle's reading of it, when it is read back from its text and run; without any one of its
// objects it no longer does; and recorded once more it stays as it is. The rarest kinds of verdict are drawn
// first, so that all reasons that objects can give come up in few cases.
#include "sim/record/record.h"

#include <algorithm>
#include <map>
#include <set>

#include "backends/native/native_backend.h"
#include "engine/explain/explain.h"
#include "engine/policy/to_policy_endpoints.h"
#include "sim/record/scenario_text.h"
#include "sim/runner/plan.h"
#include "sim/runner/run.h"
#include "sim/scenario/scenario_reader.h"
#include "sim/virtual/virtual_cluster.h"
#include "test/property_oracle/run.h"
#include "test/property_oracle/world.h"

namespace postern::property {
namespace {

constexpr std::uint64_t kVerdicts = 50;
constexpr std::uint64_t kWorlds = 8;  // for each verdict
constexpr int kDraws = 100;           // of each world; the rarest verdict is taken

struct Drawn {
  ExplainQuery query;
  Explanation explanation;
  std::string kind;  // "deny egress isolated"
};

// What can be told apart of a verdict: the family, the outcome and each deciding end's reason.
std::string kind_of(const ExplainQuery& query, const Explanation& explanation) {
  std::string kind = query.from.address->is_v4() ? "IPv4" : "IPv6";
  if (!explanation.service.empty()) kind += " service";
  if (!explanation.allowed) {
    const auto& end = explanation.egress.allowed ? explanation.ingress : explanation.egress;
    return kind + " deny " + to_string(end.direction) + " " + std::string(reason_name(end.reason));
  }
  kind += " allow";
  for (const auto* end : {&explanation.egress, &explanation.ingress}) {
    if (end->judged) kind += " " + std::string(to_string(end->direction)) + " " + std::string(reason_name(end->reason));
  }
  return kind;
}

// Any two ends, more often pods; a destination also at the ClusterIP of a Service with a port of it.
std::optional<Drawn> draw(const World& world, const Borders& borders, Dice& dice) {
  std::vector<IpAddress> pods;
  for (const auto& [key, pod] : world.objects.pods) pods.insert(pods.end(), pod.addresses.begin(), pod.addresses.end());
  if (pods.empty()) return std::nullopt;
  const auto some_address = [&] { return dice.chance(75) ? dice.pick(pods) : dice.pick(borders.addresses); };
  IpAddress from = some_address();
  IpAddress to = some_address();
  ExplainQuery query;
  query.strict = world.strict;
  query.protocol = static_cast<std::uint8_t>(dice.pick(
      std::vector<Protocol>{Protocol::tcp, Protocol::tcp, Protocol::udp, Protocol::sctp, Protocol::icmp}));
  query.port = dice.pick(borders.ports);
  if (dice.chance(35) && !world.objects.services.empty()) {
    const Service& service = dice.pick(world.objects.services).second;
    if (!service.cluster_ips.empty() && !service.ports.empty()) {
      const ServicePort& port = dice.pick(service.ports);
      to = dice.pick(service.cluster_ips);
      query.protocol = static_cast<std::uint8_t>(port.protocol);
      query.port = port.port;
    }
  }
  if (query.port == 0 || from.family() != to.family()) return std::nullopt;
  const auto first = find_traffic_end(world.objects, from.to_string());
  const auto second = find_traffic_end(world.objects, to.to_string());
  if (!first || !second || first->kind == TrafficEnd::Kind::service) return std::nullopt;
  query.from = *first;
  query.to = *second;
  auto explanation = explain(world.objects, query);
  if (!explanation) return std::nullopt;
  std::string kind = kind_of(query, *explanation);
  return Drawn{query, std::move(*explanation), std::move(kind)};
}

bool passes(const sim::Scenario& scenario) {
  const auto plan = sim::make_plan(scenario);
  if (!plan) return false;
  sim::VirtualCluster cluster("sim", make_native_backend);
  const auto result = sim::run_plan(*plan, cluster);
  return result && result->passed();
}

// The oracle's verdict of the whole cluster; nothing where it agrees.
std::string against_oracle(const World& world, const Drawn& drawn, const sim::Recording& recording) {
  auto protocol = static_cast<Protocol>(drawn.query.protocol);
  if (protocol == Protocol::icmp && !drawn.query.from.address->is_v4()) protocol = Protocol::icmpv6;
  const auto expected = oracle::connection(
      world.cluster(), {*drawn.query.from.address, *drawn.query.to.address, protocol, drawn.query.port});
  if (recording.allowed != (expected.outcome == oracle::Outcome::allow)) return "the oracle says otherwise";
  for (const auto& end : recording.ends) {
    const std::string reason(reason_name(end.reason));
    std::set<std::string> reasons;
    const auto add = [&](const oracle::Verdict& verdict) {
      for (const auto each : verdict.reasons) reasons.insert(oracle::to_string(each));
      // Where nobody isolates a node looks no further, whatever else is true.
      if (verdict.allow && verdict.isolating.empty() && !world.strict) reasons.insert("not-isolated");
    };
    if (end.direction == Direction::egress) add(expected.leaving);
    for (const auto& way : expected.ways) {
      if (end.direction == Direction::ingress) add(way.arriving);
    }
    if (!reasons.contains(reason)) return "the oracle does not know the reason " + reason;
  }
  return {};
}

// What nodes see where a controller has resolved the policies.
void resolve_policies(ClusterSnapshot& objects) {
  const auto slices = to_policy_endpoints(objects, {3, ""});
  if (!slices) return;
  objects.network_policies.clear();
  for (const auto& slice : *slices) objects.policy_endpoints[slice.key] = slice;
}

std::string objects_in(const std::string& text) {
  const auto start = text.find("apply:");
  return text.substr(start, text.find("probes:") - start);
}

std::string wrong_with(const World& world, const Drawn& drawn, const sim::Recording& recording) {
  // Of Services, PolicyEndpoints may say something else than the policies (docs/semantics.md).
  const bool same = drawn.explanation.service.empty() || !drawn.kind.ends_with("resolved");
  if (auto wrong = same ? against_oracle(world, drawn, recording) : ""; !wrong.empty()) return wrong;
  const std::string text = sim::scenario_text(recording, {"a random cluster", ""});
  sim::VirtualCluster cluster("sim", make_native_backend);
  if (const auto held = sim::check_scenario_holds(text, cluster); !held) return held.error().to_string() + "\n" + text;
  const auto file = sim::read_scenario(text, "recording.yaml");
  const sim::Step& step = file.scenario->steps.front();
  // What the file holds is what the whole cluster said.
  for (std::size_t i = 0; i < step.packets.size(); ++i) {
    const auto& end = recording.ends[i].direction == Direction::egress ? drawn.explanation.egress
                                                                       : drawn.explanation.ingress;
    // R41: an allow may have several true reasons; where nobody isolates, a node gives this one.
    const bool open = end.allowed && end.isolating.empty() && !world.strict;
    const auto reason = reason_name(open ? std::uint32_t{PN_REASON_NOT_ISOLATED} : end.reason);
    if (step.packets[i].expect.reason != reason) return "another reason\n" + text;
  }
  for (std::size_t i = 0; i < step.applies.size(); ++i) {
    sim::Scenario without = *file.scenario;
    auto& objects = without.steps.front().applies;
    objects.erase(objects.begin() + static_cast<std::ptrdiff_t>(i));
    if (passes(without)) return "it holds without object " + std::to_string(i) + "\n" + text;
  }
  const auto plan = sim::make_plan(*file.scenario);
  const ClusterSnapshot& small = plan->steps.front().placement.cluster;
  ExplainQuery again = drawn.query;
  again.from = *find_traffic_end(small, recording.from);
  again.to = *find_traffic_end(small, recording.to);
  const auto twice = sim::record(small, again);
  // Behind a Service an address that no pod has is as open as a pod that nobody isolates; then no end is judged.
  const bool open = recording.allowed && recording.ends.front().reason == PN_REASON_NOT_ISOLATED;
  if (!twice) return open ? "" : twice.error().to_string() + "\n" + text;
  const std::string second = sim::scenario_text(*twice, {"a random cluster", ""});
  if (objects_in(second) == objects_in(text)) return {};
  return "recorded again it is\n" + second + "instead of\n" + text;
}

struct Case {
  World world;
  Drawn drawn;
  sim::Recording recording;
};

struct Counts {
  const std::map<std::string, std::uint64_t>& kinds;
  const std::map<std::string, std::uint64_t>& reasons;

  // How often something like it was there: its rarest reason, then its kind.
  [[nodiscard]] std::pair<std::uint64_t, std::uint64_t> of(const Drawn& drawn) const {
    const auto at = [](const auto& counts, const std::string& key) {
      const auto found = counts.find(key);
      return found == counts.end() ? std::uint64_t{0} : found->second;
    };
    const Explanation& explanation = drawn.explanation;
    std::uint64_t rarest = at(kinds, drawn.kind);
    if (!explanation.allowed) {
      const auto& end = explanation.egress.allowed ? explanation.ingress : explanation.egress;
      rarest = at(reasons, std::string(reason_name(end.reason)));
    }
    return {rarest, at(kinds, drawn.kind)};
  }
};

// Draws verdicts of one world and keeps one that is rarer than what there is.
void draw_rarer(std::uint64_t seed, const Counts& counts, bool allowed, std::optional<Case>& rarest) {
  Dice dice(seed);
  World world = random_world(dice);
  world.host_addresses.clear();  // no scenario can say them
  const Borders borders = borders_of(world);
  World nodes = world;  // as nodes see it
  const bool resolved = dice.chance(25);
  if (resolved) resolve_policies(nodes.objects);
  for (int i = 0; i < kDraws; ++i) {
    auto drawn = draw(nodes, borders, dice);
    if (!drawn || drawn->explanation.allowed != allowed) continue;
    if (resolved) drawn->kind += " resolved";
    if (rarest && counts.of(*drawn) >= counts.of(rarest->drawn)) continue;
    auto recording = sim::record(nodes.objects, drawn->query);
    if (!recording) continue;  // nothing is judged there, or a scenario has no word for it
    rarest = Case{world, std::move(*drawn), std::move(*recording)};
  }
}

TEST(Record, FiftyVerdictsOfRandomClustersAreReproducedByTheFewestObjects) {
  std::map<std::string, std::uint64_t> kinds;
  std::map<std::string, std::uint64_t> reasons;
  std::uint64_t seed = first_seed();
  for (std::uint64_t recorded = 0; recorded < scaled(kVerdicts); ++recorded) {
    const std::uint64_t first = seed;
    std::optional<Case> rarest;
    while (!rarest || seed < first + kWorlds) draw_rarer(seed++, {kinds, reasons}, recorded % 2 == 0, rarest);
    ++kinds[rarest->drawn.kind];
    for (const auto& end : rarest->recording.ends) ++reasons[std::string(reason_name(end.reason))];
    const std::string wrong = wrong_with(rarest->world, rarest->drawn, rarest->recording);
    ASSERT_EQ(wrong, "") << rarest->drawn.explanation.traffic << ", " << rarest->drawn.kind
                         << "\nrepeat: POSTERN_TEST_SEED=" << first_seed() << " POSTERN_TEST_SCALE=" << scale()
                         << " build/release/bin/record_property_test";
  }
  for (const auto& [kind, count] : kinds) {
    std::printf("%6llu %s\n", static_cast<unsigned long long>(count), kind.c_str());
  }
  if (scale() < 1) return;
  for (const auto* reason :
       {"not-isolated", "rule", "own-node", "isolated", "strict", "backends-differ", "no-backend"}) {
    EXPECT_GT(reasons[reason], 0u) << reason;
  }
}

}  // namespace
}  // namespace postern::property
