// SPDX-License-Identifier: Apache-2.0
// One verdict on one flow, in the cluster's own words: who talked to whom, what was decided, and by which
// rule of which policy. Made from an event of the datapath (flow_names.h); what writes it down, sends it
// away or judges it again reads this and nothing of the kernel's.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/abi/verdict.h"
#include "engine/base/ip.h"
#include "engine/model/objects.h"
#include "engine/policy/resolved_policy.h"

namespace postern::agent {

struct FlowEnd {
  IpAddress address;
  std::uint16_t port = 0;    // 0 where the protocol has none
  NamespacedName pod;        // empty: no pod of the cluster is known to have the address
  std::string workload;      // "Deployment/web"; empty: not known, or none
};

// The rule that decided; of NetworkPolicies numbered from 1 within its direction.
struct FlowRule {
  PolicyRef policy;
  std::uint32_t rule = 0;
};

struct FlowRecord {
  std::int64_t unix_ns = 0;  // when the packet was judged
  std::string node;
  Direction direction = Direction::ingress;  // of the pod whose policy was asked
  std::uint8_t family = 0;                   // 4, 6, or 0: not IP, and the ends mean nothing
  FlowEnd source;
  FlowEnd destination;
  std::uint8_t protocol = 0;
  std::uint8_t icmp_type = 0;  // of ICMP and ICMPv6
  std::uint8_t icmp_code = 0;
  std::uint8_t tcp_flags = 0;
  bool allowed = false;
  pn_tier tier = PN_TIER_ERROR;
  std::uint32_t reason = PN_REASON_NONE;  // enum pn_reason
  // Of a would-deny (R44), what would deny it; tier, rule and isolating are then of that denial.
  std::string would_deny{};
  std::optional<FlowRule> rule{};
  std::vector<NamespacedName> isolating{};  // of a denial by isolation: the policies that isolate the pod
  std::uint32_t ifindex = 0;
  std::string interface{};  // the host's name of it; empty: gone
  std::uint32_t bytes = 0;  // of the packet
  std::uint32_t cpu = 0;
  std::uint32_t sequence = 0;    // of the ring's events of this CPU
  std::uint64_t suppressed = 0;  // events of this flow since its last record
};

}  // namespace postern::agent
