// SPDX-License-Identifier: Apache-2.0
#include "sim/runner/packet_check.h"

#include "engine/explain/explain.h"
#include "sim/runner/why.h"

namespace postern::sim {

namespace {

const EndVerdict* deciding_end(const PacketOutcome& outcome, bool at_from) {
  const EndVerdict* from = outcome.from ? &*outcome.from : nullptr;
  const EndVerdict* to = outcome.to ? &*outcome.to : nullptr;
  // A packet that its sender's end dropped never reached the other.
  if (!outcome.allowed) return to != nullptr ? to : from;
  const EndVerdict* wanted = at_from ? from : to;
  if (wanted != nullptr) return wanted;
  return to != nullptr ? to : from;
}

void compare(std::vector<std::string>& mismatches, const char* what, const std::string& expected,
             const std::string& got) {
  if (expected != got) {
    mismatches.push_back(std::string("expected ") + what + ' ' + expected + ", got " +
                         (got.empty() ? "none" : got));
  }
}

}  // namespace

PacketResult check_packet(const Cluster& cluster, const PlannedPacket& packet, const PacketOutcome& outcome) {
  const PacketExpectation& expect = packet.line->expect;
  PacketResult result;
  result.from = packet.from_text;
  result.to = packet.to_text;
  result.expected = expect.verdict;
  result.got = outcome.allowed ? Expectation::allow : Expectation::deny;
  result.line = packet.line->location;

  std::string policy;
  std::string rule;
  std::vector<PolicyRef> isolating;
  if (const EndVerdict* end = deciding_end(outcome, expect.at_from)) {
    result.reason = reason_of(*end);
    // Names are asked for only where they are compared: to learn an agent's takes a moment.
    const VerdictNames names = expect.policy || expect.rule ? cluster.names_of(*end) : VerdictNames{};
    isolating = names.isolating;
    if (names.rule) {
      policy = names.rule->policy.key.ns.empty() ? names.rule->policy.key.name : names.rule->policy.key.to_string();
      rule = std::to_string(names.rule->index + 1);  // from 1, as every report says it
    }
  } else {
    // Neither end has an interface that judges: nothing isolates it.
    result.reason = reason_name(PN_REASON_NOT_ISOLATED);
  }

  auto& mismatches = result.mismatches;
  if (expect.verdict) {
    compare(mismatches, "verdict", std::string(to_string(*expect.verdict)),
            std::string(to_string(result.got)));
  }
  if (expect.reason) compare(mismatches, "reason", *expect.reason, result.reason);
  if (expect.policy) {
    // A default denial has no rule; every policy that isolates is its policy.
    bool isolates = false;
    for (const PolicyRef& ref : isolating) {
      isolates = isolates || ref.key.to_string() == *expect.policy;
      policy += (policy.empty() ? "" : ", ") + ref.key.to_string();
    }
    if (!isolates) compare(mismatches, "policy", *expect.policy, policy);
  }
  // What reached neither end was dropped at none.
  if (expect.at_written && !outcome.allowed && (outcome.from || outcome.to)) {
    compare(mismatches, "the drop at", expect.at_from ? "from" : "to", outcome.to ? "to" : "from");
  }
  if (expect.rule) compare(mismatches, "rule", std::to_string(*expect.rule), rule);
  return result;
}

}  // namespace postern::sim
