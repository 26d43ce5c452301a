// SPDX-License-Identifier: Apache-2.0
#include "backends/tc/conntrack_table.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <postern_sweep.skel.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>

#include "backends/tc/libbpf_log.h"
#include "engine/conntrack/conntrack_view.h"

namespace postern::tc {
namespace {

constexpr std::uint32_t kBatch = 2048;  // buckets of one read: 960 KB

std::size_t page_size() { return static_cast<std::size_t>(sysconf(_SC_PAGESIZE)); }

}  // namespace

ConntrackTable::~ConntrackTable() {
  if (request_ != nullptr) munmap(const_cast<pn_sweep*>(request_), page_size());
  if (sweep_object_ != nullptr) bpf_object__close(sweep_object_);
}

void ConntrackTable::open(int map_fd, std::uint32_t buckets) {
  map_fd_ = map_fd;
  buckets_ = buckets;
}

Result<std::vector<ConntrackEntry>> ConntrackTable::read() const {
  std::vector<ConntrackEntry> entries;
  std::vector<std::uint32_t> keys(kBatch);
  std::vector<pn_ct_bucket> values(kBatch);
  bpf_map_batch_opts options{};
  options.sz = sizeof options;
  options.elem_flags = BPF_F_LOCK;
  std::uint32_t position = 0;
  for (bool first = true, more = true; more; first = false) {
    std::uint32_t count = kBatch;
    const int result = bpf_map_lookup_batch(map_fd_, first ? nullptr : &position, &position, keys.data(),
                                            values.data(), &count, &options);
    if (result != 0 && errno != ENOENT) return fail_errno("reading pn_ct", errno);
    more = result == 0;
    for (std::uint32_t i = 0; i < count; ++i) {
      for_each_entry(values[i], [&](const pn_ct_key& key, const pn_ct_value& value) {
        entries.push_back({key, value});
      });
    }
  }
  return entries;
}

Result<void> ConntrackTable::load_sweep() {
  if (sweep_fd_ >= 0) return {};
  LibbpfLog log;
  std::size_t size = 0;
  const void* bytes = postern_sweep__elf_bytes(&size);
  bpf_object_open_opts options{};
  options.sz = sizeof options;
  options.object_name = "postern_sweep";
  bpf_object* object = bpf_object__open_mem(bytes, size, &options);
  if (object == nullptr) return fail_errno("opening the sweep program", errno, &log);
  bpf_map* connections = bpf_object__find_map_by_name(object, "pn_ct");
  int error = connections == nullptr ? -EINVAL : bpf_map__reuse_fd(connections, map_fd_);
  if (error == 0) error = bpf_object__load(object);
  void* memory = MAP_FAILED;
  if (error == 0) {
    memory = mmap(nullptr, page_size(), PROT_READ | PROT_WRITE, MAP_SHARED,
                  bpf_object__find_map_fd_by_name(object, "pn_sweep"), 0);
    if (memory == MAP_FAILED) error = -errno;
  }
  if (error != 0) {
    bpf_object__close(object);
    return fail_errno("loading the sweep program", -error, &log);
  }
  sweep_object_ = object;
  request_ = static_cast<volatile pn_sweep*>(memory);
  sweep_fd_ = bpf_program__fd(bpf_object__find_program_by_name(object, "pn_sweep_run"));
  return {};
}

Result<void> ConntrackTable::sweep(EndpointId endpoint, std::uint32_t age) {
  if (auto loaded = load_sweep(); !loaded) return loaded;
  request_->next = 0;
  request_->endpoint = endpoint.value;
  request_->age = age;
  request_->forgotten = 0;
  std::array<std::byte, 64> frame{};
  while (request_->next < buckets_) {
    bpf_test_run_opts options{};
    options.sz = sizeof options;
    options.data_in = frame.data();
    options.data_size_in = frame.size();
    options.repeat = static_cast<int>((buckets_ - request_->next + PN_SWEEP_BUCKETS - 1) / PN_SWEEP_BUCKETS);
    // A signal ends a run early; the program knows where it was.
    if (bpf_prog_test_run_opts(sweep_fd_, &options) != 0 && errno != EINTR && errno != EAGAIN) {
      return fail_errno("running the sweep program", errno);
    }
  }
  return {};
}

Result<void> ConntrackTable::forget(EndpointId endpoint) { return sweep(endpoint, 0); }

Result<void> ConntrackTable::age(std::uint32_t ticks) {
  if (ticks == 0) return {};
  return sweep(EndpointId{}, ticks);
}

}  // namespace postern::tc
