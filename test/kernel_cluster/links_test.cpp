// SPDX-License-Identifier: Apache-2.0
// Pods whose interfaces CNI plug-ins make, and a counter of drops as the only witness of a denial.
#include <gtest/gtest.h>

#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "backends/tc/tc_backend.h"
#include "sim/agent/cni_links.h"
#include "sim/netns/topology.h"
#include "test/kernel_cluster/small_cluster.h"

namespace postern::sim {
namespace {

using testing_support::address;
using testing_support::port_rule;
using testing_support::SmallCluster;

// The folder of the plug-ins' state, gone with the test.
class StateFolder {
 public:
  StateFolder() { EXPECT_NE(::mkdtemp(path_.data()), nullptr); }
  ~StateFolder() { std::filesystem::remove_all(path_); }
  StateFolder(const StateFolder&) = delete;
  StateFolder& operator=(const StateFolder&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_ = "/tmp/postern-links-test-XXXXXX";
};

class CniLinksTest : public testing::Test {
 protected:
  void SetUp() override { start(CniPlugin::ptp); }
  void start(CniPlugin plugin) {
    if (::access("/usr/lib/cni/ptp", X_OK) != 0) GTEST_SKIP() << "there is no CNI plug-in ptp";
    TopologyOptions options;
    options.factory = [](const TableSizes& sizes) -> Result<std::unique_ptr<Backend>> {
      auto made = TcBackend::make(sizes);
      if (!made) return fail_as(made);
      return std::unique_ptr<Backend>(std::move(*made));
    };
    options.pod_links = std::make_shared<CniLinks>(state_.path(), plugin);
    auto made = NetnsCluster::make_of(std::move(options));
    ASSERT_TRUE(made) << made.error().message;
    cluster_ = std::move(*made);
  }

  void put(const SmallCluster& small) {
    const auto placed = cluster_->place(small.placement);
    ASSERT_TRUE(placed) << placed.error().message;
  }
  void expect(const SmallCluster& small, const std::string& from, const std::string& to, std::uint16_t port,
              bool allowed) {
    const std::vector<ProbeRequest> requests{small.probe(from, to, ProbeProtocol::tcp, port)};
    const auto outcomes = cluster_->probe(requests);
    ASSERT_TRUE(outcomes) << outcomes.error().message;
    EXPECT_EQ(outcomes->front().allowed, allowed) << from << " -> " << to;
  }

  StateFolder state_;
  std::unique_ptr<NetnsCluster> cluster_;
};

TEST_F(CniLinksTest, PolicyHoldsBetweenPodsOfOneNodeAndOfTwo) {
  ASSERT_TRUE(cluster_->begin({}));
  SmallCluster small;
  small.node("n1", "192.168.0.1").node("n2", "192.168.0.2").outside("93.184.216.34");
  small.pod("x/a", "n1", "10.1.0.1").pod("x/b", "n1", "10.1.0.2").pod("x/c", "n2", "10.1.0.3");
  small.ingress_policy("x/p", "b", {port_rule(Protocol::tcp, 80)});
  put(small);
  for (const char* const from : {"x/a", "x/c", "93.184.216.34"}) {
    expect(small, from, "x/b", 80, true);
    expect(small, from, "x/b", 81, false);
    expect(small, "x/b", from, 81, true);
  }
  expect(small, "node:n1", "x/b", 81, true);
}

TEST_F(CniLinksTest, BothFamiliesAreThere) {
  ASSERT_TRUE(cluster_->begin({}));
  SmallCluster small;
  small.node("n1", "192.168.0.1 fd00:c::1").node("n2", "192.168.0.2 fd00:c::2");
  small.pod("x/a", "n1", "10.1.0.1 fd00::1").pod("x/b", "n2", "10.1.0.2 fd00::2");
  small.ingress_policy("x/p", "b", {port_rule(Protocol::tcp, 80)});
  put(small);
  for (const IpFamily family : {IpFamily::v4, IpFamily::v6}) {
    for (const std::uint16_t port : {std::uint16_t{80}, std::uint16_t{81}}) {
      const std::vector<ProbeRequest> requests{
          {small.party("x/a", family), small.party("x/b", family), ProbeProtocol::tcp, port}};
      const auto outcomes = cluster_->probe(requests);
      ASSERT_TRUE(outcomes) << outcomes.error().message;
      EXPECT_EQ(outcomes->front().allowed, port == 80) << port;
    }
  }
}

TEST_F(CniLinksTest, AnAddressFindsItsPodWhereverItGoes) {
  ASSERT_TRUE(cluster_->begin({}));
  SmallCluster small;
  small.node("n1", "192.168.0.1").node("n2", "192.168.0.2");
  small.pod("x/a", "n1", "10.1.0.1").pod("x/b", "n2", "10.1.0.2");
  put(small);
  expect(small, "x/a", "x/b", 80, true);
  // Another pod with the address on the same node, then the address on the other node.
  small.placement.cluster.pods.clear();
  small.pod("x/a", "n1", "10.1.0.1").pod("x/d", "n2", "10.1.0.2");
  put(small);
  expect(small, "x/a", "x/d", 80, true);
  small.placement.cluster.pods.clear();
  small.pod("x/a", "n1", "10.1.0.2").pod("x/b", "n2", "10.1.0.1");
  put(small);
  expect(small, "x/a", "x/b", 80, true);
  expect(small, "x/b", "x/a", 80, true);
}

TEST_F(CniLinksTest, TheNextScenarioHasTheInterfacesOfTheOneBefore) {
  SmallCluster small;
  small.node("n1", "192.168.0.1").pod("x/a", "n1", "10.1.0.1").pod("x/b", "n1", "10.1.0.2");
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(cluster_->begin({}));
    put(small);
    expect(small, "x/a", "x/b", 80, true);
    EXPECT_EQ(cluster_->pool_size().pods, 2U);
  }
}

class BridgeLinksTest : public CniLinksTest {
 protected:
  void SetUp() override { start(CniPlugin::bridge); }
};

TEST_F(BridgeLinksTest, PolicyHoldsOnOneBridgeBetweenTwoAndBetweenNodes) {
  ASSERT_TRUE(cluster_->begin({}));
  SmallCluster small;
  small.node("n1", "192.168.0.1").node("n2", "192.168.0.2").outside("93.184.216.34");
  small.pod("x/a", "n1", "10.1.0.1").pod("x/b", "n1", "10.1.0.2").pod("x/c", "n1", "10.2.0.1").pod("x/d", "n2", "10.3.0.1");
  small.ingress_policy("x/p", "b", {port_rule(Protocol::tcp, 80)});
  put(small);
  for (const char* const from : {"x/a", "x/c", "x/d", "93.184.216.34"}) {
    expect(small, from, "x/b", 80, true);
    expect(small, from, "x/b", 81, false);
    expect(small, "x/b", from, 81, true);
  }
}

TEST_F(BridgeLinksTest, ABlockOnTwoNodesIsRefused) {
  ASSERT_TRUE(cluster_->begin({}));
  SmallCluster small;
  small.node("n1", "192.168.0.1").node("n2", "192.168.0.2");
  small.pod("x/a", "n1", "10.1.0.1").pod("x/b", "n2", "10.1.0.2");
  const auto placed = cluster_->place(small.placement);
  ASSERT_FALSE(placed);
  EXPECT_EQ(placed.error().code, ErrorCode::unsupported) << placed.error().message;
}

// A pod that lost its address answers nobody, and nobody has dropped anything of it.
class DropCounterTest : public testing::Test {
 protected:
  void SetUp() override {
    TopologyOptions options;
    options.drops = [this]() -> Result<std::uint64_t> { return count_(); };
    auto made = NetnsCluster::make_of(std::move(options));
    ASSERT_TRUE(made) << made.error().message;
    cluster_ = std::move(*made);
    ASSERT_TRUE(cluster_->begin({}));
    small_.node("n1", "192.168.0.1").pod("x/a", "n1", "10.1.0.1").pod("x/b", "n1", "10.1.0.2").pod("x/c", "n1", "10.1.0.3");
    const auto placed = cluster_->place(small_.placement);
    ASSERT_TRUE(placed) << placed.error().message;
  }

  void silence(const std::string& pod) {
    const auto place = cluster_->topology().find(small_.party(pod));
    ASSERT_TRUE(place) << place.error().message;
    auto scope = NetnsScope::enter(place->station->netns);
    ASSERT_TRUE(scope);
    auto rtnl = Rtnl::open();
    ASSERT_TRUE(rtnl);
    ASSERT_TRUE(rtnl->delete_address(place->pod->link.far_ifindex, small_.party(pod).address));
  }
  Result<std::vector<ProbeOutcome>> ask() {
    const std::vector<ProbeRequest> requests{small_.probe("x/a", "x/b", ProbeProtocol::tcp, 80),
                                             small_.probe("x/a", "x/b", ProbeProtocol::udp, 80),
                                             small_.probe("x/a", "x/c", ProbeProtocol::tcp, 80)};
    return cluster_->probe(requests);
  }

  SmallCluster small_;
  std::function<std::uint64_t()> count_ = [] { return std::uint64_t{7}; };
  std::unique_ptr<NetnsCluster> cluster_;
};

TEST_F(DropCounterTest, WhatIsUnansweredAndCountedIsDenied) {
  silence("x/b");
  // Asked once before the first probe, then after the last.
  count_ = [calls = std::uint64_t{0}]() mutable { return calls++ == 0 ? std::uint64_t{7} : std::uint64_t{9}; };
  const auto outcomes = ask();
  ASSERT_TRUE(outcomes) << outcomes.error().message;
  EXPECT_FALSE((*outcomes)[0].allowed);
  EXPECT_FALSE((*outcomes)[1].allowed);
  EXPECT_TRUE((*outcomes)[2].allowed);
  EXPECT_FALSE((*outcomes)[0].drop) << "nobody has said who dropped it";
}

TEST_F(DropCounterTest, WhatIsUnansweredAndNotCountedIsAnErrorOfTheRig) {
  silence("x/b");
  for (const std::uint64_t counted : {std::uint64_t{0}, std::uint64_t{1}}) {
    count_ = [counted, calls = std::uint64_t{0}]() mutable { return std::uint64_t{7} + (calls++ == 0 ? std::uint64_t{0} : counted); };
    const auto outcomes = ask();
    ASSERT_FALSE(outcomes) << counted << " drops cannot be two denials";
    EXPECT_NE(outcomes.error().message.find("neither answered nor"), std::string::npos);
  }
}

TEST_F(DropCounterTest, WhatIsAnsweredIsAllowedWhateverIsCounted) {
  count_ = [calls = std::uint64_t{0}]() mutable { return calls++ * 100; };
  const auto outcomes = ask();
  ASSERT_TRUE(outcomes) << outcomes.error().message;
  for (const auto& outcome : *outcomes) EXPECT_TRUE(outcome.allowed);
}

}  // namespace
}  // namespace postern::sim
