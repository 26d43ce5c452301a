// SPDX-License-Identifier: Apache-2.0
// The ClusterIPs a node has to know, as lines of text: "10.96.0.1 TCP 80 x/web -> 10.0.0.1:8080 (1)".
#include "engine/policy/resolve_services.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "engine/policy/resolve.h"

namespace postern::resolve_services_test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

IpAddress ip(const std::string& text) { return *IpAddress::parse(text); }

struct World {
  ClusterSnapshot cluster;

  World() {
    add("x", "a", {"10.0.0.1", "fd00::1"});
    add("x", "b", {"10.0.0.2"});
    add("y", "c", {"10.0.1.3"});
    // Isolated for egress: a alone of the two on this node.
    NetworkPolicy& policy = cluster.network_policies[{"x", "out"}];
    policy.key = {"x", "out"};
    policy.pod_selector.match_labels = {{"pod", "a"}};
    policy.isolates_ingress = false;
    policy.isolates_egress = true;
    serve("x", "web", {"10.96.0.1"});
  }
  void add(const std::string& ns, const std::string& name, const std::vector<std::string>& addresses) {
    Pod& pod = cluster.pods[{ns, name}];
    pod.key = {ns, name};
    pod.labels = {{"app", "web"}, {"pod", name}};
    for (const auto& address : addresses) pod.addresses.push_back(ip(address));
  }
  Service& serve(const std::string& ns, const std::string& name, const std::vector<std::string>& addresses) {
    Service& service = cluster.services[{ns, name}];
    service.key = {ns, name};
    service.selector = Labels{{"app", "web"}};
    for (const auto& address : addresses) service.cluster_ips.push_back(ip(address));
    service.ports = {{"http", Protocol::tcp, 80, std::uint16_t{8080}}};
    return service;
  }
  [[nodiscard]] std::vector<std::string> lines() const {
    const std::vector<LocalEndpoint> local{{EndpointId{1}, 11, {"x", "a"}}, {EndpointId{2}, 12, {"x", "b"}}};
    RuleRegistry rules;
    const auto policy = resolve(cluster, local, {}, rules);
    EXPECT_TRUE(policy);
    std::vector<std::string> out;
    for (const auto& service : policy->services) {
      for (const auto& port : service.ports) {
        std::string line = service.address.to_string() + ' ' + std::string(to_string(port.protocol)) + ' ' +
                           std::to_string(port.port) + ' ' + port.service.to_string() + " ->";
        for (const auto& backend : port.backends) {
          line += ' ' + backend.address.to_string() + ' ' + std::to_string(backend.port);
          if (backend.endpoint.value != 0) line += " (" + std::to_string(backend.endpoint.value) + ")";
        }
        out.push_back(line);
      }
    }
    return out;
  }
};

TEST(ResolveServices, BackendsAreThoseOfTheNamespaceAndJudgedEndpointsAreNamed) {
  EXPECT_THAT(World().lines(), ElementsAre("10.96.0.1 TCP 80 x/web -> 10.0.0.1 8080 (1) 10.0.0.2 8080"));
}

TEST(ResolveServices, EachFamilyHasItsOwnBackends) {
  World world;
  world.serve("x", "web", {"fd00:96::1"});
  EXPECT_THAT(world.lines(), ElementsAre("10.96.0.1 TCP 80 x/web -> 10.0.0.1 8080 (1) 10.0.0.2 8080",
                                         "fd00:96::1 TCP 80 x/web -> fd00::1 8080 (1)"));
}

TEST(ResolveServices, AServiceWithoutClusterIpIsNotThere) {
  World world;
  world.cluster.services.at({"x", "web"}).cluster_ips.clear();
  EXPECT_THAT(world.lines(), IsEmpty());
}

TEST(ResolveServices, APortWithoutReadyBackendIsThereAndEmpty) {
  World world;
  for (auto& [key, pod] : world.cluster.pods) pod.ready = false;
  EXPECT_THAT(world.lines(), ElementsAre("10.96.0.1 TCP 80 x/web ->"));
}

TEST(ResolveServices, OfTwoServicesWithOneClusterIpTheFirstByNameHasThePort) {
  World world;
  Service& other = world.serve("y", "web", {"10.96.0.1"});
  other.ports = {{"http", Protocol::tcp, 80, std::uint16_t{1}},
                 {"dns", Protocol::udp, 53, std::uint16_t{53}}};
  EXPECT_THAT(world.lines(), ElementsAre("10.96.0.1 TCP 80 x/web -> 10.0.0.1 8080 (1) 10.0.0.2 8080",
                                         "10.96.0.1 UDP 53 y/web -> 10.0.1.3 53"));
}

TEST(ResolveServices, SlicesSpeakForAServiceWithoutSelector) {
  World world;
  world.cluster.services.at({"x", "web"}).selector.reset();
  EndpointSlice& slice = world.cluster.endpoint_slices[{"x", "web-1"}];
  slice.key = {"x", "web-1"};
  slice.service = "web";
  slice.ports = {{"http", Protocol::tcp, 9090, std::uint16_t{9090}}};
  slice.endpoints = {{{ip("192.0.2.1"), ip("10.0.0.1")}, true}};
  EXPECT_THAT(world.lines(), ElementsAre("10.96.0.1 TCP 80 x/web -> 10.0.0.1 9090 (1) 192.0.2.1 9090"));
}

}  // namespace
}  // namespace postern::resolve_services_test
