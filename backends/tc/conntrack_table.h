// SPDX-License-Identifier: Apache-2.0
// The kernel's table of tracked connections as user space sees it: read in batches, each bucket
// under its lock; changed only by a small program in the kernel (sweep.bpf.c).
#pragma once

#include <cstdint>
#include <vector>

#include "backends/tc/sweep.h"
#include "engine/enforce/backend.h"

struct bpf_object;

namespace postern::tc {

class ConntrackTable {
 public:
  ConntrackTable() = default;
  ~ConntrackTable();
  ConntrackTable(const ConntrackTable&) = delete;
  ConntrackTable& operator=(const ConntrackTable&) = delete;

  void open(int map_fd, std::uint32_t buckets);

  // In order of bucket and way.
  [[nodiscard]] Result<std::vector<ConntrackEntry>> read() const;
  // A zero id: everybody's.
  Result<void> forget(EndpointId endpoint);
  Result<void> age(std::uint32_t ticks);

 private:
  Result<void> load_sweep();
  Result<void> sweep(EndpointId endpoint, std::uint32_t age);

  int map_fd_ = -1;
  std::uint32_t buckets_ = 0;
  bpf_object* sweep_object_ = nullptr;  // loaded at the first use
  int sweep_fd_ = -1;
  volatile pn_sweep* request_ = nullptr;  // the sweep program's only map
};

}  // namespace postern::tc
