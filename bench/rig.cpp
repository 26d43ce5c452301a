// SPDX-License-Identifier: Apache-2.0
#include "bench/rig.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/pkt_cls.h>
#include <postern_bench.skel.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>

#include "backends/tc/libbpf_log.h"

namespace postern::bench {
namespace {

std::size_t page_size() { return static_cast<std::size_t>(sysconf(_SC_PAGESIZE)); }

// Time of this thread on a CPU: other processes on the machine do not count.
double cpu_ns() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

void store_address(std::byte* at, std::uint32_t address) {
  const std::uint32_t word = IpAddress::v4(address).v4_network_order();
  std::memcpy(at, &word, sizeof word);
}

// A TCP segment without data; the wrapper writes the peer.
std::array<std::byte, 64> frame_of(const Packets& packets) {
  std::array<std::byte, 64> frame{};
  const auto set = [&](std::size_t at, unsigned value) { frame[at] = static_cast<std::byte>(value); };
  set(12, 0x08);
  set(14, 0x45);
  set(17, 50);  // total length: 20 + 20 + 10
  set(22, 64);
  set(23, 6);
  set(46, 0x50);
  set(47, packets.tcp_flags);
  const bool ingress = packets.direction == Direction::ingress;
  store_address(frame.data() + (ingress ? 30 : 26), Rig::kPod);
  set(ingress ? 36 : 34, packets.pod_port >> 8);
  set(ingress ? 37 : 35, packets.pod_port & 255);
  return frame;
}

}  // namespace

Result<std::unique_ptr<Rig>> Rig::make(const TableSizes& sizes) {
  std::unique_ptr<Rig> rig(new Rig);
  auto backend = TcBackend::make(sizes);
  if (!backend) return fail_as(backend);
  rig->backend_ = std::move(*backend);
  rig->compiler_ = std::make_unique<TableCompiler>(sizes);
  if (auto loaded = rig->load_wrappers(); !loaded) return fail_as(loaded);
  return rig;
}

Rig::~Rig() {
  if (flows_ != nullptr) munmap(const_cast<pn_bench*>(flows_), page_size());
  if (wrappers_ != nullptr) bpf_object__close(wrappers_);
}

Result<void> Rig::load_wrappers() {
  tc::LibbpfLog log;
  std::size_t size = 0;
  const void* bytes = postern_bench__elf_bytes(&size);
  bpf_object_open_opts options{};
  options.sz = sizeof options;
  options.object_name = "postern_bench";
  wrappers_ = bpf_object__open_mem(bytes, size, &options);
  if (wrappers_ == nullptr) return tc::fail_errno("opening the wrapper programs", errno, &log);
  if (const int error = bpf_object__load(wrappers_); error != 0) {
    return tc::fail_errno("loading the wrapper programs", -error, &log);
  }
  const auto program = [&](const char* name) {
    return bpf_program__fd(bpf_object__find_program_by_name(wrappers_, name));
  };
  to_pod_ = program("bench_to_pod");
  from_pod_ = program("bench_from_pod");
  empty_ = program("bench_empty");
  target_ = bpf_object__find_map_fd_by_name(wrappers_, "bench_target");
  void* memory = mmap(nullptr, page_size(), PROT_READ | PROT_WRITE, MAP_SHARED,
                      bpf_object__find_map_fd_by_name(wrappers_, "bench_flows"), 0);
  if (memory == MAP_FAILED) return tc::fail_errno("mapping bench_flows", errno);
  flows_ = static_cast<volatile pn_bench*>(memory);
  return {};
}

Result<void> Rig::enforce(const ResolvedPolicy& policy, EventMode events) {
  CompileSettings settings;
  settings.clock = backend_->clock();
  settings.events = events;
  settings.spoof_check = true;
  settings.hash_secret = 0x5eed;
  auto delta = compiler_->update(policy, settings);
  if (!delta) return fail_as(delta);
  if (auto applied = backend_->apply(*delta); !applied) return applied;
  return forget_connections();
}

Result<std::size_t> Rig::connections() {
  auto entries = backend_->conntrack();
  if (!entries) return fail_as(entries);
  return entries->size();
}

Result<Timing> Rig::run(const Packets& packets, std::uint32_t count, bool empty) {
  const std::uint32_t zero = 0;
  const bool ingress = packets.direction == Direction::ingress;
  const int program = empty ? empty_ : backend_->program_fd(static_cast<std::uint8_t>(packets.direction));
  if (bpf_map_update_elem(target_, &zero, &program, BPF_ANY) != 0)
    return tc::fail_errno("setting the target", errno);
  flows_->next = 0;
  flows_->flow_mask = packets.flows - 1;
  flows_->peers = packets.peers;
  flows_->base = packets.first_peer;
  const auto frame = frame_of(packets);
  bpf_test_run_opts options{};
  options.sz = sizeof options;
  options.data_in = frame.data();
  options.data_size_in = frame.size();
  options.repeat = static_cast<int>(count);
  const double start = cpu_ns();
  const int result = bpf_prog_test_run_opts(ingress ? to_pod_ : from_pod_, &options);
  const double end = cpu_ns();
  if (result != 0) return tc::fail_errno("running the programs", errno);
  const auto action = static_cast<int>(options.retval);
  if (action != TC_ACT_UNSPEC && action != TC_ACT_SHOT) {
    return fail(ErrorCode::internal,
                "the programs returned " + std::to_string(action) + ", expected -1 or 2");
  }
  return Timing{(end - start) / count, action == TC_ACT_UNSPEC ? Verdict::allow : Verdict::deny};
}

}  // namespace postern::bench
