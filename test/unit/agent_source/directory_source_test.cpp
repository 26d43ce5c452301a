// SPDX-License-Identifier: Apache-2.0
#include "agent/source/directory_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

namespace postern::agent {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string policy(const std::string& name) {
  return "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: " + name +
         ", namespace: x}, spec: {podSelector: {}}}\n";
}

class DirectorySourceTest : public ::testing::Test, protected PolicySource::Listener {
 protected:
  void SetUp() override {
    folder = fs::temp_directory_path() / ("postern-directory-source-" + std::to_string(getpid()));
    fs::remove_all(folder);
    fs::create_directories(folder);
    auto made = EventLoop::make();
    ASSERT_TRUE(made);
    loop = std::move(*made);
  }
  void TearDown() override { fs::remove_all(folder); }

  void cluster_changed() override {
    ++changes;
    loop->stop();
  }
  void source_error(const std::string& text) override { source_warning(text); }
  void source_warning(const std::string& text) override {
    warnings.push_back(text);
    loop->stop();
  }
  void source_notice(const std::string& text) override { notices.push_back(text); }

  void write(const std::string& name, const std::string& text) const {
    fs::create_directories((folder / name).parent_path());
    std::ofstream(folder / name) << text;
  }
  // Until `done` holds, at most ten seconds.
  void run_until(const std::function<bool()>& done) {
    bool late = false;
    const auto timer = loop->after(seconds(10), [&] {
      late = true;
      loop->stop();
    });
    while (!done() && !late) ASSERT_TRUE(loop->run());
    loop->cancel(timer);
    ASSERT_FALSE(late) << "waited in vain; warnings: " << ::testing::PrintToString(warnings);
  }
  void start() {
    source = std::make_unique<DirectorySource>(*loop, folder.string());
    const auto started = source->start(*this);
    ASSERT_TRUE(started) << started.error().to_string();
  }
  std::vector<std::string> policies() const {
    std::vector<std::string> names;
    for (const auto& [key, policy] : source->cluster().network_policies) names.push_back(key.name);
    return names;
  }

  fs::path folder;
  std::unique_ptr<EventLoop> loop;
  std::unique_ptr<DirectorySource> source;
  int changes = 0;
  std::vector<std::string> warnings;
  std::vector<std::string> notices;
};

TEST_F(DirectorySourceTest, ReadsTheFolderAndFollowsItsFiles) {
  write("a.yaml", policy("a"));
  start();
  EXPECT_FALSE(source->synced());
  run_until([&] { return source->synced(); });
  EXPECT_THAT(policies(), ElementsAre("a"));
  write("b.yaml", policy("b"));
  run_until([&] { return policies().size() == 2; });
  fs::remove(folder / "a.yaml");
  run_until([&] { return policies().size() == 1; });
  EXPECT_THAT(policies(), ElementsAre("b"));
  fs::rename(folder / "b.yaml", folder / "b.yaml.off");
  run_until([&] { return policies().empty(); });
}

TEST_F(DirectorySourceTest, TakesPoliciesOfTheWholeClusterAndSaysHowMany) {
  const std::string admin = "{apiVersion: policy.networking.k8s.io/v1alpha2, kind: ClusterNetworkPolicy, metadata: "
                            "{name: admin}, spec: {tier: Admin, priority: ";
  const std::string rest = ", subject: {namespaces: {}}}}\n";
  write("a.yaml", policy("a") + "---\n" + admin + "1" + rest);
  start();
  run_until([&] { return source->synced(); });
  ASSERT_EQ(source->cluster().cluster_network_policies.count("admin"), 1u);
  EXPECT_EQ(source->cluster().cluster_network_policies.at("admin").priority, 1u);
  EXPECT_THAT(notices.back(), HasSubstr(": 1 NetworkPolicies, 1 ClusterNetworkPolicies, 0 Pods"));
  // One that is wrong keeps its version before.
  write("a.yaml", policy("a") + "---\n" + admin + "1001" + rest);
  run_until([&] { return warnings.size() == 2; });
  EXPECT_THAT(warnings[0], HasSubstr("priority"));
  EXPECT_THAT(warnings[1], HasSubstr("(ClusterNetworkPolicy admin)"));
  EXPECT_EQ(source->cluster().cluster_network_policies.at("admin").priority, 1u);
  write("a.yaml", policy("a"));
  run_until([&] { return source->cluster().cluster_network_policies.empty(); });
  EXPECT_THAT(notices.back(), HasSubstr(": 1 NetworkPolicies, 0 Pods"));
}

TEST_F(DirectorySourceTest, FollowsFoldersThatComeLater) {
  start();
  run_until([&] { return source->synced(); });
  write("sub/a.yaml", policy("a"));
  run_until([&] { return policies().size() == 1; });
  write("sub/a.yaml", policy("a") + "---\n" + policy("b"));
  run_until([&] { return policies().size() == 2; });
}

TEST_F(DirectorySourceTest, WhatCannotBeReadLeavesWhatWasReadBefore) {
  write("a.yaml", policy("a"));
  start();
  run_until([&] { return source->synced(); });
  write("b.yaml", "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: b, namespace: x}, "
                  "spec: {podSelector: {}, ingress: [{ports: [{endPort: 7}]}]}}\n");
  run_until([&] { return warnings.size() == 2; });
  EXPECT_THAT(warnings[0], HasSubstr("b.yaml:1:"));
  EXPECT_THAT(warnings[1], HasSubstr("what was read before stays in force"));
  EXPECT_THAT(policies(), ElementsAre("a"));
  const auto status = source->status();
  ASSERT_EQ(status.size(), 1u);
  EXPECT_EQ(status[0].state, SourceStatus::State::failing);
  write("b.yaml", policy("b"));
  run_until([&] { return policies().size() == 2; });
  EXPECT_EQ(source->status()[0].state, SourceStatus::State::synced);
  EXPECT_EQ(source->status()[0].detail, "");
}

TEST_F(DirectorySourceTest, AnObjectThatIsWrongKeepsItsVersionBeforeAndTheRestGoesOn) {
  write("a.yaml", policy("a") + "---\n" + policy("b"));
  write("c.yaml", policy("c"));
  write("d.yaml", policy("d"));
  start();
  run_until([&] { return source->synced(); });
  const NetworkPolicy before = source->cluster().network_policies.at({"x", "a"});
  // a is wrong, b goes; c.yaml can no longer be read; d goes on; e is wrong from its beginning; f is new.
  const auto wrong = [](const std::string& name) {
    return "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: " + name +
           ", namespace: x}, spec: {podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/99}}]}]}}\n";
  };
  write("f.yaml", policy("e"));
  run_until([&] { return policies().size() == 5; });
  write("a.yaml", wrong("a"));
  run_until([&] { return policies() == std::vector<std::string>{"a", "c", "d", "e"}; });
  EXPECT_EQ(source->cluster().network_policies.at({"x", "a"}), before);
  ASSERT_EQ(warnings.size(), 2u);
  EXPECT_THAT(warnings[0], HasSubstr("a.yaml:1:"));
  EXPECT_THAT(warnings[1], HasSubstr("1 errors; what was read before stays in force (NetworkPolicy x/a)"));
  write("c.yaml", "kind: [");
  write("d.yaml", wrong("new") + "---\n" + policy("d2"));
  run_until([&] { return policies() == std::vector<std::string>{"a", "c", "d2", "e"}; });
  write("a.yaml", policy("a"));
  write("c.yaml", policy("c"));
  write("d.yaml", policy("d"));
  run_until([&] { return source->status()[0].state == SourceStatus::State::synced; });
  EXPECT_THAT(policies(), ElementsAre("a", "c", "d", "e"));
}

TEST_F(DirectorySourceTest, ARightVersionElsewhereCountsMoreThanTheOneBeforeOfAWrongOne) {
  const auto isolating = [](const std::string& directions) {
    return "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: a, namespace: x}, spec: "
           "{podSelector: {}, policyTypes: [" + directions + "]}}\n";
  };
  const auto egress = [&] {
    const auto& all = source->cluster().network_policies;
    return all.size() == 1 && all.begin()->second.isolates_egress && !all.begin()->second.isolates_ingress;
  };
  write("b.yaml", isolating("Ingress"));
  start();
  run_until([&] { return source->synced(); });
  for (const auto* wrong : {"Sideways", "["}) {  // the object, or the whole file
    SCOPED_TRACE(wrong);
    write("a.yaml", "");
    write("b.yaml", isolating("Ingress"));
    run_until([&] { return policies().size() == 1 && !egress(); });
    write("b.yaml", isolating(wrong));
    write("a.yaml", isolating("Egress"));
    run_until(egress);
    EXPECT_EQ(source->status().front().rejected, 1u);
  }
}

TEST_F(DirectorySourceTest, SlicesThatDisagreeHoldTheirOwnPolicyBackAndNoOther) {
  const auto slice = [](const std::string& name, const std::string& of, const std::string& isolation) {
    return "{apiVersion: networking.k8s.aws/v1alpha1, kind: PolicyEndpoint, metadata: {name: " + name +
           ", namespace: x}, spec: {policyRef: {name: " + of + ", namespace: x}, podIsolation: [" + isolation +
           "]}}\n---\n";
  };
  write("a.yaml", slice("a-1", "a", "Ingress") + slice("a-2", "a", "Ingress"));
  write("b.yaml", slice("b-1", "b", "Ingress"));
  start();
  run_until([&] { return source->synced(); });
  const PolicyEndpoints before = source->cluster().policy_endpoints;
  write("a.yaml", slice("a-1", "a", "Egress") + slice("a-2", "a", "Ingress"));
  write("b.yaml", slice("b-1", "b", "Egress"));
  run_until([&] { return source->cluster().policy_endpoints.contains({"x", "a-1#a"}); });
  const PolicyEndpoints& held = source->cluster().policy_endpoints;
  EXPECT_EQ(held.size(), 3u);
  EXPECT_EQ(held.at({"x", "a-1#a"}), before.at({"x", "a-1"}));
  EXPECT_TRUE(held.at({"x", "b-1"}).isolates_egress);
  ASSERT_EQ(warnings.size(), 1u);
  EXPECT_THAT(warnings[0], HasSubstr("x/a-1 and x/a-2 of x/a disagree on podIsolation"));
  EXPECT_EQ(source->status()[0].disagreeing, 1u);
  // What is read again without a change stays where it is, and is not said again.
  write("c.yaml", policy("c"));
  run_until([&] { return policies().size() == 1; });
  EXPECT_EQ(source->cluster().policy_endpoints.size(), 3u);
  EXPECT_EQ(warnings.size(), 1u);
  write("a.yaml", slice("a-1", "a", "Egress"));
  run_until([&] { return source->status()[0].disagreeing == 0; });
  EXPECT_EQ(source->cluster().policy_endpoints.size(), 2u);
}

TEST_F(DirectorySourceTest, SlicesOfAClusterPolicyThatDisagreeLeaveWhatAgreedLast) {
  const auto slice = [](const std::string& name, const std::string& tier) {
    return "{apiVersion: networking.k8s.aws/v1alpha1, kind: ClusterPolicyEndpoint, metadata: {name: " + name +
           "}, spec: {policyRef: {name: p}, tier: " + tier + ", priority: 1}}\n---\n";
  };
  const auto tier = [&] { return source->cluster().cluster_network_policies.at("ClusterPolicyEndpoint/p").tier; };
  write("a.yaml", slice("p-1", "Admin") + slice("p-2", "Admin"));
  start();
  run_until([&] { return source->synced(); });
  EXPECT_EQ(tier(), Tier::admin);
  write("a.yaml", slice("p-1", "Baseline") + slice("p-2", "Admin"));
  run_until([&] { return source->status()[0].disagreeing == 1; });
  EXPECT_EQ(tier(), Tier::admin);
  ASSERT_EQ(warnings.size(), 1u);
  EXPECT_THAT(warnings[0], HasSubstr("p-1 and p-2 of p disagree on tier: found Baseline and Admin"));
  write("a.yaml", slice("p-1", "Baseline") + slice("p-2", "Baseline"));
  run_until([&] { return source->status()[0].disagreeing == 0; });
  EXPECT_EQ(tier(), Tier::baseline);
  EXPECT_EQ(warnings.size(), 1u);
}

// An object that has become wrong is looked for by its kind in full: another group's of that name is not it.
TEST_F(DirectorySourceTest, OfTwoKindsWithOneNameTheWrongOneKeepsItsOwnVersionBefore) {
  const auto object = [](const std::string& version, const std::string& tier) {
    return "{apiVersion: " + version + ", kind: ClusterNetworkPolicy, metadata: {name: p}, spec: {tier: " + tier +
           ", priority: 1, subject: {namespaces: {}}}}\n---\n";
  };
  const std::string api = "policy.networking.k8s.io/v1alpha2";
  const std::string amazon = "networking.k8s.aws/v1alpha1";
  const auto tier = [&](const std::string& id) { return source->cluster().cluster_network_policies.at(id).tier; };
  write("a.yaml", object(api, "Admin") + object(amazon, "Baseline"));
  start();
  run_until([&] { return source->synced(); });
  write("a.yaml", object(api, "Baseline") + object(amazon, "Middle"));
  run_until([&] { return tier("p") == Tier::baseline; });
  EXPECT_EQ(source->cluster().cluster_network_policies.size(), 2u);
  EXPECT_EQ(tier("ClusterNetworkPolicy.networking.k8s.aws/p"), Tier::baseline);
  ASSERT_EQ(warnings.size(), 2u);
  EXPECT_THAT(warnings[0], HasSubstr("tier: found \"Middle\", expected Admin or Baseline"));
  EXPECT_THAT(warnings[1], HasSubstr("(ClusterNetworkPolicy.networking.k8s.aws p)"));
}

TEST_F(DirectorySourceTest, AFolderThatIsBrokenAtFirstIsWaitedFor) {
  write("a.yaml", "kind: [");
  start();
  run_until([&] { return warnings.size() == 2; });
  EXPECT_THAT(warnings[1], HasSubstr("nothing is enforced from it yet"));
  EXPECT_FALSE(source->synced());
  EXPECT_EQ(changes, 0);
  write("a.yaml", policy("a"));
  run_until([&] { return source->synced(); });
}

TEST_F(DirectorySourceTest, AFolderThatGoesAndComesBackIsFollowedAgain) {
  write("a.yaml", policy("a"));
  start();
  run_until([&] { return source->synced(); });
  fs::remove_all(folder);
  run_until([&] { return !warnings.empty(); });
  EXPECT_THAT(policies(), ElementsAre("a")) << "an outage changes nothing that is enforced";
  write("b.yaml", policy("b"));
  run_until([&] { return policies() == std::vector<std::string>{"b"}; });
}

TEST_F(DirectorySourceTest, AMountedConfigMapIsReadOnce) {
  write("..2026_1/a.yaml", policy("a"));
  fs::create_directory_symlink("..2026_1", folder / "..data");
  fs::create_symlink("..data/a.yaml", folder / "a.yaml");
  start();
  run_until([&] { return source->synced(); });
  EXPECT_THAT(policies(), ElementsAre("a"));
  // As the kubelet does it: a new folder, then the link is swapped, then the old folder goes.
  write("..2026_2/a.yaml", policy("b"));
  fs::create_directory_symlink("..2026_2", folder / "..data_tmp");
  fs::rename(folder / "..data_tmp", folder / "..data");
  run_until([&] { return policies() == std::vector<std::string>{"b"}; });
  fs::remove_all(folder / "..2026_1");
  EXPECT_TRUE(warnings.empty());
}

TEST_F(DirectorySourceTest, AFolderThatIsNotThereIsAnError) {
  DirectorySource none(*loop, (folder / "none").string());
  const auto started = none.start(*this);
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().to_string(),
            (folder / "none").string() + ": found no such folder, expected one with manifests");
}

}  // namespace
}  // namespace postern::agent
