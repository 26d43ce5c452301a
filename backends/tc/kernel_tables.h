// SPDX-License-Identifier: Apache-2.0
// The policy tables as kernel maps. Arrays are mapped into this process, so that a write is a store
// and not a system call: a word is one store, whole for every packet that reads it, and a release
// fence stands between writes, so that packets on other CPUs meet them in order. Hashes go through
// bpf(); the kernel replaces their elements whole.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/base/result.h"
#include "engine/compile/policy_tables.h"

struct bpf_object;

namespace postern::tc {

class KernelTables {
 public:
  KernelTables() = default;
  ~KernelTables();
  KernelTables(const KernelTables&) = delete;
  KernelTables& operator=(const KernelTables&) = delete;

  // Before the object is loaded: gives every map its number of elements. A table without a map (the
  // IPv6 ones, until the program reads them) stays empty and refuses writes. Errors: a map of another
  // shape than the table (internal).
  static Result<void> resize(bpf_object* object, const TableSizes& sizes);
  // After loading: maps the arrays. The object stays the owner of the maps.
  Result<void> open(bpf_object* object, const TableSizes& sizes);
  // The maps of somebody else's tables by TableId, to read alone. The caller stays their owner.
  Result<void> open_to_read(const std::array<int, kTableCount>& maps, const TableSizes& sizes);

  Result<void> write(const TableWrite& write);
  [[nodiscard]] Result<PolicyTables> read(const TableSizes& sizes) const;

 private:
  struct Table {
    TableShape shape;
    int fd = -1;                  // -1: the object has no such map
    std::byte* memory = nullptr;  // arrays
    std::size_t stride = 0;       // value size rounded up to 8, as the kernel lays elements out
    std::size_t mapped = 0;       // bytes
  };
  Result<void> open_table(std::size_t index, int fd, int protection, const TableSizes& sizes);
  Result<void> write_array(const Table& table, const TableWrite& write);
  Result<void> write_hash(const Table& table, const TableWrite& write);

  std::array<Table, kTableCount> tables_;
};

}  // namespace postern::tc
