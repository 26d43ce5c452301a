// SPDX-License-Identifier: Apache-2.0
// What the node remembers goes into the table of tracked connections beside what is there: nothing that lives
// is overwritten, and a full bucket gives up its most spare entry.
#include "engine/enforce/seeding.h"

#include <gtest/gtest.h>

#include "backends/native/native_backend.h"

namespace postern {
namespace {

constexpr EndpointId kPod{5};

NodeConnection connection(std::uint16_t port, bool opened_by_pod, std::uint32_t state, std::uint32_t idle = 0) {
  NodeConnection made{kPod, opened_by_pod, {}, state, idle};
  made.tuple = {.source = pn_address_v4(0x0a000001),
                .destination = pn_address_v4(0x0a000002),
                .source_port = port,
                .destination_port = 80,
                .protocol = PN_IP_TCP};
  return made;
}

class SeedingTest : public ::testing::Test {
 protected:
  SeedingTest() : backend_(sizes()) {
    node_.epoch = 9;
    for (auto& timeout : node_.timeouts) timeout = 100;
    backend_.advance_to(Instant{std::int64_t{1000} << TickClock{}.shift});
  }
  static TableSizes sizes() {
    TableSizes sizes;
    sizes.conntrack_buckets = 1;
    return sizes;
  }
  Seeding seed(const std::vector<NodeConnection>& connections) {
    const auto done = seed_connections(backend_, node_, connections);
    EXPECT_TRUE(done);
    return done ? *done : Seeding{};
  }
  std::vector<PlacedConnection> entries() {
    std::vector<PlacedConnection> all;
    EXPECT_TRUE(backend_.read(0, 1, all));
    return all;
  }

  NativeBackend backend_;
  pn_node node_{};
};

TEST_F(SeedingTest, AnEntrySaysWhatTheNodeKnowsAndIsJudgedAgain) {
  EXPECT_EQ(seed({connection(1, true, PN_CT_REPLIED, 7)}).written, 1u);
  const auto all = entries();
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].key.endpoint_protocol, kPod.value << 8 | PN_IP_TCP);
  EXPECT_EQ(all[0].value.seen, 993u);
  EXPECT_NE(all[0].value.epoch, node_.epoch);
  EXPECT_NE(all[0].value.epoch, node_.epoch + 1) << "the policy that is about to take effect";
  EXPECT_EQ(all[0].value.state,
            PN_CT_LIVE | PN_CT_NODE_HAD | PN_CT_REPLIED | PN_CT_OPENER_EGRESS | PN_CT_OPENER_IS_A);
}

TEST_F(SeedingTest, WhatAPeerOnlyTriesIsNoConnection) {
  EXPECT_EQ(seed({connection(1, false, 0), connection(2, false, PN_CT_REPLIED), connection(3, true, 0)}).written, 2u);
  EXPECT_EQ(entries().size(), 2u);
}

TEST_F(SeedingTest, WhatTheTableKnowsIsLeftAlone) {
  seed({connection(1, true, 0)});
  const auto again = seed({connection(1, true, PN_CT_REPLIED)});
  EXPECT_EQ(again.written, 0u);
  EXPECT_EQ(again.known, 1u);
  EXPECT_EQ(entries().front().value.state & PN_CT_REPLIED, 0u);
}

TEST_F(SeedingTest, AnEntryThatHasEndedGivesWay) {
  seed({connection(1, true, 0, 100)});
  EXPECT_EQ(seed({connection(1, true, PN_CT_REPLIED)}).written, 1u);
  const auto all = entries();
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].value.state & PN_CT_REPLIED, static_cast<std::uint32_t>(PN_CT_REPLIED));
}

TEST_F(SeedingTest, AFullBucketGivesUpItsMostSpareEntry) {
  std::vector<NodeConnection> eight;
  for (std::uint16_t port = 1; port <= 8; ++port) eight.push_back(connection(port, true, 0, port == 3 ? 50 : port));
  // They share a bucket, so that of those which choose one way only one gets it at a time.
  EXPECT_EQ(seed(eight).written, 8u);
  ASSERT_EQ(entries().size(), 8u);
  EXPECT_EQ(seed({connection(9, true, 0)}).written, 1u);
  const auto all = entries();
  ASSERT_EQ(all.size(), 8u);
  for (const auto& entry : all) EXPECT_NE(entry.value.seen, 950u) << "the one that was idle for longest is there";
}

TEST_F(SeedingTest, APlaceThatIsNotAsItWasReadIsLeftAlone) {
  ConnectionPut put;
  put.fingerprint = 7;
  put.key.port_a = 1;
  put.value.state = PN_CT_LIVE;
  ConnectionPut same_key_elsewhere = put;
  same_key_elsewhere.read.way = 1;
  ConnectionPut puts[]{put, put, same_key_elsewhere};
  ASSERT_TRUE(backend_.put(puts));
  EXPECT_TRUE(puts[0].made);
  EXPECT_FALSE(puts[1].made) << "the place is taken";
  EXPECT_FALSE(puts[2].made) << "the bucket has the key";
}

}  // namespace
}  // namespace postern
