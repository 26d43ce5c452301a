/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Connection tracking: one key for both directions of a connection, eight ways to a bucket.
 * A key belongs to one endpoint, so two pods that see one 5-tuple have an entry each.
 */
#ifndef POSTERN_ABI_CONNTRACK_H
#define POSTERN_ABI_CONNTRACK_H

#include "engine/abi/address.h"
#include "engine/abi/types.h"

#ifdef __bpf__
#include <linux/bpf.h>
#define pn_lock struct bpf_spin_lock /* no typedef: the kernel finds the lock by its struct */
#else
typedef struct { pn_u32 value; } pn_lock;
#endif

/* The smaller (address, port) pair is `a`, so both directions meet. ICMP echo: both ports are the id. */
struct pn_ct_key {
    struct pn_address address_a;
    struct pn_address address_b;
    pn_u16 port_a;            /* network order */
    pn_u16 port_b;
    pn_u32 endpoint_protocol; /* EndpointId << 8 | IP protocol */
};
PN_ASSERT_SIZE(struct pn_ct_key, 40);

enum pn_ct_state {
    PN_CT_OPENER_EGRESS = 1u << 0, /* the pod itself opened it; clear: the peer did */
    PN_CT_OPENER_IS_A = 1u << 1,   /* the opener is the key's (address_a, port_a) */
    PN_CT_REPLIED = 1u << 2,
    PN_CT_FIN_OPENER = 1u << 3,
    PN_CT_FIN_REPLIER = 1u << 4,
    PN_CT_RST = 1u << 5,
    PN_CT_CUT = 1u << 6,           /* judged again and denied: carries nothing until its opener is allowed again */
    PN_CT_NODE_HAD = 1u << 7,      /* clean-up found it in the node's nf_conntrack; packets leave the bit alone */
    PN_CT_ACKED_OPENER = 1u << 8,  /* TCP: the opener has acknowledged something, see below */
    PN_CT_ACKED_REPLIER = 1u << 9,
    PN_CT_LIVE = 1u << 30,         /* set in every used way */
};
/* One more, which no enumerator of C holds. TCP: the opener sent a SYN into the live connection; a SYN-ACK
 * of the other side starts it anew. */
#define PN_CT_SYN_AGAIN 0x80000000u

/*
 * TCP: the upper bits of the last acknowledgement number of each side, of which its ACKED bit says that
 * there is one. They tell a RST or FIN that may be the other side's from one that cannot. A unit is 4 MiB,
 * so that most packets change nothing.
 */
#define PN_CT_SPACE_BITS 10
#define PN_CT_SPACE_UNIT_SHIFT (32 - PN_CT_SPACE_BITS)
#define PN_CT_SPACE_MASK ((1u << PN_CT_SPACE_BITS) - 1)
#define PN_CT_SPACE_OPENER_SHIFT 10
#define PN_CT_SPACE_REPLIER_SHIFT 20

struct pn_ct_value {
    pn_u32 epoch; /* of the last judgement */
    pn_u32 seen;  /* tick of the last packet */
    pn_u32 state; /* enum pn_ct_state; 0 = free way */
    pn_u32 step;  /* the final step that admitted it */
};
PN_ASSERT_SIZE(struct pn_ct_value, 16);

/* Clean-up retires an entry by making it idle for this many ticks: longer than any timeout, so that no
 * packet finds it alive, and short of where ticks wrap. A packet that had found it just before writes its
 * own tick, and the entry lives on. */
#define PN_CT_RETIRED_IDLE (1u << 30)

struct pn_ct_way {
    struct pn_ct_key key;
    struct pn_ct_value value;
};
PN_ASSERT_SIZE(struct pn_ct_way, 56);

#define PN_CT_WAYS 8

struct pn_ct_bucket {
    pn_lock lock;
    pn_u32 evicted; /* live entries pushed out of this bucket */
    pn_u64 scratch; /* of who holds the lock; means nothing to others */
    pn_u16 fingerprints[PN_CT_WAYS]; /* 0 = free */
    struct pn_ct_way ways[PN_CT_WAYS];
};
PN_ASSERT_SIZE(struct pn_ct_bucket, 480);
PN_ASSERT_OFFSET(struct pn_ct_bucket, ways, 32);

#endif
