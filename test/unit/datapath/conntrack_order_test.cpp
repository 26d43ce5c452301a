// SPDX-License-Identifier: Apache-2.0
// Entries are read without a lock while another CPU writes them. A value that says it was judged in this
// epoch must be all of that judgement: an old allow under the new epoch would not be judged again, so the
// connection that another CPU has just cut would live on.
//
// The entry lies across two pages of which the second may not be written at first. So the write stops
// between the halves of the value, and what stands there is what another CPU could read.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <csignal>
#include <cstddef>

#include "engine/datapath/env.h"

struct pn_env {
  pn_node node;
  pn_ct_bucket* bucket;
};

static inline const pn_node* pn_env_node(pn_env* env) { return &env->node; }
static inline pn_ct_bucket* pn_env_ct(pn_env* env, pn_u32) { return env->bucket; }
static inline void pn_env_lock(pn_ct_bucket*) {}
static inline void pn_env_unlock(pn_ct_bucket*) {}

#include "engine/datapath/conntrack.h"

namespace postern {
namespace {

constexpr pn_u32 kOldEpoch = 1;
constexpr pn_u32 kNewEpoch = 2;

// Two pages, and a bucket whose first way has its epoch in the one and its state in the other.
class TwoPages {
 public:
  TwoPages() : size_(static_cast<std::size_t>(sysconf(_SC_PAGESIZE))) {
    void* memory = mmap(nullptr, 2 * size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    first_ = memory == MAP_FAILED ? nullptr : static_cast<std::byte*>(memory);
  }
  ~TwoPages() {
    if (first_ != nullptr) munmap(first_, 2 * size_);
  }
  TwoPages(const TwoPages&) = delete;
  TwoPages& operator=(const TwoPages&) = delete;

  [[nodiscard]] bool made() const { return first_ != nullptr; }
  [[nodiscard]] pn_ct_bucket* bucket() const {
    constexpr std::size_t kState =
        offsetof(pn_ct_bucket, ways) + offsetof(pn_ct_way, value) + offsetof(pn_ct_value, state);
    return reinterpret_cast<pn_ct_bucket*>(first_ + size_ - kState);
  }
  void let_write(bool yes) const {
    mprotect(first_ + size_, size_, yes ? PROT_READ | PROT_WRITE : PROT_READ);
  }

 private:
  std::size_t size_;
  std::byte* first_ = nullptr;
};

// What the handler needs, and what it finds.
struct Moment {
  const TwoPages* pages = nullptr;
  pn_env* env = nullptr;
  const pn_ct_place* place = nullptr;
  pn_ct_found found{};
  int stops = 0;
};
Moment moment;

void look_and_go_on(int) {
  ++moment.stops;
  pn_ct_find(moment.env, moment.place, 2, &moment.found);
  moment.pages->let_write(true);
}

TEST(ConntrackOrder, AValueOfTheNewEpochIsWhollyOfIt) {
  const TwoPages pages;
  ASSERT_TRUE(pages.made());
  pn_env env{};
  env.bucket = pages.bucket();
  for (auto& timeout : env.node.timeouts) timeout = 100;
  pn_ct_place place{};
  place.fingerprint = 1;
  place.key.endpoint_protocol = 1u << 8 | PN_IP_TCP;
  const pn_ct_value open{kOldEpoch, 1, PN_CT_LIVE, pn_step_allow(PN_REASON_RULE, 1)};
  const pn_ct_value cut{kNewEpoch, 2, PN_CT_CUT, pn_step_deny(PN_REASON_ISOLATED, 0)};
  ASSERT_EQ(pn_ct_open(&env, &place, &open), 1u);

  moment = {&pages, &env, &place};
  struct sigaction handler {};
  struct sigaction before {};
  handler.sa_handler = look_and_go_on;
  ASSERT_EQ(sigaction(SIGSEGV, &handler, &before), 0);
  pages.let_write(false);
  pn_ct_store(&env, &place, 0, &cut);
  sigaction(SIGSEGV, &before, nullptr);

  EXPECT_EQ(moment.stops, 1);
  EXPECT_EQ(moment.found.value.epoch, kOldEpoch) << "the epoch was written before what was judged in it";
  pn_ct_found found{};
  ASSERT_EQ(pn_ct_find(&env, &place, 2, &found), 1u);
  EXPECT_EQ(found.value.epoch, kNewEpoch);
  EXPECT_EQ(found.value.state, pn_u32{PN_CT_LIVE | PN_CT_CUT});
  EXPECT_EQ(found.value.step, cut.step);
}

// Clean-up may end an entry between a packet's reading it and its writing. The packet has passed, so the
// connection is alive.
TEST(ConntrackOrder, AnEntryRetiredWhileAPacketHasItInHandLivesOn) {
  pn_ct_bucket bucket{};
  pn_env env{};
  env.bucket = &bucket;
  for (auto& timeout : env.node.timeouts) timeout = 100;
  pn_ct_place place{};
  place.fingerprint = 1;
  place.key.endpoint_protocol = 1u << 8 | PN_IP_TCP;
  const pn_ct_value open{kOldEpoch, 1000, PN_CT_LIVE | PN_CT_NODE_HAD, pn_step_allow(PN_REASON_RULE, 1)};
  ASSERT_EQ(pn_ct_open(&env, &place, &open), 1u);
  constexpr pn_u32 kNow = 1050;

  pn_ct_found found{};
  ASSERT_EQ(pn_ct_find(&env, &place, kNow, &found), 1u);
  bucket.ways[found.way].value.seen = kNow - PN_CT_RETIRED_IDLE;
  pn_ct_found other{};
  EXPECT_EQ(pn_ct_find(&env, &place, kNow, &other), 0u) << "nobody else finds it";
  const pn_ct_value fresh{kOldEpoch, kNow, PN_CT_REPLIED, open.step};
  ASSERT_FALSE(pn_ct_says(&found.value, &fresh));
  pn_ct_store(&env, &place, found.way, &fresh);

  ASSERT_EQ(pn_ct_find(&env, &place, kNow, &found), 1u);
  EXPECT_EQ(found.value.seen, kNow);
  EXPECT_EQ(found.value.state, pn_u32{PN_CT_LIVE | PN_CT_REPLIED | PN_CT_NODE_HAD});
}

}  // namespace
}  // namespace postern
