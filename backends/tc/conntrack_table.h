// SPDX-License-Identifier: Apache-2.0
// The kernel's table of tracked connections as user space sees it: read in batches, each bucket
// under its lock; changed only by small programs in the kernel (sweep.bpf.c), under it too.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "backends/tc/sweep.h"
#include "engine/enforce/backend.h"
#include "engine/enforce/connection_table.h"

struct bpf_object;

namespace postern::tc {

class ConntrackTable final : public ConnectionTable {
 public:
  ConntrackTable() = default;
  ~ConntrackTable() override;
  ConntrackTable(const ConntrackTable&) = delete;
  ConntrackTable& operator=(const ConntrackTable&) = delete;

  struct Place {
    int map_fd = -1;
    std::uint32_t buckets = 0;
    std::uint32_t tick_shift = 0;
    std::string sweep_bytes;  // instead of the embedded sweep object (test variants)
  };
  void open(Place place) { place_ = std::move(place); }

  [[nodiscard]] std::uint32_t buckets() const override { return place_.buckets; }
  Result<void> prepare() override { return load_sweep(); }
  Result<std::uint32_t> now() override;
  Result<void> read(std::uint32_t first, std::uint32_t count, std::vector<PlacedConnection>& into) override;
  Result<void> change(std::span<ConnectionChange> changes, std::uint32_t now) override;
  Result<void> put(std::span<ConnectionPut> puts) override;

  // In order of bucket and way.
  [[nodiscard]] Result<std::vector<ConntrackEntry>> read() const;
  // A zero id: everybody's.
  Result<void> forget(EndpointId endpoint);
  Result<void> age(std::uint32_t ticks);

 private:
  Result<void> load_sweep();
  Result<void> sweep(EndpointId endpoint, std::uint32_t age);

  Result<void> run(int program_fd, int times);

  Place place_;
  bpf_object* sweep_object_ = nullptr;  // loaded at the first use
  int sweep_fd_ = -1;
  int change_fd_ = -1;
  int put_fd_ = -1;
  volatile pn_sweep* request_ = nullptr;  // a map of the sweep programs, as the next
  pn_sweep_changes* list_ = nullptr;
  pn_sweep_puts* puts_ = nullptr;
  std::vector<std::uint32_t> keys_;
  std::vector<pn_ct_bucket> values_;
};

}  // namespace postern::tc
