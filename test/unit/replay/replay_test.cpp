// SPDX-License-Identifier: Apache-2.0
// Captures judged by manifests: what passes, what is denied and by whom, and what nobody can judge.
#include "sim/replay/replay.h"

#include "backends/native/native_backend.h"
#include "engine/abi/verdict.h"
#include "engine/manifest/cluster_state.h"
#include "engine/manifest/reader.h"
#include "sim/packet/packet.h"
#include "test/unit/replay/capture_files.h"

namespace postern::sim::replay_test {
namespace {

using namespace postern::packet;

constexpr const char* kCluster = R"(
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop, labels: {app: web}}
spec: {nodeName: n1, containers: [{name: c}]}
status: {podIP: 10.0.0.1}
---
apiVersion: v1
kind: Pod
metadata: {name: job, namespace: shop, labels: {app: wep}}
spec: {nodeName: n1, containers: [{name: c}]}
status: {podIP: 10.0.0.2}
---
apiVersion: v1
kind: Pod
metadata: {name: db, namespace: shop, labels: {app: db}}
spec: {nodeName: n2, containers: [{name: c, ports: [{name: pg, containerPort: 5432}]}]}
status: {podIP: 10.0.0.3}
---
apiVersion: v1
kind: Pod
metadata: {name: agent, namespace: shop}
spec: {nodeName: n2, hostNetwork: true, containers: [{name: c}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: db, namespace: shop}
spec:
  podSelector: {matchLabels: {app: db}}
  policyTypes: [Ingress, Egress]
  ingress:
  - from: [{podSelector: {matchLabels: {app: web}}}]
    ports: [{port: pg}]
)";

const IpAddress kWeb = IpAddress::v4(0x0a000001);
const IpAddress kJob = IpAddress::v4(0x0a000002);
const IpAddress kDb = IpAddress::v4(0x0a000003);
const IpAddress kOutside = IpAddress::v4(0xcb007107);  // 203.0.113.7

ClusterSnapshot cluster() {
  const auto manifest = manifest::read_manifest(kCluster, "test.yaml");
  manifest::ClusterState state;
  state.reserve(manifest->objects);
  auto snapshot = state.apply({}, manifest->objects);
  EXPECT_TRUE(snapshot.has_value());
  return *snapshot;
}

struct End {
  IpAddress address;
  std::uint16_t port = 0;
};

Bytes tcp(const End& from, const End& to, std::uint8_t flags, std::size_t payload = 0) {
  return (Ethernet{} / Ipv4{.source = from.address, .destination = to.address} /
          Tcp{.source_port = from.port, .destination_port = to.port, .flags = flags} /
          Raw{Bytes(payload, 0x61)})
      .bytes();
}

// Packets one millisecond apart.
class Tape {
 public:
  Tape& add(const Bytes& frame, std::uint32_t original = 0) {
    packets_.push_back({1700000000, static_cast<std::uint32_t>(packets_.size()) * 1000, frame, original});
    return *this;
  }
  [[nodiscard]] std::string write(const std::string& name = "pcap") const {
    return write_capture(name, pcap_file(kMicroseconds, kLinkEthernet, packets_));
  }
  [[nodiscard]] const std::vector<FilePacket>& packets() const { return packets_; }

 private:
  std::vector<FilePacket> packets_;
};

ReplayResult replayed(const std::vector<std::string>& paths, const ClusterSnapshot& objects = cluster()) {
  const auto result = replay_captures(paths, objects, {}, make_native_backend);
  if (!result) {
    ADD_FAILURE() << result.error().to_string();
    return {};
  }
  const auto& totals = result->totals;
  EXPECT_EQ(totals.judged, totals.allowed + totals.denied);
  EXPECT_EQ(totals.packets,
            totals.judged + totals.midstream + totals.not_ip + totals.no_pod + totals.truncated);
  return *result;
}

const PolicyAccount* account(const ReplayResult& result, const std::string& name) {
  for (const auto& entry : result.policies) {
    if (entry.policy.key.name == name) return &entry;
  }
  return nullptr;
}

const End kClient{kWeb, 40000};
const End kServer{kDb, 5432};

Tape handshake() {
  Tape tape;
  tape.add(tcp(kClient, kServer, kSyn))
      .add(tcp(kServer, kClient, kSyn | kAck))
      .add(tcp(kClient, kServer, kAck))
      .add(tcp(kClient, kServer, kPsh | kAck, 100))
      .add(tcp(kServer, kClient, kPsh | kAck, 200));
  return tape;
}

TEST(Replay, AnAllowedHandshakePassesInBothDirections) {
  const auto result = replayed({handshake().write()});
  EXPECT_EQ(result.totals.allowed, 5u);
  EXPECT_EQ(result.totals.denied, 0u);
  ASSERT_EQ(result.flows.size(), 1u);
  const Flow& flow = result.flows.front();
  EXPECT_EQ(flow.from.to_string(), "shop/web:40000");
  EXPECT_EQ(flow.to.to_string(), "shop/db:5432");
  EXPECT_EQ(flow.packets, 5u);
  EXPECT_EQ(flow.bytes, 5u * 54 + 300);
  EXPECT_EQ(flow.last.ns - flow.first.ns, 4'000'000);
  ASSERT_NE(account(result, "db"), nullptr);
  ASSERT_FALSE(account(result, "db")->rules.empty());
  EXPECT_EQ(account(result, "db")->rules.front().rule, 1u);
  EXPECT_EQ(account(result, "db")->isolation_denials, 0u);
}

TEST(Replay, ADeniedSynNamesPodPolicyAndNearMiss) {
  Tape tape;
  tape.add(tcp({kJob, 40001}, kServer, kSyn)).add(tcp({kJob, 40001}, kServer, kSyn));
  const auto result = replayed({tape.write()});
  EXPECT_EQ(result.totals.denied, 2u);
  ASSERT_EQ(result.flows.size(), 1u);
  ASSERT_TRUE(result.flows.front().first_denial.has_value());
  const Denial& denial = *result.flows.front().first_denial;
  EXPECT_EQ(denial.packet, 1u);
  EXPECT_EQ(denial.pod.to_string(), "shop/db");
  EXPECT_EQ(denial.direction, Direction::ingress);
  EXPECT_EQ(denial.reason, static_cast<std::uint32_t>(PN_REASON_ISOLATED));
  ASSERT_EQ(denial.policies.size(), 1u);
  EXPECT_EQ(denial.policies.front().key.to_string(), "shop/db");
  EXPECT_NE(denial.why.find("podSelector wants app=web; shop/job has app=wep"), std::string::npos)
      << denial.why;
  EXPECT_EQ(account(result, "db")->isolation_denials, 2u);
}

TEST(Replay, WhatIsInAuditPassesAndSaysWhatItWouldDeny) {
  ClusterSnapshot objects = cluster();
  objects.network_policies.at({"shop", "db"}).audit = true;
  Tape tape = handshake();
  const End job{kJob, 40001};
  tape.add(tcp(job, kServer, kSyn)).add(tcp(kServer, job, kSyn | kAck)).add(tcp(job, kServer, kAck));
  tape.add(tcp({kJob, 40002}, kServer, kSyn)).add(tcp({kDb, 40000}, {kOutside, 443}, kSyn));
  const auto result = replayed({tape.write()}, objects);
  EXPECT_EQ(result.totals.denied, 0u);
  EXPECT_EQ(result.totals.allowed, 10u);
  EXPECT_EQ(result.totals.would_deny, 3u);
  ASSERT_EQ(result.flows.size(), 4u);
  EXPECT_EQ(result.flows[0].would_deny, 0u);
  const Flow& flow = result.flows[1];
  EXPECT_EQ(flow.would_deny, 1u);
  EXPECT_FALSE(flow.first_denial.has_value());
  ASSERT_TRUE(flow.first_would_deny.has_value());
  EXPECT_EQ(flow.first_would_deny->packet, 6u);
  EXPECT_EQ(flow.first_would_deny->reason, static_cast<std::uint32_t>(PN_REASON_ISOLATED));
  ASSERT_EQ(flow.first_would_deny->policies.size(), 1u);
  EXPECT_EQ(flow.first_would_deny->policies.front().key.to_string(), "shop/db");
  EXPECT_NE(flow.first_would_deny->why.find("but in audit: denied at ingress of shop/db, isolated by shop/db; nearest: "
                                            "shop/db rule 1: podSelector wants app=web; shop/job has app=wep"),
            std::string::npos)
      << flow.first_would_deny->why;
  EXPECT_EQ(result.flows[3].first_would_deny->direction, Direction::egress);
  EXPECT_EQ(account(result, "db")->would_denials, 3u);
  EXPECT_EQ(account(result, "db")->isolation_denials, 0u);
  EXPECT_TRUE(account(result, "db")->rules.empty()) << "nothing of it is in force";
}

TEST(Replay, AnIsolatedPodMayNotOpenConnections) {
  Tape tape;
  tape.add(tcp({kDb, 40000}, {kOutside, 443}, kSyn));
  const auto result = replayed({tape.write()});
  EXPECT_EQ(result.totals.denied, 1u);
  ASSERT_EQ(result.flows.size(), 1u);
  EXPECT_EQ(result.flows.front().first_denial->direction, Direction::egress);
  EXPECT_EQ(result.flows.front().to.to_string(), "203.0.113.7:443");
}

TEST(Replay, AConnectionWhoseOpeningIsMissingIsMidstream) {
  Tape tape;
  tape.add(tcp(kServer, kClient, kPsh | kAck, 10))
      .add(tcp(kClient, kServer, kAck))
      .add(tcp({kJob, 40001}, kServer, kAck));
  const auto result = replayed({tape.write()});
  EXPECT_EQ(result.totals.midstream, 3u);
  EXPECT_EQ(result.totals.denied, 0u);
  ASSERT_EQ(result.flows.size(), 2u);
  const Flow& known = result.flows[0];
  EXPECT_EQ(known.midstream, 2u);
  ASSERT_TRUE(known.if_from_opened && known.if_to_opened);
  EXPECT_FALSE(known.if_from_opened->allowed) << "shop/db may open nothing";
  EXPECT_TRUE(known.if_to_opened->allowed) << "shop/web may open to 5432";
  EXPECT_FALSE(result.flows[1].if_from_opened->allowed);
}

TEST(Replay, ASynAckWithoutItsSynTellsTheOpener) {
  Tape tape;
  tape.add(tcp(kServer, kClient, kSyn | kAck)).add(tcp(kClient, kServer, kAck));
  const auto result = replayed({tape.write()});
  EXPECT_EQ(result.totals.midstream, 2u);
  EXPECT_EQ(result.flows.front().from.to_string(), "shop/web:40000");
}

TEST(Replay, ASynEndsMidstream) {
  Tape tape;
  tape.add(tcp(kClient, kServer, kAck))
      .add(tcp(kClient, kServer, kSyn))
      .add(tcp(kServer, kClient, kSyn | kAck));
  const auto result = replayed({tape.write()});
  EXPECT_EQ(result.totals.midstream, 1u);
  EXPECT_EQ(result.totals.allowed, 2u);
}

TEST(Replay, OtherProtocolsAreJudgedFromTheFirstPacket) {
  Tape tape;
  tape.add((Ethernet{} / Ipv4{.source = kWeb, .destination = kDb} /
            Udp{.source_port = 5000, .destination_port = 5432})
               .bytes())
      .add((Ethernet{} / Ipv4{.source = kWeb, .destination = kDb} / Icmp{.id = 3}).bytes())
      .add((Ethernet{} / Ipv4{.source = kWeb, .destination = kJob} / Icmp{.id = 4}).bytes());
  const auto result = replayed({tape.write()});
  EXPECT_EQ(result.totals.denied, 2u);
  EXPECT_EQ(result.totals.allowed, 1u);
}

TEST(Replay, CountsWhatNobodyCanJudge) {
  Tape tape;
  tape.add((Ethernet{.ether_type = kEtherTypeArp} / Raw{Bytes(28, 0)}).bytes())
      .add(tcp({kOutside, 1}, {IpAddress::v4(0xc6336401), 2}, kSyn))
      .add(Bytes{}, 60);
  Bytes cut = tcp(kClient, kServer, kSyn);
  cut.resize(40);
  tape.add(cut, 54);
  const auto result = replayed({tape.write()});
  EXPECT_EQ(result.totals.not_ip, 1u);
  EXPECT_EQ(result.totals.no_pod, 1u);
  EXPECT_EQ(result.totals.truncated, 2u);
  EXPECT_EQ(result.totals.judged, 0u);
}

TEST(Replay, ASnapLengthThatLeavesTheHeadersIsNoLoss) {
  Tape tape;
  const Tape whole = handshake();
  for (const auto& packet : whole.packets()) {
    Bytes cut = packet.bytes;
    const auto original = static_cast<std::uint32_t>(cut.size());
    cut.resize(54);
    tape.add(cut, original);
  }
  const auto result = replayed({tape.write()});
  EXPECT_EQ(result.totals.allowed, 5u);
  EXPECT_EQ(result.flows.front().bytes, 5u * 54 + 300);
}

TEST(Replay, APacketThatWasShortOnTheWireIsMalformed) {
  Bytes cut = tcp(kClient, kServer, kSyn);
  cut.resize(40);
  Tape tape;
  tape.add(cut);
  const auto result = replayed({tape.write()});
  EXPECT_EQ(result.totals.truncated, 0u);
  ASSERT_EQ(result.totals.denied, 1u);
  EXPECT_EQ(result.flows.front().first_denial->reason, static_cast<std::uint32_t>(PN_REASON_MALFORMED));
}

TEST(Replay, TheOwnNodeIsNeverCutOffAndAHostNetworkPodIsTheNode) {
  const auto node = cluster().nodes.at("n2").internal_ip(IpFamily::v4);
  ASSERT_TRUE(node.has_value());
  Tape tape;
  tape.add(tcp({*node, 50000}, {kDb, 8080}, kSyn));
  const auto result = replayed({tape.write()});
  EXPECT_EQ(result.totals.allowed, 1u);
}

TEST(Replay, PcapngAndNanosecondPcapGiveTheSameCounts) {
  const auto packets = handshake().packets();
  const auto pcap = replayed({handshake().write()});
  const auto nano = replayed({write_capture("nano.pcap", pcap_file(kNanoseconds, kLinkEthernet, packets))});
  const auto ng = replayed({write_capture("pcapng", pcapng_file(kLinkEthernet, packets))});
  EXPECT_EQ(pcap.totals, nano.totals);
  EXPECT_EQ(pcap.totals, ng.totals);
}

TEST(Replay, SeveralCapturesAreMergedByTime) {
  const Tape whole = handshake();
  std::vector<FilePacket> first;
  std::vector<FilePacket> second;
  for (std::size_t i = 0; i < whole.packets().size(); ++i)
    (i % 2 == 0 ? first : second).push_back(whole.packets()[i]);
  const auto a = write_capture("a.pcap", pcap_file(kMicroseconds, kLinkEthernet, first));
  const auto b = write_capture("b.pcap", pcap_file(kMicroseconds, kLinkEthernet, second));
  const auto result = replayed({b, a});
  EXPECT_EQ(result.totals.allowed, 5u) << "the SYN of the second file comes first";
  EXPECT_EQ(result.captures[0].packets, 2u);
  EXPECT_EQ(result.captures[1].packets, 3u);
}

TEST(Replay, ATruncatedFileIsJudgedAsFarAsItGoes) {
  Bytes file = pcap_file(kMicroseconds, kLinkEthernet, handshake().packets());
  file.resize(file.size() - 10);
  const auto result = replayed({write_capture("pcap", file)});
  EXPECT_EQ(result.totals.allowed, 4u);
  ASSERT_TRUE(result.captures.front().damaged.has_value());
  EXPECT_NE(result.captures.front().damaged->message.find("after 4 whole packets"), std::string::npos);
}

TEST(Replay, AClockThatFallsDoesNotAgeConnections) {
  auto packets = handshake().packets();
  packets[3].seconds -= 3600;
  const auto result = replayed({write_capture("pcap", pcap_file(kMicroseconds, kLinkEthernet, packets))});
  EXPECT_EQ(result.totals.allowed, 5u);
}

TEST(Replay, AnUnknownVantageIsRefused) {
  EXPECT_TRUE(parse_vantage("pod-veth").has_value());
  const auto other = parse_vantage("node-uplink");
  ASSERT_FALSE(other.has_value());
  EXPECT_EQ(other.error().message, "vantage \"node-uplink\": expected pod-veth");
}

}  // namespace
}  // namespace postern::sim::replay_test
