// SPDX-License-Identifier: Apache-2.0
// Which backends a Service has, as rows: one cluster, a change to it, the backends of port 80.
#include "engine/policy/services.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <string>

namespace postern::services_test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

IpAddress ip(const std::string& text) { return *IpAddress::parse(text); }

struct World {
  ClusterSnapshot cluster;
  Service service;

  World() {
    add("x", "a", {"10.0.0.1", "fd00::1"});
    add("x", "b", {"10.0.0.2"});
    add("y", "c", {"10.0.1.3"});
    service.key = {"x", "web"};
    service.selector = Labels{{"app", "web"}};
    service.ports = {{"http", Protocol::tcp, 80, std::string("http")}};
  }

  void add(const std::string& ns, const std::string& name, const std::vector<std::string>& addresses) {
    Pod& pod = cluster.pods[{ns, name}];
    pod.key = {ns, name};
    pod.labels = {{"app", "web"}};
    for (const auto& address : addresses) pod.addresses.push_back(ip(address));
    pod.ports = {{"http", 8080, Protocol::tcp}, {"http", 8081, Protocol::tcp}, {"http", 53, Protocol::udp}};
  }
  Pod& pod(const std::string& name) { return cluster.pods.at({"x", name}); }
  EndpointSlice& slice() {
    service.selector.reset();
    EndpointSlice& slice = cluster.endpoint_slices[{"x", "web-1"}];
    slice.key = {"x", "web-1"};
    slice.service = "web";
    slice.ports = {{"http", Protocol::tcp, 9090, std::uint16_t{9090}}};
    slice.endpoints = {{{ip("10.0.0.2"), ip("192.0.2.1")}, true}, {{ip("192.0.2.2")}, false}};
    return slice;
  }

  [[nodiscard]] std::vector<std::string> backends(IpFamily family = IpFamily::v4) const {
    std::vector<std::string> out;
    // The index says the same as a look through all pods.
    ClusterSnapshot with_service = cluster;
    with_service.services[service.key] = service;
    const auto indexed = BackendIndex(with_service).backends_of(service, service.ports.at(0), family);
    const auto backends = backends_of(with_service, service, service.ports.at(0), family);
    const auto same = [](const ServiceBackend& a, const ServiceBackend& b) {
      return a.address == b.address && a.port == b.port && a.pod == b.pod;
    };
    EXPECT_TRUE(std::equal(indexed.begin(), indexed.end(), backends.begin(), backends.end(), same));
    for (const auto& backend : backends) {
      out.push_back(backend.address.to_string() + ' ' + std::to_string(backend.port) +
                    (backend.pod == nullptr ? "" : ' ' + backend.pod->key.name));
    }
    return out;
  }
};

TEST(Services, ReadyLivePodsOfTheNamespaceAndTheFirstPortOfTheName) {
  World world;
  EXPECT_THAT(world.backends(), ElementsAre("10.0.0.1 8080 a", "10.0.0.2 8080 b"));
  EXPECT_THAT(world.backends(IpFamily::v6), ElementsAre("fd00::1 8080 a"));
}

TEST(Services, WhatIsNoBackend) {
  struct Row {
    const char* name;
    std::function<void(World&)> change;
  };
  const Row rows[] = {
      {"not ready", [](World& w) { w.pod("a").ready = false; }},
      {"finished", [](World& w) { w.pod("a").phase = PodPhase::failed; }},
      {"no address", [](World& w) { w.pod("a").addresses.clear(); }},
      {"another label", [](World& w) { w.pod("a").labels["app"] = "db"; }},
      {"no port of the name",
       [](World& w) { w.pod("a").ports.erase(w.pod("a").ports.begin(), w.pod("a").ports.begin() + 2); }},
  };
  for (const Row& row : rows) {
    World world;
    row.change(world);
    EXPECT_THAT(world.backends(), ElementsAre("10.0.0.2 8080 b")) << row.name;
  }
}

TEST(Services, WithoutASelectorTheSlicesSay) {
  World world;
  world.slice();
  EXPECT_THAT(world.backends(), ElementsAre("10.0.0.2 9090 b", "192.0.2.1 9090"));
  world.slice().ports.front().name = "other";
  EXPECT_THAT(world.backends(), IsEmpty());
  world.slice().service = "db";
  EXPECT_THAT(world.backends(), IsEmpty());
}

}  // namespace
}  // namespace postern::services_test
