// SPDX-License-Identifier: Apache-2.0
// Placements and probes in few words, for the tests of the namespace cluster.
#pragma once

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

class SmallCluster {
 public:
  SmallCluster& node(const std::string& name, const std::string& ip) {
    Node made;
    made.name = name;
    made.addresses.push_back({"InternalIP", address(ip)});
    placement.cluster.nodes[name] = made;
    return *this;
  }
  SmallCluster& pod(const std::string& name, const std::string& on_node, const std::string& ip) {
    Pod made;
    made.key = key(name);
    made.labels["pod"] = made.key.name;
    made.node_name = on_node;
    made.addresses.push_back(address(ip));
    placement.cluster.pods[made.key] = made;
    return *this;
  }
  SmallCluster& host_pod(const std::string& name, const std::string& on_node) {
    pod(name, on_node, placement.cluster.nodes.at(on_node).addresses.front().address.to_string());
    placement.cluster.pods[key(name)].host_network = true;
    return *this;
  }
  SmallCluster& outside(const std::string& ip) {
    placement.outside.push_back(address(ip));
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

  [[nodiscard]] Party party(const std::string& name) const {
    Party made;
    if (name.rfind("node:", 0) == 0) {
      made.kind = Party::Kind::node;
      made.node = name.substr(5);
      made.address = placement.cluster.nodes.at(made.node).addresses.front().address;
    } else if (name.find('/') != std::string::npos) {
      made.kind = Party::Kind::pod;
      made.pod = key(name);
      made.address = placement.cluster.pods.at(made.pod).addresses.front();
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
