// SPDX-License-Identifier: Apache-2.0
// PolicyEndpoints as policies: slices that share a policyRef are one policy, the union of their pods and
// rules (R25c). The kind has no index and no count of slices, so a slice that is missing cannot be told;
// slices that disagree can, and a policy of which some do is never read in part.
//
// A policyRef whose name goes on after a '#' is a part of the policy before it: pods of one policy that
// need different rules (see to_policy_endpoints.h) come as parts, each a policy of its own by the rule
// above, and whatever names a policy to people leaves the part out. No object's name has a '#'.
//
// Entries say no longer which written rule they come from. Those of one direction with the same ports
// make a rule, and a policy's rules are numbered by their ports, over all its parts: every protocol
// first, then by protocol number, first and last port. An address that comes or goes changes a number
// only where it is the first or the last one with its ports.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "engine/model/snapshot.h"
#include "engine/policy/resolved_policy.h"

namespace postern {

using PolicyEndpoints = std::map<NamespacedName, PolicyEndpoint>;

// The policy that a policyRef means, without the part.
NamespacedName policy_of(const NamespacedName& policy_ref);

struct JoinedPolicy {
  NamespacedName ref;                         // the policyRef
  std::vector<const PolicyEndpoint*> slices;  // by name; never empty
  // As the first slice says it, which is as all do where they are consistent.
  [[nodiscard]] bool isolates(Direction direction) const;
  // Whether some slice lists the pod. hostNetwork pods are never subjects (R3).
  [[nodiscard]] bool selects(const Pod& pod) const;
};

// Whether an entry means this pod. Where it has a podIP, the pod must have that address: one that was
// made anew under an old name is another pod, and like any new pod it is selected once it is listed.
bool lists(const PodEndpoint& entry, const Pod& pod);

// Entries of one direction that have the same ports.
struct EndpointRule {
  std::uint32_t index = 0;        // among the rules of the policy and direction
  std::vector<PortMatch> ports;   // sorted, unique; empty: every protocol and port
  // Both 0.0.0.0/0 and ::/0 are named whole, as a rule without peers is written; then nothing else is.
  bool any_peer = false;
  std::vector<IpAddress> hosts;   // sorted, unique
  std::vector<IpBlock> blocks;    // sorted, unique
};

// Slices that share a policyRef and disagree on what all of them must say.
struct InconsistentPolicy {
  NamespacedName ref;
  std::vector<NamespacedName> slices;  // all of the policy's
  // "PolicyEndpoints x/p-a and x/p-b of x/p disagree on podIsolation: …"
  std::string message;
};

class JoinedPolicies {
 public:
  // The slices must outlive it.
  explicit JoinedPolicies(const PolicyEndpoints& slices);

  [[nodiscard]] const std::vector<JoinedPolicy>& all() const { return policies_; }  // by policyRef
  // Of a policy of all(). Entries without an address match nothing and are in no rule.
  [[nodiscard]] std::vector<EndpointRule> rules_of(const JoinedPolicy& policy, Direction direction) const;

 private:
  std::vector<JoinedPolicy> policies_;
};

// Null message: consistent.
std::string inconsistency_of(const JoinedPolicy& policy);

// What a reader of slices has to hold back: it may enforce what it last had of these policies, and must
// not enforce what it has now. Ordered by policyRef.
std::vector<InconsistentPolicy> inconsistent_policies(const PolicyEndpoints& slices);

// Entries that name a domain and no address: they match nothing, and somebody should say so.
struct DomainRule {
  NamespacedName slice;
  Direction direction = Direction::egress;
  std::string domain_name;
};
std::vector<DomainRule> domain_rules(const PolicyEndpoints& slices);

}  // namespace postern
