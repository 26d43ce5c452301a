/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The fragment table: a first fragment that is let through leaves an entry, the later ones follow it
 * (R19). An entry lives for a fixed time from the first fragment on, and only in the epoch it was
 * judged in, unless its pod keeps established flows. A first fragment that is denied takes away what an
 * earlier one of its datagram has left.
 *
 * A later fragment may not reach into the first, which is what was judged: it stays dropped, whatever a
 * receiver would make of the overlap (RFC 3128, RFC 5722).
 */
#ifndef POSTERN_DATAPATH_FRAGMENTS_H
#define POSTERN_DATAPATH_FRAGMENTS_H

#include "engine/datapath/env.h"
#include "engine/datapath/parse.h"

/* A fragment at the door of its pod: plain data, so that it can be handed to a PN_UNIT. */
struct pn_fragment {
    struct pn_fragment_key key;
    pn_u32 bucket;
    pn_u32 epoch;
    pn_u32 now;
    pn_u32 step;      /* what was said of it without this table */
    pn_u16 direction; /* enum pn_direction */
    pn_u16 at;        /* as in struct pn_packet */
    pn_u16 later;
    pn_u16 keep; /* an older epoch's judgement holds */
};

PN_INLINE pn_u64 pn_fragment_mix(pn_u64 hash)
{
    hash *= 0x9e3779b97f4a7c15ull;
    return hash ^ (hash >> 29);
}

PN_INLINE pn_u32 pn_fragment_bucket_of(const struct pn_node *node, const struct pn_fragment_key *key)
{
    pn_u64 hash = pn_fragment_mix(node->hash_secret ^ key->source.low);
    hash = pn_fragment_mix(hash + key->source.high);
    hash = pn_fragment_mix(hash ^ key->destination.low);
    hash = pn_fragment_mix(hash + key->destination.high);
    hash = pn_fragment_mix(hash ^ pn_pair(key->id, key->endpoint_protocol));
    return (pn_u32)(hash >> 32) & node->fragment_mask;
}

PN_INLINE int pn_fragment_same(const struct pn_fragment_way *way, const struct pn_fragment *fragment)
{
    const struct pn_fragment_key *key = &fragment->key;
    pn_u64 differs = (way->key.source.high ^ key->source.high) | (way->key.source.low ^ key->source.low);
    differs |= way->key.destination.high ^ key->destination.high;
    differs |= way->key.destination.low ^ key->destination.low;
    differs |= (pn_u64)(way->key.id ^ key->id) | (way->key.endpoint_protocol ^ key->endpoint_protocol);
    return way->step != 0 && (differs | (pn_u64)(way->direction ^ fragment->direction)) == 0;
}

/* Ticks since the first fragment. Another CPU may be a tick ahead: that is no age, not a huge one. */
PN_INLINE pn_u32 pn_fragment_age(const struct pn_fragment_way *way, pn_u32 now)
{
    pn_u32 age = now - way->seen;
    return age < 0x80000000u ? age : 0;
}

/* The step that the first fragment passed with; 0: this one may not follow it. */
PN_INLINE pn_u32 pn_fragment_first_step(const struct pn_node *node, struct pn_fragment_bucket *bucket,
                                        const struct pn_fragment *fragment)
{
    pn_env_lock_fragments(bucket);
    PN_WRITE_ONCE(bucket->scratch, 0);
    PN_ROLLED
    for (pn_u32 i = 0; i < PN_FRAGMENT_WAYS; i++) {
        const struct pn_fragment_way *way = &bucket->ways[i];
        if (pn_fragment_same(way, fragment) && pn_fragment_age(way, fragment->now) < node->fragment_timeout &&
            (fragment->keep || way->epoch == fragment->epoch) && fragment->at >= way->end)
            PN_WRITE_ONCE(bucket->scratch, way->step);
    }
    pn_u32 step = (pn_u32)PN_READ_ONCE(bucket->scratch);
    pn_env_unlock_fragments(bucket);
    return step;
}

/* What was said of a first fragment, in place of what its key held before, else in the oldest way. */
PN_INLINE void pn_fragment_note(const struct pn_node *node, struct pn_fragment_bucket *bucket,
                                const struct pn_fragment *fragment)
{
    int allowed = pn_step_allows(fragment->step);
    pn_env_lock_fragments(bucket);
    /* How spare the best way so far is, and 3 - way: of equals the first (see pn_ct_open). */
    PN_WRITE_ONCE(bucket->scratch, 0);
    PN_ROLLED
    for (pn_u32 i = 0; i < PN_FRAGMENT_WAYS; i++) {
        const struct pn_fragment_way *way = &bucket->ways[i];
        pn_u32 spare = pn_fragment_age(way, fragment->now);
        if (way->step == 0 || spare >= node->fragment_timeout)
            spare = 0x80000000u;
        if (pn_fragment_same(way, fragment))
            spare = 0xffffffffu;
        pn_u64 candidate = ((pn_u64)spare << 2) | (PN_FRAGMENT_WAYS - 1 - i);
        if (candidate > PN_READ_ONCE(bucket->scratch))
            PN_WRITE_ONCE(bucket->scratch, candidate);
    }
    pn_u64 most = PN_READ_ONCE(bucket->scratch);
    struct pn_fragment_way *best = &bucket->ways[PN_FRAGMENT_WAYS - 1 - ((pn_u32)most & (PN_FRAGMENT_WAYS - 1))];
    int known = (pn_u32)(most >> 2) == 0xffffffffu;
    if (allowed) {
        best->key = fragment->key;
        best->epoch = fragment->epoch;
        best->seen = fragment->now;
        best->step = fragment->step;
        best->direction = fragment->direction;
        best->end = known && best->end > fragment->at ? best->end : fragment->at;
    } else if (known) {
        best->step = 0;
    }
    pn_env_unlock_fragments(bucket);
}

/* The final step of a fragment. */
PN_UNIT pn_u32 pn_fragment_step(struct pn_env *env, const struct pn_fragment *fragment)
{
    PN_KEEP(env);
    if (!fragment)
        return 0;
    const struct pn_node *node = pn_env_node(env);
    struct pn_fragment_bucket *bucket = pn_env_fragments(env, fragment->bucket);
    if (!node || !bucket)
        return fragment->step;
    if (!fragment->later) {
        pn_fragment_note(node, bucket, fragment);
        return fragment->step;
    }
    pn_u32 first = pn_fragment_first_step(node, bucket, fragment);
    return first ? first : fragment->step;
}

#endif
