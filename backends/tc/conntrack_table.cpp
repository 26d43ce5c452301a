// SPDX-License-Identifier: Apache-2.0
#include "backends/tc/conntrack_table.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <postern_sweep.skel.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string>

#include "backends/tc/kernel_clock.h"
#include "backends/tc/libbpf_log.h"
#include "engine/conntrack/conntrack_view.h"

namespace postern::tc {
namespace {

constexpr std::uint32_t kBatch = 256;  // buckets of one read: 120 KB, which the heap need not grow for

std::size_t whole_pages(std::size_t bytes) {
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  return (bytes + page - 1) / page * page;
}

// The one element of a map, as memory; null: errno says why.
template <typename T>
T* map_memory(bpf_object* object, const char* name) {
  void* const memory = mmap(nullptr, whole_pages(sizeof(T)), PROT_READ | PROT_WRITE, MAP_SHARED,
                            bpf_object__find_map_fd_by_name(object, name), 0);
  return memory == MAP_FAILED ? nullptr : static_cast<T*>(memory);
}

pn_u8 kind_of(ConnectionChangeKind kind) {
  switch (kind) {
    case ConnectionChangeKind::note: return PN_SWEEP_NOTE;
    case ConnectionChangeKind::retire: return PN_SWEEP_RETIRE;
    case ConnectionChangeKind::free: break;
  }
  return PN_SWEEP_FREE;
}

}  // namespace

ConntrackTable::~ConntrackTable() {
  if (request_ != nullptr) munmap(const_cast<pn_sweep*>(request_), whole_pages(sizeof(pn_sweep)));
  if (list_ != nullptr) munmap(list_, whole_pages(sizeof(pn_sweep_changes)));
  if (puts_ != nullptr) munmap(puts_, whole_pages(sizeof(pn_sweep_puts)));
  if (sweep_object_ != nullptr) bpf_object__close(sweep_object_);
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
    const int result = bpf_map_lookup_batch(place_.map_fd, first ? nullptr : &position, &position, keys.data(),
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
  if (!place_.sweep_bytes.empty()) {
    bytes = place_.sweep_bytes.data();
    size = place_.sweep_bytes.size();
  }
  bpf_object* object = bpf_object__open_mem(bytes, size, &options);
  if (object == nullptr) return fail_errno("opening the sweep programs", errno, &log);
  bpf_map* connections = bpf_object__find_map_by_name(object, "pn_ct");
  int error = connections == nullptr ? -EINVAL : bpf_map__reuse_fd(connections, place_.map_fd);
  if (error == 0) error = bpf_object__load(object);
  if (error == 0) {
    request_ = map_memory<pn_sweep>(object, "pn_sweep");
    if (request_ == nullptr) error = -errno;
  }
  if (error == 0) {
    list_ = map_memory<pn_sweep_changes>(object, "pn_sweep_list");
    if (list_ == nullptr) error = -errno;
  }
  if (error == 0) {
    puts_ = map_memory<pn_sweep_puts>(object, "pn_sweep_put_list");
    if (puts_ == nullptr) error = -errno;
  }
  if (error != 0) {
    bpf_object__close(object);
    return fail_errno("loading the sweep programs", -error, &log);
  }
  sweep_object_ = object;
  sweep_fd_ = bpf_program__fd(bpf_object__find_program_by_name(object, "pn_sweep_run"));
  change_fd_ = bpf_program__fd(bpf_object__find_program_by_name(object, "pn_sweep_change_run"));
  put_fd_ = bpf_program__fd(bpf_object__find_program_by_name(object, "pn_sweep_put_run"));
  return {};
}

// A signal ends a run early; the caller knows from what was done whether to go on.
Result<void> ConntrackTable::run(int program_fd, int times) {
  std::array<std::byte, 64> frame{};
  bpf_test_run_opts options{};
  options.sz = sizeof options;
  options.data_in = frame.data();
  options.data_size_in = frame.size();
  options.repeat = times;
  if (bpf_prog_test_run_opts(program_fd, &options) != 0 && errno != EINTR && errno != EAGAIN) {
    return fail_errno("running a sweep program", errno);
  }
  return {};
}

Result<void> ConntrackTable::sweep(EndpointId endpoint, std::uint32_t age) {
  if (auto loaded = load_sweep(); !loaded) return loaded;
  request_->next = 0;
  request_->endpoint = endpoint.value;
  request_->age = age;
  request_->forgotten = 0;
  while (request_->next < place_.buckets) {
    const auto runs = (place_.buckets - request_->next + PN_SWEEP_BUCKETS - 1) / PN_SWEEP_BUCKETS;
    if (auto done = run(sweep_fd_, static_cast<int>(runs)); !done) return done;
  }
  return {};
}

Result<std::uint32_t> ConntrackTable::now() { return kernel_tick_now(place_.tick_shift); }

Result<void> ConntrackTable::read(std::uint32_t first, std::uint32_t count, std::vector<PlacedConnection>& into) {
  if (first >= place_.buckets) return {};
  count = std::min(count, place_.buckets - first);
  keys_.resize(count);
  values_.resize(count);
  bpf_map_batch_opts options{};
  options.sz = sizeof options;
  options.elem_flags = BPF_F_LOCK;
  for (std::uint32_t done = 0; done < count;) {
    // The kernel goes on behind the position it is given.
    std::uint32_t position = first + done - 1;
    std::uint32_t part = count - done;
    const int result = bpf_map_lookup_batch(place_.map_fd, first + done == 0 ? nullptr : &position, &position,
                                            keys_.data(), values_.data(), &part, &options);
    if (result != 0 && errno != ENOENT) return fail_errno("reading pn_ct", errno);
    for (std::uint32_t i = 0; i < part; ++i) {
      for (std::uint32_t way = 0; way < PN_CT_WAYS; ++way) {
        const pn_ct_way& entry = values_[i].ways[way];
        if (values_[i].fingerprints[way] == 0 || entry.value.state == 0) continue;
        into.push_back({keys_[i], way, entry.key, entry.value});
      }
    }
    if (part == 0) break;
    done += part;
  }
  return {};
}

Result<void> ConntrackTable::change(std::span<ConnectionChange> changes, std::uint32_t now) {
  if (changes.empty()) return {};
  if (auto loaded = load_sweep(); !loaded) return loaded;
  while (!changes.empty()) {
    const auto part = changes.first(std::min<std::size_t>(changes.size(), PN_SWEEP_CHANGES));
    for (std::size_t i = 0; i < part.size(); ++i) {
      const PlacedConnection& read = part[i].read;
      list_->changes[i] = {.read = {.key = read.key, .value = read.value},
                           .bucket = read.bucket,
                           .way = static_cast<pn_u16>(read.way),
                           .kind = kind_of(part[i].kind),
                           .made = 0};
    }
    list_->now = now;
    list_->count = static_cast<pn_u32>(part.size());
    if (auto done = run(change_fd_, 1); !done) return done;
    // A run that a signal kept from starting has made nothing; then nothing counts as made, and the next
    // sweep comes by again.
    const volatile pn_sweep_change* const results = list_->changes;
    for (std::size_t i = 0; i < part.size(); ++i) part[i].made = results[i].made != 0;
    changes = changes.subspan(part.size());
  }
  return {};
}

Result<void> ConntrackTable::put(std::span<ConnectionPut> puts) {
  if (puts.empty()) return {};
  if (auto loaded = load_sweep(); !loaded) return loaded;
  while (!puts.empty()) {
    const auto part = puts.first(std::min<std::size_t>(puts.size(), PN_SWEEP_CHANGES));
    for (std::size_t i = 0; i < part.size(); ++i) {
      const ConnectionPut& put = part[i];
      puts_->puts[i] = {.read = {.key = put.read.key, .value = put.read.value},
                        .entry = {.key = put.key, .value = put.value},
                        .bucket = put.read.bucket,
                        .way = static_cast<pn_u16>(put.read.way),
                        .fingerprint = put.fingerprint,
                        .made = 0,
                        .pad = 0};
    }
    puts_->count = static_cast<pn_u32>(part.size());
    if (auto done = run(put_fd_, 1); !done) return done;
    const volatile pn_sweep_put* const results = puts_->puts;
    for (std::size_t i = 0; i < part.size(); ++i) part[i].made = results[i].made != 0;
    puts = puts.subspan(part.size());
  }
  return {};
}

Result<void> ConntrackTable::forget(EndpointId endpoint) { return sweep(endpoint, 0); }

Result<void> ConntrackTable::age(std::uint32_t ticks) {
  if (ticks == 0) return {};
  return sweep(EndpointId{}, ticks);
}

}  // namespace postern::tc
