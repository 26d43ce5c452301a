// SPDX-License-Identifier: Apache-2.0
// A sample of live verdicts, judged again by what the policy in force says, without a table. If the tables in
// the kernel say something else, that is a defect: a counter, a line in the log, and a file that shows it.
//
// Compared is only what can be decided from outside: a verdict that a rule or the lack of one gave, made after
// the policy in force came there. Not compared are packets that passed as part of a connection, packets that
// no policy was asked about (spoofed, malformed, to the pod itself), and those of pods that are gone.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "agent/flow/flow_record.h"
#include "engine/abi/event.h"
#include "engine/base/result.h"
#include "engine/base/time.h"
#include "engine/model/snapshot.h"
#include "engine/policy/resolved_policy.h"

namespace postern::agent {

struct SelfCheckOptions {
  std::uint32_t sample = 0;  // one of so many events; 0: none
  std::string folder{};      // for scenarios; empty: none are written
  std::size_t most_files = 20;
};

struct SelfCheckCounts {
  std::uint64_t agree = 0;
  std::uint64_t differ = 0;
  std::uint64_t not_comparable = 0;
};

struct SelfCheckSources {
  std::function<const ResolvedPolicy&()> policy;
  std::function<const ClusterSnapshot&()> cluster;
  std::function<FlowRecord(const pn_event&)> name;
  // A scenario that reproduces what `flow` should be. None: the flow alone is written, as a line of JSON.
  std::function<Result<std::string>(const ClusterSnapshot& cluster, const FlowRecord& flow)> scenario;
};

// What the policy says of an event, as a final step; nothing where it cannot be decided from outside.
std::optional<std::uint32_t> judged_again(const ResolvedPolicy& policy, const pn_event& event);

class SelfCheck {
 public:
  SelfCheck(SelfCheckOptions options, SelfCheckSources sources)
      : options_(std::move(options)), sources_(std::move(sources)) {}

  // Everything that was judged before `now` (of the events' clock) was judged by another policy.
  void policy_in_force(Instant now) { since_ns_ = static_cast<std::uint64_t>(now.ns); }
  // Some part of a change may be in the tables: nothing is compared until a policy is in force again.
  void policy_failed() { since_ns_.reset(); }

  void take(const pn_event& event);

  [[nodiscard]] const SelfCheckCounts& counts() const { return counts_; }

 private:
  void report(const pn_event& event, std::uint32_t expected);
  Result<std::string> write_file(const FlowRecord& flow);

  SelfCheckOptions options_;
  SelfCheckSources sources_;
  SelfCheckCounts counts_;
  std::optional<std::uint64_t> since_ns_;
  std::uint64_t events_ = 0;
  std::size_t files_ = 0;
  std::optional<std::uint64_t> said_ns_;  // when a difference was logged last
};

}  // namespace postern::agent
