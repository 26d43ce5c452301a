// SPDX-License-Identifier: Apache-2.0
// The source over real connections: what of that which comes is in its snapshot, and when the API server is
// asked whether it knows this node.
#include "agent/source/kubernetes_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "agent/kube/api_client.h"
#include "test/unit/agent_kube/scripted_server.h"

namespace postern::agent {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

const std::string kPolicies = "/apis/networking.k8s.io/v1/networkpolicies";
const std::string kNodes = "/api/v1/nodes";
const std::string kQuestion = "GET /api/v1/nodes/n1";
const std::string kClusterPolicies = "/apis/policy.networking.k8s.io/v1alpha2/clusternetworkpolicies";
constexpr std::size_t kKinds = 6;  // without those that the server does not have

std::size_t count_of(const std::string& text, const std::string& part) {
  std::size_t count = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

class KubernetesSourceTest : public ::testing::Test, protected PolicySource::Listener {
 protected:
  void SetUp() override {
    loop = std::move(*EventLoop::make());
    for (const auto* path : {"/api/v1/namespaces", "/api/v1/nodes", "/api/v1/pods", "/api/v1/services",
                             "/apis/discovery.k8s.io/v1/endpointslices"}) {
      server.tell(std::string("collection ") + path);
    }
    server.tell("collection " + kPolicies);
    kube::ClusterConfig config;
    config.origin = "the test";
    config.server = "http://127.0.0.1:" + std::to_string(server.port());
    api = std::move(*kube::ApiClient::make(*loop, config));
  }
  void TearDown() override { source.reset(); }

  void start(const std::string& node_name = "n1") {
    source = std::make_unique<KubernetesSource>(
        *loop, *api, KubernetesSource::Options{KubernetesSource::Policies::network_policies, node_name, 7});
    ASSERT_TRUE(source->start(*this));
  }
  // Runs the loop until it holds; every test waits for something it can see.
  void until(const std::function<bool()>& holds) {
    const Instant end = EventLoop::now() + seconds(15);
    std::function<void()> look = [&] {
      const bool late = EventLoop::now() > end;
      if (late) ADD_FAILURE() << "it did not come";
      if (late || holds()) return loop->stop();
      loop->after(milliseconds(5), look);
    };
    loop->after({}, look);
    ASSERT_TRUE(loop->run());
  }
  void until_watched() {
    until([&] {
      return server.tell("watches " + kPolicies) == "1" && server.tell("watches " + kNodes) == "1";
    });
  }
  // Each makes a new version of its resource.
  void change(const std::string& command) {
    ++version;
    EXPECT_EQ(server.tell(command), "ok");
  }
  void put_policy(const std::string& name) {
    change("put " + kPolicies + " " + name + R"( {"kind":"NetworkPolicy","apiVersion":"networking.k8s.io/v1",)" +
           R"("metadata":{"namespace":"x","name":")" + name + R"("},"spec":{"podSelector":{}}})");
  }
  void put_cluster_policy(const std::string& name) {
    change("put " + kClusterPolicies + " " + name + R"( {"kind":"ClusterNetworkPolicy","apiVersion":)" +
           R"("policy.networking.k8s.io/v1alpha2","metadata":{"name":")" + name +
           R"("},"spec":{"tier":"Admin","priority":1,"subject":{"namespaces":{}}}})");
  }
  void put_node(const std::string& name) {
    change("put " + kNodes + " " + name + R"( {"kind":"Node","apiVersion":"v1","metadata":{"name":")" + name +
           R"("},"status":{}})");
  }
  [[nodiscard]] std::string policies() const {
    std::string names;
    for (const auto& [key, policy] : source->cluster().network_policies) names += (names.empty() ? "" : " ") + key.name;
    return names;
  }
  // Until the source has seen what was changed last.
  void until_seen(const std::string& resource) {
    until([&] {
      for (const auto& status : source->status()) {
        if (status.resource == resource) return status.resource_version == std::to_string(version);
      }
      return false;
    });
  }
  std::size_t questions() { return count_of(server.tell("log"), kQuestion); }
  [[nodiscard]] std::size_t failing() const {
    std::size_t count = 0;
    for (const auto& status : source->status()) {
      if (status.state != SourceStatus::State::failing) continue;
      EXPECT_THAT(status.detail, HasSubstr("does not know node \"n1\""));
      EXPECT_TRUE(status.held);
      ++count;
    }
    return count;
  }
  [[nodiscard]] bool any_held() const {
    for (const auto& status : source->status()) {
      if (status.held) return true;
    }
    return false;
  }

  void cluster_changed() override { ++changes; }
  void source_error(const std::string& text) override { ADD_FAILURE() << text; }
  void source_warning(const std::string& text) override { warnings.push_back(text); }
  void source_notice(const std::string& text) override { notices.push_back(text); }

  kube::ScriptedServer server;
  std::unique_ptr<EventLoop> loop;
  std::unique_ptr<kube::ApiClient> api;
  std::unique_ptr<KubernetesSource> source;
  std::vector<std::string> warnings;
  std::vector<std::string> notices;
  int version = 100;  // the server's
  int changes = 0;
};

TEST_F(KubernetesSourceTest, WhatThereIsAtTheStartCountsOnceTheServerKnowsTheNode) {
  put_policy("one");
  put_node("other");
  start();
  EXPECT_FALSE(source->synced());
  until([&] { return failing() == kKinds; });
  EXPECT_FALSE(source->synced());
  EXPECT_EQ(policies(), "");
  EXPECT_EQ(changes, 0);
  EXPECT_THAT(warnings, Contains(HasSubstr("does not know node \"n1\"")));
  until_watched();
  put_node("n1");
  until([&] { return source->synced(); });
  EXPECT_EQ(policies(), "one");
  EXPECT_EQ(source->cluster().nodes.size(), 2u);
  EXPECT_EQ(failing(), 0u);
  EXPECT_FALSE(any_held());
  EXPECT_THAT(notices, Contains(HasSubstr("followed again")));
}

TEST_F(KubernetesSourceTest, WhatAListLacksStaysUntilTheServerKnowsTheNodeAndAllElseWaitsWithIt) {
  put_policy("one");
  put_policy("two");
  put_node("n1");
  start();
  until([&] { return source->synced(); });
  until_watched();
  EXPECT_EQ(questions(), 1u);

  change("lose " + kPolicies + " one");
  change("lose " + kNodes + " n1");
  for (const auto& path : {kPolicies, kNodes}) {
    server.tell("send " + path + R"( {"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired"}})");
    server.tell("end " + path);
  }
  until_seen("networkpolicies");  // lists follow
  until_seen("nodes");
  until([&] { return failing() == kKinds; });
  EXPECT_EQ(policies(), "one two");
  EXPECT_GE(questions(), 2u);
  until_watched();
  const int changes_before = changes;
  put_policy("three");
  change("delete " + kPolicies + " two");
  put_policy("four");
  change("delete " + kPolicies + " four");
  until_seen("networkpolicies");
  put_node("other");
  until_seen("nodes");
  EXPECT_EQ(policies(), "one two");
  EXPECT_EQ(source->cluster().nodes.size(), 1u);
  EXPECT_EQ(changes, changes_before);

  put_node("n1");
  until([&] { return !any_held(); });
  EXPECT_EQ(policies(), "three");
  EXPECT_EQ(source->cluster().nodes.size(), 2u);
  EXPECT_EQ(changes, changes_before + 1) << "it is one step";
}

TEST_F(KubernetesSourceTest, WhatAnEventDeletesIsGoneAtOnceAndNobodyIsAsked) {
  put_policy("one");
  put_node("n1");
  start();
  until([&] { return source->synced(); });
  until_watched();
  change("lose " + kNodes + " n1");
  change("delete " + kPolicies + " one");
  until([&] { return policies().empty(); });
  EXPECT_EQ(questions(), 1u);
  EXPECT_FALSE(any_held());
}

// The server has no such kind in the other tests.
TEST_F(KubernetesSourceTest, AKindThatIsAbsentHoldsNothingUpIsSaidOnceAndIsFollowedWhenItComes) {
  put_policy("one");
  put_node("n1");
  start();
  until([&] { return source->synced(); });
  const auto state = [&] { return source->status().at(kKinds); };
  EXPECT_EQ(state().resource, "clusternetworkpolicies");
  EXPECT_EQ(state().state, SourceStatus::State::absent);
  EXPECT_TRUE(warnings.empty()) << warnings.front();

  server.tell("collection " + kClusterPolicies);
  put_cluster_policy("isolate");
  until([&] { return source->cluster().cluster_network_policies.size() == 1; });
  EXPECT_EQ(source->cluster().cluster_network_policies.begin()->first, "isolate");
  EXPECT_EQ(state().state, SourceStatus::State::synced);
  std::size_t said = 0;
  for (const auto& notice : notices) said += count_of(notice, "has no clusternetworkpolicies;");
  EXPECT_EQ(said, 1u);
  until([&] { return server.tell("watches " + kClusterPolicies) == "1"; });
  change("delete " + kClusterPolicies + " isolate");
  until([&] { return source->cluster().cluster_network_policies.empty(); });
}

TEST_F(KubernetesSourceTest, WithoutANodesNameTheServerIsBelieved) {
  put_policy("one");
  start("");
  until([&] { return source->synced(); });
  EXPECT_EQ(policies(), "one");
  EXPECT_EQ(count_of(server.tell("log"), "GET /api/v1/nodes/"), 0u);
}

TEST_F(KubernetesSourceTest, ItMayGoWhileItWaitsForTheAnswer) {
  start();
  until([&] { return failing() == kKinds; });
  until_watched();
  put_node("n1");
  until([&] { return questions() == 2 || source->synced(); });
  source.reset();
  const Instant began = EventLoop::now();
  until([&] { return EventLoop::now() - began > milliseconds(50); });
}

}  // namespace
}  // namespace postern::agent
