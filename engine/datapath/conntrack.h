/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Tracked connections: find, refresh, open and cut one entry. One normalised key serves both
 * directions, so a reply finds the entry of its opener.
 *
 * Reads take no lock: a way is announced by its fingerprint, which a writer clears before it touches
 * the way and sets after, and which a reader looks at again after it has copied the value. Writes
 * are made under the bucket's lock; a way that changed hands in between is left alone.
 */
#ifndef POSTERN_DATAPATH_CONNTRACK_H
#define POSTERN_DATAPATH_CONNTRACK_H

#include "engine/datapath/env.h"
#include "engine/datapath/lifetime.h"
#include "engine/datapath/parse.h"
#include "engine/datapath/place.h"
#include "engine/datapath/transition.h"

/* A live entry as found. */
struct pn_ct_found {
    struct pn_ct_value value;
    pn_u32 way;
    pn_u32 from_opener; /* the packet comes from the side that opened the connection */
};

/* Copies the live entry of a place; 0: there is none. */
PN_UNIT pn_u32 pn_ct_find(struct pn_env *env, const struct pn_ct_place *place, pn_u32 now,
                          struct pn_ct_found *found)
{
    PN_KEEP(env);
    if (!place || !found)
        return 0;
    const struct pn_node *node = pn_env_node(env);
    struct pn_ct_bucket *bucket = pn_env_ct(env, place->bucket);
    if (!node || !bucket)
        return 0;
    PN_ROLLED
    for (pn_u32 way = 0; way < PN_CT_WAYS; way++) {
        if (PN_READ_ONCE(bucket->fingerprints[way]) != place->fingerprint)
            continue;
        PN_BARRIER();
        if (!pn_ct_same(&bucket->ways[way].key, &place->key))
            continue;
        found->way = way;
        /* First the epoch, which pn_ct_store writes last. */
        found->value.epoch = PN_READ_ONCE(bucket->ways[way].value.epoch);
        PN_BARRIER();
        found->value.seen = bucket->ways[way].value.seen;
        found->value.state = bucket->ways[way].value.state;
        found->value.step = bucket->ways[way].value.step;
        PN_BARRIER();
        if (PN_READ_ONCE(bucket->fingerprints[way]) != place->fingerprint)
            return 0;
        return pn_ct_live(node, &found->value, place->key.endpoint_protocol & 0xffu, now) ? 1 : 0;
    }
    return 0;
}

/* Whether a packet of `direction` at this place belongs to the connection found, and from which
 * side. Direction and tuple must both fit: the same tuple looped back is no reply (R15). */
PN_INLINE int pn_ct_belongs(struct pn_ct_found *found, const struct pn_ct_place *place, pn_u32 direction)
{
    pn_u32 opener_egress = (found->value.state & PN_CT_OPENER_EGRESS) ? 1 : 0;
    pn_u32 opener_is_a = (found->value.state & PN_CT_OPENER_IS_A) ? 1 : 0;
    found->from_opener = opener_egress == (direction == PN_EGRESS ? 1u : 0u);
    return found->from_opener == (opener_is_a == place->source_is_a ? 1u : 0u);
}

/* Writes a found entry back: epoch, seen and step as in `value`, whose state bits are merged in. A
 * connection that was cut is alive again, unless PN_CT_CUT is among the bits. The epoch comes last: who
 * reads it meanwhile must not take the judgement before it for one of this epoch. */
PN_UNIT pn_u32 pn_ct_store(struct pn_env *env, const struct pn_ct_place *place, pn_u32 way,
                           const struct pn_ct_value *value)
{
    PN_KEEP(env);
    if (!place || !value)
        return 0;
    struct pn_ct_bucket *bucket = pn_env_ct(env, place->bucket);
    if (!bucket || way >= PN_CT_WAYS)
        return 0;
    struct pn_ct_way *entry = &bucket->ways[way];
    pn_env_lock(bucket);
    if (bucket->fingerprints[way] == place->fingerprint && pn_ct_same(&entry->key, &place->key)) {
        entry->value.seen = value->seen;
        entry->value.step = value->step;
        entry->value.state = pn_ct_merged(entry->value.state, value->state);
        PN_BARRIER();
        PN_WRITE_ONCE(entry->value.epoch, value->epoch);
    }
    pn_env_unlock(bucket);
    return 1;
}

/* Whether an entry already says what the next packet would write. Most packets change nothing. */
PN_INLINE int pn_ct_says(const struct pn_ct_value *value, const struct pn_ct_value *fresh)
{
    return value->seen == fresh->seen && value->epoch == fresh->epoch && value->step == fresh->step &&
           pn_ct_merged(value->state, fresh->state) == value->state;
}

/* How willingly a way is given up: free or expired before any live one, the longest idle first. */
PN_INLINE pn_u32 pn_ct_spare(const struct pn_node *node, const struct pn_ct_way *entry, pn_u32 now)
{
    if (!pn_ct_live(node, &entry->value, entry->key.endpoint_protocol & 0xffu, now))
        return 0x80000000u;
    return pn_ct_idle(&entry->value, now);
}

enum pn_ct_opening {
    PN_CT_NOT_OPENED = 0, /* a hole in the tables */
    PN_CT_OPENED = 1,
    PN_CT_OPENED_BY_EVICTION = 2, /* a live connection gave up its way */
};

/* Opens a connection, in place of what its key held before (port reuse), else in the most spare way.
 * Returns enum pn_ct_opening. */
PN_UNIT pn_u32 pn_ct_open(struct pn_env *env, const struct pn_ct_place *place,
                          const struct pn_ct_value *value)
{
    PN_KEEP(env);
    if (!place || !value)
        return PN_CT_NOT_OPENED;
    const struct pn_node *node = pn_env_node(env);
    struct pn_ct_bucket *bucket = pn_env_ct(env, place->bucket);
    if (!node || !bucket)
        return PN_CT_NOT_OPENED;
    pn_env_lock(bucket);
    /* How spare the best way so far is, and 7 - way: of equals the first. It is kept in the bucket since
     * the verifier follows a number on the stack through every way that eight rounds can take. */
    PN_WRITE_ONCE(bucket->scratch, 0);
    PN_ROLLED
    for (pn_u32 way = 0; way < PN_CT_WAYS; way++) {
        pn_u32 spare = pn_ct_spare(node, &bucket->ways[way], value->seen);
        if (bucket->fingerprints[way] == place->fingerprint &&
            pn_ct_same(&bucket->ways[way].key, &place->key))
            spare = 0xffffffffu;
        pn_u64 candidate = ((pn_u64)spare << 3) | (PN_CT_WAYS - 1 - way);
        if (candidate > PN_READ_ONCE(bucket->scratch))
            PN_WRITE_ONCE(bucket->scratch, candidate);
    }
    pn_u64 most = PN_READ_ONCE(bucket->scratch);
    pn_u32 best = PN_CT_WAYS - 1 - ((pn_u32)most & (PN_CT_WAYS - 1));
    pn_u32 evicts = (most >> 3) < 0x80000000u;
    bucket->evicted += evicts;
    PN_WRITE_ONCE(bucket->fingerprints[best], 0);
    PN_BARRIER();
    bucket->ways[best].key = place->key;
    bucket->ways[best].value = *value;
    PN_BARRIER();
    PN_WRITE_ONCE(bucket->fingerprints[best], place->fingerprint);
    pn_env_unlock(bucket);
    return PN_CT_OPENED + evicts;
}

#endif
