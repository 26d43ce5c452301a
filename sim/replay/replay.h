// SPDX-License-Identifier: Apache-2.0
// Judges captures packet by packet against a cluster's policies.
//
// Vantage `pod-veth`: the capture was taken at the pods' interfaces or in the fabric between them, at
// one place per pair of pods. Every packet is judged as on its whole way: leaving the pod that has its
// source address (egress, on that pod's node), then, if it may leave, arriving at the pod that has its
// destination address (ingress, on that node). A packet that is in the file more than once because
// it was captured at several interfaces counts as often as it is there.
//
// Each node runs its own backend; the clock is the capture's and never falls. Captures start in the
// middle of connections: a TCP packet of a connection whose SYN is not in the capture is counted as
// midstream and neither allowed nor denied; its flow says what policy would say to either opener. Later
// fragments are counted to the flow of their first one.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/enforce/node_enforcer.h"
#include "engine/model/snapshot.h"
#include "sim/capture/capture.h"

namespace postern::sim {

enum class Vantage : std::uint8_t { pod_veth };

// "pod-veth"; anything else is an error that lists what there is.
Result<Vantage> parse_vantage(std::string_view text);

struct ReplaySettings {
  Vantage vantage = Vantage::pod_veth;
  EnforcerSettings enforcer;
  TableSizes limits;
};

// packets = judged + midstream + not_ip + no_pod + truncated; judged = allowed + denied.
struct ReplayTotals {
  std::uint64_t packets = 0;
  std::uint64_t bytes = 0;
  std::uint64_t judged = 0;
  std::uint64_t allowed = 0;
  std::uint64_t denied = 0;
  std::uint64_t midstream = 0;
  std::uint64_t not_ip = 0;
  std::uint64_t no_pod = 0;     // neither address belongs to a pod
  std::uint64_t truncated = 0;  // the snap length cut a header away
  std::uint64_t would_deny = 0;  // of the allowed ones: denied if everything in audit were enforced (R44)
  friend bool operator==(const ReplayTotals&, const ReplayTotals&) = default;
};

struct FlowEnd {
  IpAddress address;
  std::uint16_t port = 0;  // ICMP echo: the id
  std::optional<NamespacedName> pod;
  [[nodiscard]] std::string to_string() const;  // "shop/api-0:8080", "203.0.113.7:443"
};

struct Denial {
  std::size_t capture = 0;   // index into ReplayResult::captures
  std::uint64_t packet = 0;  // its number in that capture
  NamespacedName pod;        // at whose interface
  Direction direction = Direction::ingress;
  std::uint32_t reason = 0;           // enum pn_reason; of what would be denied, PN_REASON_NONE if a rule would
  std::vector<PolicyRef> policies;    // the rule's, or those that isolate
  std::optional<std::uint32_t> rule;  // from 1, when a rule denied
  std::string why;                    // plain words; may be empty
};

// What policy says to a connection opened by this end, whatever the capture shows.
struct OpenerVerdict {
  bool allowed = false;
  std::string why;
};

struct Flow {
  std::uint8_t protocol = 0;
  FlowEnd from;  // the opener if it was seen opening, else the sender of the first packet
  FlowEnd to;
  Instant first;
  Instant last;
  std::uint64_t packets = 0;
  std::uint64_t bytes = 0;
  std::uint64_t allowed = 0;
  std::uint64_t denied = 0;
  std::uint64_t would_deny = 0;  // of the allowed ones
  std::uint64_t midstream = 0;
  std::uint64_t truncated = 0;
  std::optional<Denial> first_denial;
  std::optional<Denial> first_would_deny;
  // Only for flows with midstream packets.
  std::optional<OpenerVerdict> if_from_opened;
  std::optional<OpenerVerdict> if_to_opened;
};

struct RuleHits {
  Direction direction = Direction::ingress;
  std::uint32_t rule = 0;  // from 1
  std::uint64_t packets = 0;
};

struct PolicyAccount {
  PolicyRef policy;
  std::vector<RuleHits> rules;          // sorted by direction, rule
  std::uint64_t isolation_denials = 0;  // packets that it isolates and no rule allowed
  std::uint64_t would_denials = 0;      // packets that would be denied by its isolation or a rule of it
};

struct ReplayedCapture {
  std::string path;
  std::uint64_t packets = 0;
  std::optional<Error> damaged;  // the file ended in the middle; what was whole has been judged
};

struct ReplayResult {
  std::vector<ReplayedCapture> captures;
  ReplayTotals totals;
  std::vector<Flow> flows;              // in order of their first packet
  std::vector<PolicyAccount> policies;  // sorted; every policy of the cluster
};

// Packets of one or more captures in order of time.
class Replay {
 public:
  // Errors: a backend that cannot be made or cannot classify single packets, tables too small.
  static Result<Replay> start(const ClusterSnapshot& cluster, const ReplaySettings& settings,
                              const BackendFactory& factory);
  ~Replay();
  Replay(Replay&&) noexcept;
  Replay& operator=(Replay&&) noexcept;

  void judge(const CapturedPacket& packet, std::size_t capture = 0);
  [[nodiscard]] ReplayResult result() const;

 private:
  struct State;
  explicit Replay(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// Whole files, merged by time. Errors: a file that cannot be opened, and those of start(); a file
// that ends early is judged up to there and marked `damaged`.
Result<ReplayResult> replay_captures(std::span<const std::string> paths, const ClusterSnapshot& cluster,
                                     const ReplaySettings& settings, const BackendFactory& factory);

}  // namespace postern::sim
