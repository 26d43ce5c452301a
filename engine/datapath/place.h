/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Where the entry of a connection is: the key of a tuple, its bucket and its fingerprint. Touches no table,
 * so user space finds the place where a packet will look.
 */
#ifndef POSTERN_DATAPATH_PLACE_H
#define POSTERN_DATAPATH_PLACE_H

#include "engine/datapath/env.h"
#include "engine/datapath/parse.h"

/* Where the entry of a tuple is or would be. */
struct pn_ct_place {
    struct pn_ct_key key;
    pn_u32 bucket;
    pn_u16 fingerprint; /* never 0 */
    pn_u16 source_is_a; /* the tuple's source is the key's address_a */
};

PN_INLINE pn_u64 pn_ct_mix(pn_u64 hash)
{
    hash *= 0x9e3779b97f4a7c15ull;
    return hash ^ (hash >> 32);
}

PN_INLINE void pn_ct_locate(const struct pn_node *node, pn_u32 endpoint, const struct pn_tuple *tuple,
                            struct pn_ct_place *place)
{
    int a = pn_same_address(tuple->source, tuple->destination)
                ? tuple->source_port <= tuple->destination_port
                : pn_address_before(tuple->source, tuple->destination);
    place->source_is_a = a ? 1 : 0;
    place->key.address_a = a ? tuple->source : tuple->destination;
    place->key.address_b = a ? tuple->destination : tuple->source;
    place->key.port_a = a ? tuple->source_port : tuple->destination_port;
    place->key.port_b = a ? tuple->destination_port : tuple->source_port;
    place->key.endpoint_protocol = (endpoint << 8) | (tuple->protocol & 0xffu);

    /* The two addresses are mixed side by side, then joined with the rest. */
    pn_u64 secret = node->hash_secret;
    pn_u64 hash_a = pn_ct_mix(place->key.address_a.low ^ secret) + place->key.address_a.high;
    pn_u64 hash_b = pn_ct_mix(place->key.address_b.low + secret) ^ place->key.address_b.high;
    pn_u32 ports = ((pn_u32)place->key.port_a << 16) | place->key.port_b;
    pn_u64 hash = pn_ct_mix(hash_a ^ pn_pair(ports, place->key.endpoint_protocol));
    hash = pn_ct_mix(hash + hash_b);
    place->bucket = (pn_u32)hash & node->ct_mask;
    place->fingerprint = (pn_u16)(hash >> 48);
    if (place->fingerprint == 0)
        place->fingerprint = 1;
}

/* One question instead of five: each way of a bucket asks it. */
PN_INLINE int pn_ct_same(const struct pn_ct_key *key, const struct pn_ct_key *other)
{
    pn_u64 differs = (key->address_a.high ^ other->address_a.high) | (key->address_a.low ^ other->address_a.low);
    differs |= (key->address_b.high ^ other->address_b.high) | (key->address_b.low ^ other->address_b.low);
    differs |= (pn_u64)(key->port_a ^ other->port_a) | (pn_u64)(key->port_b ^ other->port_b);
    return (differs | (key->endpoint_protocol ^ other->endpoint_protocol)) == 0;
}

#endif
