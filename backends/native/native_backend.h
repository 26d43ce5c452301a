// SPDX-License-Identifier: Apache-2.0
// The backend of the simulator: the datapath headers that the kernel runs, compiled into this process
// over tables in memory. A packet is judged in some hundred nanoseconds; a backend is made in
// microseconds, because memory that nothing was written to is never touched.
#pragma once

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <set>
#include <unordered_map>
#include <vector>

#include "engine/abi/fragments.h"
#include "engine/enforce/backend.h"

namespace postern {

namespace native {
// Any order does: addresses are looked up, not walked.
struct AddressOrder {
  bool operator()(const pn_address& a, const pn_address& b) const { return pn_address_before(a, b) != 0; }
};
}  // namespace native

class NativeBackend final : public Backend, public PacketInjector, public ConnectionTable {
 public:
  explicit NativeBackend(const TableSizes& sizes);
  ~NativeBackend() override;

  [[nodiscard]] std::string_view name() const override { return "native"; }
  [[nodiscard]] TickClock clock() const override { return {}; }
  [[nodiscard]] const TableSizes& sizes() const override { return tables_.sizes(); }
  Result<void> apply(const TableDelta& delta) override;
  Result<PolicyTables> dump() const override { return tables_; }
  Result<void> attach(std::uint32_t ifindex) override;
  Result<void> detach(std::uint32_t ifindex) override;
  Result<std::vector<ConntrackEntry>> conntrack() const override;
  Result<void> forget_connections(EndpointId endpoint) override;
  Result<void> age_connections(Duration by) override;
  Result<std::vector<pn_counter>> counters() const override { return counters_; }
  Result<std::size_t> drain_events(EventSink& sink) override { return drain(PN_RING_EVENTS, sink); }
  Result<std::size_t> drain_monitor(EventSink& sink) override { return drain(PN_RING_MONITOR, sink); }
  [[nodiscard]] int event_fd() const override { return -1; }
  [[nodiscard]] PacketInjector* injector() override { return this; }

  Classified classify(std::uint32_t ifindex, std::uint8_t direction, std::span<const std::byte> frame,
                      Instant now) override;
  void advance_to(Instant now) override { now_ = std::max(now_, now); }

  [[nodiscard]] ConnectionTable* connection_table() override { return this; }
  [[nodiscard]] std::uint32_t buckets() const override { return static_cast<std::uint32_t>(bucket_count_); }
  Result<std::uint32_t> now() override;
  Result<void> read(std::uint32_t first, std::uint32_t count, std::vector<PlacedConnection>& into) override;
  Result<void> change(std::span<ConnectionChange> changes, std::uint32_t now) override;
  Result<void> put(std::span<ConnectionPut> puts) override;

 private:
  struct Unmap {
    std::size_t bytes;
    void operator()(pn_ct_bucket* buckets) const;
  };

  // Those that may be in use: reading a fresh table would touch all of it.
  [[nodiscard]] std::span<pn_ct_bucket> used_buckets() const {
    return {buckets_.get(), tracked_ ? bucket_count_ : 0};
  }
  void mirror(const TableWrite& write);
  std::size_t drain(pn_ring ring, EventSink& sink);

  PolicyTables tables_;
  // What the hash tables hold, for look-ups by number.
  std::unordered_map<std::uint32_t, std::uint64_t> slots_far_;
  std::map<pn_address, std::uint32_t, native::AddressOrder> hosts_far_;
  std::size_t bucket_count_ = 0;
  std::unique_ptr<pn_ct_bucket[], Unmap> buckets_;
  std::vector<pn_fragment_bucket> fragments_;
  bool tracked_ = false;  // a packet was judged or an entry put in, so some bucket may be in use
  Instant now_;           // the latest that was told
  std::vector<pn_counter> counters_;
  std::array<std::vector<pn_event>, 2> rings_;  // by pn_ring
  std::set<std::uint32_t> attached_;  // ifindexes
};

// A BackendFactory. Errors: invalid_input, a table size that a mask cannot select from.
Result<std::unique_ptr<Backend>> make_native_backend(const TableSizes& sizes);

}  // namespace postern
