// SPDX-License-Identifier: Apache-2.0
#include "agent/flow/self_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "agent/flow/flow_text.h"
#include "agent/log/log.h"
#include "engine/enforce/event_address.h"
#include "engine/explain/explain.h"
#include "engine/policy/judge.h"

namespace postern::agent {
namespace {

constexpr std::uint64_t kSayAgain_ns = 10'000'000'000;

// Reasons that a policy gives, or the lack of one.
bool is_of_policy(std::uint32_t reason) {
  switch (static_cast<pn_reason>(reason)) {
    case PN_REASON_NOT_ISOLATED:
    case PN_REASON_RULE_ADMIN:
    case PN_REASON_RULE:
    case PN_REASON_RULE_BASELINE:
    case PN_REASON_OWN_NODE:
    case PN_REASON_ISOLATED:
    case PN_REASON_DENIED_ADMIN:
    case PN_REASON_DENIED_BASELINE:
    case PN_REASON_STRICT:
    case PN_REASON_BACKENDS_DIFFER:
    case PN_REASON_NO_BACKEND: return true;
    case PN_REASON_NONE: return true;  // a hole in the tables: no policy says that
    case PN_REASON_ESTABLISHED:
    case PN_REASON_RELATED:
    case PN_REASON_SELF:
    case PN_REASON_ALWAYS:
    case PN_REASON_GRACE:
    case PN_REASON_WOULD_DENY:  // by that of the denial
    case PN_REASON_SPOOFED_SOURCE:
    case PN_REASON_FRAGMENT:
    case PN_REASON_MALFORMED:
    case PN_REASON_PROTOCOL:
    case PN_REASON_ETHERTYPE:
    case PN_REASON_COUNT: break;
  }
  return false;
}

std::string words_of(std::uint32_t step) {
  const bool would_deny = pn_step_reason(step) == PN_REASON_WOULD_DENY;
  return fmt::format("{}{} ({}, rule {})", pn_step_allows(step) != 0 ? "allow" : "deny",
                     would_deny ? ", would deny" : "", reason_name(pn_step_said_reason(step)), pn_step_said_rule(step));
}

}  // namespace

std::optional<std::uint32_t> judged_again(const ResolvedPolicy& policy, const pn_event& event) {
  if (event.family == 0 || !is_of_policy(pn_step_said_reason(event.step))) return std::nullopt;
  const auto endpoint =
      std::find_if(policy.endpoints.begin(), policy.endpoints.end(),
                   [&](const EndpointPolicy& one) { return one.endpoint.value == event.endpoint; });
  if (endpoint == policy.endpoints.end() || endpoint->ifindex != event.ifindex) return std::nullopt;
  const Direction direction = event.direction == PN_EGRESS ? Direction::egress : Direction::ingress;
  if (!endpoint->at(direction).judged()) return pn_step_allow(PN_REASON_NOT_ISOLATED, 0);
  const auto& peer = direction == Direction::egress ? event.destination : event.source;
  return judge(policy, *endpoint, direction, event_address(peer, event.family), event.protocol, event.destination_port);
}

void SelfCheck::take(const pn_event& event) {
  if (options_.sample == 0 || ++events_ % options_.sample != 0) return;
  const bool comparable = since_ns_ && event.time_ns >= *since_ns_;
  const auto expected = comparable ? judged_again(sources_.policy(), event) : std::nullopt;
  if (!expected) {
    ++counts_.not_comparable;
  } else if (*expected == event.step) {
    ++counts_.agree;
  } else {
    ++counts_.differ;
    report(event, *expected);
  }
}

void SelfCheck::report(const pn_event& event, std::uint32_t expected) {
  if (said_ns_ && event.time_ns < *said_ns_ + kSayAgain_ns) return;
  said_ns_ = event.time_ns;
  const FlowRecord flow = sources_.name(event);
  const auto file = write_file(flow);
  log_error("self-check: the kernel says {}, the policy in force {}, of: {}; {}", words_of(event.step),
            words_of(expected), compat_message(flow), file ? *file : file.error().to_string());
}

// A second process in the same folder goes on where the first one stopped.
Result<std::string> SelfCheck::write_file(const FlowRecord& flow) {
  if (options_.folder.empty()) return std::string("--verify-folder would have a scenario of it");
  namespace fs = std::filesystem;
  std::error_code error;
  fs::create_directories(options_.folder, error);
  for (; files_ < options_.most_files; ++files_) {
    const std::string path = options_.folder + fmt::format("/mismatch-{:02}.{}", files_ + 1,
                                                           sources_.scenario ? "yaml" : "json");
    if (fs::exists(path, error)) continue;
    std::string text = json_flow_line(flow) + "\n";
    if (sources_.scenario) {
      auto made = sources_.scenario(sources_.cluster(), flow);
      if (!made) return fail_as(made);
      text = std::move(*made);
    }
    std::ofstream out(path);
    out << text;
    out.close();
    if (!out) return fail(ErrorCode::io, "writing " + path + ": " + std::strerror(errno));
    ++files_;
    return "see " + path;
  }
  return fmt::format("{} has {} files already", options_.folder, options_.most_files);
}

}  // namespace postern::agent
