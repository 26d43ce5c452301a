// SPDX-License-Identifier: Apache-2.0
// What a node would remember of packets that its stack never sees, in its real nf_conntrack: what is written
// is what is read back, a connection to a Service stands there once, and it goes with the scenario's clock.
#include <gtest/gtest.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <netinet/in.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "net/conntrack_dump.h"
#include "net/conntrack_writer.h"
#include "sim/netns/netns.h"
#include "sim/netns/topology.h"
#include "test/kernel_cluster/small_cluster.h"

namespace postern::sim {
namespace {

using namespace testing_support;

// In network order.
std::uint16_t port(std::uint16_t number) { return htons(number); }

TrackedTuple tuple(std::uint8_t protocol, const char* from, std::uint16_t from_port, const char* to,
                   std::uint16_t to_port) {
  return {address(from), address(to), port(from_port), port(to_port), protocol};
}

// All that the current namespace tracks.
std::vector<TrackedConnection> read_back() {
  std::vector<TrackedConnection> all;
  ConntrackDump dump;
  const auto begun = dump.begin();
  if (!begun) {
    EXPECT_EQ(begun.error().code, ErrorCode::not_found) << begun.error().to_string();
    return all;
  }
  Result<bool> done = false;
  while (done && !*done) {
    done = dump.step([&](const TrackedConnection& connection) { all.push_back(connection); });
  }
  EXPECT_TRUE(done) << done.error().to_string();
  return all;
}

TEST(ConntrackWriter, WhatIsWrittenIsReadBackAndDeletedAlone) {
  struct Row {
    const char* name;
    TrackedConnection connection;
  };
  const std::vector<Row> rows{
      {"TCP, answered",
       {tuple(IPPROTO_TCP, "10.8.0.1", 4001, "10.8.0.2", 80), tuple(IPPROTO_TCP, "10.8.0.2", 80, "10.8.0.1", 4001), true,
        TCP_CONNTRACK_ESTABLISHED}},
      {"TCP that nobody has answered",
       {tuple(IPPROTO_TCP, "10.8.0.1", 4002, "10.8.0.2", 80), tuple(IPPROTO_TCP, "10.8.0.2", 80, "10.8.0.1", 4002), false,
        TCP_CONNTRACK_SYN_SENT}},
      {"TCP that was translated",
       {tuple(IPPROTO_TCP, "10.8.0.1", 4003, "10.96.0.1", 80),
        tuple(IPPROTO_TCP, "10.8.0.2", 8080, "10.8.0.1", 4003), true, TCP_CONNTRACK_FIN_WAIT}},
      {"UDP",
       {tuple(IPPROTO_UDP, "10.8.0.1", 4001, "10.8.0.2", 53), tuple(IPPROTO_UDP, "10.8.0.2", 53, "10.8.0.1", 4001), true,
        0}},
      {"an echo",
       {tuple(IPPROTO_ICMP, "10.8.0.1", 7, "10.8.0.2", 7), tuple(IPPROTO_ICMP, "10.8.0.2", 7, "10.8.0.1", 7), false, 0}},
      {"TCP, IPv6",
       {tuple(IPPROTO_TCP, "fd08::1", 4001, "fd08::2", 80), tuple(IPPROTO_TCP, "fd08::2", 80, "fd08::1", 4001), true,
        TCP_CONNTRACK_CLOSE}},
      {"SCTP, IPv6",
       {tuple(IPPROTO_SCTP, "fd08::1", 4001, "fd08::2", 80), tuple(IPPROTO_SCTP, "fd08::2", 80, "fd08::1", 4001), true,
        0}},
      {"an echo, IPv6",
       {tuple(IPPROTO_ICMPV6, "fd08::1", 9, "fd08::2", 9), tuple(IPPROTO_ICMPV6, "fd08::2", 9, "fd08::1", 9), true, 0}},
  };
  auto netns = Netns::create(NetnsKind::router);
  ASSERT_TRUE(netns) << netns.error().to_string();
  auto scope = NetnsScope::enter(*netns);
  ASSERT_TRUE(scope);
  auto writer = ConntrackWriter::open();
  ASSERT_TRUE(writer) << writer.error().to_string();
  const auto holds = [](const TrackedConnection& connection) {
    const auto all = read_back();
    return std::count(all.begin(), all.end(), connection);
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.name);
    const auto added = writer->add(row.connection, seconds(600));
    ASSERT_TRUE(added) << added.error().to_string();
    EXPECT_TRUE(*added);
    EXPECT_EQ(holds(row.connection), 1);
    EXPECT_FALSE(writer->add(row.connection, seconds(600)).value_or(true)) << "it is there already";
  }
  EXPECT_EQ(read_back().size(), rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    SCOPED_TRACE(rows[i].name);
    EXPECT_TRUE(writer->remove(*rows[i].connection.original).value_or(false));
    EXPECT_EQ(holds(rows[i].connection), 0);
    EXPECT_EQ(read_back().size(), rows.size() - i - 1) << "no other one goes";
    EXPECT_FALSE(writer->remove(*rows[i].connection.original).value_or(true)) << "it is gone already";
  }
  const auto refused = writer->add({rows[0].connection.original, std::nullopt, false, 0}, seconds(600));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::invalid_input);
}

class NodeMemoryTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto made = NetnsCluster::make({});
    ASSERT_TRUE(made) << made.error().to_string();
    cluster_ = std::move(*made);
    pods_.node("n", "172.20.0.1").pod("x/client", "n", kClient).pod("x/server", "n", kServer);
  }
  void begin(const ClusterSettings& settings) {
    ASSERT_TRUE(cluster_->begin(settings));
    place();
  }
  void place() {
    const auto placed = cluster_->place(pods_.placement);
    ASSERT_TRUE(placed) << placed.error().to_string();
  }
  NodeSlot& node() { return *cluster_->topology().active_nodes().front(); }

  static PacketLine tcp(std::uint16_t from, std::uint16_t to, const std::string& flags) {
    PacketLine line;
    line.part = TcpPart{.sport = from, .dport = to, .flags = flags};
    return line;
  }
  static PacketLine udp(std::uint16_t from, std::uint16_t to) {
    PacketLine line;
    line.part = UdpPart{from, to};
    return line;
  }
  void send(const char* from, const char* to, const PacketLine& line, const std::optional<ServiceHop>& via = {}) {
    PacketRequest request{pods_.party(from), pods_.party(to), &line, {}};
    request.via = via;
    if (via) request.target_port = 8080;
    const auto sent = cluster_->send(std::vector{request});
    ASSERT_TRUE(sent) << sent.error().to_string();
    EXPECT_TRUE(sent->front().allowed);
  }
  // What the node's table has.
  std::vector<TrackedConnection> there() {
    auto scope = NetnsScope::enter(node().station.netns);
    EXPECT_TRUE(scope);
    return read_back();
  }

  static constexpr const char* kClient = "10.7.0.1";
  static constexpr const char* kServer = "10.7.0.2";
  static constexpr const char* kService = "10.96.0.7";
  std::unique_ptr<NetnsCluster> cluster_;
  SmallCluster pods_;
};

TEST_F(NodeMemoryTest, AConnectionIsThereWithTheNextPolicyAndGoesByTheScenariosClock) {
  begin({});
  send("x/client", "x/server", tcp(4001, 80, "S"));
  send("x/client", "x/server", udp(4002, 53));
  EXPECT_TRUE(there().empty()) << "before policy is put in force";
  place();
  TrackedConnection stream{tuple(IPPROTO_TCP, kClient, 4001, kServer, 80),
                           tuple(IPPROTO_TCP, kServer, 80, kClient, 4001), false, TCP_CONNTRACK_SYN_SENT};
  const auto is_there = [&](const TrackedConnection& connection) {
    const auto all = there();
    return std::count(all.begin(), all.end(), connection) == 1;
  };
  EXPECT_EQ(there().size(), 2u);
  EXPECT_TRUE(is_there(stream));
  EXPECT_TRUE(is_there({tuple(IPPROTO_UDP, kClient, 4002, kServer, 53),
                        tuple(IPPROTO_UDP, kServer, 53, kClient, 4002), false, 0}));

  send("x/server", "x/client", tcp(80, 4001, "SA"));
  ASSERT_TRUE(cluster_->advance(seconds(60)));
  place();
  stream.replied = true;
  stream.tcp_state = TCP_CONNTRACK_ESTABLISHED;
  EXPECT_EQ(there().size(), 1u) << "a minute is more than a query lives";
  EXPECT_TRUE(is_there(stream)) << "as it is by now";
  ASSERT_TRUE(cluster_->advance(seconds(2 * 86400)));
  place();
  EXPECT_TRUE(there().empty());

  send("x/client", "x/server", tcp(4001, 80, "S"));
  place();
  EXPECT_EQ(there().size(), 1u);
  begin({});
  EXPECT_TRUE(there().empty()) << "another scenario";
}

TEST_F(NodeMemoryTest, AConnectionToAServiceIsThereOnceAsTheNodeTranslatesIt) {
  begin({});
  send("x/client", "x/server", tcp(4001, 80, "S"), ServiceHop{address(kService), 80});
  send("x/server", "x/client", tcp(8080, 4001, "SA"));
  place();
  const std::vector<TrackedConnection> wanted{{tuple(IPPROTO_TCP, kClient, 4001, kService, 80),
                                               tuple(IPPROTO_TCP, kServer, 8080, kClient, 4001), true,
                                               TCP_CONNTRACK_ESTABLISHED}};
  EXPECT_EQ(there(), wanted);
}

TEST_F(NodeMemoryTest, ANodeThatRemembersNothingHasNothing) {
  ClusterSettings settings;
  settings.node_conntrack = false;
  settings.enforcer.midflow_grace = seconds(30);
  begin(settings);
  send("x/client", "x/server", tcp(4001, 80, "S"));
  place();
  EXPECT_TRUE(there().empty());
}

TEST_F(NodeMemoryTest, WhereGraceAsksForItANodeThatRemembersIsNeverWithoutAConnection) {
  ClusterSettings settings;
  settings.enforcer.midflow_grace = seconds(30);
  begin(settings);
  EXPECT_EQ(there().size(), 1u);
}

}  // namespace
}  // namespace postern::sim
