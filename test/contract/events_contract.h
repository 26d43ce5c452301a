// SPDX-License-Identifier: Apache-2.0
// Contract of the rings: every event is numbered and counted, what is lost leaves a gap of its size, and
// a monitor sees what it asks for as long as it asks.
#pragma once

#include <sched.h>

#include <algorithm>

#include "test/contract/backend_fixture.h"

namespace postern::test {

// This thread stays on one CPU, so that the kernel numbers its packets there.
class OneCpu {
 public:
  OneCpu() {
    sched_getaffinity(0, sizeof before_, &before_);
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(static_cast<std::size_t>(sched_getcpu()), &one);
    sched_setaffinity(0, sizeof one, &one);
  }
  ~OneCpu() { sched_setaffinity(0, sizeof before_, &before_); }
  OneCpu(const OneCpu&) = delete;
  OneCpu& operator=(const OneCpu&) = delete;

 private:
  cpu_set_t before_{};
};

TEST_P(PacketContract, EventsAreNumberedFromOneOnOneCpu) {
  const OneCpu here;
  tables().judge(PN_INGRESS, {denied()});
  tables().pod().flags = PN_POD_EVENT_DENY;
  enforce();
  for (int i = 0; i < 3; ++i) in(tcp(kStranger, kPodHttp, kSyn));
  const auto seen = events();
  ASSERT_EQ(seen.size(), 3u);
  for (std::uint32_t i = 0; i < 3; ++i) {
    EXPECT_EQ(seen[i].sequence, i + 1);
    EXPECT_EQ(seen[i].cpu, seen[0].cpu);
  }
  EXPECT_EQ(counted(PN_COUNTER_EVENTS), 3u);
  EXPECT_EQ(counted(PN_COUNTER_EVENTS_LOST), 0u);
}

TEST_P(PacketContract, EventsThatFindNoRoomAreCountedAndLeaveAGapOfTheirNumber) {
  const OneCpu here;
  tables().judge(PN_INGRESS, {denied()});
  tables().pod().flags = PN_POD_EVENT_DENY;
  enforce();
  for (int batch = 0; batch < 1000 && counted(PN_COUNTER_EVENTS_LOST) == 0; ++batch) {
    for (int i = 0; i < 1000; ++i) in(tcp(kStranger, kPodHttp, kSyn));
  }
  const std::uint64_t lost = counted(PN_COUNTER_EVENTS_LOST);
  ASSERT_GT(lost, 0u);
  const auto kept = events();
  EXPECT_EQ(counted(PN_COUNTER_EVENTS), kept.size() + lost) << "attempts = read + lost";
  EXPECT_EQ(counter(PN_INGRESS, PN_REASON_ISOLATED).packets, kept.size() + lost);
  in(tcp(kStranger, kPodHttp, kSyn));
  const auto next = events();
  ASSERT_EQ(next.size(), 1u);
  EXPECT_EQ(next[0].sequence, kept.back().sequence + lost + 1);
  EXPECT_EQ(counted(PN_COUNTER_EVENTS_LOST), lost) << "there is room again";
}

TEST_P(PacketContract, AMonitorSeesTheInterfaceItAsksForUntilItsTick) {
  tables().judge(PN_INGRESS, {denied(), rule(1)}).host(kClient.address, 1);
  enforce();
  const std::uint32_t now = tick();
  struct Row {
    const char* name;
    std::uint32_t until, ifindex;
    std::size_t events;
  };
  for (const Row& row : {
           Row{"never switched on", 0, 0, 0},
           Row{"all interfaces", now + 2, 0, 3},
           Row{"this interface", now + 2, kIfindex, 3},
           Row{"another one", now + 2, kIfindex + 1, 0},
           Row{"ends now", now, 0, 0},
           Row{"ended", now - 1, 0, 0},
           Row{"ended long ago", now - 1'000'000'000, 0, 0},
       }) {
    tables().node().monitor_until = row.until;
    tables().node().monitor_ifindex = row.ifindex;
    enforce();
    in(tcp(kStranger, kPodHttp, kSyn));
    in(tcp(kClient, kPodHttp, kAck));
    out(ethernet(0x0806, Bytes(28)));
    EXPECT_EQ(monitored().size(), row.events) << row.name;
  }
  EXPECT_TRUE(events().empty()) << "no flag of the pod asks for one";
  EXPECT_EQ(counted(PN_COUNTER_EVENTS), 0u);
  EXPECT_EQ(counted(PN_COUNTER_MONITOR), 6u);
}

TEST_P(PacketContract, AMonitorEndsByItselfAndTakesNothingFromTheEvents) {
  const OneCpu here;
  tables().judge(PN_INGRESS, {denied()});
  tables().pod().flags = PN_POD_EVENT_DENY;
  tables().node().monitor_until = tick() + 2;
  enforce();
  in(tcp(kStranger, kPodHttp, kSyn));
  wait_ticks(1);
  in(tcp(kStranger, kPodHttp, kSyn));
  wait_ticks(1);
  in(tcp(kStranger, kPodHttp, kSyn));
  const auto watched = monitored();
  const auto logged = events();
  ASSERT_EQ(watched.size(), 2u);
  ASSERT_EQ(logged.size(), 3u);
  EXPECT_EQ(watched[1].sequence, 2u) << "its own numbers";
  EXPECT_EQ(logged[2].sequence, 3u);
  EXPECT_EQ(watched[0].time_ns, logged[0].time_ns) << "one packet, one event for both";
  EXPECT_EQ(watched[0].step, logged[0].step);
}

TEST_P(PacketContract, OpenedAndEvictedConnectionsAreCounted) {
  tables().judge(PN_INGRESS, {rule(1)}).judge(PN_EGRESS, {rule(1)});
  tables().pod().flags = PN_POD_CT_FIRST;
  enforce();
  constexpr std::uint16_t kOpened = 1500;  // of 512 ways
  for (std::uint16_t port = 1; port <= kOpened; ++port) {
    in(tcp({kClient.address, port}, kPodHttp, kSyn));
    in(tcp({kClient.address, port}, kPodHttp, kAck));
  }
  EXPECT_EQ(counted(PN_COUNTER_OPENED), kOpened);
  const std::uint64_t left = connections().size();
  EXPECT_LT(left, kOpened);
  EXPECT_EQ(counted(PN_COUNTER_EVICTED), kOpened - left) << "none had expired";
  in(tcp({kClient.address, kOpened}, kPodHttp, kSyn));
  EXPECT_EQ(counted(PN_COUNTER_OPENED), kOpened + 1u) << "the port is used again";
  EXPECT_EQ(counted(PN_COUNTER_EVICTED), kOpened - left) << "in the place of its own";
}

}  // namespace postern::test
