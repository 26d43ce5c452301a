// SPDX-License-Identifier: Apache-2.0
#include "sim/runner/plan.h"

#include "engine/manifest/cluster_state.h"
#include "sim/runner/plan_size.h"
#include "sim/runner/via_service.h"

namespace postern::sim {

namespace {

manifest::AddressFamilies families_of(ScenarioFamily family) {
  switch (family) {
    case ScenarioFamily::v4: return manifest::AddressFamilies::v4;
    case ScenarioFamily::v6: return manifest::AddressFamilies::v6;
    case ScenarioFamily::dual: return manifest::AddressFamilies::dual;
  }
  return manifest::AddressFamilies::v4;
}

void reserve_literals(manifest::ClusterState& state, const Scenario& scenario) {
  const auto reserve = [&](const End& end) {
    if (const auto* address = std::get_if<IpAddress>(&end)) state.reserve(*address);
  };
  for (const Step& step : scenario.steps) {
    for (const ProbeLine& line : step.probes) {
      reserve(line.from);
      reserve(line.to);
    }
    for (const PacketLine& line : step.packets) {
      reserve(line.from);
      reserve(line.to);
      if (line.source) state.reserve(*line.source);
      if (line.quotes) {
        reserve(line.quotes->from);
        reserve(line.quotes->to);
      }
    }
  }
}

}  // namespace

std::string_view to_string(ProbeProtocol protocol) {
  switch (protocol) {
    case ProbeProtocol::tcp: return "TCP";
    case ProbeProtocol::udp: return "UDP";
    case ProbeProtocol::sctp: return "SCTP";
    case ProbeProtocol::icmp: return "ICMP";
  }
  return "unknown";
}

std::string_view to_string(Expectation expectation) {
  return expectation == Expectation::allow ? "allow" : "deny";
}

bool operator<(const CellKey& a, const CellKey& b) {
  if (const int order = a.from.compare(b.from); order != 0) return order < 0;
  if (const int order = a.to.compare(b.to); order != 0) return order < 0;
  if (a.protocol != b.protocol) return to_string(a.protocol) < to_string(b.protocol);
  return a.port < b.port;
}

Result<Plan> make_plan(const Scenario& scenario, const PlanOptions& options) {
  manifest::ClusterState state(families_of(scenario.family));
  state.reserve(scenario.manifests);
  for (const Step& step : scenario.steps) state.reserve(step.applies);
  reserve_literals(state, scenario);
  if (auto loaded = state.apply({}, scenario.manifests); !loaded) return fail_as(loaded);

  Plan plan;
  PlanSize size(options.limits);
  plan.scenario = &scenario;
  for (const Step& step : scenario.steps) {
    PlannedStep planned;
    planned.step = &step;
    auto cluster = state.apply(step.deletes, step.applies);
    if (!cluster) {
      Error error = cluster.error();
      if (error.location.file.empty()) error.location = step.location;
      return tl::unexpected<Error>(error);
    }
    planned.placement.cluster = std::move(*cluster);
    planned.placement.trace_all = !step.packets.empty();
    if (auto expanded = expand_probes(step.probes, scenario.family, planned); !expanded) {
      return fail_as(expanded);
    }
    if (auto packets = plan_packets(step.packets, scenario.family, planned); !packets) {
      return fail_as(packets);
    }
    if (options.via_service) {
      if (auto detoured = ask_through_services(state, planned); !detoured) return fail_as(detoured);
    }
    if (auto fits = size.add(planned); !fits) return fail_as(fits);
    plan.steps.push_back(std::move(planned));
  }
  return plan;
}

}  // namespace postern::sim
