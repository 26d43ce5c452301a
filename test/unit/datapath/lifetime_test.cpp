// SPDX-License-Identifier: Apache-2.0
#include "engine/datapath/lifetime.h"

#include <gtest/gtest.h>

namespace postern::test {
namespace {

TEST(Lifetime, EachStateHasItsTimeout) {
  constexpr pn_u32 kReplied = PN_CT_LIVE | PN_CT_REPLIED;
  const struct {
    pn_u32 protocol;
    pn_u32 state;
    pn_timeout timeout;
  } rows[] = {
      {PN_IP_TCP, PN_CT_LIVE, PN_TIMEOUT_TCP_SYN},
      {PN_IP_TCP, kReplied, PN_TIMEOUT_TCP_ESTABLISHED},
      {PN_IP_TCP, kReplied | PN_CT_FIN_OPENER, PN_TIMEOUT_TCP_FIN},
      {PN_IP_TCP, kReplied | PN_CT_FIN_REPLIER, PN_TIMEOUT_TCP_FIN},
      {PN_IP_TCP, kReplied | PN_CT_FIN_OPENER | PN_CT_FIN_REPLIER, PN_TIMEOUT_TCP_CLOSED},
      {PN_IP_TCP, kReplied | PN_CT_FIN_OPENER | PN_CT_RST, PN_TIMEOUT_TCP_RST},
      {PN_IP_UDP, PN_CT_LIVE, PN_TIMEOUT_UDP},
      {PN_IP_UDP, kReplied, PN_TIMEOUT_UDP_REPLIED},
      {PN_IP_SCTP, kReplied, PN_TIMEOUT_SCTP},
      {PN_IP_ICMP, kReplied, PN_TIMEOUT_ICMP},
  };
  for (const auto& row : rows) {
    EXPECT_EQ(pn_ct_timeout(row.protocol, row.state), static_cast<pn_u32>(row.timeout))
        << row.protocol << ' ' << row.state;
  }
}

TEST(Lifetime, AnEntryLivesForFewerTicksThanItsTimeout) {
  pn_node node{};
  node.timeouts[PN_TIMEOUT_UDP] = 10;
  pn_ct_value value{.epoch = 1, .seen = 0xfffffffcu, .state = PN_CT_LIVE, .step = 0};
  EXPECT_TRUE(pn_ct_live(&node, &value, PN_IP_UDP, value.seen));
  EXPECT_TRUE(pn_ct_live(&node, &value, PN_IP_UDP, value.seen + 9)) << "the tick may wrap";
  EXPECT_FALSE(pn_ct_live(&node, &value, PN_IP_UDP, value.seen + 10));
  EXPECT_TRUE(pn_ct_live(&node, &value, PN_IP_UDP, value.seen - 1)) << "written by a CPU that is ahead";
  value.state = 0;
  EXPECT_FALSE(pn_ct_live(&node, &value, PN_IP_UDP, value.seen)) << "a free way";
}

}  // namespace
}  // namespace postern::test
