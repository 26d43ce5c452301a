// SPDX-License-Identifier: Apache-2.0
// What the policies of a cluster mean for the pods of one node: for each endpoint and direction the
// ordered rules with selectors replaced by sets of addresses (terms) and named ports by numbers.
// Nothing here knows of tables; nothing below here knows of selectors.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/ids.h"
#include "engine/base/ip.h"
#include "engine/model/objects.h"
#include "engine/model/tier.h"

namespace postern {

enum class PolicyKind : std::uint8_t { network_policy, cluster_network_policy };

// A policy, whatever its kind; ns is empty for cluster-wide kinds.
struct PolicyRef {
  PolicyKind kind = PolicyKind::network_policy;
  NamespacedName key;
  friend auto operator<=>(const PolicyRef&, const PolicyRef&) = default;
};

// Where a RuleId comes from: rule `index` (from 0) of a direction of a policy.
struct RuleOrigin {
  PolicyRef policy;
  Direction direction = Direction::ingress;
  std::uint32_t index = 0;
  friend auto operator<=>(const RuleOrigin&, const RuleOrigin&) = default;
};

enum class TermKind : std::uint8_t {
  addresses,  // pods of a selector (with one resolution of a named port, at egress), nodes of a selector
  block,      // a CIDR less its excepts
};

// A set of addresses that rules name. `key` is its identity over time: the text of the selector or
// block it comes from. Two terms of one ResolvedPolicy never share a key. Addresses of a term may
// change from one resolve to the next; its key's meaning does not.
struct Term {
  std::string key;
  TermKind kind = TermKind::addresses;
  std::vector<IpAddress> addresses;  // kind addresses: sorted, unique, both families
  IpBlock block;                     // kind block
};

using TermIndex = std::uint32_t;  // into ResolvedPolicy::terms

// One protocol's ports. hi = 65535 and lo = 0: every port of the protocol.
struct PortMatch {
  Protocol protocol = Protocol::tcp;
  PortRange range;
  friend auto operator<=>(const PortMatch&, const PortMatch&) = default;
};

// A rule after resolution. A rule whose named ports resolve differently for different peers becomes
// several with the same id; a rule that can match nothing (a named port nobody has) is left out.
struct ResolvedRule {
  Tier tier = Tier::network_policy;
  Action action = Action::accept;
  std::uint32_t priority = 0;    // cluster-wide kinds: ascending, first match decides; else 0
  std::uint32_t policy = 0;      // cluster-wide kinds: tells policies of equal priority apart (R29); else 0
  std::uint32_t order = 0;       // cluster-wide kinds: place in the written order of its policy; else 0
  RuleId id;
  bool any_peer = false;         // else some term of `peers`
  std::vector<TermIndex> peers;  // sorted, unique
  // Egress: the peers match a ClusterIP's own address and the Service's own port too (R46).
  bool names_cluster_ips = false;
  bool any_port = false;         // every protocol, also those without ports; else some of `ports`
  std::vector<PortMatch> ports;  // sorted, unique
  friend bool operator==(const ResolvedRule&, const ResolvedRule&) = default;
};

// What decides in one direction of an endpoint.
struct DirectionRules {
  bool isolated = false;             // some NetworkPolicy selects the pod for this direction
  bool strict = false;               // where no tier decides: deny (R25)
  std::vector<PolicyRef> isolating;  // sorted; what an `isolated` denial names
  // Order matters inside a cluster tier only; here sorted by (tier, priority, policy, order, id).
  std::vector<ResolvedRule> rules;
  // Whether any packet may be denied.
  [[nodiscard]] bool decides() const { return isolated || strict || !rules.empty(); }
};

// One direction of an endpoint: what is enforced, and what would be if everything in audit were (R44).
struct DirectionPolicy : DirectionRules {
  std::optional<DirectionRules> if_enforced;  // absent: nothing is in audit. Has all of the rules above.
  // Whether the datapath has to look at packets of this direction at all.
  [[nodiscard]] bool judged() const { return decides() || if_enforced; }
  // Enforced and in audit.
  [[nodiscard]] const DirectionRules& with_audit() const { return if_enforced ? *if_enforced : *this; }
};

struct EndpointPolicy {
  EndpointId endpoint;
  std::uint32_t ifindex = 0;
  NamespacedName pod;
  std::vector<IpAddress> addresses;  // the pod's own
  std::array<DirectionPolicy, 2> directions;
  [[nodiscard]] const DirectionPolicy& at(Direction direction) const {
    return directions[index_of(direction)];
  }
};

// Where a connection to a port of a Service may be taken.
struct ResolvedBackend {
  IpAddress address;
  std::uint16_t port = 0;  // the target port
  EndpointId endpoint;     // 0, unless it is an endpoint of this node whose egress is judged (R1)
  friend auto operator<=>(const ResolvedBackend&, const ResolvedBackend&) = default;
};

struct ResolvedServicePort {
  Protocol protocol = Protocol::tcp;
  std::uint16_t port = 0;  // the Service's own
  NamespacedName service;
  std::vector<ResolvedBackend> backends;  // sorted, unique; empty: nobody answers
};

// What stands behind a ClusterIP (R7).
struct ResolvedService {
  IpAddress address;
  std::vector<ResolvedServicePort> ports;  // sorted by protocol and port, each once
};

struct ResolvedPolicy {
  std::vector<Term> terms;                // sorted by key
  std::vector<IpAddress> own_node;        // R2: sorted, unique
  std::vector<EndpointPolicy> endpoints;  // sorted by endpoint
  std::vector<ResolvedService> services;  // sorted by address, each once
};

}  // namespace postern
