// SPDX-License-Identifier: Apache-2.0
#include "backends/tc/kernel_tables.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string>

#include "backends/tc/libbpf_log.h"

namespace postern::tc {
namespace {

std::string map_name(const TableShape& shape) { return "pn_" + std::string(shape.name); }

std::size_t round_up(std::size_t value, std::size_t unit) { return (value + unit - 1) / unit * unit; }

TableId table_id(std::size_t index) { return static_cast<TableId>(index); }

std::string place(const TableShape& shape, const TableWrite& write) {
  return "table " + std::string(shape.name) + ", element " + std::to_string(write.index) + ", offset " +
         std::to_string(write.offset) + ", " + std::to_string(write.bytes.size()) + " bytes";
}

// Into zeroed memory: most of a table is not in use, and pages that nobody writes take none.
void copy_used(std::byte* to, const std::byte* from, std::size_t size) {
  static constexpr std::array<std::byte, 4096> kZero{};
  for (std::size_t at = 0; at < size; at += kZero.size()) {
    const std::size_t length = std::min(kZero.size(), size - at);
    if (std::memcmp(from + at, kZero.data(), length) != 0) std::memcpy(to + at, from + at, length);
  }
}

template <typename Word>
void store_word(std::byte* at, const std::byte* bytes) {
  Word word;
  std::memcpy(&word, bytes, sizeof word);
  __atomic_store_n(reinterpret_cast<Word*>(at), word, __ATOMIC_RELEASE);
}

}  // namespace

KernelTables::~KernelTables() {
  for (Table& table : tables_) {
    if (table.memory != nullptr) munmap(table.memory, table.mapped);
  }
}

Result<void> KernelTables::resize(bpf_object* object, const TableSizes& sizes) {
  for (std::size_t i = 0; i < kTableCount; ++i) {
    const TableShape shape = shape_of(table_id(i), sizes);
    bpf_map* map = bpf_object__find_map_by_name(object, map_name(shape).c_str());
    if (map == nullptr) continue;
    if (bpf_map__value_size(map) != shape.value_size ||
        (shape.is_hash && bpf_map__key_size(map) != shape.key_size)) {
      return fail(ErrorCode::internal, map_name(shape) + " of the BPF object has values of " +
                                           std::to_string(bpf_map__value_size(map)) + " bytes, expected " +
                                           std::to_string(shape.value_size) +
                                           ": it belongs to another version");
    }
    if (const int error = bpf_map__set_max_entries(map, shape.entries); error != 0) {
      return fail_errno("setting the size of " + map_name(shape) + " to " + std::to_string(shape.entries),
                        -error);
    }
  }
  return {};
}

Result<void> KernelTables::open(bpf_object* object, const TableSizes& sizes) {
  for (std::size_t i = 0; i < kTableCount; ++i) {
    const int fd = bpf_object__find_map_fd_by_name(object, map_name(shape_of(table_id(i), sizes)).c_str());
    if (auto opened = open_table(i, fd, PROT_READ | PROT_WRITE, sizes); !opened) return opened;
  }
  return {};
}

Result<void> KernelTables::open_to_read(const std::array<int, kTableCount>& maps, const TableSizes& sizes) {
  for (std::size_t i = 0; i < kTableCount; ++i) {
    if (auto opened = open_table(i, maps[i], PROT_READ, sizes); !opened) return opened;
  }
  return {};
}

Result<void> KernelTables::open_table(std::size_t index, int fd, int protection, const TableSizes& sizes) {
  Table& table = tables_[index];
  table.shape = shape_of(table_id(index), sizes);
  table.fd = fd < 0 ? -1 : fd;
  if (table.fd < 0 || table.shape.is_hash) return {};
  table.stride = round_up(table.shape.value_size, 8);
  table.mapped = round_up(table.stride * table.shape.entries, static_cast<std::size_t>(sysconf(_SC_PAGESIZE)));
  void* memory = mmap(nullptr, table.mapped, protection, MAP_SHARED, table.fd, 0);
  if (memory == MAP_FAILED) return fail_errno("mapping " + map_name(table.shape) + " into memory", errno);
  table.memory = static_cast<std::byte*>(memory);
  return {};
}

Result<void> KernelTables::write(const TableWrite& write) {
  const auto index = static_cast<std::size_t>(write.table);
  if (index >= kTableCount)
    return fail(ErrorCode::internal, "write to unknown table " + std::to_string(index));
  const Table& table = tables_[index];
  if (table.fd < 0) {
    return fail(ErrorCode::unsupported, "table " + std::string(table.shape.name) + " is not supported yet");
  }
  return table.shape.is_hash ? write_hash(table, write) : write_array(table, write);
}

Result<void> KernelTables::write_array(const Table& table, const TableWrite& write) {
  const std::size_t size = write.bytes.size();
  if (write.index >= table.shape.entries || write.offset > table.shape.value_size ||
      size > table.shape.value_size - write.offset || !write.key.empty()) {
    return fail(ErrorCode::internal, place(table.shape, write) + ": outside the table of " +
                                         std::to_string(table.shape.entries) + " elements");
  }
  std::byte* at = table.memory + write.index * table.stride + write.offset;
  std::atomic_thread_fence(std::memory_order_release);
  if (size == 8 && write.offset % 8 == 0) {
    store_word<std::uint64_t>(at, write.bytes.data());
  } else if (size == 4 && write.offset % 4 == 0) {
    store_word<std::uint32_t>(at, write.bytes.data());
  } else {
    std::memcpy(at, write.bytes.data(), size);
  }
  std::atomic_thread_fence(std::memory_order_release);
  return {};
}

Result<void> KernelTables::write_hash(const Table& table, const TableWrite& write) {
  const bool erase = write.bytes.empty();
  if (write.key.size() != table.shape.key_size || (!erase && write.bytes.size() != table.shape.value_size)) {
    return fail(ErrorCode::internal,
                "table " + std::string(table.shape.name) + ": key or value of the wrong size");
  }
  if (erase) {
    if (bpf_map_delete_elem(table.fd, write.key.data()) == 0 || errno == ENOENT) return {};
    return fail_errno("deleting from " + map_name(table.shape), errno);
  }
  if (bpf_map_update_elem(table.fd, write.key.data(), write.bytes.data(), BPF_ANY) == 0) return {};
  if (errno == E2BIG || errno == ENOSPC) {
    return fail(ErrorCode::table_full, "table " + std::string(table.shape.name) +
                                           " is full: " + std::to_string(table.shape.entries) +
                                           " entries, one more is needed");
  }
  return fail_errno("writing " + map_name(table.shape), errno);
}

Result<PolicyTables> KernelTables::read(const TableSizes& sizes) const {
  PolicyTables tables(sizes);
  for (std::size_t i = 0; i < kTableCount; ++i) {
    const Table& table = tables_[i];
    const std::size_t size = table.shape.value_size;
    if (table.fd < 0) continue;
    if (!table.shape.is_hash) {
      std::byte* to = tables.array(table_id(i)).data();
      if (table.stride == size) {
        copy_used(to, table.memory, size * table.shape.entries);
        continue;
      }
      for (std::size_t n = 0; n < table.shape.entries; ++n) {
        std::memcpy(to + n * size, table.memory + n * table.stride, size);
      }
      continue;
    }
    TableWrite entry;
    entry.table = table_id(i);
    std::vector<std::byte> previous;
    entry.key.resize(table.shape.key_size);
    while (bpf_map_get_next_key(table.fd, previous.empty() ? nullptr : previous.data(), entry.key.data()) ==
           0) {
      entry.bytes.assign(size, std::byte{0});
      if (bpf_map_lookup_elem(table.fd, entry.key.data(), entry.bytes.data()) == 0) {
        if (auto made = tables.apply(entry); !made) return fail_as(made);
      }
      previous = entry.key;
    }
    if (errno != ENOENT) return fail_errno("reading " + map_name(table.shape), errno);
  }
  return tables;
}

}  // namespace postern::tc
