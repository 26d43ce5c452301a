// SPDX-License-Identifier: Apache-2.0
// Every shipped scenario twice in the simulator: with its NetworkPolicies, and with the PolicyEndpoints
// they resolve to at every step. Verdicts are compared cell by cell, packets with their reasons.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "backends/native/native_backend.h"
#include "engine/model/cluster_policy_id.h"
#include "sim/runner/run.h"
#include "sim/scenario/scenario_reader.h"
#include "sim/virtual/virtual_cluster.h"
#include "test/policy_endpoints/through_policy_endpoints.h"
#include "test/support/effort.h"

namespace postern::sim {
namespace {

// What differs where nodes know no Service, and why. One that does not differ any more is a failure too.
struct Exception {
  const char* scenario;
  const char* what;
  const char* because;
};
const Exception kWithoutServices[] = {
    {"r07-strict-judges-services-too",
     "nothing is open: shop/web -> service:shop/web TCP 80: sim allow, policyendpoints deny",
     "strict and no policy selects the pod: no PolicyEndpoint can say that it may meet itself (R1)"},
    {"r07-the-reason-of-a-service-that-is-denied",
     "two that agree, two that do not, none: packet 1 shop/client -> service:shop/web: sim backends-differ deny, "
     "policyendpoints isolated deny",
     "a node that does not know the backends cannot say that they disagree"},
    {"r07-the-reason-of-a-service-that-is-denied",
     "two that agree, two that do not, none: packet 2 shop/client -> service:shop/none: sim no-backend deny, "
     "policyendpoints isolated deny",
     "nor that there is none"},
};

Result<std::unique_ptr<Backend>> native(const TableSizes& sizes) {
  return std::unique_ptr<Backend>(std::make_unique<NativeBackend>(sizes));
}

// What the scenario itself has of PolicyEndpoints is compared only where nodes know what they always do:
// without Services, or judged otherwise, it says something else.
// ClusterNetworkPolicies are nowhere in PolicyEndpoints, so what they mean for a ClusterIP only nodes know
// that know its Service.
bool applies(const Scenario& scenario, std::string_view kind) {
  return std::any_of(scenario.steps.begin(), scenario.steps.end(), [&](const Step& step) {
    return std::any_of(step.applies.begin(), step.applies.end(),
                       [&](const manifest::Object& object) { return object.kind == kind; });
  });
}

// A policy that is in audit by itself (R44), which no PolicyEndpoint can be.
bool audits_a_policy(const Scenario& scenario) {
  return std::any_of(scenario.steps.begin(), scenario.steps.end(), [&](const Step& step) {
    return std::any_of(step.applies.begin(), step.applies.end(), [&](const manifest::Object& object) {
      const auto* policy = std::get_if<NetworkPolicy>(&object.value);
      return policy != nullptr && policy->audit;
    });
  });
}

// Such policies say of a ClusterIP what they say of its backends, and have to see the Service for it.
bool applies_cluster_policies(const Scenario& scenario) {
  return applies(scenario, "ClusterPolicyEndpoint") || applies(scenario, "ClusterNetworkPolicy") ||
         applies(scenario, cluster_policy_kind::kAmazon) || applies(scenario, cluster_policy_kind::kAdmin) ||
         applies(scenario, cluster_policy_kind::kBaselineAdmin);
}

struct Counts {
  std::size_t scenarios = 0;
  std::size_t cells = 0;
  std::size_t packets = 0;
};

// Both runs of one scenario; what differs, as "step: cell: sim allow, policyendpoints deny".
std::vector<std::string> compare(const Scenario& scenario, const PlanOptions& planning,
                                 const ThroughPolicyEndpoints::Options& options, Counts& counts) {
  const auto plan = make_plan(scenario, planning);
  if (!plan) return {plan.error().to_string()};
  VirtualCluster direct("sim", native);
  VirtualCluster fed("sim", native);
  ThroughPolicyEndpoints through(fed, options);
  const auto expected = run_plan(*plan, direct, {});
  const auto got = run_plan(*plan, through, {});
  if (!expected) return {expected.error().to_string()};
  if (!got) return {got.error().to_string()};
  ++counts.scenarios;
  counts.cells += expected->cells();
  counts.packets += expected->packets();
  std::vector<std::string> out;
  for (const auto& difference : differences(*expected, "sim", *got, "policyendpoints")) {
    out.push_back(difference.step + ": " + difference.what);
  }
  return out;
}

// Of the files each test takes all, or one in `stride()` where only a share is asked for.
std::size_t stride() { return static_cast<std::size_t>(std::lround(1 / std::min(1.0, test::scale()))); }

void hold(const PlanOptions& planning, const ThroughPolicyEndpoints::Options& options) {
  Counts counts;
  std::set<std::pair<std::string, std::string>> excepted;
  for (const auto& each : kWithoutServices) {
    if (!options.keep_services) excepted.emplace(each.scenario, each.what);
  }
  std::size_t seen = 0;
  for (const char* folder : {"scenarios/conformance", "scenarios/rulings", "scenarios/examples"}) {
    const auto files = list_scenario_files(folder);
    ASSERT_TRUE(files.has_value()) << files.error().to_string();
    for (const auto& path : *files) {
      if (seen++ % stride() != 0) continue;
      const auto file = read_scenario_file(path);
      if (!file.scenario) continue;
      const bool as_ever = options.keep_services && !options.service_ip_blocks;
      if (applies(*file.scenario, "PolicyEndpoint") && !as_ever) continue;
      if (applies_cluster_policies(*file.scenario) && !options.keep_services) continue;
      if (audits_a_policy(*file.scenario)) continue;
      for (const auto& difference : compare(*file.scenario, planning, options, counts)) {
        if (excepted.erase({file.scenario->name, difference}) == 1) continue;
        ADD_FAILURE() << path << ": " << difference;
      }
    }
  }
  std::printf("%zu scenarios, %zu cells, %zu packets\n", counts.scenarios, counts.cells, counts.packets);
  EXPECT_GE(counts.scenarios * stride(), 380u);
  if (stride() > 1) return;
  for (const auto& [scenario, what] : excepted) {
    ADD_FAILURE() << scenario << " no longer has its exception: " << what;
  }
}

using Way = ThroughPolicyEndpoints::Way;

TEST(PolicyEndpoints, SayWhatTheNetworkPoliciesSay) { hold({}, {.endpoints = {}}); }

TEST(PolicyEndpoints, SayItInSlicesOfTwo) { hold({}, {.endpoints = {2, ""}, .way = Way::yaml}); }

TEST(PolicyEndpoints, SayItThroughServicesToo) {
  hold({.via_service = true}, {.endpoints = {}, .way = Way::json});
}

TEST(PolicyEndpoints, SayItToNodesThatKnowServices) { hold({}, {.endpoints = {}, .keep_services = true}); }

TEST(PolicyEndpoints, SayItToNodesThatJudgeClusterIpsByTheirBackendsAlone) {
  hold({}, {.endpoints = {}, .keep_services = true, .service_ip_blocks = ServiceIpBlocks::meaning});
}

}  // namespace
}  // namespace postern::sim
