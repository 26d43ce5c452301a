// SPDX-License-Identifier: Apache-2.0
// One pod that the kernel's program judges: nobody may come in, so that an answer passes only as part of a
// connection that the pod opened. Packets go in one by one by BPF_PROG_TEST_RUN, at a time of the test's
// choice; the sweep programs are those that ship, or the same without their guard.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "agent/conntrack/connection_sweep.h"
#include "backends/tc/tc_backend.h"
#include "test/contract/frames.h"
#include "test/kernel/injected.h"

namespace postern::test {

class TrackedPod {
 public:
  static constexpr std::uint32_t kPodAddress = ip4(10, 0, 0, 9);
  // Ticks. An answered TCP connection lives long; everything else is short.
  static constexpr std::uint32_t kShort = 100;
  static constexpr std::uint32_t kLong = 1'000'000;

  static Result<std::unique_ptr<TrackedPod>> make(std::uint32_t buckets, bool guarded);
  ~TrackedPod();
  TrackedPod(const TrackedPod&) = delete;
  TrackedPod& operator=(const TrackedPod&) = delete;

  // Whether the packet passes; from any one thread.
  bool out(const Bytes& frame) { return passes(PN_EGRESS, frame); }
  bool in(const Bytes& frame) { return passes(PN_INGRESS, frame); }
  [[nodiscard]] std::uint32_t tick() const { return tick_; }
  void wait_ticks(std::uint32_t ticks);

  // From any other one thread.
  ConnectionTable& table() { return *backend_->connection_table(); }
  [[nodiscard]] CleanupClock cleanup_clock(std::uint32_t least_idle) const { return {&node_, tick_, least_idle}; }

  std::size_t tracked();
  std::uint64_t evicted();
  TcBackend& backend() { return *backend_; }

 private:
  TrackedPod() = default;
  bool passes(pn_direction direction, const Bytes& frame);

  std::unique_ptr<TcBackend> backend_;
  volatile pn_injection* injection_ = nullptr;
  std::uint32_t ifindex_ = 0;
  std::atomic<std::uint32_t> tick_ = 0;
  pn_node node_{};
};

// A whole walk. `listed` as in ConnectionSweep::step().
Result<void> walk(agent::ConnectionSweep& sweep, const CleanupClock& clock, agent::ListedConnections* listed);

// As the node's conntrack would list a connection that `from` opened to `to`.
pn_tuple tuple_of(std::uint32_t protocol, Socket from, Socket to);

}  // namespace postern::test
