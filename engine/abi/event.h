/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the datapath tells user space about one packet. Fixed layout, no padding. */
#ifndef POSTERN_ABI_EVENT_H
#define POSTERN_ABI_EVENT_H

#include "engine/abi/types.h"
#include "engine/abi/verdict.h"

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
};
PN_ASSERT_SIZE(struct pn_event, 64);

#endif
