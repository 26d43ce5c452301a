// SPDX-License-Identifier: Apache-2.0
#include "sim/runner/run.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "sim/runner/packet_check.h"
#include "sim/runner/replay_step.h"
#include "sim/runner/why.h"

namespace postern::sim {

namespace {

CellVerdict verdict_of(const std::vector<ProbeOutcome>& outcomes) {
  const auto allowed = [](const ProbeOutcome& outcome) { return outcome.allowed; };
  if (std::all_of(outcomes.begin(), outcomes.end(), allowed)) return CellVerdict::allow;
  return std::any_of(outcomes.begin(), outcomes.end(), allowed) ? CellVerdict::differ : CellVerdict::deny;
}

class Run {
 public:
  Run(const Plan& plan, Cluster& cluster, const RunOptions& options)
      : cluster_(cluster), options_(options) {
    settings_.enforcer.strict = plan.scenario->strict;
    settings_.enforcer.service_ip_blocks = plan.scenario->service_ip_blocks;
    settings_.enforcer.established_flows = plan.scenario->established_flows;
    settings_.enforcer.midflow_grace = plan.scenario->midflow_grace;
    settings_.node_conntrack = plan.scenario->node_conntrack;
    settings_.limits = plan.scenario->limits;
  }

  Result<void> begin() { return cluster_.begin(settings_); }

  Result<StepResult> step(const PlannedStep& planned) {
    StepResult result;
    result.name = planned.step->name;
    if (auto placed = cluster_.place(planned.placement); !placed) return fail_as(placed);
    if (planned.step->advance.ns != 0) {
      if (auto moved = cluster_.advance(planned.step->advance); !moved) return fail_as(moved);
      clock_ = clock_ + planned.step->advance;
    }
    if (auto probed = probe(planned, result); !probed) return fail_as(probed);
    if (auto sent = send(planned, result); !sent) return fail_as(sent);
    if (planned.step->replay) {
      auto replayed = replay_step(settings_, planned, *planned.step->replay, options_.replay_backend);
      if (!replayed) return fail_as(replayed);
      result.replay = *replayed;
    }
    return result;
  }

 private:
  Result<void> probe(const PlannedStep& planned, StepResult& result) {
    if (planned.cells.empty()) return {};
    const auto outcomes = ask(planned);
    if (!outcomes) return fail_as(outcomes);
    std::size_t index = 0;
    std::size_t explained = 0;
    const ClusterSnapshot& objects = planned.placement.cluster;
    const bool audit = has_audit(objects);
    result.cells.reserve(planned.cells.size());
    for (const auto& [key, cell] : planned.cells) {
      const std::vector<ProbeOutcome>& answers = (*outcomes)[index++];
      CellResult one{key, cell.expect, verdict_of(answers), planned.step->probes[cell.line].location, {}};
      if (one.wrong() && explained++ < options_.explained) {
        one.why = why(cluster_, objects, settings_.enforcer, {key, cell, answers});
      }
      if (audit && one.got == CellVerdict::allow) one.would_deny = why_would_deny(objects, settings_.enforcer, cell);
      result.cells.push_back(std::move(one));
    }
    return {};
  }

  // One request of a cell, and where its outcome belongs.
  struct Asked {
    std::size_t cell;
    std::size_t index;
    const std::string* client;
    const ProbeRequest* request;
    [[nodiscard]] auto place() const { return std::tie(*client, request->from.address); }
  };

  // The outcomes of each cell's requests, in the order of the cells. What a client asks from one
  // address is asked together: a cluster may then stay at its place.
  Result<std::vector<std::vector<ProbeOutcome>>> ask(const PlannedStep& planned) {
    std::vector<std::vector<ProbeOutcome>> outcomes;
    std::vector<Asked> asked;
    for (const auto& [key, cell] : planned.cells) {
      for (std::size_t i = 0; i < cell.requests.size(); ++i) {
        asked.push_back({outcomes.size(), i, &key.from, &cell.requests[i]});
      }
      outcomes.emplace_back(cell.requests.size());
    }
    std::stable_sort(asked.begin(), asked.end(),
                     [](const Asked& a, const Asked& b) { return a.place() < b.place(); });
    std::vector<ProbeRequest> requests;
    requests.reserve(asked.size());
    for (const Asked& one : asked) requests.push_back(*one.request);
    auto answers = cluster_.probe(requests);
    if (!answers) return fail_as(answers);
    if (answers->size() != requests.size()) {
      return fail(ErrorCode::internal, std::to_string(requests.size()) + " probes had " +
                                           std::to_string(answers->size()) + " outcomes");
    }
    for (std::size_t i = 0; i < asked.size(); ++i) {
      outcomes[asked[i].cell][asked[i].index] = std::move((*answers)[i]);
    }
    return outcomes;
  }

  Result<void> send(const PlannedStep& planned, StepResult& result) {
    if (planned.packets.empty()) return {};
    std::vector<PacketRequest> requests;
    Instant last = clock_;
    for (const PlannedPacket& packet : planned.packets) {
      requests.push_back({packet.from, packet.to, packet.line, clock_ + packet.line->at, packet.via,
                          packet.target_port, packet.quoted});
      last = std::max(last, requests.back().at);
    }
    const auto outcomes = cluster_.send(requests);
    if (!outcomes) return fail_as(outcomes);
    if (outcomes->size() != requests.size()) {
      return fail(ErrorCode::internal, std::to_string(requests.size()) + " packets had " +
                                           std::to_string(outcomes->size()) + " outcomes");
    }
    clock_ = last;
    for (std::size_t i = 0; i < outcomes->size(); ++i) {
      PacketResult one = check_packet(cluster_, planned.packets[i], (*outcomes)[i]);
      one.index = i;
      result.packets.push_back(std::move(one));
    }
    return {};
  }

  Cluster& cluster_;
  const RunOptions& options_;
  ClusterSettings settings_;
  Instant clock_;  // of the scenario
};

}  // namespace

Result<ScenarioResult> run_plan(const Plan& plan, Cluster& cluster, const RunOptions& options) {
  const Scenario& scenario = *plan.scenario;
  Run run(plan, cluster, options);
  if (auto begun = run.begin(); !begun) return fail_as(begun);
  ScenarioResult result{scenario.file, scenario.name, scenario.labels, {}};
  for (const PlannedStep& planned : plan.steps) {
    if (options.stopped && options.stopped()) {
      return fail(ErrorCode::internal, "stopped before the step \"" + planned.step->name + '"',
                  planned.step->location);
    }
    auto step = run.step(planned);
    if (!step) {
      Error error = step.error();
      error.message = "step \"" + planned.step->name + "\": " + error.message;
      if (error.location.file.empty()) error.location = planned.step->location;
      return tl::unexpected<Error>(error);
    }
    result.steps.push_back(std::move(*step));
  }
  return result;
}

}  // namespace postern::sim
