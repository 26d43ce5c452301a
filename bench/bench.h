/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the benchmark and its wrapper programs say to each other. */
#ifndef POSTERN_BENCH_BENCH_H
#define POSTERN_BENCH_BENCH_H

#include "engine/abi/types.h"

/* Which flows the packets of a run belong to. */
struct pn_bench {
    pn_u32 next;      /* number of the next packet */
    pn_u32 flow_mask; /* flows - 1, a power of two less one */
    pn_u32 peers;     /* addresses that the flows spread over, at most 65,536 */
    pn_u32 base;      /* the first of them, host order */
};
PN_ASSERT_SIZE(struct pn_bench, 16);

#endif
