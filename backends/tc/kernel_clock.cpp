// SPDX-License-Identifier: Apache-2.0
#include "backends/tc/kernel_clock.h"

#include <ctime>

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

}  // namespace postern::tc
