// SPDX-License-Identifier: Apache-2.0
#include "backends/tc/kernel_clock.h"

#include <bpf/bpf.h>
#include <linux/bpf.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <ctime>

#include "backends/tc/libbpf_log.h"
#include "net/fd.h"

namespace postern::tc {
namespace {
constexpr std::int64_t kSecond = 1'000'000'000;
constexpr unsigned kUsualHz = 250;  // where a sandbox hides the coarse clock
}  // namespace

unsigned jiffies_per_second() {
  timespec resolution{};
  if (clock_getres(CLOCK_MONOTONIC_COARSE, &resolution) != 0) return kUsualHz;
  const std::int64_t ns = resolution.tv_sec * kSecond + resolution.tv_nsec;
  if (ns < 100'000) return kUsualHz;
  return static_cast<unsigned>((kSecond + ns / 2) / ns);
}

TickClock tick_clock_of(unsigned hz) {
  TickClock clock;
  std::int64_t best = kSecond * kSecond;
  for (std::uint32_t shift = 0; shift < 16; ++shift) {
    const std::int64_t tick = (std::int64_t{1} << shift) * kSecond / hz;
    const std::int64_t distance = tick > kSecond ? tick - kSecond : kSecond - tick;
    if (distance >= best) continue;
    best = distance;
    clock = {shift, tick};
  }
  return clock;
}

Result<std::uint32_t> kernel_tick_now(std::uint32_t shift) {
  bpf_insn call{}, shifted{}, leave{};
  call.code = BPF_JMP | BPF_CALL;
  call.imm = BPF_FUNC_jiffies64;
  shifted.code = BPF_ALU64 | BPF_RSH | BPF_K;
  shifted.imm = static_cast<std::int32_t>(shift & 63u);
  leave.code = BPF_JMP | BPF_EXIT;
  const std::array<bpf_insn, 3> program{call, shifted, leave};
  LibbpfLog log;
  const UniqueFd fd(
      bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "pn_tick", "GPL", program.data(), program.size(), nullptr));
  if (!fd.valid()) return fail_errno("loading the program that reads the kernel's tick", errno, &log);
  std::array<std::byte, 64> packet{};
  bpf_test_run_opts options{};
  options.sz = sizeof options;
  options.data_in = packet.data();
  options.data_size_in = packet.size();
  options.repeat = 1;
  if (bpf_prog_test_run_opts(fd.get(), &options) != 0) {
    return fail_errno("running the program that reads the kernel's tick", errno);
  }
  return options.retval;
}

}  // namespace postern::tc
