/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * How long a tracked connection lives: which timeout its state has (R25b), and whether an entry is
 * still alive at a tick. Touches no table, so user space asks the same question of what it reads back.
 *
 * An entry is alive while it has been idle for fewer ticks than its timeout. Ticks are whole: it ends
 * between one tick before the timeout and the timeout itself.
 */
#ifndef POSTERN_DATAPATH_LIFETIME_H
#define POSTERN_DATAPATH_LIFETIME_H

#include "engine/datapath/env.h"
#include "engine/datapath/parse.h"

/* enum pn_timeout of an entry (R25b). */
PN_INLINE pn_u32 pn_ct_timeout(pn_u32 protocol, pn_u32 state)
{
    pn_u32 fins = state & (PN_CT_FIN_OPENER | PN_CT_FIN_REPLIER);
    if (protocol == PN_IP_UDP)
        return (state & PN_CT_REPLIED) ? PN_TIMEOUT_UDP_REPLIED : PN_TIMEOUT_UDP;
    if (protocol == PN_IP_SCTP)
        return PN_TIMEOUT_SCTP;
    if (pn_is_icmp(protocol))
        return PN_TIMEOUT_ICMP;
    if (state & PN_CT_RST)
        return PN_TIMEOUT_TCP_RST;
    if (fins == (PN_CT_FIN_OPENER | PN_CT_FIN_REPLIER))
        return PN_TIMEOUT_TCP_CLOSED;
    if (fins != 0)
        return PN_TIMEOUT_TCP_FIN;
    return (state & PN_CT_REPLIED) ? PN_TIMEOUT_TCP_ESTABLISHED : PN_TIMEOUT_TCP_SYN;
}

/* TCP: answered, and nobody has said yet that it ends. */
PN_INLINE int pn_ct_established(pn_u32 state)
{
    return (state & (PN_CT_REPLIED | PN_CT_FIN_OPENER | PN_CT_FIN_REPLIER | PN_CT_RST | PN_CT_CUT)) == PN_CT_REPLIED;
}

/* Ticks since the last packet. Another CPU may be a tick ahead: that is no age, not a huge one. */
PN_INLINE pn_u32 pn_ct_idle(const struct pn_ct_value *value, pn_u32 now)
{
    pn_u32 idle = now - value->seen;
    return idle < 0x80000000u ? idle : 0;
}

PN_INLINE int pn_ct_live(const struct pn_node *node, const struct pn_ct_value *value, pn_u32 protocol,
                         pn_u32 now)
{
    pn_u32 timeout = pn_ct_timeout(protocol, value->state);
    return value->state != 0 && timeout < PN_TIMEOUT_COUNT &&
           pn_ct_idle(value, now) < node->timeouts[timeout];
}

#endif
