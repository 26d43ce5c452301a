// SPDX-License-Identifier: Apache-2.0
// The datapath compiled for this process and the same source compiled for the kernel, side by side:
// equal writes, equal time, equal packets. Then verdict, reason and rule, connections, counters,
// events and tables must be equal too.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>

#include "engine/base/prng.h"
#include "engine/enforce/backend.h"

namespace postern::test {

// A packet for both.
struct Injected {
  std::uint32_t ifindex = 0;
  std::uint8_t direction = PN_INGRESS;
  std::vector<std::byte> frame;
};
std::string describe(const Injected& packet);

// Failures are reported through GoogleTest.
class BackendPair {
 public:
  explicit BackendPair(const TableSizes& sizes);
  [[nodiscard]] bool made() const { return native_ != nullptr && kernel_ != nullptr; }

  void attach(std::uint32_t ifindex);
  void apply(const TableDelta& delta);
  // Back to empty tables and no connections: a backend is dear to make.
  void reset();

  // What both say; absent at a difference.
  std::optional<Classified> classify(const Injected& packet, Instant now);
  void compare_state();
  // Both sides' tables against these.
  void compare_tables(const PolicyTables& expected);
  // Ages or forgets connections, on both sides alike.
  void disturb(Prng& random);

 private:
  std::unique_ptr<Backend> native_, kernel_;
  std::set<std::uint32_t> attached_;  // by ifindex
};

// POSTERN_TEST_SEED, or one of chance.
std::uint64_t first_seed();

}  // namespace postern::test
