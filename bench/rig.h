// SPDX-License-Identifier: Apache-2.0
// One loaded datapath, one pod, and a way to run its programs over many packets. The pod sits on the
// loopback interface of the current network namespace, which is what BPF_PROG_TEST_RUN takes when
// nobody names another; nothing is attached there, so no real packet is judged.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "backends/tc/tc_backend.h"
#include "bench/bench.h"
#include "engine/policy/resolved_policy.h"

struct bpf_object;

namespace postern::bench {

inline constexpr std::uint32_t kLoopback = 1;

enum class Verdict { allow, deny };

// Packets of a run.
struct Packets {
  Direction direction = Direction::ingress;
  std::uint8_t tcp_flags = 0x02;  // SYN
  std::uint16_t pod_port = 80;
  std::uint32_t first_peer = 0;  // host order
  std::uint32_t peers = 1;
  std::uint32_t flows = 65536;  // a power of two
};

// Nanoseconds of one packet, and what became of the last one.
struct Timing {
  double ns = 0;
  Verdict last = Verdict::allow;
};

class Rig {
 public:
  static Result<std::unique_ptr<Rig>> make(const TableSizes& sizes);
  ~Rig();
  Rig(const Rig&) = delete;
  Rig& operator=(const Rig&) = delete;

  // Puts a policy in force; connections are forgotten.
  Result<void> enforce(const ResolvedPolicy& policy, EventMode events);
  Result<void> forget_connections() { return backend_->forget_connections(EndpointId{}); }
  Result<std::size_t> connections();
  // `count` packets through the wrapper and the program of the direction; with `empty` through the
  // wrapper and an empty program instead.
  Result<Timing> run(const Packets& packets, std::uint32_t count, bool empty = false);

  // The pod's address, host order.
  static constexpr std::uint32_t kPod = 0x0a000009;

 private:
  Rig() = default;
  Result<void> load_wrappers();

  std::unique_ptr<TcBackend> backend_;
  std::unique_ptr<TableCompiler> compiler_;
  bpf_object* wrappers_ = nullptr;
  int to_pod_ = -1, from_pod_ = -1, empty_ = -1, target_ = -1;
  volatile pn_bench* flows_ = nullptr;
};

}  // namespace postern::bench
