/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The sweep programs as they ship, but for the guard: a change is made whatever has become of the entry
 * since it was read. What tests of the guard must catch.
 */
#include <linux/bpf.h>

#include "backends/tc/sweep_guard.h"

#define pn_sweep_unchanged(entry, read) ((void)(entry), (void)(read), 1)
#include "backends/tc/sweep.bpf.c"
