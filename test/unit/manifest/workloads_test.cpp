// SPDX-License-Identifier: Apache-2.0
#include "engine/manifest/workloads.h"

#include <gtest/gtest.h>

namespace postern::manifest::workloads_test {
namespace {

Workload workload(const char* kind, std::uint32_t replicas) {
  Workload made;
  made.kind = kind;
  made.key = {"x", "web"};
  made.replicas = replicas;
  made.pod_template.labels = {{"app", "web"}};
  made.pod_template.ports = {{"http", 80, Protocol::tcp}};
  return made;
}

std::vector<std::string> names_and_nodes(const std::vector<PodObject>& pods) {
  std::vector<std::string> names;
  for (const auto& made : pods) names.push_back(made.pod.key.to_string() + "@" + made.pod.node_name);
  return names;
}

using Names = std::vector<std::string>;

TEST(Expand, replicas_are_numbered_from_zero) {
  for (const char* kind :
       {"Deployment", "StatefulSet", "ReplicaSet", "ReplicationController", "Job", "CronJob"}) {
    SCOPED_TRACE(kind);
    EXPECT_EQ(names_and_nodes(expand(workload(kind, 2), {"n1"})), (Names{"x/web-0@", "x/web-1@"}));
    EXPECT_TRUE(expand(workload(kind, 0), {"n1"}).empty());
  }
}

TEST(Expand, pods_have_what_the_template_has) {
  auto made = workload("Deployment", 1);
  made.pod_template.node_name = "n7";
  const auto pods = expand(made, {});
  ASSERT_EQ(pods.size(), 1u);
  EXPECT_EQ(pods[0].pod.labels, (Labels{{"app", "web"}}));
  EXPECT_EQ(pods[0].pod.ports.size(), 1u);
  EXPECT_EQ(pods[0].pod.node_name, "n7");
  EXPECT_EQ(pods[0].pod.workload, "Deployment/web");
  EXPECT_TRUE(pods[0].assign_address);
}

TEST(Expand, a_daemon_set_has_one_pod_on_each_node) {
  EXPECT_EQ(names_and_nodes(expand(workload("DaemonSet", 1), {"n1", "n2"})),
            (Names{"x/web-0@n1", "x/web-1@n2"}));
  EXPECT_EQ(names_and_nodes(expand(workload("DaemonSet", 1), {""})), (Names{"x/web-0@"}));
}

TEST(Expand, a_daemon_set_whose_template_names_a_node_keeps_to_it) {
  auto made = workload("DaemonSet", 1);
  made.pod_template.node_name = "n2";
  EXPECT_EQ(names_and_nodes(expand(made, {"n1", "n2"})), (Names{"x/web-0@n2"}));
}

}  // namespace
}  // namespace postern::manifest::workloads_test
