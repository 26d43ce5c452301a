// SPDX-License-Identifier: Apache-2.0
#include "backends/tc/tc_backend.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <postern_tc.skel.h>
#include <unistd.h>

#include <cerrno>

#include "backends/tc/fragment_table.h"
#include "backends/tc/kernel_clock.h"
#include "backends/tc/libbpf_log.h"
#include "engine/abi/fragments.h"
#include "engine/conntrack/conntrack_view.h"

namespace postern {
namespace {

using tc::fail_errno;
using tc::LibbpfLog;

Result<bpf_object*> open_object(const TcOptions& options, const LibbpfLog& log) {
  bpf_object_open_opts open_options{};
  open_options.sz = sizeof open_options;
  open_options.object_name = "postern_tc";
  bpf_object* object = nullptr;
  std::string what = "opening the BPF object";
  if (!options.object_path.empty()) {
    what += " " + options.object_path;
    object = bpf_object__open_file(options.object_path.c_str(), &open_options);
  } else if (!options.object_bytes.empty()) {
    object = bpf_object__open_mem(options.object_bytes.data(), options.object_bytes.size(), &open_options);
  } else {
    std::size_t size = 0;
    const void* bytes = postern_tc__elf_bytes(&size);
    object = bpf_object__open_mem(bytes, size, &open_options);
  }
  if (object == nullptr) return fail_errno(what, errno, &log);
  return object;
}

int find_program(const bpf_object* object, const char* name) {
  const bpf_program* program = bpf_object__find_program_by_name(object, name);
  return program == nullptr ? -1 : bpf_program__fd(program);
}

}  // namespace

Result<std::unique_ptr<TcBackend>> TcBackend::make(const TableSizes& sizes, const TcOptions& options) {
  std::unique_ptr<TcBackend> backend(new TcBackend);
  backend->sizes_ = sizes;
  backend->amazon_folder_ = options.amazon_folder;
  backend->clock_ = options.clock ? *options.clock : tc::kernel_tick_clock();
  backend->attach_kind_ = options.force_clsact ? tc::AttachKind::clsact : tc::best_attach_kind();
  if (auto opened = backend->open_pins(options); !opened) return fail_as(opened);
  if (auto loaded = backend->load(options); !loaded) return fail_as(loaded);
  auto events = backend->open_ring("pn_events");
  if (!events) return fail_as(events);
  backend->events_ = *events;
  if (auto inherited = backend->inherit(); !inherited) return fail_as(inherited);
  return backend;
}

TcBackend::~TcBackend() {
  hooks_.clear();
  for (ring_buffer* ring : {events_, monitor_}) {
    if (ring != nullptr) ring_buffer__free(ring);
  }
  for (const int fd : {grace_inner_, grace_outer_}) {
    if (fd >= 0) close(fd);
  }
  if (object_ != nullptr) bpf_object__close(object_);
}

Result<void> TcBackend::load(const TcOptions& options) {
  LibbpfLog log;
  auto opened = open_object(options, log);
  if (!opened) return fail_as(opened);
  object_ = *opened;
  if (auto sized = tc::KernelTables::resize(object_, sizes_); !sized) return sized;
  if (auto sized = size_connections(); !sized) return sized;
  if (auto sized = size_fragments(); !sized) return sized;
  if (const int error = bpf_object__load(object_); error != 0) {
    return fail_errno("loading the BPF program", -error, &log);
  }
  programs_[PN_EGRESS] = find_program(object_, "pn_from_pod");
  programs_[PN_INGRESS] = find_program(object_, "pn_to_pod");
  counters_fd_ = bpf_object__find_map_fd_by_name(object_, "pn_counters");
  if (programs_[PN_EGRESS] < 0 || programs_[PN_INGRESS] < 0 || counters_fd_ < 0) {
    return fail(ErrorCode::internal, "the BPF object lacks pn_from_pod, pn_to_pod or pn_counters");
  }
  connections_.open({map_fd("pn_ct"), sizes_.conntrack_buckets, clock_.shift, options.sweep_bytes});
  return tables_.open(object_, sizes_);
}

// Its own in every generation: what it holds is of one epoch, and a new generation begins with another.
Result<void> TcBackend::size_fragments() {
  bpf_map* fragments = bpf_object__find_map_by_name(object_, "pn_fragments");
  if (fragments == nullptr || bpf_map__value_size(fragments) != sizeof(pn_fragment_bucket)) {
    return fail(ErrorCode::internal, "the BPF object has no map pn_fragments of this version");
  }
  if (const int error = bpf_map__set_max_entries(fragments, sizes_.fragment_buckets); error != 0) {
    return fail_errno("setting the size of pn_fragments to " + std::to_string(sizes_.fragment_buckets), -error);
  }
  return {};
}

Result<ring_buffer*> TcBackend::open_ring(const char* map_name) {
  LibbpfLog log;
  const int fd = bpf_object__find_map_fd_by_name(object_, map_name);
  if (fd < 0) return fail(ErrorCode::internal, std::string("the BPF object has no map ") + map_name);
  ring_buffer* ring = ring_buffer__new(fd, &TcBackend::on_sample, this, nullptr);
  if (ring == nullptr) return fail_errno(std::string("opening the ring ") + map_name, errno, &log);
  return ring;
}

// Writing the element of a map of maps returns only when every program that ran before it has ended:
// the kernel waits, so that whoever replaced a map knows that nobody reads the old one any more.
Result<void> TcBackend::wait_for_readers() {
  LibbpfLog log;
  if (grace_outer_ < 0) {
    grace_inner_ = bpf_map_create(BPF_MAP_TYPE_ARRAY, "pn_grace_inner", 4, 4, 1, nullptr);
    if (grace_inner_ < 0) return fail_errno("making the map of the grace period", errno, &log);
    bpf_map_create_opts options{};
    options.sz = sizeof options;
    options.inner_map_fd = static_cast<std::uint32_t>(grace_inner_);
    grace_outer_ = bpf_map_create(BPF_MAP_TYPE_ARRAY_OF_MAPS, "pn_grace", 4, 4, 1, &options);
    if (grace_outer_ < 0) return fail_errno("making the map of the grace period", errno, &log);
  }
  const std::uint32_t zero = 0;
  if (bpf_map_update_elem(grace_outer_, &zero, &grace_inner_, BPF_ANY) != 0) {
    return fail_errno("waiting for running programs", errno, &log);
  }
  ++grace_periods_;
  return {};
}

Result<void> TcBackend::apply(const TableDelta& delta) {
  if (delta.reuses_freed) {
    if (auto waited = wait_for_readers(); !waited) return waited;
  }
  auto pause = delta.pauses.begin();
  for (std::size_t i = 0; i < delta.writes.size(); ++i) {
    if (pause != delta.pauses.end() && *pause == i) {
      ++pause;
      if (auto waited = wait_for_readers(); !waited) return waited;
    }
    if (auto written = tables_.write(delta.writes[i]); !written) return written;
  }
  return {};
}

Result<PolicyTables> TcBackend::dump() const { return tables_.read(sizes_); }

Result<std::vector<ConntrackEntry>> TcBackend::conntrack() const { return connections_.read(); }

// Fragments of one endpoint end by themselves, long before its number can belong to another.
Result<void> TcBackend::forget_connections(EndpointId endpoint) {
  if (auto forgotten = connections_.forget(endpoint); !forgotten || endpoint.value != 0) return forgotten;
  return tc::forget_fragments(map_fd("pn_fragments"), sizes_.fragment_buckets);
}

Result<void> TcBackend::age_connections(Duration by) {
  const std::uint32_t ticks = ticks_of(by, clock().tick_ns);
  if (auto aged = connections_.age(ticks); !aged) return aged;
  return tc::age_fragments(map_fd("pn_fragments"), sizes_.fragment_buckets, ticks);
}

Result<std::vector<pn_counter>> TcBackend::counters() const {
  const int cpus = libbpf_num_possible_cpus();
  if (cpus <= 0) return fail_errno("counting CPUs", -cpus);
  std::vector<pn_counter> sums(PN_COUNTERS);
  std::vector<pn_counter> by_cpu(static_cast<std::size_t>(cpus));
  for (std::uint32_t index = 0; index < PN_COUNTERS; ++index) {
    if (bpf_map_lookup_elem(counters_fd_, &index, by_cpu.data()) != 0) {
      return fail_errno("reading pn_counters", errno);
    }
    for (const pn_counter& one : by_cpu) {
      sums[index].packets += one.packets;
      sums[index].bytes += one.bytes;
    }
  }
  return sums;
}

int TcBackend::on_sample(void* context, void* data, std::size_t size) {
  const auto* self = static_cast<const TcBackend*>(context);
  if (size >= sizeof(pn_event)) self->sink_->on_event(*static_cast<const pn_event*>(data));
  return 0;
}

Result<std::size_t> TcBackend::drain(ring_buffer* ring, EventSink& sink) {
  sink_ = &sink;
  const int count = ring_buffer__consume(ring);
  sink_ = nullptr;
  if (count < 0) return fail_errno("reading a ring of events", -count);
  return static_cast<std::size_t>(count);
}

Result<std::size_t> TcBackend::drain_events(EventSink& sink) { return drain(events_, sink); }

Result<std::size_t> TcBackend::drain_monitor(EventSink& sink) {
  if (monitor_ == nullptr) {
    auto opened = open_ring("pn_monitor");
    if (!opened) return fail_as(opened);
    monitor_ = *opened;
  }
  return drain(monitor_, sink);
}

int TcBackend::event_fd() const { return ring_buffer__epoll_fd(events_); }

int TcBackend::map_fd(const char* map_name) const {
  return bpf_object__find_map_fd_by_name(object_, map_name);
}

Result<std::unique_ptr<Backend>> make_tc_backend(const TableSizes& sizes, const TcOptions& options) {
  auto backend = TcBackend::make(sizes, options);
  if (!backend) return fail_as(backend);
  return std::unique_ptr<Backend>(std::move(*backend));
}

}  // namespace postern
