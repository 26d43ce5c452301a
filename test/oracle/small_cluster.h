// SPDX-License-Identifier: Apache-2.0
// Clusters written by hand, as short as a table row needs them.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "engine/model/snapshot.h"

namespace postern::oracle {

inline IpAddress ip(const std::string& text) {
  const auto address = IpAddress::parse(text);
  if (!address) std::abort();  // a slip in a test
  return *address;
}

inline Cidr cidr(const std::string& text) {
  const auto slash = text.find('/');
  return {ip(text.substr(0, slash)), std::stoi(text.substr(slash + 1))};
}

inline LabelSelector labels(Labels match) {
  return {.match_labels = std::move(match), .match_expressions = {}};
}
inline LabelSelector expression(std::string key, SelectorOperator op, std::vector<std::string> values = {}) {
  return {.match_labels = {}, .match_expressions = {{std::move(key), op, std::move(values)}}};
}

inline PolicyPeer pods(LabelSelector selector) {
  return PodPeer{.namespaces = {}, .pods = std::move(selector)};
}
inline PolicyPeer namespaces(LabelSelector selector) {
  return PodPeer{.namespaces = std::move(selector), .pods = {}};
}
inline PolicyPeer both(LabelSelector of_namespaces, LabelSelector of_pods) {
  return PodPeer{.namespaces = std::move(of_namespaces), .pods = std::move(of_pods)};
}
inline PolicyPeer block(const std::string& text, const std::vector<std::string>& excepts = {}) {
  IpBlock value{.cidr = cidr(text), .excepts = {}};
  for (const auto& except : excepts) value.excepts.push_back(cidr(except));
  return value;
}

inline PolicyPort any_port(Protocol protocol = Protocol::tcp) { return {.protocol = protocol, .port = {}}; }
inline PolicyPort ports(std::uint16_t lo, std::uint16_t hi, Protocol protocol = Protocol::tcp) {
  return {.protocol = protocol, .port = PortRange{lo, hi}};
}
inline PolicyPort port(std::uint16_t number, Protocol protocol = Protocol::tcp) {
  return ports(number, number, protocol);
}
inline PolicyPort named(std::string name, Protocol protocol = Protocol::tcp) {
  return {.protocol = protocol, .port = std::move(name)};
}

inline ClusterPort each(Protocol protocol, std::uint16_t lo, std::uint16_t hi) {
  return ProtocolPorts{protocol, PortRange{lo, hi}};
}
inline ClusterPort each(Protocol protocol, std::uint16_t number) { return each(protocol, number, number); }
inline ClusterPort each(Protocol protocol) { return ProtocolPorts{protocol, {}}; }
inline ClusterPeer networks(const std::vector<std::string>& texts) {
  ClusterNetworks value;
  for (const auto& text : texts) value.networks.push_back(cidr(text));
  return value;
}
// Of namespaces and pods, each empty for all.
inline ClusterPeer cluster_pods(LabelSelector of_namespaces = {}, LabelSelector of_pods = {}) {
  return ClusterPods{std::move(of_namespaces), std::move(of_pods)};
}
inline ClusterPeer cluster_nodes(LabelSelector selector = {}) { return ClusterNodes{std::move(selector)}; }
inline ClusterRule rule(Action action, std::vector<ClusterPeer> peers, std::vector<ClusterPort> ports = {}) {
  return {.name = "", .action = action, .peers = std::move(peers), .protocols = std::move(ports)};
}

// Two namespaces, x (labelled team=red) and y (blue), each with pods a and b on node n1; y/b is on n2.
// x/a 10.0.0.1 fd00::1, x/b 10.0.0.2 fd00::2, y/a 10.0.1.1, y/b 10.0.1.2; a listens on http 80, b on http
// 8080.
class SmallCluster {
 public:
  SmallCluster() {
    objects.namespaces["x"] = {.name = "x", .labels = {{"team", "red"}}, .annotations = {}};
    objects.namespaces["y"] = {.name = "y", .labels = {{"team", "blue"}}, .annotations = {}};
    node("n1", "192.168.0.1");
    node("n2", "192.168.0.2");
    pod("x", "a", {"10.0.0.1", "fd00::1"}).ports = {{"http", 80, Protocol::tcp}, {"dns", 53, Protocol::udp}};
    pod("x", "b", {"10.0.0.2", "fd00::2"}).ports = {{"http", 8080, Protocol::tcp}};
    pod("y", "a", {"10.0.1.1"}).ports = {{"http", 80, Protocol::tcp}};
    pod("y", "b", {"10.0.1.2"}).ports = {{"http", 8080, Protocol::tcp}};
    objects.pods[{"y", "b"}].node_name = "n2";
  }

  Pod& pod(const std::string& ns, const std::string& name, const std::vector<std::string>& addresses) {
    Pod& made = objects.pods[{ns, name}];
    made.key = {ns, name};
    made.labels = {{"pod", name}};
    made.node_name = "n1";
    for (const auto& address : addresses) made.addresses.push_back(ip(address));
    return made;
  }
  Pod& pod(const std::string& ns, const std::string& name) { return objects.pods.at({ns, name}); }

  void node(const std::string& name, const std::string& address) {
    objects.nodes[name] = {.name = name, .labels = {}, .addresses = {{"InternalIP", ip(address)}}};
  }

  NetworkPolicy& policy(const std::string& ns, const std::string& name, LabelSelector selector) {
    NetworkPolicy& made = objects.network_policies[{ns, name}];
    made.key = {ns, name};
    made.pod_selector = std::move(selector);
    return made;
  }
  // A policy of x for every pod of x that isolates one direction.
  NetworkPolicy& ingress(std::vector<PolicyRule> rules) {
    NetworkPolicy& made = policy("x", "in", {});
    made.ingress = std::move(rules);
    return made;
  }
  NetworkPolicy& egress(std::vector<PolicyRule> rules) {
    NetworkPolicy& made = policy("x", "out", {});
    made.isolates_ingress = false;
    made.isolates_egress = true;
    made.egress = std::move(rules);
    return made;
  }

  // For every pod there is.
  ClusterNetworkPolicy& cluster(const std::string& name, Tier tier, std::uint32_t priority = 100) {
    ClusterNetworkPolicy& made = objects.cluster_network_policies[name];
    made.name = name;
    made.tier = tier;
    made.priority = priority;
    return made;
  }

  Service& service(const std::string& ns, const std::string& name, const std::string& cluster_ip) {
    Service& made = objects.services[{ns, name}];
    made.key = {ns, name};
    made.cluster_ips = {ip(cluster_ip)};
    made.ports = {{"web", Protocol::tcp, 80, std::string("http")}};
    return made;
  }

  ClusterSnapshot objects;
};

}  // namespace postern::oracle
