// SPDX-License-Identifier: Apache-2.0
#include "test/unit/explain/world.h"

namespace postern::traffic_end_test {
namespace {

constexpr const char* kCluster = R"(
apiVersion: v1
kind: Node
metadata: {name: n1}
status: {addresses: [{type: InternalIP, address: 172.18.0.21}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: x}
spec: {replicas: 12, template: {metadata: {labels: {app: web}}, spec: {containers: [{name: c}]}}}
---
apiVersion: v1
kind: Pod
metadata: {name: single, namespace: x}
spec: {nodeName: n1, containers: [{name: c}]}
status: {podIP: 10.0.0.5}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: x}
spec: {clusterIP: 10.96.0.7, selector: {app: web}, ports: [{port: 80}]}
)";

TEST(TrafficEnd, FindsPodsWorkloadsNodesAndAddresses) {
  const auto cluster = cluster_of(kCluster);
  EXPECT_EQ(find_traffic_end(cluster, "x/single")->pod.to_string(), "x/single");
  EXPECT_EQ(find_traffic_end(cluster, "x/web")->pod.to_string(), "x/web-0");
  EXPECT_EQ(find_traffic_end(cluster, "x/web-11")->pod.to_string(), "x/web-11");
  EXPECT_EQ(find_traffic_end(cluster, "node:n1")->node, "n1");
  EXPECT_EQ(find_traffic_end(cluster, "10.0.0.5")->pod.to_string(), "x/single");
  EXPECT_EQ(find_traffic_end(cluster, "172.18.0.21")->node, "n1");
  EXPECT_EQ(find_traffic_end(cluster, "service:x/web")->service.to_string(), "x/web");
  EXPECT_EQ(find_traffic_end(cluster, "10.96.0.7")->kind, TrafficEnd::Kind::service);
  EXPECT_EQ(find_traffic_end(cluster, "10.96.0.7")->service.to_string(), "x/web");
  const auto outside = find_traffic_end(cluster, "203.0.113.7");
  ASSERT_TRUE(outside.has_value());
  EXPECT_EQ(outside->kind, TrafficEnd::Kind::address);
}

struct Row {
  const char* text;
  ErrorCode code;
  const char* message;
};

TEST(TrafficEnd, RefusesWithTheNearestNames) {
  const auto cluster = cluster_of(kCluster);
  const Row rows[] = {
      {"x/singel", ErrorCode::not_found, "no pod or workload x/singel; did you mean x/single?"},
      {"x/wep", ErrorCode::not_found, "no pod or workload x/wep; did you mean x/web, x/web-0 or x/web-1?"},
      {"node:n2", ErrorCode::not_found, "no node n2; did you mean n1?"},
      {"single", ErrorCode::invalid_input,
       "\"single\": expected namespace/pod, service:namespace/name, node:NAME or an address"},
      {"x/", ErrorCode::invalid_input,
       "\"x/\": expected namespace/pod, service:namespace/name, node:NAME or an address"},
      {"a/b/c", ErrorCode::invalid_input,
       "\"a/b/c\": expected namespace/pod, service:namespace/name, node:NAME or an address"},
      {"10.0.0.256", ErrorCode::invalid_input,
       "\"10.0.0.256\": expected namespace/pod, service:namespace/name, node:NAME or an address"},
      {"service:x/wep", ErrorCode::not_found, "no Service x/wep; did you mean x/web?"},
      {"service:web", ErrorCode::not_found, "no Service web"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.text);
    const auto end = find_traffic_end(cluster, row.text);
    ASSERT_FALSE(end.has_value());
    EXPECT_EQ(end.error().code, row.code);
    EXPECT_EQ(end.error().message.substr(0, std::string(row.message).size()), row.message)
        << end.error().message;
  }
}

}  // namespace
}  // namespace postern::traffic_end_test
