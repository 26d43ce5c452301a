// SPDX-License-Identifier: Apache-2.0
// Placements and probes in few words, for the tests of the namespace cluster.
#pragma once

#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "sim/netns/netns_cluster.h"

namespace postern::sim::testing_support {

inline IpAddress address(const std::string& text) { return IpAddress::parse(text).value(); }

// Pods are "namespace/name" everywhere.
inline NamespacedName key(const std::string& pod) {
  const auto slash = pod.find('/');
  return {pod.substr(0, slash), pod.substr(slash + 1)};
}

// "10.0.0.1 fd00::1"
inline std::vector<IpAddress> addresses(const std::string& text) {
  std::vector<IpAddress> result;
  std::istringstream words(text);
  for (std::string word; words >> word;) result.push_back(address(word));
  return result;
}

// Addresses are lists with blanks, as many families as wanted.
class SmallCluster {
 public:
  SmallCluster& node(const std::string& name, const std::string& ips) {
    Node made;
    made.name = name;
    for (const auto& ip : addresses(ips)) made.addresses.push_back({"InternalIP", ip});
    placement.cluster.nodes[name] = made;
    return *this;
  }
  SmallCluster& pod(const std::string& name, const std::string& on_node, const std::string& ips) {
    Pod made;
    made.key = key(name);
    made.labels["pod"] = made.key.name;
    made.node_name = on_node;
    made.addresses = addresses(ips);
    placement.cluster.pods[made.key] = made;
    return *this;
  }
  SmallCluster& host_pod(const std::string& name, const std::string& on_node) {
    pod(name, on_node, "");
    for (const auto& entry : placement.cluster.nodes.at(on_node).addresses)
      placement.cluster.pods[key(name)].addresses.push_back(entry.address);
    placement.cluster.pods[key(name)].host_network = true;
    return *this;
  }
  SmallCluster& outside(const std::string& ips) {
    for (const auto& ip : addresses(ips)) placement.outside.push_back(ip);
    return *this;
  }
  // Selects pods by their label `pod` (all when empty) and lets in what the rules say.
  SmallCluster& ingress_policy(const std::string& name, const std::string& subject,
                               std::vector<PolicyRule> rules) {
    NetworkPolicy made;
    made.key = key(name);
    if (!subject.empty()) made.pod_selector.match_labels["pod"] = subject;
    made.ingress = std::move(rules);
    placement.cluster.network_policies[made.key] = made;
    return *this;
  }
  SmallCluster& egress_policy(const std::string& name, const std::string& subject,
                              std::vector<PolicyRule> rules) {
    ingress_policy(name, subject, {});
    auto& made = placement.cluster.network_policies[key(name)];
    made.isolates_ingress = false;
    made.isolates_egress = true;
    made.egress = std::move(rules);
    return *this;
  }

  // Of a pod or node the address of a family, by default its first one.
  [[nodiscard]] Party party(const std::string& name, std::optional<IpFamily> family = {}) const {
    Party made;
    if (name.rfind("node:", 0) == 0) {
      made.kind = Party::Kind::node;
      made.node = name.substr(5);
      const Node& node = placement.cluster.nodes.at(made.node);
      made.address = family ? node.internal_ip(*family).value() : node.addresses.front().address;
    } else if (name.rfind("service:", 0) == 0) {
      made.kind = Party::Kind::service;
      made.address = address(name.substr(8));
    } else if (name.find('/') != std::string::npos) {
      made.kind = Party::Kind::pod;
      made.pod = key(name);
      const Pod& pod = placement.cluster.pods.at(made.pod);
      made.address = family ? pod.address(*family).value() : pod.addresses.front();
    } else {
      made.kind = Party::Kind::outside;
      made.address = address(name);
    }
    return made;
  }
  [[nodiscard]] ProbeRequest probe(const std::string& from, const std::string& to, ProbeProtocol protocol,
                                   std::uint16_t port = 0) const {
    return {party(from), party(to), protocol, port};
  }

  Placement placement;
};

// A rule for one port of a protocol, from or to everybody.
inline PolicyRule port_rule(Protocol protocol, std::uint16_t port) {
  PolicyRule rule;
  PolicyPort made;
  made.protocol = protocol;
  made.port = PortRange{port, port};
  rule.ports.push_back(made);
  return rule;
}

// A rule for pods of the policy's namespace by their label `pod`.
inline PolicyRule peer_rule(const std::string& pod) {
  PolicyRule rule;
  PodPeer peer;
  peer.pods.emplace();
  peer.pods->match_labels["pod"] = pod;
  rule.peers.emplace_back(peer);
  return rule;
}

}  // namespace postern::sim::testing_support
