/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What user space and the sweep programs say to each other: a walk over every bucket (pn_sweep), 
 * changes to single entries that user space has read before (pn_sweep_changes), or entries to put in where
 * user space has looked before (pn_sweep_puts).
 */
#ifndef POSTERN_BACKENDS_TC_SWEEP_H
#define POSTERN_BACKENDS_TC_SWEEP_H

#include "engine/abi/conntrack.h"
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

/* Changes of one run. */
#define PN_SWEEP_CHANGES 512

enum pn_sweep_kind {
    PN_SWEEP_NOTE = 1,   /* set PN_CT_NODE_HAD */
    PN_SWEEP_RETIRE = 2, /* make it idle for PN_CT_RETIRED_IDLE ticks */
    PN_SWEEP_FREE = 3,   /* empty the way */
};

/* Made only if the way still holds this entry, as it was read. */
struct pn_sweep_change {
    struct pn_ct_way read;
    pn_u32 bucket;
    pn_u16 way;
    pn_u8 kind; /* enum pn_sweep_kind */
    pn_u8 made; /* result */
};
PN_ASSERT_SIZE(struct pn_sweep_change, 64);

struct pn_sweep_changes {
    pn_u32 count;
    pn_u32 now; /* tick */
    pn_u32 pad[14];
    struct pn_sweep_change changes[PN_SWEEP_CHANGES];
};
PN_ASSERT_OFFSET(struct pn_sweep_changes, changes, 64);

/* Made only if the way still holds what was read, an entry or nothing, and no other way of the bucket
 * holds the same key. */
struct pn_sweep_put {
    struct pn_ct_way read; /* a state of 0: the way was free */
    struct pn_ct_way entry;
    pn_u32 bucket;
    pn_u16 way;
    pn_u16 fingerprint;
    pn_u32 made; /* result */
    pn_u32 pad;
};
PN_ASSERT_SIZE(struct pn_sweep_put, 128);

struct pn_sweep_puts {
    pn_u32 count;
    pn_u32 pad[15];
    struct pn_sweep_put puts[PN_SWEEP_CHANGES];
};
PN_ASSERT_OFFSET(struct pn_sweep_puts, puts, 64);

#endif
