// SPDX-License-Identifier: Apache-2.0
// Clean-up of the largest table there may be, full, on the agent's loop: nobody on the loop waits long.
#include <bpf/bpf.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <vector>

#include "agent/conntrack/cleanup_loop.h"
#include "agent/conntrack/connection_count.h"
#include "test/kernel_conntrack/tracked_pod.h"

namespace postern::test::cleanup_loop_test {
namespace {

using agent::CleanupLoop;
using agent::CleanupOptions;
using agent::EventLoop;
using agent::ListedConnections;

constexpr std::uint32_t kBuckets = 1024 * 1024 / PN_CT_WAYS;
constexpr std::uint32_t kEntries = kBuckets * PN_CT_WAYS;

// The largest table of nf_conntrack that one would meet, without the kernel.
class ManyListed final : public agent::NodeConntrack {
 public:
  static constexpr std::uint32_t kConnections = 1'000'000;
  Result<void> begin() override {
    listed_ = 0;
    return {};
  }
  Result<bool> step(ListedConnections& into) override {
    for (int i = 0; i < 1000; ++i, ++listed_) {
      into.add(tuple_of(PN_IP_TCP, {ip4(10, 9, 0, 0) + listed_, 1}, {ip4(10, 8, 0, 1), 443}));
      into.add(tuple_of(PN_IP_TCP, {ip4(10, 8, 0, 1), 443}, {ip4(10, 9, 0, 0) + listed_, 2}));
    }
    return listed_ >= kConnections;
  }

 private:
  std::uint32_t listed_ = 0;
};

// Every way used: half of it by connections that have ended, half by live ones.
void fill(TcBackend& backend, std::uint32_t tick) {
  constexpr std::uint32_t kBatch = 4096;
  std::vector<std::uint32_t> keys(kBatch);
  std::vector<pn_ct_bucket> values(kBatch);
  bpf_map_batch_opts options{};
  options.sz = sizeof options;
  options.elem_flags = BPF_F_LOCK;
  for (std::uint32_t first = 0; first < kBuckets; first += kBatch) {
    for (std::uint32_t i = 0; i < kBatch; ++i) {
      keys[i] = first + i;
      for (std::uint32_t way = 0; way < PN_CT_WAYS; ++way) {
        values[i].fingerprints[way] = 1;
        auto& entry = values[i].ways[way];
        entry.key.address_a = pn_address_v4(ip4(10, 9, 0, 0) + (first + i) * PN_CT_WAYS + way);
        entry.key.address_b = pn_address_v4(ip4(10, 8, 0, 1));
        entry.key.port_b = pn_swap16(443);
        entry.key.port_a = pn_swap16(1);
        entry.key.endpoint_protocol = 7u << 8 | PN_IP_TCP;
        entry.value = {1, way % 2 == 0 ? tick : tick - 1000, PN_CT_LIVE, PN_STEP_ALLOW};
      }
    }
    std::uint32_t count = kBatch;
    ASSERT_EQ(bpf_map_update_batch(backend.map_fd("pn_ct"), keys.data(), values.data(), &count, &options), 0);
  }
}

Instant time_of_this_thread() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return Instant{std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec};
}

// The kernel's table, at the time of the test.
class AtTick final : public ConnectionTable {
 public:
  AtTick(ConnectionTable& table, std::uint32_t tick) : table_(table), tick_(tick) {}
  [[nodiscard]] std::uint32_t buckets() const override { return table_.buckets(); }
  Result<void> prepare() override { return table_.prepare(); }
  Result<std::uint32_t> now() override {
    const auto cost = table_.now();  // what it costs is part of a turn
    return cost ? Result<std::uint32_t>(tick_) : cost;
  }
  Result<void> read(std::uint32_t first, std::uint32_t count, std::vector<PlacedConnection>& into) override {
    const Instant before = time_of_this_thread();
    auto done = table_.read(first, count, into);
    longest_read = std::max(longest_read, time_of_this_thread() - before);
    return done;
  }
  Result<void> change(std::span<ConnectionChange> changes, std::uint32_t now) override {
    return table_.change(changes, now);
  }

  Duration longest_read{};

 private:
  ConnectionTable& table_;
  std::uint32_t tick_;
};

TEST(LargeTable, TheLoopIsNeverHeldUpLong) {
  auto made = TrackedPod::make(kBuckets, true);
  ASSERT_TRUE(made) << made.error().to_string();
  TrackedPod& pod = **made;
  fill(pod.backend(), pod.tick());
  auto loop = EventLoop::make();
  ASSERT_TRUE(loop);
  AtTick table(pod.table(), pod.tick());
  {
    agent::ConnectionCount count(**loop, table);
    std::function<void()> look = [&] {
      if (count.entries()) return (*loop)->stop();
      (*loop)->after(milliseconds(5), look);
    };
    look();
    ASSERT_TRUE((*loop)->run());
    std::printf("counted in slices, the longest %.2f ms\n", static_cast<double>(table.longest_read.ns) / 1e6);
    EXPECT_EQ(count.entries(), kEntries) << "expired ones too";
    EXPECT_LT(table.longest_read, milliseconds(25)) << "it is a tenth of one";
  }
  CleanupOptions options;
  options.period = milliseconds(20);
  options.tick_ns = std::int64_t{1} << 30;
  options.node = [&] { return *pod.cleanup_clock(0).node; };
  options.turn_clock = time_of_this_thread;
  CleanupLoop cleanup(**loop, table, options, std::make_unique<ManyListed>());
  // One walk that frees half, and one with a dump that notes the rest.
  std::function<void()> look = [&] {
    if (cleanup.numbers().sweeps >= 2) return (*loop)->stop();
    (*loop)->after(milliseconds(5), look);
  };
  look();
  ASSERT_TRUE((*loop)->run());
  const auto& numbers = cleanup.numbers();
  std::printf("%u entries: the last sweep took %.0f ms, the longest turn of the loop %.2f ms\n", kEntries,
              static_cast<double>(numbers.last_sweep.ns) / 1e6, static_cast<double>(numbers.longest_turn.ns) / 1e6);
  EXPECT_EQ(numbers.totals.freed, kEntries / 2);
  EXPECT_EQ(numbers.entries, kEntries / 2);
  EXPECT_EQ(numbers.cross_checks, 1u);
  EXPECT_LT(numbers.longest_turn, milliseconds(25)) << "it is 1 to 4 ms";
}

}  // namespace
}  // namespace postern::test::cleanup_loop_test
