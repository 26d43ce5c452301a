// SPDX-License-Identifier: Apache-2.0
// Captures of IPv6, built packet by packet: judged as any other, and told apart in the report.
#include <algorithm>

#include "backends/native/native_backend.h"
#include "engine/manifest/cluster_state.h"
#include "engine/manifest/reader.h"
#include "sim/packet/packet.h"
#include "sim/replay/report.h"
#include "test/unit/replay/capture_files.h"

namespace postern::sim::replay_ipv6_test {
namespace {

using namespace postern::packet;

constexpr const char* kCluster = R"(
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop, labels: {app: web}}
spec: {nodeName: n1, containers: [{name: c}]}
status: {podIP: 10.0.0.1, podIPs: [{ip: 10.0.0.1}, {ip: "fd00::1"}]}
---
apiVersion: v1
kind: Pod
metadata: {name: db, namespace: shop, labels: {app: db}}
spec: {nodeName: n2, containers: [{name: c}]}
status: {podIP: 10.0.0.3, podIPs: [{ip: 10.0.0.3}, {ip: "fd00::3"}]}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {clusterIP: "fd96::1", clusterIPs: ["fd96::1"], selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: db, namespace: shop}
spec:
  podSelector: {matchLabels: {app: db}}
  policyTypes: [Ingress, Egress]
  ingress:
  - from: [{podSelector: {matchLabels: {app: web}}}]
    ports: [{port: 5432}]
)";

const IpAddress kWeb = *IpAddress::parse("fd00::1");
const IpAddress kDb = *IpAddress::parse("fd00::3");
const IpAddress kOutside = *IpAddress::parse("2001:db8::7");
const IpAddress kService = *IpAddress::parse("fd96::1");

ReplayResult replayed(const std::vector<Bytes>& frames) {
  const auto manifest = manifest::read_manifest(kCluster, "test.yaml");
  manifest::ClusterState state;
  state.reserve(manifest->objects);
  const auto cluster = state.apply({}, manifest->objects);
  EXPECT_TRUE(cluster.has_value());
  std::vector<FilePacket> packets;
  for (const auto& frame : frames) {
    packets.push_back({1700000000, static_cast<std::uint32_t>(packets.size()) * 1000, frame, 0});
  }
  const std::string path = write_capture("pcap", pcap_file(kMicroseconds, kLinkEthernet, packets));
  const auto result = replay_captures(std::vector{path}, *cluster, {}, make_native_backend);
  if (!result) {
    ADD_FAILURE() << result.error().to_string();
    return {};
  }
  return *result;
}

Packet ip(const IpAddress& from, const IpAddress& to) {
  return Ethernet{} / Ipv6{.source = from, .destination = to};
}

Bytes tcp(const IpAddress& from, std::uint16_t from_port, const IpAddress& to, std::uint16_t to_port,
          std::uint8_t flags) {
  return (ip(from, to) / Tcp{.source_port = from_port, .destination_port = to_port, .flags = flags}).bytes();
}

Bytes echo(const IpAddress& from, const IpAddress& to, std::uint8_t type) {
  return (ip(from, to) / Icmpv6{.type = type, .id = 77}).bytes();
}

TEST(ReplayIpv6, AHandshakePassesInBothDirectionsAlsoBehindExtensionHeaders) {
  const auto result = replayed({
      tcp(kWeb, 40000, kDb, 5432, kSyn),
      tcp(kDb, 5432, kWeb, 40000, kSyn | kAck),
      (ip(kWeb, kDb) / HopByHop{} / Tcp{.source_port = 40000, .destination_port = 5432, .flags = kAck})
          .bytes(),
  });
  EXPECT_EQ(result.totals.allowed, 3u);
  ASSERT_EQ(result.flows.size(), 1u);
  EXPECT_EQ(result.flows.front().from.to_string(), "shop/web:40000");
  EXPECT_EQ(result.flows.front().to.to_string(), "shop/db:5432");
}

TEST(ReplayIpv6, ADenialNamesThePolicyAndTheTextPutsAddressesInBrackets) {
  const auto result = replayed({tcp(kOutside, 999, kDb, 5432, kSyn)});
  EXPECT_EQ(result.totals.denied, 1u);
  ASSERT_EQ(result.flows.size(), 1u);
  ASSERT_TRUE(result.flows.front().first_denial);
  EXPECT_EQ(result.flows.front().first_denial->pod.to_string(), "shop/db");
  EXPECT_EQ(result.flows.front().first_denial->reason, static_cast<std::uint32_t>(PN_REASON_ISOLATED));
  const std::string text = replay_text(result, 20);
  EXPECT_NE(text.find("  [2001:db8::7]:999 shop/db:5432 TCP "), std::string::npos) << text;
  const std::string json = replay_json(result);
  EXPECT_NE(json.find("\"address\": \"2001:db8::7\""), std::string::npos) << json;
}

TEST(ReplayIpv6, AnEchoAndItsReplyAreOneFlow) {
  const auto result = replayed({
      echo(kDb, kWeb, kIcmpv6EchoReply),  // db opened nothing, and may not
      echo(kOutside, kWeb, kIcmpv6Echo),
      echo(kWeb, kOutside, kIcmpv6EchoReply),
  });
  EXPECT_EQ(result.totals.denied, 1u);
  EXPECT_EQ(result.totals.allowed, 2u);
  ASSERT_EQ(result.flows.size(), 2u);
  EXPECT_EQ(result.flows[1].from.to_string(), "[2001:db8::7]:77");
  EXPECT_EQ(result.flows[1].packets, 2u);
  EXPECT_NE(replay_text(result, 20).find("ICMPv6"), std::string::npos);
}

TEST(ReplayIpv6, NeighbourDiscoveryOfAnIsolatedPodAlwaysPasses) {
  const MacAddress mac{2, 0, 0, 0, 0, 1};
  const IpAddress gateway = *IpAddress::parse("fe80::1");
  const IpAddress listeners = *IpAddress::parse("ff02::16");
  const auto result = replayed({
      (ip(kDb, gateway) / neighbour_solicitation(gateway, mac)).bytes(),
      (ip(gateway, kDb) / neighbour_advertisement(gateway, mac)).bytes(),
      (ip(gateway, listeners) / multicast_listener_report(kWeb)).bytes(),
  });
  EXPECT_EQ(result.totals.allowed, 2u);
  EXPECT_EQ(result.totals.no_pod, 1u) << "between addresses of the link alone";
}

TEST(ReplayIpv6, AClusterIpIsJudgedAtTheClientAndIsNoPod) {
  const auto result =
      replayed({tcp(kWeb, 40000, kService, 80, kSyn), tcp(kDb, 40000, kService, 80, kSyn)});
  ASSERT_EQ(result.flows.size(), 2u);
  EXPECT_EQ(result.flows[0].to.to_string(), "[fd96::1]:80");
  EXPECT_EQ(result.flows[0].allowed, 1u) << "nothing isolates its egress";
  EXPECT_EQ(result.flows[1].denied, 1u);
  EXPECT_EQ(result.flows[1].first_denial->direction, Direction::egress);
}

TEST(ReplayIpv6, FragmentsFollowTheFirstOne) {
  const auto fragment = [](std::uint16_t offset, bool more) {
    return ip(kOutside, kDb) /
           FragmentHeader{.id = 5, .offset = offset, .more = more, .next_header = std::uint8_t{17}};
  };
  const auto result = replayed({
      (fragment(0, true) / Udp{.source_port = 999, .destination_port = 53}).bytes(),
      (fragment(8, false) / Raw{Bytes(16, 0x55)}).bytes(),
  });
  EXPECT_EQ(result.totals.denied, 2u) << "those of a denied first one are dropped";
  ASSERT_EQ(result.flows.size(), 1u);
  EXPECT_EQ(result.flows[0].to.to_string(), "shop/db:53");
  EXPECT_EQ(result.flows[0].denied, 2u);
  EXPECT_EQ(result.flows[0].first_denial->packet, 1u);
}

}  // namespace
}  // namespace postern::sim::replay_ipv6_test
