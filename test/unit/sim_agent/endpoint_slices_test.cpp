// SPDX-License-Identifier: Apache-2.0
// Whoever knows EndpointSlices alone finds the backends that whoever knows every pod finds by the selector.
#include "sim/agent/endpoint_slices.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "engine/manifest/cluster_state.h"
#include "engine/manifest/reader.h"
#include "engine/policy/services.h"

namespace postern::sim {
namespace {

// Two ports, one by a name that the pods give different numbers, one that none of them has; both families; a pod
// that is not ready, and one of another app.
constexpr const char* kWorld = R"(
{apiVersion: v1, kind: Pod, metadata: {name: one, namespace: shop, labels: {app: web}}, spec: {containers: [{name: c, ports: [{name: http, containerPort: 8080}]}]}, status: {podIP: 10.20.0.1, podIPs: [{ip: 10.20.0.1}, {ip: "fd00:20::1"}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: two, namespace: shop, labels: {app: web}}, spec: {containers: [{name: c, ports: [{name: http, containerPort: 9090}]}]}, status: {podIP: 10.20.0.2}}
---
{apiVersion: v1, kind: Pod, metadata: {name: unready, namespace: shop, labels: {app: web}}, spec: {containers: [{name: c}]}, status: {podIP: 10.20.0.3, conditions: [{type: Ready, status: "False"}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: other, namespace: shop, labels: {app: db}}, spec: {containers: [{name: c}]}, status: {podIP: 10.20.0.4}}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec:
  clusterIP: 10.96.0.10
  clusterIPs: [10.96.0.10, "fd00:96::10"]
  selector: {app: web}
  ports: [{name: a, port: 80, targetPort: http}, {name: b, port: 90, targetPort: 7070}, {name: c, port: 91, targetPort: absent}]
---
{apiVersion: v1, kind: Service, metadata: {name: own, namespace: shop}, spec: {clusterIP: 10.96.0.11, ports: [{port: 80}]}}
)";

ClusterSnapshot world() {
  auto read = manifest::read_manifest(kWorld, "world.yaml");
  EXPECT_TRUE(read) << read.error().front().to_string();
  if (!read) return {};
  manifest::ClusterState state;
  auto cluster = state.apply({}, read->objects);
  EXPECT_TRUE(cluster) << cluster.error().to_string();
  return cluster ? *cluster : ClusterSnapshot{};
}

std::multiset<std::string> backends(const ClusterSnapshot& cluster) {
  std::multiset<std::string> all;
  const BackendIndex index(cluster);
  for (const auto& [key, service] : cluster.services) {
    for (const auto& port : service.ports) {
      for (const auto family : {IpFamily::v4, IpFamily::v6}) {
        for (const auto& backend : index.backends_of(service, port, family)) {
          all.insert(key.name + "/" + port.name + " " + backend.address.to_string() + " " +
                     std::to_string(backend.port));
        }
      }
    }
  }
  return all;
}

TEST(ControllerSlicesTest, SayTheBackendsThatTheSelectorSays) {
  ClusterSnapshot cluster = world();
  const auto by_selector = backends(cluster);
  EXPECT_EQ(by_selector, (std::multiset<std::string>{"web/a 10.20.0.1 8080", "web/a 10.20.0.2 9090",
                                                     "web/a fd00:20::1 8080", "web/b 10.20.0.1 7070",
                                                     "web/b 10.20.0.2 7070", "web/b fd00:20::1 7070"}));
  for (const auto& slice : controller_slices(cluster)) {
    EXPECT_TRUE(cluster.endpoint_slices.emplace(slice.key, slice).second) << slice.key.name << " is there twice";
    EXPECT_EQ(slice.service, "web");
    ASSERT_FALSE(slice.endpoints.empty());
    for (const auto& endpoint : slice.endpoints) {
      EXPECT_EQ(endpoint.addresses.front().family(), slice.endpoints.front().addresses.front().family())
          << "the API has a family for each slice";
    }
  }
  cluster.services.at({"shop", "web"}).selector.reset();
  EXPECT_EQ(backends(cluster), by_selector);
}

}  // namespace
}  // namespace postern::sim
