/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What keeps a connection from being cut by clean-up: an entry is changed only if it is, under its bucket's
 * lock, what user space read and judged. Any packet writes at least its tick, and a port that is used again
 * a whole new entry. Apart from the program, so that a test can show what happens without it.
 */
#ifndef POSTERN_BACKENDS_TC_SWEEP_GUARD_H
#define POSTERN_BACKENDS_TC_SWEEP_GUARD_H

#include "engine/abi/conntrack.h"

static inline __attribute__((always_inline)) int pn_sweep_same_key(const struct pn_ct_key *key,
                                                                  const struct pn_ct_key *other)
{
    pn_u64 differs = (key->address_a.high ^ other->address_a.high) | (key->address_a.low ^ other->address_a.low) |
                     (key->address_b.high ^ other->address_b.high) | (key->address_b.low ^ other->address_b.low);
    differs |= (pn_u64)(key->port_a ^ other->port_a) | (pn_u64)(key->port_b ^ other->port_b) |
               (key->endpoint_protocol ^ other->endpoint_protocol);
    return differs == 0;
}

static inline __attribute__((always_inline)) int pn_sweep_unchanged(const struct pn_ct_way *entry,
                                                                    const struct pn_ct_way *read)
{
    pn_u64 differs = (entry->value.epoch ^ read->value.epoch) | (entry->value.seen ^ read->value.seen) |
                     (entry->value.state ^ read->value.state) | (entry->value.step ^ read->value.step);
    return differs == 0 && pn_sweep_same_key(&entry->key, &read->key);
}

#endif
