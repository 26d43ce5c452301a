/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Connections and policy, in the order that the pod's record names.
 *
 * Connections first: both directions are judged, or established flows are kept, or new flows are
 * logged. Every allowed flow has an entry, which is also the cache of its decision.
 *
 * Policy first: exactly one direction D is judged. What policy admits in D needs no state, nor do
 * its replies. Only what the pod opens in the other direction O, and whose replies D would deny,
 * leaves an entry.
 *
 * A connection is only opened by a packet that may be its first. Where a direction is judged, policy
 * admits an opener, with or without SYN: a flow whose entry was lost goes on (R39). Where it is not,
 * a TCP packet without SYN (SCTP: without INIT) opens nothing: else the retransmissions of a server
 * would bring back to life every connection that D has just stopped admitting (R14). Connections that
 * are older than the isolation come from the node's own conntrack, or pass by grace (R40).
 */
#ifndef POSTERN_DATAPATH_CONNECTIONS_H
#define POSTERN_DATAPATH_CONNECTIONS_H

#include "engine/datapath/conntrack.h"
#include "engine/datapath/policy.h"

/* What is decided: the packet, and what it is decided by. */
struct pn_case {
    const struct pn_packet *packet;
    const struct pn_node *node;
    const struct pn_pod *pod;
    pn_u32 direction;
    pn_u32 now;
    pn_u32 epoch;  /* loaded before anything is decided */
    pn_u32 opened; /* as in pn_arrival */
    struct pn_ct_value entry; /* what is about to be written; here, since stacks are small */
};

PN_INLINE pn_u32 pn_opposite(pn_u32 direction) { return direction ^ 1u; }

PN_INLINE const struct pn_pod_dir *pn_dir(const struct pn_case *c, pn_u32 direction)
{
    return &c->pod->dir[direction & 1u];
}

PN_INLINE int pn_judged(const struct pn_case *c, pn_u32 direction)
{
    return (pn_dir(c, direction)->flags & PN_DIR_JUDGED) != 0;
}

/* TCP and SCTP openers never profit from an entry: the port may be used again (tables, port reuse).
 * An echo request does, from its own. */
PN_INLINE int pn_never_profits(const struct pn_packet *packet)
{
    return (packet->flags & PN_PACKET_OPENS) && !pn_is_icmp(packet->tuple.protocol);
}

/* A TCP SYN, without ACK. */
PN_INLINE int pn_is_syn(const struct pn_packet *packet)
{
    return (packet->flags & PN_PACKET_OPENS) && packet->tuple.protocol == PN_IP_TCP;
}

/* What policy says of the connection that a tuple belongs to, in its opener's direction. `direction`
 * is that of the packet with this tuple, which comes from the opener or from the other side. */
PN_PART pn_u32 pn_opener_step(struct pn_env *env, const struct pn_case *c, const struct pn_tuple *tuple,
                              pn_u32 direction, pn_u32 from_opener)
{
    pn_u32 opener_direction = from_opener ? direction : pn_opposite(direction);
    if (!pn_judged(c, opener_direction))
        return pn_step_allow(PN_REASON_NOT_ISOLATED, 0);
    struct pn_question question = {
        .peer = direction == PN_EGRESS ? tuple->destination : tuple->source,
        .port = pn_swap16(from_opener ? tuple->destination_port : tuple->source_port),
        .protocol = (pn_u16)tuple->protocol,
        .pad = 0,
    };
    return pn_policy_step(env, pn_dir(c, opener_direction), &question);
}

/* A packet as the first of its connection: what most packets ask, so it is not a call. */
PN_INLINE pn_u32 pn_own_step(struct pn_env *env, const struct pn_case *c)
{
    const struct pn_pod_dir *dir = pn_dir(c, c->direction);
    if (!(dir->flags & PN_DIR_JUDGED))
        return pn_step_allow(PN_REASON_NOT_ISOLATED, 0);
    struct pn_question question = {
        .peer = c->direction == PN_EGRESS ? c->packet->tuple.destination : c->packet->tuple.source,
        .port = pn_swap16(c->packet->tuple.destination_port),
        .protocol = (pn_u16)c->packet->tuple.protocol,
        .pad = 0,
    };
    return pn_policy_step(env, dir, &question);
}

/* The same where few packets ask, and the stack of who asks is full. */
PN_PART pn_u32 pn_own_step_apart(struct pn_env *env, const struct pn_case *c) { return pn_own_step(env, c); }

/* Finds the live entry that this packet belongs to. */
PN_INLINE int pn_find_connection(struct pn_env *env, const struct pn_case *c, const struct pn_ct_place *place,
                                 struct pn_ct_found *found)
{
    if (!pn_ct_find(env, place, c->now, found) || !pn_ct_belongs(found, place, c->direction))
        return 0;
    if (!pn_is_icmp(c->packet->tuple.protocol))
        return 1;
    return found->from_opener == ((c->packet->flags & PN_PACKET_OPENS) ? 1u : 0u);
}

/* What a packet of now writes. */
PN_INLINE void pn_set_entry(struct pn_case *c, pn_u32 state, pn_u32 step)
{
    c->entry.epoch = c->epoch;
    c->entry.seen = c->now;
    c->entry.state = state;
    c->entry.step = step;
}

/* The connection goes on; `step` admitted it, at this packet or long ago. */
PN_INLINE void pn_continue_connection(struct pn_env *env, struct pn_case *c, const struct pn_ct_place *place,
                                      const struct pn_ct_found *found, pn_u32 step)
{
    pn_set_entry(c, pn_ct_bits(found->value.state, c->packet, found->from_opener), step);
    if (!pn_ct_says(&found->value, &c->entry))
        pn_ct_store(env, place, found->way, &c->entry);
}

/* `from_opener`: by the packet's sender; else by its receiver, whose answer this packet is. */
PN_PART void pn_open_connection(struct pn_env *env, struct pn_case *c, const struct pn_ct_place *place,
                                  pn_u32 step, pn_u32 from_opener)
{
    pn_u32 state = PN_CT_LIVE | pn_ct_bits(0, c->packet, from_opener);
    if ((c->direction == PN_EGRESS ? 1u : 0u) == from_opener)
        state |= PN_CT_OPENER_EGRESS;
    if (place->source_is_a == from_opener)
        state |= PN_CT_OPENER_IS_A;
    pn_set_entry(c, state, step);
    c->opened = pn_ct_open(env, place, &c->entry);
}

/* A TCP SYN that policy admits, where an entry of its tuple may be. A connection that has ended or was never
 * answered gives way to the new one. One that lives stays as it is: its other side answers with a SYN-ACK
 * only if it has lost it, and then it starts anew; a forged SYN is answered otherwise and changes nothing. */
PN_PART void pn_open_by_syn(struct pn_env *env, struct pn_case *c, const struct pn_ct_place *place,
                              struct pn_ct_found *found, pn_u32 step)
{
    if (pn_ct_find(env, place, c->now, found) && pn_ct_belongs(found, place, c->direction) && found->from_opener &&
        pn_ct_established(found->value.state)) {
        pn_set_entry(c, PN_CT_SYN_AGAIN, step);
        pn_ct_store(env, place, found->way, &c->entry);
    } else {
        pn_open_connection(env, c, place, step, 1);
    }
}

/* Whether the packet may be of a connection that is older than its pod's isolation, of which nobody could
 * tell this node (R40). */
PN_INLINE int pn_in_grace(const struct pn_case *c)
{
    pn_u32 until = c->pod->grace_until;
    return until != 0 && c->packet->tuple.protocol == PN_IP_TCP && !(c->packet->tcp_flags & PN_TCP_SYN) &&
           until - c->now - 1u < 0x7fffffffu;
}

/* A packet that policy denies as an opener's: in the time of grace it passes for an answer, if policy lets the
 * other side open. Then it leaves an entry, so that the connection outlives that time. */
PN_PART pn_u32 pn_grace_step(struct pn_env *env, struct pn_case *c, const struct pn_ct_place *place, pn_u32 denied)
{
    if (!pn_in_grace(c))
        return denied;
    pn_u32 step = pn_opener_step(env, c, &c->packet->tuple, c->direction, 0);
    if (!pn_step_allows(step))
        return denied;
    if (!(c->packet->flags & PN_PACKET_ANSWERS))
        pn_open_connection(env, c, place, step, 0);
    return pn_step_allow(PN_REASON_GRACE, 0);
}

/* Whether an allowed packet without an entry may leave one. */
PN_INLINE int pn_may_open(const struct pn_case *c)
{
    if (c->packet->flags & PN_PACKET_ANSWERS)
        return 0;
    pn_u32 protocol = c->packet->tuple.protocol;
    return (protocol != PN_IP_TCP && protocol != PN_IP_SCTP) || (c->packet->flags & PN_PACKET_OPENS) ||
           pn_judged(c, c->direction) || pn_in_grace(c);
}

/* ICMP errors (R17): related if the quoted packet, which went the other way, is of a live connection,
 * or of one that policy admits without an entry. */
PN_PART int pn_related(struct pn_env *env, const struct pn_case *c)
{
    const struct pn_tuple *quote = &c->packet->quote;
    pn_u32 direction = pn_opposite(c->direction);
    struct pn_ct_place place;
    struct pn_ct_found found;
    if (!(c->packet->flags & PN_PACKET_QUOTES) ||
        !pn_same_address(quote->source, c->packet->tuple.destination))
        return 0;
    pn_ct_locate(c->node, c->pod->endpoint, quote, &place);
    if (pn_ct_find(env, &place, c->now, &found) && pn_ct_belongs(&found, &place, direction) &&
        !(found.value.state & PN_CT_CUT)) {
        if ((c->pod->flags & PN_POD_KEEP) || found.value.epoch == c->epoch)
            return 1;
        return pn_step_allows(pn_opener_step(env, c, quote, direction, found.from_opener));
    }
    if (c->pod->flags & PN_POD_CT_FIRST)
        return 0;
    /* The quoted packet as the reply of a connection opened in this direction. */
    return pn_step_allows(pn_opener_step(env, c, quote, direction, 0));
}

/* An ICMP error belongs to no connection of its own. */
PN_INLINE pn_u32 pn_error_step(struct pn_env *env, const struct pn_case *c)
{
    pn_u32 step = pn_own_step(env, c);
    if ((!pn_step_allows(step) || pn_step_reason(step) == PN_REASON_WOULD_DENY) && pn_related(env, c))
        return pn_step_allow(PN_REASON_RELATED, 0);
    return step;
}

PN_PART pn_u32 pn_connections_first(struct pn_env *env, struct pn_case *c)
{
    struct pn_ct_place place;
    struct pn_ct_found found;
    int tracked = (c->packet->flags & PN_PACKET_TRACKED) != 0;
    int known = 0;
    if (tracked) {
        pn_ct_locate(c->node, c->pod->endpoint, &c->packet->tuple, &place);
        if (!pn_never_profits(c->packet))
            known = pn_find_connection(env, c, &place, &found);
    }
    if (known && !(found.value.state & PN_CT_CUT)) {
        pn_u32 step = found.value.step;
        if (!(c->pod->flags & PN_POD_KEEP) && found.value.epoch != c->epoch)
            step = pn_opener_step(env, c, &c->packet->tuple, c->direction, found.from_opener);
        if (pn_step_allows(step)) {
            pn_continue_connection(env, c, &place, &found, step);
            return pn_step_allow(PN_REASON_ESTABLISHED, pn_step_rule(step));
        }
        /* Cut. The entry stays and says who opened: what the other side still sends is judged as
         * new, and must not pass for the opener of the connection that was just forbidden. */
        pn_set_entry(c, PN_CT_CUT, step);
        pn_ct_store(env, &place, found.way, &c->entry);
    }
    pn_u32 step = pn_own_step_apart(env, c);
    if (!pn_step_allows(step))
        return tracked && !known ? pn_grace_step(env, c, &place, step) : step;
    if (known) {
        if (found.from_opener)
            pn_continue_connection(env, c, &place, &found, step);
    } else if (tracked && pn_is_syn(c->packet)) {
        pn_open_by_syn(env, c, &place, &found, step);
    } else if (tracked && pn_may_open(c)) {
        pn_open_connection(env, c, &place, step, 1);
    }
    return step;
}

/* Policy first, in the judged direction. */
PN_INLINE pn_u32 pn_policy_first_judged(struct pn_env *env, struct pn_case *c)
{
    struct pn_ct_place place;
    struct pn_ct_found found;
    pn_u32 step = pn_own_step(env, c);
    if (pn_step_allows(step))
        return step;
    if (!(c->packet->flags & PN_PACKET_TRACKED) || pn_never_profits(c->packet))
        return step;
    pn_ct_locate(c->node, c->pod->endpoint, &c->packet->tuple, &place);
    int known = pn_find_connection(env, c, &place, &found);
    if (known && !found.from_opener && !(found.value.state & PN_CT_CUT)) {
        pn_continue_connection(env, c, &place, &found, found.value.step);
        return pn_step_allow(PN_REASON_ESTABLISHED, pn_step_rule(found.value.step));
    }
    return known ? step : pn_grace_step(env, c, &place, step);
}

/* Policy first, in the other direction: everything passes, but what would get no answer leaves an
 * entry. */
PN_INLINE pn_u32 pn_policy_first_other(struct pn_env *env, struct pn_case *c)
{
    struct pn_ct_place place;
    struct pn_ct_found found;
    pn_u32 step = pn_step_allow(PN_REASON_NOT_ISOLATED, 0);
    if (!(c->packet->flags & PN_PACKET_TRACKED))
        return step;
    if (pn_step_allows(pn_opener_step(env, c, &c->packet->tuple, c->direction, 0)))
        return step;
    pn_ct_locate(c->node, c->pod->endpoint, &c->packet->tuple, &place);
    if (pn_is_syn(c->packet))
        pn_open_by_syn(env, c, &place, &found, step);
    else if (!pn_never_profits(c->packet) && pn_find_connection(env, c, &place, &found) && found.from_opener)
        pn_continue_connection(env, c, &place, &found, step);
    else if (pn_may_open(c))
        pn_open_connection(env, c, &place, step, 1);
    return step;
}

PN_PART pn_u32 pn_policy_first(struct pn_env *env, struct pn_case *c)
{
    return pn_judged(c, c->direction) ? pn_policy_first_judged(env, c) : pn_policy_first_other(env, c);
}

#endif
