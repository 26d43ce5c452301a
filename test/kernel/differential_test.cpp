// SPDX-License-Identifier: Apache-2.0
// Native against kernel on tables and packets drawn from a seed, where nothing needs to make sense.
#include <gtest/gtest.h>

#include <set>

#include "test/kernel/backend_pair.h"
#include "test/kernel/random_world.h"

namespace postern::test::differential_test {
namespace {

constexpr int kWorlds = 20;
constexpr int kPacketsPerWorld = 1500;
constexpr int kPacketsPerEdit = 100;

TEST(NativeAgainstKernel, AgreeOnRandomPacketsOverRandomTables) {
  const std::uint64_t base = first_seed();
  BackendPair pair(RandomWorld::sizes());
  ASSERT_TRUE(pair.made());
  for (const std::uint32_t ifindex : world_interfaces()) pair.attach(ifindex);
  std::set<std::uint32_t> reasons;
  Instant now{seconds(1'000'000).ns};
  for (int number = 0; number < kWorlds; ++number) {
    const std::uint64_t seed = base + static_cast<std::uint64_t>(number);
    SCOPED_TRACE("repeat with POSTERN_TEST_SEED=" + std::to_string(seed));
    RandomWorld world(seed);
    Prng random(~seed);
    pair.reset();
    pair.apply(world.tables());
    for (int count = 1; count <= kPacketsPerWorld; ++count) {
      const RandomPacket packet = world.packet();
      now = now + packet.after;
      const auto both = pair.classify({packet.ifindex, packet.direction, packet.frame}, now);
      ASSERT_TRUE(both) << "packet " << count;
      reasons.insert(pn_step_reason(both->step));
      if (count % kPacketsPerEdit != 0) continue;
      pair.compare_state();
      ASSERT_FALSE(HasFailure()) << "after packet " << count;
      pair.apply(world.edit());
      if (random.below(4) == 0) pair.disturb(random);
    }
  }
  // A run that never got somewhere says nothing about it.
  for (const std::uint32_t reason :
       {PN_REASON_NONE, PN_REASON_NOT_ISOLATED, PN_REASON_RULE, PN_REASON_ESTABLISHED, PN_REASON_RELATED,
        PN_REASON_SELF, PN_REASON_ALWAYS, PN_REASON_ISOLATED, PN_REASON_STRICT, PN_REASON_SPOOFED_SOURCE,
        PN_REASON_FRAGMENT, PN_REASON_MALFORMED, PN_REASON_PROTOCOL, PN_REASON_ETHERTYPE}) {
    EXPECT_EQ(reasons.count(reason), 1u) << "reason " << reason << " was never reached, base seed " << base;
  }
}

}  // namespace
}  // namespace postern::test::differential_test
