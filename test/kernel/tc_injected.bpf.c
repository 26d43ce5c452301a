/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The datapath as it ships, seen through two macros: the clock that the program reads becomes a
 * variable, and the final step that it turns into an action is noted on the way.
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "test/kernel/injected.h"

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct pn_injection);
} pn_injection SEC(".maps");

static __attribute__((always_inline)) struct pn_injection *injection(void)
{
    __u32 zero = 0;
    return bpf_map_lookup_elem(&pn_injection, &zero);
}

static __attribute__((always_inline)) pn_u64 injected_clock(void)
{
    struct pn_injection *now = injection();
    return now ? now->clock : 0;
}

#define bpf_jiffies64() injected_clock()
#include "bpf/env.h"
#include "engine/datapath/pipeline.h"

static __attribute__((always_inline)) int noted_allows(pn_u32 step)
{
    struct pn_injection *result = injection();
    if (result)
        result->step = step;
    return pn_step_allows(step);
}

/* From here on only the program itself asks. */
#define pn_step_allows(step) noted_allows(step)
#include "bpf/tc.bpf.c"
