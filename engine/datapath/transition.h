/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a packet makes of the state of its connection. Touches no table.
 *
 * A RST or FIN counts only if its sequence number is plausible, for which an entry remembers whereabouts each
 * side has last acknowledged. Most packets change nothing of an entry, and so write nothing.
 */
#ifndef POSTERN_DATAPATH_TRANSITION_H
#define POSTERN_DATAPATH_TRANSITION_H

#include "engine/datapath/env.h"
#include "engine/datapath/parse.h"

/* Whether a RST or FIN may be of the side that it says it is of: its sequence number lies where the other
 * side has last acknowledged, or up to a unit further. What the other side has acknowledged nobody but it
 * can say, so who only knows the ports has to guess. As long as it has not, anything is plausible. */
PN_INLINE int pn_ct_plausible(pn_u32 state, pn_u32 sequence, pn_u32 from_opener)
{
    pn_u32 known = from_opener ? PN_CT_ACKED_REPLIER : PN_CT_ACKED_OPENER;
    pn_u32 acked = state >> (from_opener ? PN_CT_SPACE_REPLIER_SHIFT : PN_CT_SPACE_OPENER_SHIFT);
    /* Whose SYN came into a live connection has left it, and may be told that there is none. */
    if (!(state & known) || (!from_opener && (state & PN_CT_SYN_AGAIN)))
        return 1;
    return ((sequence - acked) & PN_CT_SPACE_MASK) <= 1;
}

/* The state bits that a TCP packet adds to an entry. A RST is no answer that a connection is open. */
PN_INLINE pn_u32 pn_ct_tcp_bits(pn_u32 state, const struct pn_packet *packet, pn_u32 from_opener)
{
    pn_u32 flags = packet->tcp_flags;
    pn_u32 bits = from_opener || (flags & PN_TCP_RST) ? 0 : (pn_u32)PN_CT_REPLIED;
    if ((flags & (PN_TCP_ACK | PN_TCP_RST)) == PN_TCP_ACK) {
        pn_u32 space = packet->tcp_space & PN_CT_SPACE_MASK;
        bits |= from_opener ? PN_CT_ACKED_OPENER | space << PN_CT_SPACE_OPENER_SHIFT
                           : PN_CT_ACKED_REPLIER | space << PN_CT_SPACE_REPLIER_SHIFT;
    }
    if ((flags & PN_TCP_SYN) && !from_opener && (state & PN_CT_SYN_AGAIN))
        bits |= PN_CT_LIVE | (state & (PN_CT_OPENER_EGRESS | PN_CT_OPENER_IS_A));
    if (!(flags & (PN_TCP_FIN | PN_TCP_RST)) || !pn_ct_plausible(state, packet->tcp_space >> 16, from_opener))
        return bits;
    if (flags & PN_TCP_FIN)
        bits |= from_opener ? PN_CT_FIN_OPENER : PN_CT_FIN_REPLIER;
    if (flags & PN_TCP_RST)
        bits |= PN_CT_RST;
    return bits;
}

/* The state bits that a packet adds to an entry. */
PN_INLINE pn_u32 pn_ct_bits(pn_u32 state, const struct pn_packet *packet, pn_u32 from_opener)
{
    if (packet->tcp_flags)
        return pn_ct_tcp_bits(state, packet, from_opener);
    return from_opener ? 0 : (pn_u32)PN_CT_REPLIED;
}

/* The state bits that go when these are added. With PN_CT_LIVE the connection starts anew. An
 * acknowledgement takes the place of the one before it, and says that a RST before it was not believed: a
 * forged one that happened to be plausible ends nothing that goes on. */
PN_INLINE pn_u32 pn_ct_clears(pn_u32 added)
{
    if (added & PN_CT_LIVE)
        return ~0u;
    pn_u32 clears = PN_CT_CUT;
    if (added & PN_CT_ACKED_OPENER)
        clears |= PN_CT_RST | PN_CT_SYN_AGAIN | PN_CT_SPACE_MASK << PN_CT_SPACE_OPENER_SHIFT;
    if (added & PN_CT_ACKED_REPLIER)
        clears |= PN_CT_RST | PN_CT_SPACE_MASK << PN_CT_SPACE_REPLIER_SHIFT;
    return clears;
}

PN_INLINE pn_u32 pn_ct_merged(pn_u32 state, pn_u32 added) { return (state & ~pn_ct_clears(added)) | added; }

#endif
