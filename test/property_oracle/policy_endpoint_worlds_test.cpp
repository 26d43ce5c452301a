// SPDX-License-Identifier: Apache-2.0
// Random clusters whose nodes get the PolicyEndpoints that the policies resolve to, and neither policies
// nor Services: the verdict is still the oracle's, which has read the policies and the Services.
#include "engine/policy/to_policy_endpoints.h"

#include <algorithm>

#include "test/property_oracle/distribution.h"
#include "test/property_oracle/ground.h"
#include "test/property_oracle/run.h"

namespace postern::property {
namespace {

constexpr int kWorlds = 8000;
constexpr std::size_t kQuestions = 12;

// The same world as its nodes see it. `services`: they know Services as well.
World through_endpoints(const World& world, bool services) {
  // Whoever resolves has to know what else the own node has, as the node does.
  ClusterSnapshot known = world.objects;
  for (const auto& address : world.host_addresses) {
    known.nodes[kOwnNode].addresses.push_back({"Hostname", address});
  }
  const auto slices = to_policy_endpoints(known, {3, ""});
  World out = world;
  out.objects.network_policies.clear();
  if (!services) {
    out.objects.services.clear();
    out.objects.endpoint_slices.clear();
  }
  for (const auto& slice : *slices) out.objects.policy_endpoints[slice.key] = slice;
  return out;
}

bool is_cluster_ip(const World& world, const IpAddress& address) {
  for (const auto& [key, service] : world.objects.services) {
    for (const auto& one : service.cluster_ips) {
      if (one == address) return true;
    }
  }
  return false;
}

// Who may go everywhere may also go where nobody answers.
bool open_to_nobody(const World& world, const oracle::Verdict& expected) {
  if (expected.allow || !expected.reasons.contains(oracle::Reason::no_backend)) return false;
  return std::any_of(expected.isolating.begin(), expected.isolating.end(), [&](const NamespacedName& key) {
    const auto& egress = world.objects.network_policies.at(key).egress;
    return std::any_of(egress.begin(), egress.end(),
                       [](const PolicyRule& rule) { return rule.peers.empty() && rule.ports.empty(); });
  });
}

// No policy, no PolicyEndpoint: strict denies a pod the Service that is only itself or its node.
bool strict_to_itself(const World& world, const oracle::Verdict& expected) {
  return world.strict && expected.allow && expected.isolating.empty() &&
         !expected.reasons.contains(oracle::Reason::not_isolated);
}

// Where a verdict may be another (docs/semantics.md, "PolicyEndpoints").
bool excepted(const World& world, const oracle::Question& question, const oracle::Verdict& expected,
              bool services) {
  if (question.direction != oracle::Direction::egress || !is_cluster_ip(world, question.peer)) return false;
  return open_to_nobody(world, expected) || (!services && strict_to_itself(world, expected));
}

struct Seen {
  std::uint64_t excepted = 0;
  std::uint64_t cluster_ips_allowed = 0;
  std::uint64_t cluster_ips_denied = 0;
  std::uint64_t parts = 0;
};

std::string wrong_in(const World& world, const std::vector<oracle::Question>& questions, bool services,
                     Distribution& reached, Seen& seen) {
  const World through = through_endpoints(world, services);
  for (const auto& [key, slice] : through.objects.policy_endpoints) {
    seen.parts += slice.policy.name.find('#') == std::string::npos ? 0u : 1u;
  }
  Ground ground;
  if (const auto refused = ground.follow(through)) return *refused;
  if (const auto wrong = difference_in_isolation(world, ground.enforcer().policy())) return *wrong;
  reached.look_at(world);
  for (const auto& question : questions) {
    const auto expected = oracle::verdict(world.cluster(), question);
    const auto got = ground.ask(through, question);
    if (got.allow != expected.allow && excepted(world, question, expected, services)) {
      ++seen.excepted;
      continue;
    }
    if (got.allow != expected.allow) {
      return to_string(question) + ": through PolicyEndpoints " + to_string(got) + ", the oracle says " +
             (expected.allow ? "allow" : "deny");
    }
    reached.count(question, expected);
    if (question.direction == oracle::Direction::egress && is_cluster_ip(world, question.peer)) {
      ++(expected.allow ? seen.cluster_ips_allowed : seen.cluster_ips_denied);
    }
  }
  return {};
}

void hold(bool services) {
  Distribution reached;
  Seen seen;
  check(kWorlds, any_world(), [&](const World& world, bool thorough) {
    const auto questions = random_questions(world, borders_of(world), kQuestions);
    const std::string wrong = wrong_in(world, questions, services, reached, seen);
    if (!wrong.empty() || !thorough) return wrong;
    Distribution ignored;
    Seen also_ignored;
    return wrong_in(world, every_question(world), services, ignored, also_ignored);
  });
  std::printf("%llu verdicts, %llu excepted; of ClusterIPs %llu allowed, %llu denied; %llu parts\n",
              static_cast<unsigned long long>(reached.verdicts()), static_cast<unsigned long long>(seen.excepted),
              static_cast<unsigned long long>(seen.cluster_ips_allowed),
              static_cast<unsigned long long>(seen.cluster_ips_denied), static_cast<unsigned long long>(seen.parts));
  if (testing::Test::HasFatalFailure() || scale() < 1) return;
  EXPECT_GE(reached.verdicts(), 70000u);
  EXPECT_LT(seen.excepted, reached.verdicts() / 50);
  EXPECT_GE(seen.cluster_ips_allowed, 500u);
  EXPECT_GE(seen.cluster_ips_denied, 500u);
  EXPECT_GE(seen.parts, 500u);
}

TEST(PolicyEndpointWorlds, NodesThatKnowNoServiceSayWhatTheOracleSays) { hold(false); }

TEST(PolicyEndpointWorlds, NodesThatKnowServicesSayWhatTheOracleSays) { hold(true); }

}  // namespace
}  // namespace postern::property
