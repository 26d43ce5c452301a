// SPDX-License-Identifier: Apache-2.0
// Connections come, rest, end and use their ports again, while another thread cleans up all the time, by
// their own timeouts and by the cross-check. No connection that is alive is ever cut: after a packet of it
// has passed, the next one passes too. 50,000 connections, or a million with POSTERN_TEST_SCALE=20; and the
// same without the guard, where connections must be cut, or this test looks at nothing.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <random>
#include <thread>

#include "engine/base/prng.h"
#include "test/kernel_conntrack/tracked_pod.h"
#include "test/support/effort.h"

namespace postern::test::port_reuse_test {
namespace {

using agent::ConnectionSweep;
using agent::ListedConnections;

constexpr std::uint32_t kTuples = 4096;
constexpr std::uint32_t kBuckets = 4096;  // so that none of them is full, which the test checks
constexpr std::uint32_t kRoundTicks = 200;  // longer than a short timeout
constexpr std::uint32_t kLeastIdle = 150;

// One 5-tuple, and its packets.
struct Path {
  bool tcp = false;
  pn_tuple tuple{};
  Bytes opener;
  Bytes answer;
  bool open = false;   // opened in this round
  bool rests = false;  // TCP of the round before, idle since
};

std::vector<Path> make_paths() {
  std::vector<Path> paths(kTuples);
  for (std::uint32_t i = 0; i < kTuples; ++i) {
    const Socket here{TrackedPod::kPodAddress, static_cast<std::uint16_t>(20000 + i)};
    const Socket there{ip4(10, 7, 0, 1 + i % 200), 443};
    Path& path = paths[i];
    path.tcp = i % 2 == 0;
    path.tuple = tuple_of(path.tcp ? PN_IP_TCP : PN_IP_UDP, here, there);
    path.opener = path.tcp ? tcp(here, there, kSyn) : udp(here, there);
    path.answer = path.tcp ? tcp(there, here, kAck) : udp(there, here);
  }
  return paths;
}

struct Outcome {
  std::uint64_t connections = 0;
  std::uint64_t cut = 0;    // alive, and a packet did not pass
  std::uint64_t ended = 0;  // at rest, and ended by the cross-check
  std::uint64_t woken = 0;  // at rest, and a packet passed
  std::uint64_t sweeps = 0;
  std::uint64_t evicted = 0;
  ConnectionSweep::Totals totals;
};

// Lets the other thread in between read and change, also on a machine that has no second CPU to spare.
class Unhurried final : public ConnectionTable {
 public:
  explicit Unhurried(ConnectionTable& table) : table_(table) {}
  [[nodiscard]] std::uint32_t buckets() const override { return table_.buckets(); }
  Result<std::uint32_t> now() override { return table_.now(); }
  Result<void> read(std::uint32_t first, std::uint32_t count, std::vector<PlacedConnection>& into) override {
    return table_.read(first, count, into);
  }
  Result<void> change(std::span<ConnectionChange> changes, std::uint32_t now) override {
    if (!changes.empty()) std::this_thread::sleep_for(std::chrono::microseconds(200));
    return table_.change(changes, now);
  }

 private:
  ConnectionTable& table_;
};

// Cleans up until it is told to stop: now every connection is in the node's conntrack, now none is, and now
// nobody is asked.
class Cleaner {
 public:
  Cleaner(TrackedPod& pod, const std::vector<Path>& paths) : pod_(pod), table_(pod.table()), sweep_(table_) {
    for (const auto& path : paths) all_.add(path.tuple);
    thread_ = std::thread([this] { run(); });
  }
  ~Cleaner() { stop(); }
  Cleaner(const Cleaner&) = delete;
  Cleaner& operator=(const Cleaner&) = delete;
  void stop() {
    stopped_ = true;
    if (thread_.joinable()) thread_.join();
  }
  // After stop(). Null text: nothing went wrong.
  [[nodiscard]] const std::string& failure() const { return failure_; }
  [[nodiscard]] const ConnectionSweep::Totals& totals() const { return sweep_.totals(); }
  [[nodiscard]] std::uint64_t sweeps() const { return sweeps_; }

 private:
  void run() {
    while (!stopped_) {
      ListedConnections* const listed[] = {&all_, &nothing_, nullptr};
      const auto done = walk(sweep_, pod_.cleanup_clock(kLeastIdle), listed[sweeps_++ % 3]);
      if (!done) {
        failure_ = done.error().to_string();
        return;
      }
    }
  }

  TrackedPod& pod_;
  Unhurried table_;
  ConnectionSweep sweep_;
  ListedConnections all_;
  ListedConnections nothing_;
  std::uint64_t sweeps_ = 0;
  std::string failure_;
  std::atomic<bool> stopped_ = false;
  std::thread thread_;
};

// A packet of a connection that is alive.
void must_pass(TrackedPod& pod, const Path& path, Outcome& outcome) {
  if (!pod.in(path.answer)) ++outcome.cut;
}

void visit(TrackedPod& pod, Path& path, Outcome& outcome) {
  if (path.rests) {
    // Nobody can say whether it was ended while it was at rest; but if it was not, it is alive again.
    path.rests = false;
    if (pod.in(path.answer)) {
      ++outcome.woken;
      must_pass(pod, path, outcome);
      path.open = true;
    } else {
      ++outcome.ended;
    }
    return;
  }
  if (!pod.out(path.opener)) ++outcome.cut;
  ++outcome.connections;
  must_pass(pod, path, outcome);
  path.open = true;
}

Result<Outcome> play(bool guarded, std::uint64_t connections) {
  auto made = TrackedPod::make(kBuckets, guarded);
  if (!made) return fail_as(made);
  TrackedPod& pod = **made;
  auto paths = make_paths();
  // The programs are loaded before there are two threads.
  if (auto loaded = pod.table().prepare(); !loaded) return fail_as(loaded);
  Prng random(first_seed());
  std::vector<std::size_t> order(paths.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  Outcome outcome;
  Cleaner cleaner(pod, paths);
  while (outcome.connections < connections) {
    pod.wait_ticks(kRoundTicks);
    for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random.below(i)]);
    for (const auto i : order) visit(pod, paths[i], outcome);
    for (const auto i : order) {
      Path& path = paths[i];
      if (path.open) must_pass(pod, path, outcome);
      path.rests = path.tcp && path.open;
      path.open = false;
    }
  }
  cleaner.stop();
  if (!cleaner.failure().empty()) return fail(ErrorCode::io, cleaner.failure());
  outcome.totals = cleaner.totals();
  outcome.sweeps = cleaner.sweeps();
  outcome.evicted = pod.evicted();
  return outcome;
}

void print(const char* what, const Outcome& outcome, std::chrono::steady_clock::time_point since) {
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - since;
  std::printf("%s: %llu connections in %.1f s, %llu sweeps: %llu cut; %llu freed, %llu retired, %llu spared; at rest "
              "%llu ended, %llu woken\n",
              what, static_cast<unsigned long long>(outcome.connections), taken.count(),
              static_cast<unsigned long long>(outcome.sweeps), static_cast<unsigned long long>(outcome.cut),
              static_cast<unsigned long long>(outcome.totals.freed),
              static_cast<unsigned long long>(outcome.totals.retired),
              static_cast<unsigned long long>(outcome.totals.spared), static_cast<unsigned long long>(outcome.ended),
              static_cast<unsigned long long>(outcome.woken));
}

TEST(PortReuse, NoConnectionThatIsAliveIsCut) {
  const auto begun = std::chrono::steady_clock::now();
  const auto outcome = play(true, scaled(50'000));
  ASSERT_TRUE(outcome) << outcome.error().to_string();
  print("with the guard", *outcome, begun);
  EXPECT_EQ(outcome->cut, 0u);
  EXPECT_EQ(outcome->evicted, 0u) << "a bucket was full, and what that cuts is not clean-up's";
  EXPECT_GT(outcome->totals.freed, 0u);
  EXPECT_GT(outcome->totals.retired, 0u);
  EXPECT_GT(outcome->totals.spared, 0u) << "no entry was used between read and change";
}

TEST(PortReuse, WithoutTheGuardConnectionsAreCut) {
  const auto begun = std::chrono::steady_clock::now();
  const auto outcome = play(false, scaled(20'000));
  ASSERT_TRUE(outcome) << outcome.error().to_string();
  print("without the guard", *outcome, begun);
  EXPECT_EQ(outcome->evicted, 0u);
  EXPECT_GT(outcome->cut, 0u) << "this test sees no race, and shows nothing";
}

}  // namespace
}  // namespace postern::test::port_reuse_test
