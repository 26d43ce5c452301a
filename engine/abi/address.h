/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * An address of either family as one 128-bit number, so that nothing behind the parser asks for the
 * family. IPv4 a.b.c.d is ::ffff:a.b.c.d (RFC 4291, 2.5.5.2). No packet can borrow such a number: an
 * IPv6 header that carries one is malformed, and no block of IPv6 holds one (R36).
 */
#ifndef POSTERN_ABI_ADDRESS_H
#define POSTERN_ABI_ADDRESS_H

#include "engine/abi/types.h"

/* Host order: `high` holds the first eight bytes of the packet's sixteen. */
struct pn_address {
    pn_u64 high;
    pn_u64 low;
};
PN_ASSERT_SIZE(struct pn_address, 16);

#define PN_V4_PREFIX 0x0000ffff00000000ull /* of `low`; `high` is zero */

static inline struct pn_address pn_address_v4(pn_u32 host_order)
{
    struct pn_address address = {0, PN_V4_PREFIX | host_order};
    return address;
}

static inline int pn_is_v4(struct pn_address address)
{
    return address.high == 0 && (address.low >> 32) == (PN_V4_PREFIX >> 32);
}

static inline int pn_same_address(struct pn_address a, struct pn_address b)
{
    return ((a.high ^ b.high) | (a.low ^ b.low)) == 0;
}

static inline int pn_address_before(struct pn_address a, struct pn_address b)
{
    return a.high < b.high || (a.high == b.high && a.low < b.low);
}

#endif
