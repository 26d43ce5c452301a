// SPDX-License-Identifier: Apache-2.0
// The datapath's clock is jiffies64, the cheapest the kernel has. How long a jiffy lasts is fixed
// when the kernel is built; the coarse clocks tick once a jiffy, and their resolution tells.
#pragma once

#include "engine/base/result.h"
#include "engine/compile/table_compiler.h"

namespace postern::tc {

// Jiffies in a second: 100, 250, 300 or 1000 as a rule.
unsigned jiffies_per_second();

// A shift under which a tick lasts as near to a second as it can.
TickClock tick_clock_of(unsigned hz);

// The tick that a packet of this moment would read: a program of three instructions, run once, says it,
// since user space cannot read jiffies. Errors: permission (CAP_BPF), io.
Result<std::uint32_t> kernel_tick_now(std::uint32_t shift);

inline TickClock kernel_tick_clock() { return tick_clock_of(jiffies_per_second()); }

}  // namespace postern::tc
