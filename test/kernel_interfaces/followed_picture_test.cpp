// SPDX-License-Identifier: Apache-2.0
// A picture that was followed is the picture that a fresh look gives, whatever happened in between: that
// is what holds the reading of announcements to the kernel, which changes some things without a word.
#include <net/if.h>

#include <cstdlib>

#include "engine/base/prng.h"
#include "test/kernel_interfaces/private_host.h"

namespace postern::agent {
namespace {

using testing_support::run;
using testing_support::run_quietly;
using testing_support::text_of;

class FollowedPictureTest : public testing_support::PrivateHost {
 protected:
  // Things go on for a while after a command has ended: carriers come, IPv6 addresses are taken up.
  void expect_as_fresh(const std::string& what) {
    std::string followed;
    std::string fresh;
    EXPECT_TRUE(eventually([&] {
      auto opened = HostNetwork::open();
      EXPECT_TRUE(opened) << opened.error().message;
      followed = text_of(host->picture());
      fresh = text_of(opened->picture());
      return followed == fresh;
    })) << what << "\nfollowed:\n" << followed << "fresh:\n" << fresh;
  }
};

TEST_F(FollowedPictureTest, what_the_kernel_changes_without_a_word_is_noticed) {
  struct Row {
    const char* name;
    const char* before;
    const char* happens;
  };
  const std::vector<Row> rows{
      {"a link that goes down takes its routes", "ip route add 10.1.0.5/32 dev v1", "ip link set v1 down"},
      {"an address that goes takes the routes tied to it",
       "ip addr add 10.7.0.1/32 dev v2; ip route add 10.1.0.5/32 dev v1 src 10.7.0.1",
       "ip addr del 10.7.0.1/32 dev v2"},
      {"a route is replaced by one elsewhere", "ip route add 10.1.0.5/32 dev v1",
       "ip route replace 10.1.0.5/32 dev v2"},
      {"a route is replaced by one through a gateway", "ip route add 10.1.0.5/32 dev v1",
       "ip route replace 10.1.0.5/32 via 10.9.9.9 dev v2 onlink"},
      {"a route is replaced by a black hole", "ip route add 10.1.0.5/32 dev v1",
       "ip route replace blackhole 10.1.0.5/32"},
      {"an IPv6 route is replaced", "ip route add fd01::5/128 dev v1", "ip route replace fd01::5/128 dev v2"},
      {"an IPv6 route gets a second way", "ip route add fd01::5/128 dev v1", "ip route append fd01::5/128 dev v2"},
      {"an IPv6 route loses one of two ways", "ip route add fd01::5/128 dev v1; ip route append fd01::5/128 dev v2",
       "ip route del fd01::5/128 dev v1"},
      {"the last address of a link takes its routes",
       "ip addr add 10.7.0.1/32 dev v1; ip route add 10.1.0.5/32 dev v1", "ip addr del 10.7.0.1/32 dev v1"},
      {"a bridge port leaves", "ip link set v1 master br0", "ip link set v1 nomaster"},
      {"a bridge goes with its ports", "ip link set v1 master br0; ip link set v2 master br0",
       "ip link delete br0"},
      {"a MAC moves to another port",
       "ip link set v1 master br0; ip link set v2 master br0; "
       "bridge fdb replace 02:00:00:00:00:55 dev v1 master dynamic",
       "bridge fdb replace 02:00:00:00:00:55 dev v2 master dynamic"},
      {"a port goes with what was heard behind it",
       "ip link set v1 master br0; bridge fdb replace 02:00:00:00:00:55 dev v1 master dynamic",
       "ip link delete v1"},
      {"a link moves to another namespace", "ip route add 10.1.0.5/32 dev v1",
       "ip link set v1 netns /mnt/netns/p2"},
      {"a link gets another name", "true", "ip link set v1 down; ip link set v1 name w1; ip link set w1 up"},
      {"a neighbour goes with its link", "ip neigh add 10.1.0.5 lladdr 02:00:00:00:00:55 dev v1",
       "ip link set v1 down"},
      {"no announcement is wanted of IPv6 routes",
       "echo 1 > /proc/sys/net/ipv6/route/skip_notify_on_dev_down; ip route add fd01::5/128 dev v1",
       "ip link set v1 down"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.name);
    for (const char* const pod : {"p1", "p2"}) make_pod_namespace(pod);
    run("ip link add br0 type bridge && ip link set br0 up");
    for (const char* const n : {"1", "2"}) {
      run(std::string("ip link add v") + n + " type veth peer name e" + n + " netns /mnt/netns/p" + n +
          " && ip link set v" + n + " up");
      in_pod(std::string("p") + n, std::string("ip link set e") + n + " up");
    }
    run(row.before);
    open();
    expect_as_fresh("before");
    const std::string before = text_of(host->picture());
    run(row.happens);
    expect_as_fresh("after");
    EXPECT_NE(text_of(host->picture()), before) << "nothing happened";
    run_quietly("ip route del blackhole 10.1.0.5/32");
    for (const char* const link : {"br0", "v1", "v2", "w1"}) run_quietly(std::string("ip link delete ") + link);
    for (const char* const pod : {"p1", "p2"}) remove_pod_namespace(pod);
  }
}

// One change at random; some fail, as what they are about is not there.
std::string random_change(Prng& random) {
  const auto pick = [&random](std::uint64_t n) { return std::to_string(random.below(n)); };
  const std::string link = "v" + pick(5);
  const std::string other = "v" + pick(5);
  const std::string pod4 = "10.1.0." + pick(4) + "/32";
  const std::string pod6 = "fd01::" + pick(4) + "/128";
  const std::string gateway = "10.7.0." + pick(3);
  const std::string mac = "02:00:00:00:00:0" + pick(4);
  const std::string table = random.below(3) == 0 ? " table 101" : "";
  switch (random.below(24)) {
    case 0:
    case 1:
    case 2: return "ip link add " + link + " type veth peer name e" + pick(99) + " netns /mnt/netns/p" + pick(3);
    case 3: return "ip link del " + link;
    case 4:
    case 5:
    case 6: return "ip link set " + link + " up";
    case 7: return "ip link set " + link + " down";
    case 8: return "ip link set " + link + " master br" + pick(2);
    case 9: return "ip link set " + link + " nomaster";
    case 10: return "ip addr add " + gateway + "/32 dev " + link;
    case 11: return "ip addr del " + gateway + "/32 dev " + link;
    case 12: return "ip addr add fd07::" + pick(3) + "/64 dev " + link + " nodad";
    case 13: return "ip route add " + pod4 + " dev " + link + table;
    case 14: return "ip route replace " + pod4 + " dev " + link + " src " + gateway + table;
    case 15: return "ip route replace " + pod4 + " via 10.9.9.9 dev " + link + " onlink" + table;
    case 16: return "ip route del " + pod4 + table;
    case 17: return "ip route append " + pod6 + " dev " + link + table;
    case 18: return "ip route replace " + pod6 + " dev " + link + table;
    case 19: return "ip route del " + pod6 + " dev " + other + table;
    case 20: return "ip neigh replace 10.1.0." + pick(4) + " lladdr " + mac + " dev " + link + " nud permanent";
    case 21: return "bridge fdb replace " + mac + " dev " + link + " master dynamic";
    case 22: return "ip route replace " + pod4 + " nexthop dev " + link + " nexthop dev " + other;
    default: return random.below(2) == 0 ? "ip link add br" + pick(2) + " type bridge" : "ip link del br" + pick(2);
  }
}

TEST_F(FollowedPictureTest, after_random_changes_it_is_as_fresh) {
  constexpr int kRounds = 60;
  const char* const wanted = std::getenv("POSTERN_INTERFACES_SEED");
  const std::uint64_t seed = wanted != nullptr ? std::strtoull(wanted, nullptr, 10) : 31;
  Prng random(seed);
  for (const char* const pod : {"p0", "p1", "p2"}) make_pod_namespace(pod);
  open();
  for (int round = 0; round < kRounds && !HasFailure(); ++round) {
    std::string changes;
    for (int i = 0; i < 12; ++i) changes += random_change(random) + "; ";
    run_quietly("{ " + changes + "}");
    expect_as_fresh("round " + std::to_string(round) + "; repeat: POSTERN_INTERFACES_SEED=" + std::to_string(seed) +
                    " interfaces_kernel_test --gtest_filter='*random*'\n" + changes);
  }
  EXPECT_FALSE(host->picture().links.empty());
}

TEST_F(FollowedPictureTest, when_announcements_are_lost_everything_is_read_again) {
  make_pod_namespace("p0");
  open({.receive_buffer_bytes = 1});
  std::string commands;
  for (int i = 0; i < 100; ++i) {
    const std::string n = std::to_string(i);
    commands += "link add v" + n + " type veth peer name e" + n + " netns /mnt/netns/p0\nlink set v" + n +
                " up\nroute add 10.1.0." + n + "/32 dev v" + n + "\n";
  }
  run("ip -batch - <<'END'\n" + commands + "END");
  const auto changes = host->drain();
  ASSERT_TRUE(changes) << changes.error().message;
  EXPECT_TRUE(changes->resynced && changes->links && changes->routes);
  EXPECT_EQ(host->picture().links.size(), 101u);
  expect_as_fresh("100 veths");

  const auto quiet = host->drain();
  ASSERT_TRUE(quiet) << quiet.error().message;
  EXPECT_FALSE(quiet->any());
}

}  // namespace
}  // namespace postern::agent
