// SPDX-License-Identifier: Apache-2.0
// IPv6 and dual stack on the namespace cluster: addresses come up at once, neighbours are found, and a
// namespace that had one family serves another scenario with the other.
#include <gtest/gtest.h>

#include <ctime>
#include <filesystem>

#include "sim/capture/capture.h"
#include "test/kernel_cluster/small_cluster.h"

namespace postern::sim {
namespace {

using testing_support::SmallCluster;

SmallCluster only_v4() {
  SmallCluster small;
  small.node("n1", "192.168.0.1").node("n2", "192.168.0.2");
  small.pod("x/a", "n1", "10.1.0.1").pod("x/b", "n1", "10.1.0.2").pod("y/a", "n2", "10.2.0.1");
  small.host_pod("y/host", "n2").outside("93.184.216.34");
  return small;
}

SmallCluster only_v6() {
  SmallCluster small;
  small.node("n1", "fd18::1").node("n2", "fd18::2");
  small.pod("x/a", "n1", "fd00:1::1").pod("x/b", "n1", "fd00:1::2").pod("y/a", "n2", "fd00:2::1");
  small.host_pod("y/host", "n2").outside("2001:db8::34");
  return small;
}

SmallCluster dual() {
  SmallCluster small;
  small.node("n1", "192.168.0.1 fd18::1").node("n2", "192.168.0.2 fd18::2");
  small.pod("x/a", "n1", "10.1.0.1 fd00:1::1").pod("x/b", "n1", "10.1.0.2 fd00:1::2");
  small.pod("y/a", "n2", "fd00:2::1 10.2.0.1");
  small.host_pod("y/host", "n2").outside("93.184.216.34 2001:db8::34");
  return small;
}

std::vector<std::string> ends_of(IpFamily family) {
  return {"x/a",     "x/b",     "y/a", "y/host",
          "node:n1", "node:n2", family == IpFamily::v4 ? "93.184.216.34" : "2001:db8::34"};
}

std::vector<ProbeRequest> every_pair(const SmallCluster& small, IpFamily family) {
  std::vector<ProbeRequest> requests;
  for (const auto& from : ends_of(family)) {
    for (const auto& to : ends_of(family)) {
      for (const auto protocol :
           {ProbeProtocol::tcp, ProbeProtocol::udp, ProbeProtocol::sctp, ProbeProtocol::icmp}) {
        const auto port = static_cast<std::uint16_t>(protocol == ProbeProtocol::icmp ? 0 : 80);
        requests.push_back({small.party(from, family), small.party(to, family), protocol, port});
      }
    }
  }
  return requests;
}

class FamiliesTest : public testing::Test {
 protected:
  void SetUp() override { make({}); }
  void make(BackendFactory factory) {
    auto made = NetnsCluster::make(std::move(factory));
    ASSERT_TRUE(made) << made.error().message;
    cluster = std::move(*made);
  }
  void put(const SmallCluster& small) {
    auto begun = cluster->begin({});
    ASSERT_TRUE(begun) << begun.error().message;
    place(small);
  }
  void place(const SmallCluster& small) {
    auto placed = cluster->place(small.placement);
    ASSERT_TRUE(placed) << placed.error().message;
  }
  void expect_all_allowed(const std::vector<ProbeRequest>& requests) {
    const auto outcomes = cluster->probe(requests);
    ASSERT_TRUE(outcomes) << outcomes.error().message;
    ASSERT_EQ(outcomes->size(), requests.size());
    for (std::size_t i = 0; i < requests.size(); ++i) EXPECT_TRUE((*outcomes)[i].allowed) << i;
  }

  std::unique_ptr<NetnsCluster> cluster;
};

TEST_F(FamiliesTest, every_end_reaches_every_end_over_ipv6) {
  const SmallCluster small = only_v6();
  put(small);
  expect_all_allowed(every_pair(small, IpFamily::v6));
}

TEST_F(FamiliesTest, every_end_reaches_every_end_over_both_families) {
  const SmallCluster small = dual();
  put(small);
  expect_all_allowed(every_pair(small, IpFamily::v6));
  expect_all_allowed(every_pair(small, IpFamily::v4));
}

TEST_F(FamiliesTest, scenarios_of_any_family_follow_each_other_in_the_same_namespaces) {
  put(dual());
  const auto pool = cluster->pool_size();
  EXPECT_EQ(pool, (NetnsCluster::PoolSize{2, 3, 2}));
  for (int round = 0; round < 2; ++round) {
    put(only_v4());
    expect_all_allowed(every_pair(only_v4(), IpFamily::v4));
    put(only_v6());
    expect_all_allowed(every_pair(only_v6(), IpFamily::v6));
    put(dual());
    expect_all_allowed(every_pair(dual(), IpFamily::v4));
    expect_all_allowed(every_pair(dual(), IpFamily::v6));
  }
  EXPECT_EQ(cluster->pool_size(), pool);
}

TEST_F(FamiliesTest, a_pod_may_gain_and_lose_a_family_between_steps) {
  SmallCluster small = dual();
  put(small);
  expect_all_allowed(every_pair(small, IpFamily::v6));
  auto& pod = small.placement.cluster.pods[testing_support::key("x/a")];
  pod.addresses = testing_support::addresses("10.1.0.9");
  place(small);
  expect_all_allowed({{small.party("x/a"), small.party("y/a", IpFamily::v4), ProbeProtocol::tcp, 80}});
  pod.addresses = testing_support::addresses("fd00:1::9");
  place(small);
  expect_all_allowed({{small.party("x/a"), small.party("y/a", IpFamily::v6), ProbeProtocol::tcp, 80},
                      {small.party("y/a", IpFamily::v6), small.party("x/a"), ProbeProtocol::udp, 80}});
  pod.addresses = testing_support::addresses("10.1.0.1 fd00:1::1");
  place(small);
  expect_all_allowed(every_pair(small, IpFamily::v4));
  expect_all_allowed(every_pair(small, IpFamily::v6));
}

TEST_F(FamiliesTest, pods_that_trade_addresses_of_ipv6_are_reached_at_their_new_ones) {
  SmallCluster small = only_v6();
  put(small);
  for (int i = 0; i < 3; ++i) {
    std::swap(small.placement.cluster.pods[testing_support::key("x/a")].addresses,
              small.placement.cluster.pods[testing_support::key("y/a")].addresses);
    place(small);
    expect_all_allowed(every_pair(small, IpFamily::v6));
  }
}

TEST_F(FamiliesTest, a_capture_of_ipv6_holds_each_packet_once_and_nothing_of_the_link) {
  const SmallCluster small = only_v6();
  put(small);
  const std::string path =
      std::filesystem::temp_directory_path() / ("families_test." + std::to_string(::time(nullptr)) + ".pcap");
  const auto started = cluster->start_capture(path);
  ASSERT_TRUE(started) << started.error().message;
  expect_all_allowed({
      small.probe("x/a", "x/b", ProbeProtocol::udp, 80),
      small.probe("x/a", "y/a", ProbeProtocol::sctp, 80),
      small.probe("x/a", "2001:db8::34", ProbeProtocol::icmp),
      small.probe("node:n1", "x/a", ProbeProtocol::udp, 80),
      small.probe("node:n1", "y/a", ProbeProtocol::udp, 80),
      small.probe("y/host", "node:n1", ProbeProtocol::udp, 80),
      small.probe("2001:db8::34", "node:n2", ProbeProtocol::icmp),
  });
  const auto packets = cluster->stop_capture();
  std::filesystem::remove(path);
  ASSERT_TRUE(packets) << packets.error().message;
  EXPECT_EQ(*packets, 14u) << "a question and an answer each";
}

TEST_F(FamiliesTest, ends_of_two_families_are_an_error) {
  const SmallCluster small = dual();
  put(small);
  const auto outcome = cluster->probe(std::vector{ProbeRequest{
      small.party("x/a", IpFamily::v4), small.party("x/b", IpFamily::v6), ProbeProtocol::tcp, 80}});
  ASSERT_FALSE(outcome);
  EXPECT_NE(outcome.error().message.find("two families"), std::string::npos) << outcome.error().message;
}

}  // namespace
}  // namespace postern::sim
