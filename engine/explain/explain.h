// SPDX-License-Identifier: Apache-2.0
// Why a connection passes or not, in the words of the policies themselves: at the client's egress and
// at the server's ingress, which policies isolate, which rules allow, and if none does, which rules
// come nearest and what exactly they lack. Reads objects only, never tables; that the verdict is the
// engine's own is held by a test over random clusters.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/abi/verdict.h"
#include "engine/base/result.h"
#include "engine/model/snapshot.h"
#include "engine/policy/resolve.h"

namespace postern {

// One party to the traffic. A pod, node or Service without an address given uses its own of the
// common family.
struct TrafficEnd {
  enum class Kind : std::uint8_t { pod, node, address, service };
  Kind kind = Kind::address;
  NamespacedName pod;                // kind pod
  std::string node;                  // kind node
  NamespacedName service;            // kind service: a destination only
  std::optional<IpAddress> address;  // kind address: always set
};

// Reads "namespace/pod", "namespace/workload" (its first pod), "service:namespace/name", "node:NAME" or
// an address, which is the Service, pod or node that has it, else an outside host. Errors name the
// nearest names.
Result<TrafficEnd> find_traffic_end(const ClusterSnapshot& cluster, std::string_view text);

struct ExplainQuery {
  TrafficEnd from;
  TrafficEnd to;
  std::uint8_t protocol = static_cast<std::uint8_t>(Protocol::tcp);  // any IP protocol number
  std::uint16_t port = 0;                                            // ignored where there are none
  bool strict = false;                                               // R25
  std::optional<ServiceIpBlocks> service_ip_blocks{};                // R46, as in ResolveOptions
};

struct RuleRef {
  NamespacedName policy;
  std::uint32_t rule = 0;  // from 1, within its direction
  friend auto operator<=>(const RuleRef&, const RuleRef&) = default;
};

// What kept one rule from allowing.
enum class MissingKind : std::uint8_t {
  pod_label,        // the peer's podSelector
  namespace_label,  // the peer's namespaceSelector
  own_namespace,    // no namespaceSelector: the policy's namespace only
  not_a_pod,        // a selector can never match this peer
  outside_block,
  in_except,
  port,
  protocol,
  named_port,
  subject_label,  // the policy does not select the pod at this end
  policy_type,    // the policy has the rule, but its policyTypes leave the direction out
};

struct Missing {
  MissingKind kind = MissingKind::port;
  std::string text;  // "podSelector wants app=web; x/a has app=wep"
};

struct NearMiss {
  RuleRef rule;
  std::vector<Missing> missing;  // never empty
  std::uint32_t cost = 0;        // how much is missing; what the order goes by first
  std::uint32_t distance = 0;    // letters or port numbers away, to order equal costs
};

// A rule of a ClusterNetworkPolicy that had its say.
struct ClusterVerdict {
  RuleRef rule;  // its policy has no namespace
  std::string rule_name;
  Tier tier = Tier::admin;
  Action action = Action::deny;
  std::uint32_t priority = 0;
  bool failed_closed = false;  // it has a peer of an unknown kind (R31)
};

struct EndExplanation {
  Direction direction = Direction::egress;
  std::string who;      // "x/a", "node n1", "203.0.113.7"
  bool judged = false;  // a live pod of its own network; else nothing is judged at this end
  bool allowed = true;
  std::uint32_t reason = PN_REASON_NONE;  // enum pn_reason; none when not judged
  std::vector<NamespacedName> isolating;  // sorted
  std::vector<RuleRef> allowing;          // sorted
  std::optional<ClusterVerdict> decided_by;  // where a tier of ClusterNetworkPolicies decides
  std::vector<ClusterVerdict> passed;        // Pass on the way there, in order
  // Whether some policy or strictness has a say here at all: else the datapath looks at no packet.
  bool policed = false;
  std::vector<NearMiss> near_misses;      // nearest first, only when denied; at most kNearMisses
  std::string note;                       // own node, self, host network, …; may be empty
  // Allowed with PN_REASON_WOULD_DENY: the denial that comes if everything in audit is enforced (R44). What is
  // above is then what allows today, but for the reason.
  std::shared_ptr<const EndExplanation> would_deny{};
};

inline constexpr std::size_t kNearMisses = 8;

// One backend of the Service port that was asked for.
struct BackendExplanation {
  std::string who;         // "y/b (10.0.1.3), TCP 8080"
  std::string name;        // "y/b", or the address of an end point that is no pod
  EndExplanation egress;   // of the client, to this backend
  EndExplanation ingress;  // of this backend
};

struct Explanation {
  bool allowed = false;
  bool would_deny = false;  // allowed, but not if everything in audit were enforced
  // An end that takes no part (a finished pod, one without an address): nothing is judged, no packet
  // arrives; `allowed` is false and this says why.
  std::string no_endpoint;
  std::string traffic;                       // "x/a (10.0.0.1) -> y/b (10.0.0.2), TCP 80"
  EndExplanation egress;                     // to a Service: what holds for all backends together
  EndExplanation ingress;                    // to a Service: the first backend that denies, else the first
  std::string service;                       // "Service y/web"; empty: the destination is none
  std::vector<BackendExplanation> backends;  // of a Service, sorted by address and port
  std::vector<std::string> hints;
};

// A destination address that is a ClusterIP is its Service, whatever kind of address it comes as.
// Errors: a pod, node or Service that does not exist (not_found), a Service as the client or without
// ClusterIP, ends without a common address family.
Result<Explanation> explain(const ClusterSnapshot& cluster, const ExplainQuery& query);

// Several lines, plain words, ending with a newline.
std::string to_text(const Explanation& explanation);
// One line for a wrong cell: "denied at ingress of y/b, isolated by y/deny; nearest: y/web rule 1: …".
std::string why_line(const Explanation& explanation);
// "denied at ingress of y/b, …" of one end alone.
std::string why_line(const EndExplanation& end);

// The public name of a reason, as scenarios and results spell it.
std::string_view reason_name(std::uint32_t reason);
// The tier that a reason belongs to, where the reason alone tells: what is established or related, and what would
// be denied, has no tier of its own and counts as by default. `error`: no policy was asked.
pn_tier tier_of_reason(std::uint32_t reason);
// As the Amazon agent's log spells it: "NETWORK_POLICY".
std::string_view tier_name(pn_tier tier);

}  // namespace postern
