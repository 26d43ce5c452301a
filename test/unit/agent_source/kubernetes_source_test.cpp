// SPDX-License-Identifier: Apache-2.0
// The source over real connections: what of that which comes is in its snapshot, and when the API server is
// asked whether it knows this node.
#include "agent/source/kubernetes_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
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
const std::string kServices = "/api/v1/services";
const std::string kEndpointSlices = "/apis/discovery.k8s.io/v1/endpointslices";
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
    for (const auto& path : {std::string("/api/v1/namespaces"), kNodes, std::string("/api/v1/pods"), kServices,
                             kEndpointSlices}) {
      server.tell("collection " + path);
    }
    server.tell("collection " + kPolicies);
    kube::ClusterConfig config;
    config.origin = "the test";
    config.server = "http://127.0.0.1:" + std::to_string(server.port());
    api = std::move(*kube::ApiClient::make(*loop, config));
  }
  void TearDown() override { source.reset(); }

  using Policies = KubernetesSource::Policies;
  void start(const std::string& node_name = "n1", Policies policies = Policies::network_policies) {
    source = std::make_unique<KubernetesSource>(*loop, *api, KubernetesSource::Options{policies, node_name, 7});
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
  // A Service of the pods of an app, and one of its backends.
  void put_service() {
    change("put " + kServices + R"( web {"kind":"Service","apiVersion":"v1","metadata":{"namespace":"x","name":"web"},)" +
           R"("spec":{"clusterIP":"10.96.0.10","selector":{"app":"web"},"ports":[{"port":80,"targetPort":8080}]}})");
    change("put " + kEndpointSlices + R"( web-1 {"kind":"EndpointSlice","apiVersion":"discovery.k8s.io/v1",)" +
           R"("metadata":{"namespace":"x","name":"web-1","labels":{"kubernetes.io/service-name":"web"}},)" +
           R"("addressType":"IPv4","endpoints":[{"addresses":["10.0.0.1"]}],"ports":[{"port":8080}]})");
  }
  [[nodiscard]] SourceStatus status_of(const std::string& resource) const {
    for (const auto& status : source->status()) {
      if (status.resource == resource) return status;
    }
    ADD_FAILURE() << "no " << resource;
    return {};
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

TEST_F(KubernetesSourceTest, WithPolicyEndpointsServicesHaveTheBackendsOfTheirSlices) {
  put_node("n1");
  put_service();
  start("n1", Policies::policy_endpoints);
  until([&] { return source->synced(); });
  const auto& services = source->cluster().services;
  ASSERT_EQ(services.size(), 1u);
  EXPECT_FALSE(services.begin()->second.selector) << "its pods are on other nodes";
  ASSERT_EQ(source->cluster().endpoint_slices.size(), 1u);
  EXPECT_TRUE(warnings.empty()) << warnings.front();
  until([&] { return server.tell("watches " + kServices) == "1"; });
  change("delete " + kServices + " web");
  until([&] { return services.empty(); });
}

// Half of it is worse than nothing: a Service without backends is denied.
TEST_F(KubernetesSourceTest, WithPolicyEndpointsItDoesWithoutServicesWhereBothMayNotBeRead) {
  put_node("n1");
  put_service();
  const std::vector<std::vector<std::string>> rows{{kServices}, {kEndpointSlices}, {kServices, kEndpointSlices}};
  for (const auto& refused : rows) {
    for (const auto& path : {kServices, kEndpointSlices}) {
      const bool may = std::find(refused.begin(), refused.end(), path) == refused.end();
      server.tell((may ? "permit " : "forbid ") + path);
    }
    notices.clear();
    start("n1", Policies::policy_endpoints);
    until([&] { return source->synced(); });
    EXPECT_TRUE(source->cluster().services.empty());
    EXPECT_TRUE(source->cluster().endpoint_slices.empty());
    EXPECT_TRUE(warnings.empty()) << warnings.front();
    for (const auto& path : {kServices, kEndpointSlices}) {
      const auto name = path.substr(path.rfind('/') + 1);
      const bool is_refused = std::find(refused.begin(), refused.end(), path) != refused.end();
      EXPECT_EQ(status_of(name).state, is_refused ? SourceStatus::State::absent : SourceStatus::State::synced) << name;
      EXPECT_TRUE(status_of(name).held) << name << " is not in the snapshot, whatever has come";
      std::size_t said = 0;
      for (const auto& notice : notices) {
        if (notice.starts_with(name + ": ")) said += count_of(notice, "no Service is known");
      }
      EXPECT_EQ(said, is_refused ? 1u : 0u) << name;
    }
    source.reset();
  }
}

// What was read stands; that it grows stale is a failure like any other kind's.
TEST_F(KubernetesSourceTest, WithPolicyEndpointsARightThatIsTakenAwayLeavesTheServicesThatWereRead) {
  put_node("n1");
  put_service();
  start("n1", Policies::policy_endpoints);
  until([&] { return source->synced() && server.tell("watches " + kServices) == "1"; });
  server.tell("forbid " + kServices);
  server.tell("cut " + kServices);
  until([&] { return status_of("services").state == SourceStatus::State::failing; });
  EXPECT_EQ(source->cluster().services.size(), 1u);
  EXPECT_THAT(warnings, Contains(HasSubstr("what was seen before stays in force")));
}

// With NetworkPolicies the peers behind a ClusterIP cannot be known otherwise.
TEST_F(KubernetesSourceTest, WithNetworkPoliciesServicesThatMayNotBeReadAreAFailure) {
  put_node("n1");
  server.tell("forbid " + kServices);
  start();
  until([&] { return status_of("services").state == SourceStatus::State::failing; });
  EXPECT_FALSE(source->synced());
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
