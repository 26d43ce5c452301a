// SPDX-License-Identifier: Apache-2.0
// The world that vectors are judged in, twice: the datapath compiled into this process, and the shipped BPF
// object run by BPF_PROG_TEST_RUN. The shipped program tells no step, so each judged packet's event does.
#pragma once

#include <memory>
#include <optional>
#include <span>

#include "backends/tc/tc_backend.h"
#include "test/kernel_packets/vector.h"

namespace postern::test {

// What one side says of a packet: the verdict, and the event byte for byte but for time, CPU and number.
struct Judged {
  bool allow = false;
  std::optional<pn_event> event;  // absent: not judged
  [[nodiscard]] std::uint32_t step() const { return event ? event->step : 0; }
};
bool same(const Judged& a, const Judged& b);

class World {
 public:
  World();
  [[nodiscard]] bool made() const { return native_ != nullptr && shipped_ != nullptr; }
  // No connections and no fragments any more, on both sides.
  void forget();
  Judged native(const Shot& shot) { return native(shot, frame_of(shot)); }
  Judged native(const Shot& shot, std::span<const std::byte> frame);
  // Absent: the kernel takes no such frame for a test run.
  std::optional<Judged> shipped(const Shot& shot, std::span<const std::byte> frame);
  TcBackend& kernel() { return *shipped_; }

 private:
  std::unique_ptr<Backend> native_;
  std::unique_ptr<TcBackend> shipped_;
};

// Sizes and writes of the world, for other backends.
TableSizes world_sizes();
TableDelta world_tables(std::uint32_t tick_shift);

}  // namespace postern::test
