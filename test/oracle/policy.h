// SPDX-License-Identifier: Apache-2.0
// The reference evaluator: what the policies of every tier mean, written from the text of the API and the rulings
// (docs/semantics.md) and from nothing else. It reads Kubernetes objects, has never seen a table, looks
// everything up anew for every question and is meant to be obvious, not fast. Selectors, blocks and
// backends are evaluated here too and not by the helpers of engine/model, so that a mistake there shows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "engine/model/snapshot.h"

namespace postern::oracle {

enum class Direction : std::uint8_t { ingress, egress };  // seen from the pod

enum class Reason : std::uint8_t {
  // allow
  not_isolated,
  rule,
  established,
  related,
  self,
  own_node,
  always,
  // deny
  isolated,
  denied,  // by a rule of a ClusterNetworkPolicy
  strict,
  backends_differ,
  no_backend,
  spoofed_source,
  protocol,
};
std::string to_string(Reason reason);

// One element of a policy's ingress or egress list. A ClusterNetworkPolicy has no namespace.
struct RuleName {
  NamespacedName policy;
  Direction direction = Direction::ingress;
  std::size_t index = 0;
  Tier tier = Tier::network_policy;
  friend auto operator<=>(const RuleName&, const RuleName&) = default;
};

// What holds at one end. An allow carries every true reason (R41) and every rule of the deciding tier that
// admits; a deny one reason and, if rules deny, the rules that do: more of them only where the rulings rank
// none first (equal priorities, R29; backends that all deny, R7). `isolating`: the NetworkPolicies that
// isolate the direction, whatever the verdict.
struct Verdict {
  bool allow = false;
  std::set<Reason> reasons = {};
  std::set<RuleName> rules = {};
  std::set<NamespacedName> isolating = {};
  std::optional<Tier> tier = std::nullopt;  // the one that decides; absent: none does, or more than one
  std::set<RuleName> passed = {};           // rules by which the packet left a tier
  bool would_deny = false;                  // allowed, and not if all that is in audit were in force (R44)
};

struct Cluster {
  const ClusterSnapshot& objects;
  bool strict = false;  // R25
  // By node: addresses its host namespace has beyond Node.status (R2), such as gateways of veths.
  std::map<std::string, std::set<IpAddress>> host_addresses;
  bool audits_in_force = false;  // as if nothing were in audit
};

// One packet that opens a connection, at one pod. `port` is the destination port, without meaning for
// protocols that have none. At egress the packet is seen before any Service translates it (R7).
struct Question {
  NamespacedName pod;
  Direction direction = Direction::ingress;
  IpAddress peer;
  Protocol protocol = Protocol::tcp;
  std::uint16_t port = 0;
};
Verdict verdict(const Cluster& cluster, const Question& question);

// Whether anything is asked at all: the pod is a subject, and in this direction isolated, strict, or that of
// a ClusterNetworkPolicy with rules.
bool judged(const Cluster& cluster, const NamespacedName& pod, Direction direction);

struct Backend {
  IpAddress address;
  std::uint16_t port = 0;
  friend auto operator<=>(const Backend&, const Backend&) = default;
};
// The ready backends behind a port of a ClusterIP, in the ClusterIP's family. Absent: no Service has this
// address, or none of its ports is this one.
std::optional<std::set<Backend>> backends(const ClusterSnapshot& objects, const IpAddress& cluster_ip,
                                          Protocol protocol, std::uint16_t port);

// The whole way of a new connection. Each backend of a Service is a way of its own; any other
// destination has one. An end that is no pod judges nothing and counts as an allow.
struct Way {
  Backend destination;
  Verdict arriving;
};
enum class Outcome : std::uint8_t { allow, deny, differ };
struct Connection {
  Outcome outcome = Outcome::deny;
  Verdict leaving;
  std::vector<Way> ways;  // empty: nobody is there to answer
};
struct Ends {
  IpAddress from;
  IpAddress to;
  Protocol protocol = Protocol::tcp;
  std::uint16_t port = 0;
};
Connection connection(const Cluster& cluster, const Ends& ends);

// The live pod that has an address, hostNetwork pods apart (R3, R23, R24).
const Pod* pod_at(const ClusterSnapshot& objects, const IpAddress& address);

}  // namespace postern::oracle
