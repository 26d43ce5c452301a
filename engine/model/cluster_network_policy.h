// SPDX-License-Identifier: Apache-2.0
// policy.networking.k8s.io/v1alpha2 ClusterNetworkPolicy: ordered rules of cluster administrators, before
// and behind all NetworkPolicies. The older forms (AdminNetworkPolicy, BaselineAdminNetworkPolicy and
// the ClusterNetworkPolicy of networking.k8s.aws) are read into this one, and so is what a
// ClusterPolicyEndpoint says, once its slices are joined (engine/manifest/cluster_slices.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "engine/model/objects.h"
#include "engine/model/tier.h"

namespace postern {

// Pods by the labels of their namespaces and their own; an empty selector selects everything, and so
// does a null one (R33). A peer or subject `namespaces` is one with an empty selector of pods.
struct ClusterPods {
  LabelSelector namespaces;
  LabelSelector pods;
  friend auto operator<=>(const ClusterPods&, const ClusterPods&) = default;
};

// Every address in status.addresses of the nodes (R43). Egress only.
struct ClusterNodes {
  LabelSelector nodes;
  friend auto operator<=>(const ClusterNodes&, const ClusterNodes&) = default;
};

// Any address inside, those of pods included (R43). Egress only.
struct ClusterNetworks {
  std::vector<Cidr> networks;
  friend auto operator<=>(const ClusterNetworks&, const ClusterNetworks&) = default;
};

// Carried only: nobody here resolves names, so an Accept of it matches nothing.
struct ClusterDomainNames {
  std::vector<std::string> names;
  friend auto operator<=>(const ClusterDomainNames&, const ClusterDomainNames&) = default;
};

// A peer of a newer API: `fields` are those that it has. It makes its whole rule fail closed (R31).
struct UnknownPeer {
  std::vector<std::string> fields;
  friend auto operator<=>(const UnknownPeer&, const UnknownPeer&) = default;
};

using ClusterPeer = std::variant<ClusterPods, ClusterNodes, ClusterNetworks, ClusterDomainNames, UnknownPeer>;

// destinationNamedPort: "it takes number and protocol from every container port of that name" (R43).
struct NamedPort {
  std::string name;
  friend auto operator<=>(const NamedPort&, const NamedPort&) = default;
};

// One entry of a rule's protocols. `ports` absent: every port of the protocol.
struct ProtocolPorts {
  Protocol protocol = Protocol::tcp;
  std::optional<PortRange> ports;
  friend auto operator<=>(const ProtocolPorts&, const ProtocolPorts&) = default;
};

using ClusterPort = std::variant<ProtocolPorts, NamedPort>;

// The first rule of a direction that matches decides. Peers are never empty; empty `protocols`: every
// protocol, those without ports included.
struct ClusterRule {
  std::string name;  // may be empty
  Action action = Action::deny;
  std::vector<ClusterPeer> peers;
  std::vector<ClusterPort> protocols;
  friend bool operator==(const ClusterRule&, const ClusterRule&) = default;
};

// The priority of a kind that has none: behind every policy that has one.
inline constexpr std::uint32_t kHighestPriority = 1000;
inline constexpr std::uint32_t kNoPriority = kHighestPriority + 1;

struct ClusterNetworkPolicy {
  std::string name;            // with its kind where that is another, see cluster_policy_id.h
  Tier tier = Tier::admin;     // admin or baseline
  std::uint32_t priority = 0;  // ascending
  ClusterPods subject;
  // Who is selected where somebody else has resolved the subject; sorted, unique. Then the subject only
  // says what it was resolved from.
  std::optional<std::vector<PodEndpoint>> listed;
  std::vector<ClusterRule> ingress;
  std::vector<ClusterRule> egress;
  bool audit = false;  // R44
  std::vector<std::string> remarks{};  // as of a Namespace
  friend bool operator==(const ClusterNetworkPolicy&, const ClusterNetworkPolicy&) = default;
};

// One entry of a ClusterPolicyEndpoint's ingress or egress: a block, else domain names (carried only), else
// of a kind that nobody here knows.
struct ClusterEndpointInfo {
  Action action = Action::deny;
  ClusterPeer peer;                      // ClusterNetworks of one block, ClusterDomainNames or UnknownPeer
  std::vector<ProtocolPorts> protocols;  // numbers only; empty: every protocol
  friend bool operator==(const ClusterEndpointInfo&, const ClusterEndpointInfo&) = default;
};

// networking.k8s.aws/v1alpha1 ClusterPolicyEndpoint: one slice of what a cluster policy resolves to. Slices
// that share a `policy` are one policy, as with PolicyEndpoints (R25c).
struct ClusterPolicyEndpoint {
  std::string name;
  std::string policy;  // policyRef
  Tier tier = Tier::admin;
  std::uint32_t priority = 0;
  std::optional<ClusterPods> subject;  // of that policy; who is selected is in `pods`
  std::vector<PodEndpoint> pods;
  std::vector<ClusterEndpointInfo> ingress;
  std::vector<ClusterEndpointInfo> egress;
  friend bool operator==(const ClusterPolicyEndpoint&, const ClusterPolicyEndpoint&) = default;
};

}  // namespace postern
