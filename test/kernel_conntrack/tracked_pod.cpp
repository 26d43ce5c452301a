// SPDX-License-Identifier: Apache-2.0
#include "test/kernel_conntrack/tracked_pod.h"

#include <bpf/bpf.h>
#include <linux/pkt_cls.h>
#include <postern_sweep_unguarded.skel.h>
#include <postern_tc_injected.skel.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "test/contract/table_writer.h"
#include "test/kernel/network.h"

namespace postern::test {
namespace {

constexpr std::uint32_t kFirstTick = 5000;

std::size_t page_size() { return static_cast<std::size_t>(sysconf(_SC_PAGESIZE)); }

std::string object_of(const void* bytes, std::size_t size) { return {static_cast<const char*>(bytes), size}; }

TcOptions options_of(bool guarded) {
  TcOptions options;
  options.clock = TickClock{};
  std::size_t size = 0;
  const void* bytes = postern_tc_injected__elf_bytes(&size);
  options.object_bytes = object_of(bytes, size);
  if (!guarded) {
    bytes = postern_sweep_unguarded__elf_bytes(&size);
    options.sweep_bytes = object_of(bytes, size);
  }
  return options;
}

}  // namespace

Result<std::unique_ptr<TrackedPod>> TrackedPod::make(std::uint32_t buckets, bool guarded) {
  std::unique_ptr<TrackedPod> pod(new TrackedPod);
  family() = IpFamily::v4;
  TableSizes sizes = small_sizes();
  sizes.conntrack_buckets = buckets;
  auto backend = TcBackend::make(sizes, options_of(guarded));
  if (!backend) return fail_as(backend);
  pod->backend_ = std::move(*backend);
  void* const memory = mmap(nullptr, page_size(), PROT_READ | PROT_WRITE, MAP_SHARED,
                            pod->backend_->map_fd("pn_injection"), 0);
  if (memory == MAP_FAILED) return fail(ErrorCode::io, "cannot map pn_injection");
  pod->injection_ = static_cast<volatile pn_injection*>(memory);
  pod->wait_ticks(kFirstTick);

  TableWriter tables(sizes, pod->backend_->clock().shift);
  tables.judge(PN_INGRESS, {pn_step_deny(PN_REASON_ISOLATED, 0)});
  for (auto& timeout : tables.node().timeouts) timeout = kShort;
  tables.node().timeouts[PN_TIMEOUT_TCP_ESTABLISHED] = kLong;
  pod->node_ = tables.node();
  if (auto applied = pod->backend_->apply(tables.take()); !applied) return fail_as(applied);
  // The packets of a test run come from an interface that exists.
  static const auto interface = make_veth("cleanup", "cleanup-far", kIfindex);
  if (!interface) return fail_as(interface);
  pod->ifindex_ = *interface;
  return pod;
}

TrackedPod::~TrackedPod() {
  if (injection_ != nullptr) munmap(const_cast<pn_injection*>(injection_), page_size());
}

void TrackedPod::wait_ticks(std::uint32_t ticks) {
  tick_ += ticks;
  injection_->clock = static_cast<pn_u64>(tick_) << TickClock{}.shift;
}

bool TrackedPod::passes(pn_direction direction, const Bytes& frame) {
  __sk_buff context{};
  context.ifindex = ifindex_;
  bpf_test_run_opts options{};
  options.sz = sizeof options;
  options.data_in = frame.data();
  options.data_size_in = static_cast<std::uint32_t>(frame.size());
  options.ctx_in = &context;
  options.ctx_size_in = sizeof context;
  if (bpf_prog_test_run_opts(backend_->program_fd(static_cast<std::uint8_t>(direction)), &options) != 0) {
    std::perror("BPF_PROG_TEST_RUN");  // a test without an answer is a test that failed
    std::abort();
  }
  return static_cast<int>(options.retval) == TC_ACT_UNSPEC;
}

std::size_t TrackedPod::tracked() {
  std::vector<PlacedConnection> entries;
  const auto read = table().read(0, table().buckets(), entries);
  return read ? entries.size() : SIZE_MAX;
}

std::uint64_t TrackedPod::evicted() {
  const auto counters = backend_->counters();
  return counters ? (*counters)[PN_COUNTER_EVICTED].packets : UINT64_MAX;
}

Result<void> walk(agent::ConnectionSweep& sweep, const CleanupClock& clock, agent::ListedConnections* listed) {
  sweep.begin(clock);
  for (;;) {
    const auto done = sweep.step(listed);
    if (!done) return fail_as(done);
    if (*done) return {};
  }
}

pn_tuple tuple_of(std::uint32_t protocol, Socket from, Socket to) {
  return {.source = abi_address(from.address),
          .destination = abi_address(to.address),
          .source_port = pn_swap16(from.port),
          .destination_port = pn_swap16(to.port),
          .protocol = protocol};
}

}  // namespace postern::test
