// SPDX-License-Identifier: Apache-2.0
#include "engine/conntrack/conntrack_view.h"
#include "engine/datapath/lifetime.h"

#include <gtest/gtest.h>

namespace postern::test {
namespace {

pn_ct_key key_of(std::uint32_t endpoint) {
  return {.address_a = pn_address_v4(0x0a000005),
          .address_b = pn_address_v4(0x0a000009),
          .port_a = __builtin_bswap16(40000),
          .port_b = __builtin_bswap16(80),
          .endpoint_protocol = endpoint << 8 | 6};
}

pn_ct_bucket bucket_of_two() {
  pn_ct_bucket bucket{};
  bucket.fingerprints[1] = 5;
  bucket.ways[1] = {key_of(7), {.epoch = 1, .seen = 100, .state = PN_CT_LIVE, .step = 3}};
  bucket.fingerprints[6] = 6;
  bucket.ways[6] = {key_of(8), {.epoch = 1, .seen = 100, .state = PN_CT_LIVE | PN_CT_CUT, .step = 3}};
  return bucket;
}

std::size_t used(const pn_ct_bucket& bucket) {
  std::size_t ways = 0;
  for (const auto& way : bucket.ways) ways += way.value.state != 0 ? 1u : 0u;
  return ways;
}

TEST(ConntrackView, AnEntrySaysWhoOpenedIt) {
  const pn_ct_value from_a{
      .epoch = 1, .seen = 2, .state = PN_CT_LIVE | PN_CT_OPENER_IS_A | PN_CT_REPLIED, .step = 9};
  EXPECT_EQ(to_string(view_of(key_of(7), from_a)), "TCP 10.0.0.5:40000 -> 10.0.0.9:80 replied endpoint 7");
  const pn_ct_value from_b{
      .epoch = 1, .seen = 2, .state = PN_CT_LIVE | PN_CT_OPENER_EGRESS | PN_CT_RST, .step = 9};
  const ConnectionView view = view_of(key_of(7), from_b);
  EXPECT_EQ(to_string(view), "TCP 10.0.0.9:80 -> 10.0.0.5:40000 rst endpoint 7");
  EXPECT_TRUE(view.opened_by_pod);
  EXPECT_EQ(view.step, 9u);
}

TEST(ConntrackView, CutConnectionsAreNotListed) {
  const pn_ct_bucket bucket = bucket_of_two();
  std::size_t listed = 0;
  for_each_entry(bucket, [&](const pn_ct_key& key, const pn_ct_value&) {
    EXPECT_EQ(endpoint_of(key), EndpointId{7});
    ++listed;
  });
  EXPECT_EQ(listed, 1u);
}

TEST(ConntrackView, ForgettingTakesAnEndpointsWaysOrAll) {
  pn_ct_bucket bucket = bucket_of_two();
  EXPECT_EQ(forget_in_bucket(bucket, EndpointId{9}), 0u);
  EXPECT_EQ(forget_in_bucket(bucket, EndpointId{7}), 1u);
  EXPECT_EQ(bucket.fingerprints[1], 0u);
  EXPECT_EQ(used(bucket), 1u);
  EXPECT_EQ(forget_in_bucket(bucket, {}), 1u);
  EXPECT_EQ(used(bucket), 0u);
}

TEST(ConntrackView, AgeingMovesUsedWaysOnly) {
  pn_ct_bucket bucket = bucket_of_two();
  age_bucket(bucket, 101);
  EXPECT_EQ(bucket.ways[1].value.seen, 0xffffffffu);
  EXPECT_EQ(bucket.ways[0].value.seen, 0u);
  pn_node node{};
  node.timeouts[PN_TIMEOUT_TCP_SYN] = 110;
  EXPECT_TRUE(pn_ct_live(&node, &bucket.ways[1].value, PN_IP_TCP, 108));
  EXPECT_FALSE(pn_ct_live(&node, &bucket.ways[1].value, PN_IP_TCP, 109));
  EXPECT_EQ(pn_ct_timeout(PN_IP_TCP, bucket.ways[1].value.state),
            static_cast<std::uint32_t>(PN_TIMEOUT_TCP_SYN));
}

TEST(ConntrackView, TicksRoundToTheNearestAndNeverToNone) {
  constexpr std::int64_t kTick = 1000;
  EXPECT_EQ(ticks_of(Duration{0}, kTick), 0u);
  EXPECT_EQ(ticks_of(Duration{1}, kTick), 1u);
  EXPECT_EQ(ticks_of(Duration{1499}, kTick), 1u);
  EXPECT_EQ(ticks_of(Duration{1500}, kTick), 2u);
  EXPECT_EQ(ticks_of(Duration{-5}, kTick), 0u);
}

}  // namespace
}  // namespace postern::test
