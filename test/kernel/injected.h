/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the test variant of the datapath and its injector say to each other. */
#ifndef POSTERN_TEST_KERNEL_INJECTED_H
#define POSTERN_TEST_KERNEL_INJECTED_H

#include "engine/abi/types.h"

struct pn_injection {
    pn_u64 clock; /* what the datapath takes for the time, in nanoseconds */
    pn_u32 step;  /* result: the final step; stays as it was if the packet was not judged */
    pn_u32 pad;
};

#endif
