/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What user space and the sweep program say to each other. */
#ifndef POSTERN_BACKENDS_TC_SWEEP_H
#define POSTERN_BACKENDS_TC_SWEEP_H

#include "engine/abi/types.h"

/* Buckets of one run. */
#define PN_SWEEP_BUCKETS 512

struct pn_sweep {
    pn_u32 next;      /* bucket the next run starts with */
    pn_u32 endpoint;  /* whose connections to forget; 0 = everybody's */
    pn_u32 age;       /* not 0: forget nothing, make every connection older by these ticks */
    pn_u32 forgotten; /* result: connections removed */
};
PN_ASSERT_SIZE(struct pn_sweep, 16);

#endif
