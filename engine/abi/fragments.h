/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Fragments: what was said of the first fragment of a datagram, so that the later ones can follow it
 * (R19). Four ways to a bucket; a key belongs to one endpoint and one direction. Only first fragments
 * that were let through have a way, so who is denied cannot fill the table.
 */
#ifndef POSTERN_ABI_FRAGMENTS_H
#define POSTERN_ABI_FRAGMENTS_H

#include "engine/abi/address.h"
#include "engine/abi/conntrack.h"
#include "engine/abi/types.h"

struct pn_fragment_key {
    struct pn_address source;
    struct pn_address destination;
    pn_u32 id;                /* as it stands in the packet */
    pn_u32 endpoint_protocol; /* EndpointId << 8 | protocol, as the IPv4 or fragment header names it */
};
PN_ASSERT_SIZE(struct pn_fragment_key, 40);

struct pn_fragment_way {
    struct pn_fragment_key key;
    pn_u32 epoch;      /* of the judgement */
    pn_u32 seen;       /* tick of the first fragment */
    pn_u32 step;       /* that let it through; 0 = free way */
    pn_u16 direction;  /* enum pn_direction */
    pn_u16 end;        /* of the first fragment, in bytes of the datagram: later ones begin here or behind */
};
PN_ASSERT_SIZE(struct pn_fragment_way, 56);

#define PN_FRAGMENT_WAYS 4

/* Read and written under the lock. */
struct pn_fragment_bucket {
    pn_lock lock;
    pn_u32 pad;
    pn_u64 scratch; /* of who holds the lock; means nothing to others */
    struct pn_fragment_way ways[PN_FRAGMENT_WAYS];
};
PN_ASSERT_SIZE(struct pn_fragment_bucket, 240);

#endif
