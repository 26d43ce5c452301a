// SPDX-License-Identifier: Apache-2.0
// Services on the namespace cluster: the node behind the client's interface translates, in the kernel.
#include <gtest/gtest.h>

#include "backends/tc/tc_backend.h"
#include "test/kernel_cluster/small_cluster.h"

namespace postern::sim::services_test {
namespace {

using testing_support::key;
using testing_support::port_rule;
using testing_support::SmallCluster;

Result<std::unique_ptr<Backend>> kernel_backend(const TableSizes& sizes) { return make_tc_backend(sizes); }

constexpr std::uint16_t kServicePort = 80;
constexpr std::uint16_t kTargetPort = 8080;

SmallCluster dual() {
  SmallCluster small;
  small.node("n1", "192.168.0.1 fd18::1").node("n2", "192.168.0.2 fd18::2");
  small.pod("x/a", "n1", "10.1.0.1 fd00:1::1").pod("x/b", "n1", "10.1.0.2 fd00:1::2");
  small.pod("y/a", "n2", "10.2.0.1 fd00:2::1").host_pod("y/host", "n2");
  small.outside("93.184.216.34 2001:db8::34");
  return small;
}

class ServicesTest : public testing::TestWithParam<IpFamily> {
 protected:
  void make(BackendFactory factory) {
    auto made = NetnsCluster::make(std::move(factory));
    ASSERT_TRUE(made) << made.error().message;
    cluster = std::move(*made);
  }
  void put(const SmallCluster& small) {
    auto begun = cluster->begin({});
    ASSERT_TRUE(begun) << begun.error().message;
    auto placed = cluster->place(small.placement);
    ASSERT_TRUE(placed) << placed.error().message;
  }
  [[nodiscard]] static bool v4() { return GetParam() == IpFamily::v4; }
  [[nodiscard]] static IpAddress cluster_ip() {
    return testing_support::address(v4() ? "10.96.0.1" : "fd96::1");
  }
  [[nodiscard]] static std::string outside() { return v4() ? "93.184.216.34" : "2001:db8::34"; }
  [[nodiscard]] static ProbeRequest via(const SmallCluster& small, const std::string& from,
                                        const std::string& to, ProbeProtocol protocol) {
    return {small.party(from, GetParam()), small.party(to, GetParam()), protocol, kTargetPort,
            ServiceHop{cluster_ip(), kServicePort}};
  }
  [[nodiscard]] static ProbeRequest to_nobody(const SmallCluster& small, const std::string& from,
                                              ProbeProtocol protocol) {
    return {small.party(from, GetParam()), small.party("service:" + cluster_ip().to_string()), protocol,
            kServicePort};
  }
  std::vector<ProbeOutcome> probe(const std::vector<ProbeRequest>& requests) {
    auto outcomes = cluster->probe(requests);
    EXPECT_TRUE(outcomes) << outcomes.error().message;
    return outcomes ? std::move(*outcomes) : std::vector<ProbeOutcome>(requests.size());
  }
  PacketOutcome send(const PacketRequest& request) {
    auto outcomes = cluster->send(std::vector{request});
    EXPECT_TRUE(outcomes) << outcomes.error().message;
    return outcomes ? outcomes->front() : PacketOutcome{};
  }

  std::unique_ptr<NetnsCluster> cluster;
};

constexpr ProbeProtocol kProtocols[] = {ProbeProtocol::tcp, ProbeProtocol::udp, ProbeProtocol::sctp};

TEST_P(ServicesTest, every_end_reaches_every_backend_through_the_service) {
  make({});
  const SmallCluster small = dual();
  put(small);
  std::vector<ProbeRequest> requests;
  for (const std::string& from : {std::string("x/a"), std::string("x/b"), std::string("y/a"),
                                  std::string("y/host"), std::string("node:n1"), outside()}) {
    for (const std::string to : {"x/a", "x/b", "y/a", "y/host"}) {
      for (const auto protocol : kProtocols) requests.push_back(via(small, from, to, protocol));
    }
  }
  const auto outcomes = probe(requests);
  for (std::size_t i = 0; i < requests.size(); ++i) EXPECT_TRUE(outcomes[i].allowed) << i;
}

TEST_P(ServicesTest, nobody_answers_where_no_backend_stands) {
  make({});
  const SmallCluster small = dual();
  put(small);
  std::vector<ProbeRequest> requests;
  for (const std::string& from :
       {std::string("x/a"), std::string("y/host"), std::string("node:n1"), outside()}) {
    for (const auto protocol :
         {ProbeProtocol::tcp, ProbeProtocol::udp, ProbeProtocol::sctp, ProbeProtocol::icmp})
      requests.push_back(to_nobody(small, from, protocol));
  }
  for (const auto& outcome : probe(requests)) {
    EXPECT_FALSE(outcome.allowed);
    EXPECT_FALSE(outcome.drop);
  }
}

TEST_P(ServicesTest, a_scenario_without_services_finds_nothing_translated) {
  make({});
  const SmallCluster small = dual();
  put(small);
  EXPECT_TRUE(probe({via(small, "x/a", "y/a", ProbeProtocol::udp)}).front().allowed);
  put(small);
  EXPECT_FALSE(probe({to_nobody(small, "x/a", ProbeProtocol::udp)}).front().allowed);
  EXPECT_TRUE(probe({via(small, "x/a", "x/b", ProbeProtocol::udp)}).front().allowed);
}

class JudgedServicesTest : public ServicesTest {
 protected:
  void SetUp() override { make(kernel_backend); }
};

TEST_P(JudgedServicesTest, each_backend_is_judged_by_its_own_ingress) {
  SmallCluster small = dual();
  small.ingress_policy("x/closed", "b", {});
  put(small);
  std::vector<ProbeRequest> requests;
  for (const auto protocol : kProtocols) {
    for (const std::string to : {"x/b", "y/a"}) requests.push_back(via(small, "x/a", to, protocol));
  }
  const auto outcomes = probe(requests);
  for (std::size_t i = 0; i < outcomes.size(); i += 2) {
    EXPECT_FALSE(outcomes[i].allowed) << i;
    ASSERT_TRUE(outcomes[i].drop) << i;
    EXPECT_EQ(outcomes[i].drop->pod, key("x/b"));
    EXPECT_EQ(outcomes[i].drop->direction, PN_INGRESS);
    EXPECT_FALSE(outcomes[i].dropped_reply);
    EXPECT_TRUE(outcomes[i + 1].allowed) << i;
  }
}

TEST_P(JudgedServicesTest, a_pod_reaches_itself_through_a_service_as_its_own_node) {
  SmallCluster small = dual();
  small.ingress_policy("x/closed", "a", {});
  put(small);
  std::vector<ProbeRequest> requests;
  for (const auto protocol : kProtocols) requests.push_back(via(small, "x/a", "x/a", protocol));
  for (const auto& outcome : probe(requests)) EXPECT_TRUE(outcome.allowed) << "its own node may come in (R2)";
}

TEST_P(JudgedServicesTest, the_client_is_judged_by_what_it_writes) {
  SmallCluster small = dual();
  small.egress_policy("x/shut", "a", {});
  put(small);
  std::vector<ProbeRequest> requests;
  for (const auto protocol : kProtocols) requests.push_back(via(small, "x/a", "y/a", protocol));
  for (const auto protocol : kProtocols) requests.push_back(to_nobody(small, "x/a", protocol));
  for (const auto& outcome : probe(requests)) {
    EXPECT_FALSE(outcome.allowed);
    ASSERT_TRUE(outcome.drop);
    EXPECT_EQ(outcome.drop->pod, key("x/a"));
    EXPECT_EQ(outcome.drop->direction, PN_EGRESS);
  }
}

TEST_P(JudgedServicesTest, single_packets_are_translated_and_so_are_their_answers) {
  SmallCluster small = dual();
  small.placement.trace_all = true;
  small.ingress_policy("x/in", "b", {port_rule(Protocol::tcp, kTargetPort)});
  put(small);
  PacketLine opening;
  opening.part = TcpPart{40000, kServicePort, "S"};
  PacketRequest request{small.party("y/a", GetParam()), small.party("x/b", GetParam()), &opening, {}};
  request.via = ServiceHop{cluster_ip(), kServicePort};
  request.target_port = kTargetPort;
  const auto opened = send(request);
  EXPECT_TRUE(opened.allowed);
  ASSERT_TRUE(opened.to);
  EXPECT_EQ(pn_step_reason(opened.to->step), static_cast<std::uint32_t>(PN_REASON_RULE));
  PacketLine answer;
  answer.part = TcpPart{kTargetPort, 40000, "SA"};
  EXPECT_TRUE(send({small.party("x/b", GetParam()), small.party("y/a", GetParam()), &answer, {}}).allowed);
  request.to = small.party("service:" + cluster_ip().to_string());
  request.via.reset();
  const auto unanswered = send(request);
  EXPECT_FALSE(unanswered.allowed);
  EXPECT_TRUE(unanswered.from);
  EXPECT_FALSE(unanswered.to);
}

std::string name_of(const testing::TestParamInfo<IpFamily>& family) {
  return family.param == IpFamily::v4 ? "IPv4" : "IPv6";
}
INSTANTIATE_TEST_SUITE_P(Families, ServicesTest, testing::Values(IpFamily::v4, IpFamily::v6), name_of);
INSTANTIATE_TEST_SUITE_P(Families, JudgedServicesTest, testing::Values(IpFamily::v4, IpFamily::v6),
                         name_of);

}  // namespace
}  // namespace postern::sim::services_test
