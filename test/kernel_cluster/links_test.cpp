// SPDX-License-Identifier: Apache-2.0
// Pods whose interfaces CNI plug-ins make, and nodes whose datapath somebody else drives.
#include <gtest/gtest.h>

#include <netinet/in.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <thread>

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

// What somebody else's datapath says of the packets of a probe, as a test tells it.
class ToldWatch final : public NodeWatch {
 public:
  std::vector<pn_event> to_say;
  bool lost = false;
  std::vector<Duration> aged;

  Result<void> drain_events(EventSink& sink) override {
    if (lost) return fail(ErrorCode::io, "3 events were lost");
    // Not what comes before the first packet.
    if (drains_++ > 0) {
      for (const auto& event : std::exchange(to_say, {})) sink.on_event(event);
    }
    return {};
  }
  [[nodiscard]] int event_fd() const override { return -1; }
  [[nodiscard]] std::int64_t tick_ns() const override { return 1'000'000'000; }
  Result<void> age_connections(Duration by) override {
    aged.push_back(by);
    return {};
  }
  Result<void> forget_connections() override { return {}; }
  [[nodiscard]] VerdictNames names_of(const SaidOfPod& /*said*/) const override { return {}; }

 private:
  int drains_ = 0;
};

// A pod that lost its address answers nobody.
class WatchTest : public testing::Test {
 protected:
  void SetUp() override {
    TopologyOptions options;
    options.place_takes = seconds(4);
    auto made = NetnsCluster::make_of(std::move(options));
    ASSERT_TRUE(made) << made.error().message;
    cluster_ = std::move(*made);
    began_ = std::chrono::steady_clock::now();
    ASSERT_TRUE(cluster_->begin({}));
    small_.node("n1", "192.168.0.1").pod("x/a", "n1", "10.1.0.1").pod("x/b", "n1", "10.1.0.2").pod("x/c", "n1", "10.1.0.3");
    place();
    auto watch = std::make_unique<ToldWatch>();
    watch_ = watch.get();
    cluster_->watch(*cluster_->topology().active_nodes().front(), std::move(watch));
  }

  void place() {
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
  // Of the datagram of the next probe of x/a to x/b, which has the first source port of all.
  [[nodiscard]] pn_event drop_of_the_datagram() const {
    const auto to = cluster_->topology().find(small_.party("x/b"));
    pn_event event{};
    event.step = pn_step_deny(PN_REASON_ISOLATED, 0);
    event.direction = PN_INGRESS;
    event.family = 4;
    event.protocol = IPPROTO_UDP;
    event.ifindex = to->pod->link.near_ifindex;
    const std::array<std::uint8_t, 8> addresses{10, 1, 0, 1, 10, 1, 0, 2};
    std::copy_n(addresses.begin(), 4, event.source);
    std::copy_n(addresses.begin() + 4, 4, event.destination);
    event.source_port = 20000;
    event.destination_port = 80;
    return event;
  }
  Result<std::vector<ProbeOutcome>> ask() {
    const std::vector<ProbeRequest> requests{small_.probe("x/a", "x/b", ProbeProtocol::udp, 80),
                                             small_.probe("x/a", "x/c", ProbeProtocol::tcp, 80)};
    return cluster_->probe(requests);
  }

  [[nodiscard]] std::int64_t passed_ns() const {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now() - began_).count();
  }

  SmallCluster small_;
  std::unique_ptr<NetnsCluster> cluster_;
  std::chrono::steady_clock::time_point began_;
  ToldWatch* watch_ = nullptr;
};

TEST_F(WatchTest, WhatIsUnansweredAndReportedIsDenied) {
  silence("x/b");
  watch_->to_say = {drop_of_the_datagram()};
  const auto outcomes = ask();
  ASSERT_TRUE(outcomes) << outcomes.error().message;
  EXPECT_FALSE((*outcomes)[0].allowed);
  ASSERT_TRUE((*outcomes)[0].drop);
  EXPECT_EQ((*outcomes)[0].drop->pod, (NamespacedName{"x", "b"}));
  EXPECT_TRUE((*outcomes)[1].allowed);
}

TEST_F(WatchTest, WhatIsUnansweredAndNotReportedIsAnErrorOfTheRig) {
  silence("x/b");
  const auto outcomes = ask();
  ASSERT_FALSE(outcomes);
  EXPECT_NE(outcomes.error().message.find("neither answered nor"), std::string::npos) << outcomes.error().message;
}

TEST_F(WatchTest, WhatIsAnsweredAndReportedIsAnErrorOfTheRig) {
  watch_->to_say = {drop_of_the_datagram()};
  const auto outcomes = ask();
  ASSERT_FALSE(outcomes);
  EXPECT_NE(outcomes.error().message.find("reported as dropped"), std::string::npos) << outcomes.error().message;
}

TEST_F(WatchTest, ReportsThatWereLostAreAnError) {
  watch_->lost = true;
  const auto outcomes = ask();
  ASSERT_FALSE(outcomes);
  EXPECT_EQ(outcomes.error().message, "3 events were lost");
}

// Policy may take four seconds until it is in force, and what of them has passed is not added.
TEST_F(WatchTest, ConnectionsAreAgedByWhatHasNotPassedByItself) {
  ASSERT_TRUE(cluster_->advance(seconds(10)));
  place();
  ASSERT_EQ(watch_->aged.size(), 1u);
  EXPECT_LE(watch_->aged[0], seconds(6));
  EXPECT_GE(watch_->aged[0].ns, seconds(5).ns - passed_ns()) << "six less what has passed, in whole seconds";
  std::this_thread::sleep_for(std::chrono::milliseconds(1500));
  ASSERT_TRUE(ask());
  std::int64_t all_ns = 0;
  for (const Duration each : watch_->aged) all_ns += each.ns;
  EXPECT_LE(all_ns, seconds(8).ns) << "ten less what has passed";
  EXPECT_GE(all_ns, seconds(9).ns - passed_ns());
}

}  // namespace
}  // namespace postern::sim
