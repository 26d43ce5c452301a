// SPDX-License-Identifier: Apache-2.0
// What becomes of a tracked connection at clean-up: every row is an entry, how long it was idle, and what
// the node's own conntrack says.
#include "engine/conntrack/cleanup.h"

#include <gtest/gtest.h>

#include "engine/datapath/parse.h"

namespace postern {
namespace {

using enum NodeConntrackView;
using enum ConnectionFate;

constexpr std::uint32_t kNow = 5'000'000;
constexpr std::uint32_t kLeastIdle = 300;
constexpr std::uint32_t kMargin = kTicksAfterTheEnd;
constexpr std::uint32_t kLive = PN_CT_LIVE;
constexpr std::uint32_t kReplied = PN_CT_LIVE | PN_CT_REPLIED;
constexpr std::uint32_t kNoted = kReplied | PN_CT_NODE_HAD;
constexpr std::uint32_t kRetired = PN_CT_RETIRED_IDLE;

pn_node node_with_timeouts() {
  pn_node node{};
  node.timeouts[PN_TIMEOUT_TCP_SYN] = 120;
  node.timeouts[PN_TIMEOUT_TCP_ESTABLISHED] = 86400;
  node.timeouts[PN_TIMEOUT_TCP_FIN] = 120;
  node.timeouts[PN_TIMEOUT_TCP_CLOSED] = 120;
  node.timeouts[PN_TIMEOUT_TCP_RST] = 10;
  node.timeouts[PN_TIMEOUT_UDP] = 30;
  node.timeouts[PN_TIMEOUT_UDP_REPLIED] = 120;
  node.timeouts[PN_TIMEOUT_SCTP] = 210;
  node.timeouts[PN_TIMEOUT_ICMP] = 30;
  return node;
}

TEST(ConntrackCleanup, TheEntryAndTheNodesConntrackDecide) {
  const struct {
    const char* name;
    std::uint32_t protocol;
    std::uint32_t state;
    std::uint32_t idle;
    NodeConntrackView node;
    ConnectionFate fate;
  } rows[] = {
      {"a free way is nobody's business", PN_IP_TCP, 0, 100000, lacks_it, keep},
      // By their own timeouts, whatever the node's conntrack says.
      {"established, in use", PN_IP_TCP, kReplied, 0, not_asked, keep},
      {"established, idle for hours", PN_IP_TCP, kReplied, 80000, not_asked, keep},
      {"established, its last tick", PN_IP_TCP, kReplied, 86399, not_asked, keep},
      {"established, ended but just now", PN_IP_TCP, kReplied, 86400 + kMargin - 1, not_asked, keep},
      {"established, ended", PN_IP_TCP, kReplied, 86400 + kMargin, not_asked, free},
      {"ended here, though the node still has it", PN_IP_TCP, kNoted, 86400 + kMargin, has_it, free},
      {"no answer to a SYN", PN_IP_TCP, kLive, 120 + kMargin, not_asked, free},
      {"one FIN", PN_IP_TCP, kReplied | PN_CT_FIN_OPENER, 119, not_asked, keep},
      {"one FIN, ended", PN_IP_TCP, kReplied | PN_CT_FIN_OPENER, 120 + kMargin, not_asked, free},
      {"both FINs, ended", PN_IP_TCP, kReplied | PN_CT_FIN_OPENER | PN_CT_FIN_REPLIER, 120 + kMargin, not_asked, free},
      {"reset", PN_IP_TCP, kReplied | PN_CT_RST, 9, not_asked, keep},
      {"reset, ended", PN_IP_TCP, kReplied | PN_CT_RST, 10 + kMargin, not_asked, free},
      {"UDP without an answer", PN_IP_UDP, kLive, 30 + kMargin, not_asked, free},
      {"UDP, answered", PN_IP_UDP, kReplied, 30 + kMargin, not_asked, keep},
      {"UDP, answered and ended", PN_IP_UDP, kReplied, 120 + kMargin, not_asked, free},
      {"SCTP", PN_IP_SCTP, kReplied, 209, not_asked, keep},
      {"SCTP, ended", PN_IP_SCTP, kReplied, 210 + kMargin, not_asked, free},
      {"a ping", PN_IP_ICMP, kReplied, 30 + kMargin, not_asked, free},
      {"a ping by IPv6", PN_IP_ICMPV6, kReplied, 30 + kMargin, not_asked, free},
      {"cut, and quiet", PN_IP_TCP, kReplied | PN_CT_CUT, 86400 + kMargin, not_asked, free},
      {"of a CPU that is a tick ahead", PN_IP_UDP, kLive, 0xffffffffu, lacks_it, keep},
      // The cross-check.
      {"the node has it for the first time", PN_IP_TCP, kReplied, 0, has_it, note},
      {"the node still has it", PN_IP_TCP, kNoted, 1000, has_it, keep},
      {"the node never had it (NOTRACK, another datapath)", PN_IP_TCP, kReplied, 80000, lacks_it, keep},
      {"gone there, used here", PN_IP_TCP, kNoted, 0, lacks_it, keep},
      {"gone there, used here not long ago", PN_IP_TCP, kNoted, kLeastIdle - 1, lacks_it, keep},
      {"gone there, idle here", PN_IP_TCP, kNoted, kLeastIdle, lacks_it, retire},
      {"idle here, but nobody could be asked", PN_IP_TCP, kNoted, kLeastIdle, not_asked, keep},
      {"gone there, half closed here: its own timeout is short", PN_IP_TCP, kNoted | PN_CT_FIN_OPENER, 119, lacks_it,
       keep},
      {"gone there, cut and idle here", PN_IP_TCP, kNoted | PN_CT_CUT, kLeastIdle, lacks_it, retire},
      // Retired: who found it just before may still be writing.
      {"retired just now", PN_IP_TCP, kNoted, kRetired + kMargin - 1, lacks_it, keep},
      {"retired a while ago", PN_IP_TCP, kNoted, kRetired + kMargin, lacks_it, free},
  };
  const pn_node node = node_with_timeouts();
  for (const auto& row : rows) {
    SCOPED_TRACE(row.name);
    pn_ct_key key{};
    key.endpoint_protocol = 7u << 8 | row.protocol;
    const pn_ct_value value{.epoch = 1, .seen = kNow - row.idle, .state = row.state, .step = 1};
    EXPECT_EQ(fate_of(key, value, {&node, kNow, kLeastIdle}, row.node), row.fate);
  }
}

TEST(ConntrackCleanup, WithoutALeastIdleTimeAPacketOfThisTickStillCountsAsUse) {
  const pn_node node = node_with_timeouts();
  pn_ct_key key{};
  key.endpoint_protocol = PN_IP_TCP;
  pn_ct_value value{.epoch = 1, .seen = kNow, .state = kNoted, .step = 1};
  EXPECT_EQ(fate_of(key, value, {&node, kNow, 0}, lacks_it), keep);
  value.seen = kNow - 1;
  EXPECT_EQ(fate_of(key, value, {&node, kNow, 0}, lacks_it), retire);
}

}  // namespace
}  // namespace postern
