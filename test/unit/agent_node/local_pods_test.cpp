// SPDX-License-Identifier: Apache-2.0
#include "agent/node/local_pods.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "test/unit/agent_node/pictures.h"

namespace postern::agent::local_pods_test {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

const NamespacedName kA{"x", "a"};
const NamespacedName kB{"x", "b"};

class LocalPodsTest : public ::testing::Test {
 protected:
  LocalPodsTest() {
    host.add_veth(5, "veth5");
    host.add_route("10.0.0.1", 5);
  }
  void update(const std::vector<Pod>& all) { pods.update(cluster_of(all), host.picture); }
  EndpointId endpoint_of(const NamespacedName& key) const { return pods.pods().at(key).endpoint; }
  std::uint32_t ifindex_of(const NamespacedName& key) const {
    const auto& interface = pods.pods().at(key).interface;
    return interface ? interface->ifindex : 0;
  }

  SmallHost host;
  LocalPods pods{"n1", false, {}};
};

TEST_F(LocalPodsTest, ThePodsOfThisNodeThatHaveAnAddressAreFound) {
  Pod host_network = pod_at("h", "172.18.0.2");
  host_network.host_network = true;
  Pod done = pod_at("d", "10.0.0.1");
  done.phase = PodPhase::succeeded;
  update({pod_at("a", "10.0.0.1"), pod_at("other", "10.0.0.1", "n2"), pod_at("nowhere", "10.0.0.1", ""),
          pod_at("waiting", ""), host_network, done});
  ASSERT_THAT(pods.endpoints(), SizeIs(1));
  const LocalEndpoint endpoint = pods.endpoints()[0];
  EXPECT_EQ(endpoint.pod, kA);
  EXPECT_EQ(endpoint.ifindex, 5u);
  EXPECT_NE(endpoint.endpoint.value, 0u);
  EXPECT_THAT(endpoint.addresses, IsEmpty()) << "the API server knows its address";
}

TEST_F(LocalPodsTest, AFolderNeedNotNameTheNode) {
  LocalPods of_folder("n1", true, {});
  of_folder.update(cluster_of({pod_at("a", "10.0.0.1", ""), pod_at("b", "10.0.0.2", "")}), host.picture);
  ASSERT_THAT(of_folder.endpoints(), SizeIs(1));
  EXPECT_EQ(of_folder.endpoints()[0].pod, kA);
}

TEST_F(LocalPodsTest, AnInterfaceThatComesLaterIsFoundThen) {
  update({pod_at("a", "10.0.0.1"), pod_at("b", "10.0.0.2")});
  EXPECT_EQ(ifindex_of(kB), 0u);
  host.add_veth(6, "veth6");
  host.add_route("10.0.0.2", 6);
  const EndpointId before = endpoint_of(kA);
  update({pod_at("a", "10.0.0.1"), pod_at("b", "10.0.0.2")});
  EXPECT_EQ(ifindex_of(kB), 6u);
  EXPECT_EQ(endpoint_of(kA), before) << "nothing has changed for the other";
  EXPECT_NE(endpoint_of(kB), before);
}

TEST_F(LocalPodsTest, WhatWasFoundStaysWhileItExists) {
  update({pod_at("a", "10.0.0.1")});
  const EndpointId before = endpoint_of(kA);
  host.picture.routes.clear();
  update({pod_at("a", "10.0.0.1")});
  EXPECT_EQ(ifindex_of(kA), 5u);
  EXPECT_EQ(endpoint_of(kA), before);
  EXPECT_EQ(pods.pods().at(kA).match.outcome, LocateOutcome::not_found) << "and what is not found is said";
  host.remove(5);
  update({pod_at("a", "10.0.0.1")});
  EXPECT_EQ(ifindex_of(kA), 0u);
}

TEST_F(LocalPodsTest, AnIndexThatIsUsedAgainIsAnotherInterface) {
  update({pod_at("a", "10.0.0.1")});
  const EndpointId before = endpoint_of(kA);
  host.remove(5);
  host.add_veth(5, "veth9");
  update({pod_at("a", "10.0.0.1")});
  EXPECT_EQ(ifindex_of(kA), 0u) << "no route leads there";
  host.add_route("10.0.0.1", 5);
  update({pod_at("a", "10.0.0.1")});
  EXPECT_EQ(ifindex_of(kA), 5u);
  EXPECT_NE(endpoint_of(kA), before);
}

TEST_F(LocalPodsTest, APodThatComesBackWithAnotherAddressInheritsNoConnections) {
  update({pod_at("a", "10.0.0.1")});
  const EndpointId before = endpoint_of(kA);
  host.add_route("10.0.0.7", 5);
  update({pod_at("a", "10.0.0.7")});
  EXPECT_EQ(ifindex_of(kA), 5u);
  EXPECT_NE(endpoint_of(kA), before);
}

struct InheritanceCase {
  const char* name;
  std::uint32_t ifindex;
  std::vector<IpAddress> addresses;
  bool kept;
};

TEST_F(LocalPodsTest, WhatAnEarlierProcessEnforcedKeepsItsNumberWhereItIsTheSame) {
  const InheritanceCase cases[] = {
      {"the same", 5, {ip("10.0.0.1")}, true},
      {"another pod was there", 5, {ip("10.0.0.3")}, false},
      {"it was elsewhere", 9, {ip("10.0.0.1")}, false},
  };
  for (const auto& row : cases) {
    SCOPED_TRACE(row.name);
    LocalPods later("n1", false, {});
    Inheritance inheritance;
    inheritance.interfaces.push_back({row.ifindex, EndpointId{40}, row.addresses, {true, false}});
    inheritance.last_endpoint = EndpointId{44};
    later.inherit(inheritance);
    later.update(cluster_of({pod_at("a", "10.0.0.1")}), host.picture);
    ASSERT_THAT(later.endpoints(), SizeIs(1));
    EXPECT_EQ(later.endpoints()[0].endpoint.value, row.kept ? 40u : 45u);
  }
}

TEST_F(LocalPodsTest, WhereAnEarlierProcessHadAPodItIsWhileNothingElseLeadsThere) {
  host.picture.routes.clear();
  for (const bool exists : {true, false}) {
    LocalPods later("n1", false, {});
    Inheritance inheritance;
    inheritance.interfaces.push_back({5, EndpointId{40}, {ip("10.0.0.1")}, {true, false}});
    inheritance.last_endpoint = EndpointId{40};
    later.inherit(inheritance);
    if (!exists) host.remove(5);
    later.update(cluster_of({pod_at("a", "10.0.0.1"), pod_at("b", "10.0.0.2")}), host.picture);
    ASSERT_THAT(later.endpoints(), SizeIs(exists ? 1 : 0));
    if (exists) {
      EXPECT_EQ(later.endpoints()[0].endpoint.value, 40u);
    }
  }
}

TEST_F(LocalPodsTest, AnAnnouncedPodStandsWhereItsNameAndTheRoutesSay) {
  const auto name = known_name_templates().front().name_of(kB);
  ASSERT_TRUE(name);
  host.add_veth(8, *name);
  host.add_route("10.0.0.8", 8);
  update({pod_at("b", "")});
  EXPECT_THAT(pods.pods(), IsEmpty()) << "nobody has announced it";
  pods.announce(kB);
  update({pod_at("b", "")});
  ASSERT_THAT(pods.endpoints(), SizeIs(1));
  EXPECT_EQ(pods.endpoints()[0].ifindex, 8u);
  EXPECT_EQ(pods.endpoints()[0].addresses, std::vector{ip("10.0.0.8")});
  const EndpointId before = pods.endpoints()[0].endpoint;
  // The API server learns it: the same pod in the same place.
  update({pod_at("b", "10.0.0.8")});
  ASSERT_THAT(pods.endpoints(), SizeIs(1));
  EXPECT_EQ(pods.endpoints()[0].endpoint, before);
  EXPECT_THAT(pods.endpoints()[0].addresses, IsEmpty());
}

TEST_F(LocalPodsTest, AnAnnouncedPodThatIsWithdrawnIsNotLookedFor) {
  const auto name = known_name_templates().front().name_of(kB);
  host.add_veth(8, *name);
  host.add_route("10.0.0.8", 8);
  pods.announce(kB);
  pods.withdraw(kB);
  update({pod_at("b", "")});
  EXPECT_THAT(pods.pods(), IsEmpty());
}

TEST_F(LocalPodsTest, TwoPodsAtOneInterfaceAreInDoubtAndNeitherIsGuessed) {
  host.add_route("10.0.0.2", 5);
  update({pod_at("a", "10.0.0.1"), pod_at("b", "10.0.0.2")});
  EXPECT_THAT(pods.endpoints(), IsEmpty());
  EXPECT_EQ(pods.pods().at(kA).match.outcome, LocateOutcome::disagreement);
}

// A pod with a second interface: 10.0.0.1 on eth0 behind veth5, 10.9.0.1 on eth1 behind veth6.
class FurtherInterfacesTest : public LocalPodsTest {
 protected:
  FurtherInterfacesTest() {
    host.picture.links[5].peer = 2;
    add_second();
  }
  void add_second() {
    host.add_veth(6, "veth6");
    host.picture.links[6].netns_id = 5;
    host.picture.links[6].peer = 3;
    host.picture.far_addresses[{5, 2}] = {ip("10.0.0.1")};
    host.picture.far_addresses[{5, 3}] = {ip("10.9.0.1")};
  }
};

TEST_F(FurtherInterfacesTest, AreSeenAndNotEnforcedUnlessAskedFor) {
  update({pod_at("a", "10.0.0.1")});
  ASSERT_THAT(pods.endpoints(), SizeIs(1));
  EXPECT_EQ(pods.endpoints()[0].ifindex, 5u);
  ASSERT_THAT(pods.pods().at(kA).further, SizeIs(1));
  EXPECT_EQ(pods.pods().at(kA).further[0].interface.name, "veth6");
  EXPECT_EQ(pods.pods().at(kA).further[0].endpoint.value, 0u);
}

TEST_F(FurtherInterfacesTest, AreEndpointsOfTheirOwnWithTheAddressesBehindThem) {
  pods.enforce_all_interfaces();
  update({pod_at("a", "10.0.0.1")});
  const auto endpoints = pods.endpoints();
  ASSERT_THAT(endpoints, SizeIs(2));
  EXPECT_EQ(endpoints[1].ifindex, 6u);
  EXPECT_EQ(endpoints[1].pod, kA);
  EXPECT_EQ(endpoints[1].own_addresses, std::vector<IpAddress>{ip("10.9.0.1")});
  EXPECT_NE(endpoints[1].endpoint, endpoints[0].endpoint);
  EXPECT_NE(endpoints[1].endpoint.value, 0u);
  update({pod_at("a", "10.0.0.1")});
  EXPECT_EQ(pods.endpoints(), endpoints) << "nothing has changed";
  // The ways to the pod are gone for a while: it stays where it was, with all its interfaces.
  host.picture.far_addresses[{5, 2}].clear();
  host.picture.routes.clear();
  update({pod_at("a", "10.0.0.1")});
  EXPECT_EQ(pods.endpoints(), endpoints);
}

TEST_F(FurtherInterfacesTest, OneThatGoesOrIsAnotherInheritsNoConnections) {
  pods.enforce_all_interfaces();
  update({pod_at("a", "10.0.0.1")});
  const EndpointId first = pods.endpoints()[1].endpoint;
  host.remove(6);
  update({pod_at("a", "10.0.0.1")});
  EXPECT_THAT(pods.endpoints(), SizeIs(1));
  add_second();
  update({pod_at("a", "10.0.0.1")});
  ASSERT_THAT(pods.endpoints(), SizeIs(2));
  EXPECT_NE(pods.endpoints()[1].endpoint, first);
}

TEST_F(FurtherInterfacesTest, KeepTheNumberThatAnEarlierProcessGaveThem) {
  Inheritance inheritance;
  InheritedInterface inherited;
  inherited.ifindex = 6;
  inherited.endpoint = EndpointId{77};
  inherited.addresses = {ip("10.9.0.1")};
  inheritance.interfaces = {inherited};
  inheritance.last_endpoint = EndpointId{80};
  pods.inherit(inheritance);
  pods.enforce_all_interfaces();
  update({pod_at("a", "10.0.0.1")});
  ASSERT_THAT(pods.endpoints(), SizeIs(2));
  EXPECT_EQ(pods.endpoints()[1].endpoint.value, 77u);
}

}  // namespace
}  // namespace postern::agent::local_pods_test
