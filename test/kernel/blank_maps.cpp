// SPDX-License-Identifier: Apache-2.0
#include "test/kernel/blank_maps.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

#include "backends/tc/libbpf_log.h"

namespace postern::test {
namespace {

std::size_t round_up(std::size_t value, std::size_t unit) { return (value + unit - 1) / unit * unit; }

Result<void> blank_mapped_array(int map, const bpf_map_info& info) {
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  const std::size_t size = round_up(round_up(info.value_size, 8) * info.max_entries, page);
  void* memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, map, 0);
  if (memory == MAP_FAILED) return tc::fail_errno(std::string("mapping ") + info.name, errno);
  const std::vector<char> zeros(page);
  for (std::size_t at = 0; at < size; at += page) {  // most of a table is never written
    char* part = static_cast<char*>(memory) + at;
    if (std::memcmp(part, zeros.data(), page) != 0) std::memset(part, 0, page);
  }
  munmap(memory, size);
  return {};
}

Result<void> blank_array(int map, const bpf_map_info& info) {
  if ((info.map_flags & BPF_F_MMAPABLE) != 0) return blank_mapped_array(map, info);
  const std::size_t copies =
      info.type == BPF_MAP_TYPE_PERCPU_ARRAY ? static_cast<std::size_t>(libbpf_num_possible_cpus()) : 1;
  const std::vector<char> zeros(round_up(info.value_size, 8) * copies);
  for (std::uint32_t key = 0; key < info.max_entries; ++key) {
    if (bpf_map_update_elem(map, &key, zeros.data(), BPF_ANY) != 0) {
      return tc::fail_errno(std::string("writing ") + info.name, errno);
    }
  }
  return {};
}

Result<void> blank_hash(int map, const bpf_map_info& info) {
  std::vector<char> key(info.key_size);
  while (bpf_map_get_next_key(map, nullptr, key.data()) == 0) {
    if (bpf_map_delete_elem(map, key.data()) != 0) {
      return tc::fail_errno(std::string("deleting from ") + info.name, errno);
    }
  }
  return {};
}

Result<void> blank_map(std::uint32_t id) {
  const int map = bpf_map_get_fd_by_id(id);
  if (map < 0) return tc::fail_errno("opening map " + std::to_string(id), errno);
  bpf_map_info info{};
  std::uint32_t size = sizeof info;
  Result<void> done;
  if (bpf_obj_get_info_by_fd(map, &info, &size) != 0) {
    done = tc::fail_errno("asking about map " + std::to_string(id), errno);
  } else {
    switch (info.type) {
      case BPF_MAP_TYPE_ARRAY:
      case BPF_MAP_TYPE_PERCPU_ARRAY:
        done = blank_array(map, info);
        break;
      case BPF_MAP_TYPE_HASH:
        done = blank_hash(map, info);
        break;
      case BPF_MAP_TYPE_RINGBUF:
        break;
      default:
        done = fail(ErrorCode::internal, std::string(info.name) + " is a map of a kind that is not known here");
    }
  }
  close(map);
  return done;
}

}  // namespace

Result<void> blank_maps_of(int program) {
  std::vector<std::uint32_t> ids(64);
  bpf_prog_info info{};
  info.nr_map_ids = static_cast<std::uint32_t>(ids.size());
  info.map_ids = reinterpret_cast<std::uintptr_t>(ids.data());
  std::uint32_t size = sizeof info;
  if (bpf_obj_get_info_by_fd(program, &info, &size) != 0) return tc::fail_errno("asking about a program", errno);
  ids.resize(std::min<std::size_t>(ids.size(), info.nr_map_ids));
  for (const std::uint32_t id : ids) {
    if (auto done = blank_map(id); !done) return done;
  }
  return {};
}

}  // namespace postern::test
