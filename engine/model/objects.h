// SPDX-License-Identifier: Apache-2.0
// Kubernetes values as policy needs them: already defaulted and checked (see engine/manifest), so
// nothing here is optional unless the API gives absence a meaning of its own.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "engine/base/ip.h"

namespace postern {

using Labels = std::map<std::string, std::string>;

// The identity of a namespaced object. Ordered by namespace, then name.
struct NamespacedName {
  std::string ns;
  std::string name;
  [[nodiscard]] std::string to_string() const { return ns + "/" + name; }
  friend auto operator<=>(const NamespacedName&, const NamespacedName&) = default;
};

enum class SelectorOperator : std::uint8_t { in, not_in, exists, does_not_exist };

struct LabelRequirement {
  std::string key;
  SelectorOperator op = SelectorOperator::exists;
  std::vector<std::string> values;  // sorted, unique
  friend auto operator<=>(const LabelRequirement&, const LabelRequirement&) = default;
};

// "The result of matchLabels and matchExpressions are ANDed. An empty label selector matches all
// objects." (meta/v1 LabelSelector) Requirements are kept sorted, so equal meaning compares equal
// more often; it need not always.
struct LabelSelector {
  Labels match_labels;
  std::vector<LabelRequirement> match_expressions;
  [[nodiscard]] bool empty() const { return match_labels.empty() && match_expressions.empty(); }
  [[nodiscard]] bool matches(const Labels& labels) const;
  [[nodiscard]] std::string to_string() const;  // "app=web,tier in (a,b),!old"; "(everything)" when empty
  friend auto operator<=>(const LabelSelector&, const LabelSelector&) = default;
};

// One requirement of a selector against labels; explain uses it to name the one that fails.
bool matches(const LabelRequirement& requirement, const Labels& labels);
std::string to_string(const LabelRequirement& requirement);

// The default where no tier decides: allow, or deny (R25).
enum class Enforcement : std::uint8_t { standard, strict };

struct Namespace {
  std::string name;
  Labels labels;  // always with kubernetes.io/metadata.name (R34)
  std::map<std::string, std::string> annotations;
  // By Direction, what its annotations say of its pods; absent: the cluster's setting (R45).
  std::array<std::optional<Enforcement>, 2> enforcement{};
  bool audit = false;  // its own NetworkPolicies and its strictness isolate nobody (R44)
  std::vector<std::string> remarks{};  // what its postern.dev annotations say that nobody understands (R45)
  friend bool operator==(const Namespace&, const Namespace&) = default;
};

struct ContainerPort {
  std::string name;  // empty: unnamed
  std::uint16_t port = 0;
  Protocol protocol = Protocol::tcp;
  friend auto operator<=>(const ContainerPort&, const ContainerPort&) = default;
};

enum class PodPhase : std::uint8_t { pending, running, succeeded, failed, unknown };

struct Pod {
  NamespacedName key;
  Labels labels;
  std::map<std::string, std::string> annotations;
  std::string node_name;  // empty: not scheduled
  bool host_network = false;
  PodPhase phase = PodPhase::running;
  bool ready = true;                 // no condition Ready: False
  std::vector<IpAddress> addresses;  // status.podIPs, at most one of each family; empty: none yet
  std::vector<ContainerPort> ports;  // of containers and of init containers that restart Always, in order
  std::string workload;  // "Deployment/web": the template it is expanded from, or who controls it; may be empty

  // Finished pods and pods without an address are no end point, no peer and no subject (R23, R24).
  [[nodiscard]] bool live() const {
    return phase != PodPhase::succeeded && phase != PodPhase::failed && !addresses.empty();
  }
  [[nodiscard]] std::optional<IpAddress> address(IpFamily family) const;
  friend bool operator==(const Pod&, const Pod&) = default;
};

struct NodeAddress {
  std::string type;  // InternalIP, ExternalIP, Hostname…
  IpAddress address;
  friend bool operator==(const NodeAddress&, const NodeAddress&) = default;
};

struct Node {
  std::string name;
  Labels labels;
  std::vector<NodeAddress> addresses;  // those whose value is an address
  [[nodiscard]] std::optional<IpAddress> internal_ip(IpFamily family) const;
  friend bool operator==(const Node&, const Node&) = default;
};

// A number or the name of a port.
using IntOrString = std::variant<std::uint16_t, std::string>;

struct ServicePort {
  std::string name;
  Protocol protocol = Protocol::tcp;
  std::uint16_t port = 0;
  IntOrString target_port;
  friend bool operator==(const ServicePort&, const ServicePort&) = default;
};

struct Service {
  NamespacedName key;
  std::optional<Labels> selector;       // absent: EndpointSlices say
  std::vector<IpAddress> cluster_ips;   // empty: headless
  std::vector<ServicePort> ports;
  friend bool operator==(const Service&, const Service&) = default;
};

struct EndpointSlice {
  NamespacedName key;
  std::string service;
  struct Endpoint {
    std::vector<IpAddress> addresses;
    bool ready = true;
    friend bool operator==(const Endpoint&, const Endpoint&) = default;
  };
  std::vector<Endpoint> endpoints;
  std::vector<ServicePort> ports;  // port = target port
  friend bool operator==(const EndpointSlice&, const EndpointSlice&) = default;
};

// networking.k8s.io/v1 NetworkPolicyPort.
struct PolicyPort {
  Protocol protocol = Protocol::tcp;
  // Absent: every port of the protocol. A name is resolved per pod (R9, R10).
  std::optional<std::variant<PortRange, std::string>> port;
  friend auto operator<=>(const PolicyPort&, const PolicyPort&) = default;
};

struct IpBlock {
  Cidr cidr;
  std::vector<Cidr> excepts;
  [[nodiscard]] bool contains(const IpAddress& address) const;
  friend auto operator<=>(const IpBlock&, const IpBlock&) = default;
};

// Pods by selectors. Absent namespaces: the policy's own namespace. Absent pods: every pod.
struct PodPeer {
  std::optional<LabelSelector> namespaces;
  std::optional<LabelSelector> pods;
  friend auto operator<=>(const PodPeer&, const PodPeer&) = default;
};

using PolicyPeer = std::variant<PodPeer, IpBlock>;

// One element of ingress or egress. Empty peers: every peer. Empty ports: every protocol and port.
struct PolicyRule {
  std::vector<PolicyPeer> peers;
  std::vector<PolicyPort> ports;
  friend bool operator==(const PolicyRule&, const PolicyRule&) = default;
};

struct NetworkPolicy {
  NamespacedName key;
  LabelSelector pod_selector;
  bool isolates_ingress = true;
  bool isolates_egress = false;
  std::vector<PolicyRule> ingress;
  std::vector<PolicyRule> egress;
  bool audit = false;  // isolates nobody and allows nothing (R44)
  std::vector<std::string> remarks{};  // as of a Namespace
  friend bool operator==(const NetworkPolicy&, const NetworkPolicy&) = default;
};

// One entry of a PolicyEndpoint's ingress or egress.
struct EndpointInfo {
  std::optional<IpBlock> block;   // absent: it names no address, so it matches nothing
  std::string domain_name;        // carried only: nobody here resolves names
  std::vector<PolicyPort> ports;  // numbers only; empty: every protocol and port
  friend auto operator<=>(const EndpointInfo&, const EndpointInfo&) = default;
};

// One pod that a PolicyEndpoint selects. A pod with two addresses may be there once for each.
struct PodEndpoint {
  NamespacedName pod;
  std::optional<IpAddress> address;       // podIP
  std::optional<IpAddress> host_address;  // hostIP
  friend auto operator<=>(const PodEndpoint&, const PodEndpoint&) = default;
};

// networking.k8s.aws/v1alpha1 PolicyEndpoint: one slice of what a policy resolves to, with selectors
// replaced by addresses. Slices that share a `policy` are one policy (R25c).
struct PolicyEndpoint {
  NamespacedName key;
  NamespacedName policy;                      // policyRef
  std::optional<LabelSelector> pod_selector;  // of that policy; who is selected is in `pods`
  bool isolates_ingress = false;
  bool isolates_egress = false;
  std::vector<PodEndpoint> pods;
  std::vector<EndpointInfo> ingress;
  std::vector<EndpointInfo> egress;
  std::string last_change_trigger_time;  // annotation of this name, RFC 3339; empty: none
  friend bool operator==(const PolicyEndpoint&, const PolicyEndpoint&) = default;
};

inline constexpr const char* kLastChangeTriggerTime = "networking.k8s.aws/last-change-trigger-time";

}  // namespace postern
