/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the datapath tells user space about one packet. Fixed layout, no padding.
 *
 * There are two rings: the node's events, as the flags of each pod ask for them, and those of a monitor
 * that somebody watches for a while (struct pn_node). A packet may go to both. Each ring numbers what
 * it is offered, by CPU and from 1 up, before it is known whether there is room: a gap in the numbers
 * of a CPU is what was lost.
 */
#ifndef POSTERN_ABI_EVENT_H
#define POSTERN_ABI_EVENT_H

#include "engine/abi/types.h"
#include "engine/abi/verdict.h"

enum pn_ring {
    PN_RING_EVENTS = 0,
    PN_RING_MONITOR = 1,
};

struct pn_event {
    pn_u64 time_ns;     /* monotonic clock of the node */
    pn_u32 ifindex;
    pn_u32 endpoint;
    pn_u32 step;        /* the final step: verdict, reason, rule */
    pn_u32 length;      /* bytes of the whole frame */
    pn_u8 source[16];   /* IPv4 in the first four bytes, network order */
    pn_u8 destination[16];
    pn_u16 source_port;      /* host order; ICMP: type << 8 | code */
    pn_u16 destination_port; /* host order; ICMP: id of an echo, else 0 */
    pn_u8 direction;    /* enum pn_direction */
    pn_u8 family;       /* 4, 6, or 0 when not IP */
    pn_u8 protocol;     /* IP protocol */
    pn_u8 tcp_flags;
    pn_u32 sequence;    /* of this ring and CPU; goes on at 0 behind 2^32 - 1 */
    pn_u32 cpu;
};
PN_ASSERT_SIZE(struct pn_event, 72);
PN_ASSERT_OFFSET(struct pn_event, source, 24);
PN_ASSERT_OFFSET(struct pn_event, source_port, 56);
PN_ASSERT_OFFSET(struct pn_event, direction, 60);
PN_ASSERT_OFFSET(struct pn_event, sequence, 64);

#endif
