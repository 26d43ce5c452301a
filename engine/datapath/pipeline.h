/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The way of a packet: slot, record, parse, spoofed source, the pod itself, then connections and
 * policy in the order that the record names, then counter and events.
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
 * are older than the isolation are the business of seeding and grace (R40), whose place is marked below.
 */
#ifndef POSTERN_DATAPATH_PIPELINE_H
#define POSTERN_DATAPATH_PIPELINE_H

#include "engine/datapath/conntrack.h"
#include "engine/datapath/fragments.h"
#include "engine/datapath/policy.h"

/* A packet that no record judges passes with this step: allow, reason none. */
#define PN_STEP_NOT_JUDGED PN_STEP_ALLOW

/* A parsed packet at the door of its pod: plain data, so that the verifier looks at what follows once
 * and not for every way through the parser. */
struct pn_arrival {
    struct pn_packet packet;
    pn_u32 record;    /* of the pod */
    pn_u32 direction; /* enum pn_direction */
    pn_u32 ifindex;
    pn_u32 length; /* of the frame */
    pn_u32 opened; /* enum pn_ct_opening: whether this packet opened a tracked connection */
    pn_u32 monitored; /* set: somebody watches */
};

/* What is decided: the packet, and what it is decided by. */
struct pn_case {
    const struct pn_packet *packet;
    const struct pn_node *node;
    const struct pn_pod *pod;
    pn_u32 direction;
    pn_u32 now;
    pn_u32 epoch;  /* loaded before anything is decided */
    pn_u32 opened; /* as in pn_arrival */
};

/* One more, of so many bytes; returns how many there are now on this CPU. */
PN_INLINE pn_u32 pn_count(struct pn_env *env, pn_u32 index, pn_u32 bytes)
{
    struct pn_counter *counter = pn_env_counter(env, index);
    if (!counter)
        return 0;
    counter->bytes += bytes;
    return (pn_u32)(counter->packets += 1);
}

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

/* The connection goes on; `step` admitted it, at this packet or long ago. */
PN_INLINE void pn_continue_connection(struct pn_env *env, const struct pn_case *c,
                                      const struct pn_ct_place *place, const struct pn_ct_found *found,
                                      pn_u32 step)
{
    struct pn_ct_value fresh = {
        .epoch = c->epoch,
        .seen = c->now,
        .state = pn_ct_bits(c->packet->tcp_flags, found->from_opener),
        .step = step,
    };
    if (!pn_ct_says(&found->value, &fresh))
        pn_ct_store(env, place, found->way, &fresh);
}

PN_INLINE void pn_open_connection(struct pn_env *env, struct pn_case *c, const struct pn_ct_place *place,
                                  pn_u32 step)
{
    pn_u32 state = PN_CT_LIVE | pn_ct_bits(c->packet->tcp_flags, 1);
    if (c->direction == PN_EGRESS)
        state |= PN_CT_OPENER_EGRESS;
    if (place->source_is_a)
        state |= PN_CT_OPENER_IS_A;
    struct pn_ct_value value = {.epoch = c->epoch, .seen = c->now, .state = state, .step = step};
    c->opened = pn_ct_open(env, place, &value);
}

/* Whether an allowed packet without an entry may leave one. */
PN_INLINE int pn_may_open(const struct pn_case *c)
{
    if (c->packet->flags & PN_PACKET_ANSWERS)
        return 0;
    pn_u32 protocol = c->packet->tuple.protocol;
    return (protocol != PN_IP_TCP && protocol != PN_IP_SCTP) || (c->packet->flags & PN_PACKET_OPENS) ||
           pn_judged(c, c->direction);
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
    if (!pn_step_allows(step) && pn_related(env, c))
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
        struct pn_ct_value cut = {.epoch = c->epoch, .seen = c->now, .state = PN_CT_CUT, .step = step};
        pn_ct_store(env, &place, found.way, &cut);
    }
    pn_u32 step = pn_own_step(env, c);
    if (!pn_step_allows(step))
        return step;
    if (known) {
        if (found.from_opener)
            pn_continue_connection(env, c, &place, &found, step);
    } else if (tracked && pn_may_open(c)) {
        pn_open_connection(env, c, &place, step);
    }
    return step;
}

/* Policy first, in the judged direction. */
PN_INLINE pn_u32 pn_policy_first_judged(struct pn_env *env, const struct pn_case *c)
{
    struct pn_ct_place place;
    struct pn_ct_found found;
    pn_u32 step = pn_own_step(env, c);
    if (pn_step_allows(step))
        return step;
    if (!(c->packet->flags & PN_PACKET_TRACKED) || pn_never_profits(c->packet))
        return step;
    pn_ct_locate(c->node, c->pod->endpoint, &c->packet->tuple, &place);
    if (pn_find_connection(env, c, &place, &found) && !found.from_opener &&
        !(found.value.state & PN_CT_CUT)) {
        pn_continue_connection(env, c, &place, &found, found.value.step);
        return pn_step_allow(PN_REASON_ESTABLISHED, pn_step_rule(found.value.step));
    }
    /* Mid-flow grace (R40) comes here: TCP without SYN until pod->grace_until. */
    return step;
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
    if (!pn_never_profits(c->packet) && pn_find_connection(env, c, &place, &found) && found.from_opener)
        pn_continue_connection(env, c, &place, &found, step);
    else if (pn_may_open(c))
        pn_open_connection(env, c, &place, step);
    return step;
}

PN_PART pn_u32 pn_policy_first(struct pn_env *env, struct pn_case *c)
{
    return pn_judged(c, c->direction) ? pn_policy_first_judged(env, c) : pn_policy_first_other(env, c);
}

PN_INLINE int pn_is_own(const struct pn_pod *pod, struct pn_address address)
{
    if (pn_is_v4(address))
        return pod->v4 != 0 && (pn_u32)address.low == pod->v4;
    return (pod->v6.high | pod->v6.low) != 0 && pn_same_address(pod->v6, address);
}

/* An address that a pod has before it has one, or beside it: unspecified, or of its link (R16). */
PN_INLINE int pn_is_provisional(struct pn_address address)
{
    int unspecified = address.high == 0 && (address.low == 0 || address.low == PN_V4_PREFIX);
    return unspecified || address.high >> 54 == 0xfe80u >> 6;
}

/* A source that is not the pod's (R16). */
PN_INLINE int pn_is_spoofed(const struct pn_case *c)
{
    struct pn_address source = c->packet->tuple.source;
    return (c->pod->flags & PN_POD_SPOOF_CHECK) && c->direction == PN_EGRESS && pn_judged(c, PN_EGRESS) &&
           !pn_is_own(c->pod, source) && !pn_is_provisional(source);
}

PN_INLINE int pn_is_self(const struct pn_case *c)
{
    return pn_is_own(c->pod, c->packet->tuple.source) && pn_is_own(c->pod, c->packet->tuple.destination);
}

PN_INLINE pn_u32 pn_decide_case(struct pn_env *env, struct pn_case *c)
{
    pn_u32 kind = c->packet->kind;
    pn_u32 unjudged = pn_judged(c, c->direction) ? 0 : pn_step_allow(PN_REASON_NOT_ISOLATED, 0);
    if (kind == PN_KIND_ALWAYS)
        return pn_step_allow(PN_REASON_ALWAYS, 0);
    if (kind == PN_KIND_MALFORMED)
        return unjudged ? unjudged : pn_step_deny(PN_REASON_MALFORMED, 0);
    if (kind == PN_KIND_ETHERTYPE)
        return unjudged ? unjudged : pn_step_deny(PN_REASON_ETHERTYPE, 0);
    if (pn_is_spoofed(c))
        return pn_step_deny(PN_REASON_SPOOFED_SOURCE, 0);
    if (pn_is_self(c))
        return pn_step_allow(PN_REASON_SELF, 0);
    if (kind == PN_KIND_FRAGMENT)
        return unjudged ? unjudged : pn_step_deny(PN_REASON_FRAGMENT, 0);
    if (c->packet->flags & PN_PACKET_ERROR)
        return pn_error_step(env, c);
    if (c->pod->flags & PN_POD_CT_FIRST)
        return pn_connections_first(env, c);
    return pn_policy_first(env, c);
}

/* Of a fragment: `step` is what is said of a first one, and of a later one unless it may follow its first. A
 * spoofed source, and a direction that nobody judges, ask no table. */
PN_PART pn_u32 pn_fragment_case(struct pn_env *env, const struct pn_case *c, pn_u32 step)
{
    const struct pn_packet *packet = c->packet;
    pn_u32 later = (packet->flags & PN_PACKET_LATER) != 0;
    if (!pn_judged(c, c->direction) || (later && step != pn_step_deny(PN_REASON_FRAGMENT, 0)))
        return step;
    struct pn_fragment fragment = {
        .key = {
            .source = packet->tuple.source,
            .destination = packet->tuple.destination,
            .id = packet->fragment_id,
            .endpoint_protocol = (c->pod->endpoint << 8) | (packet->fragment_protocol & 0xffu),
        },
        .bucket = 0,
        .epoch = c->epoch,
        .now = c->now,
        .step = step,
        .direction = (pn_u16)c->direction,
        .at = packet->fragment_at,
        .later = (pn_u16)later,
        .keep = (pn_u16)(c->pod->flags & PN_POD_KEEP),
    };
    fragment.bucket = pn_fragment_bucket_of(c->node, &fragment.key);
    return pn_fragment_step(env, &fragment);
}

/* While the monitor is on. */
PN_INLINE pn_u32 pn_monitors(const struct pn_node *node, pn_u32 ifindex)
{
    pn_u32 wanted = PN_READ_ONCE(node->monitor_ifindex);
    return wanted == 0 || wanted == ifindex;
}

/* The final step of a packet. A record outside its table is a hole: closed. */
PN_UNIT pn_u32 pn_decide(struct pn_env *env, struct pn_arrival *arrival)
{
    PN_KEEP(env);
    if (!arrival)
        return 0;
    struct pn_case c;
    c.packet = &arrival->packet;
    c.node = pn_env_node(env);
    c.pod = pn_env_pod(env, arrival->record);
    c.direction = arrival->direction & 1u;
    c.opened = 0;
    if (!c.node || !c.pod)
        return 0;
    c.epoch = PN_READ_ONCE(c.node->epoch);
    c.now = pn_env_tick(env, c.node);
    pn_u32 step = pn_decide_case(env, &c);
    if (c.packet->flags & (PN_PACKET_FIRST | PN_PACKET_LATER))
        step = pn_fragment_case(env, &c, step);
    arrival->opened = c.opened;
    if (pn_is_monitored(PN_READ_ONCE(c.node->monitor_until), c.now))
        arrival->monitored = pn_monitors(c.node, arrival->ifindex);
    return step;
}

/* Whether the pod's flags ask for an event. */
PN_INLINE int pn_wants_event(const struct pn_pod *pod, const struct pn_arrival *arrival, pn_u32 step)
{
    if (pod->flags & PN_POD_EVENT_ALL)
        return 1;
    if (pn_step_allows(step))
        return (pod->flags & PN_POD_EVENT_NEW) && arrival->opened;
    return (pod->flags & PN_POD_EVENT_DENY) != 0;
}

/* As the packet had it; `bytes` is zeroed. */
PN_INLINE void pn_store_address(pn_u8 *bytes, struct pn_address address, pn_u32 family)
{
    pn_u32 words[4] = {
        pn_swap32((pn_u32)(address.high >> 32)),
        pn_swap32((pn_u32)address.high),
        pn_swap32((pn_u32)(address.low >> 32)),
        pn_swap32((pn_u32)address.low),
    };
    if (family == 4)
        __builtin_memcpy(bytes, &words[3], sizeof(words[3]));
    else
        __builtin_memcpy(bytes, words, sizeof(words));
}

/* Numbers an event and offers it to a ring: the attempt is counted first, then what became of it. */
PN_INLINE void pn_offer(struct pn_env *env, struct pn_event *event, enum pn_ring ring)
{
    int monitor = ring == PN_RING_MONITOR;
    event->sequence = pn_count(env, monitor ? PN_COUNTER_MONITOR : PN_COUNTER_EVENTS, event->length);
    if (pn_env_emit(env, event, ring))
        pn_count(env, monitor ? PN_COUNTER_MONITOR_LOST : PN_COUNTER_EVENTS_LOST, event->length);
}

PN_UNIT pn_u32 pn_report(struct pn_env *env, const struct pn_arrival *arrival, pn_u32 step)
{
    PN_KEEP(env);
    if (!arrival)
        return 0;
    const struct pn_pod *pod = pn_env_pod(env, arrival->record);
    if (!pod)
        return 0;
    int wanted = pn_wants_event(pod, arrival, step);
    if (!wanted && !arrival->monitored)
        return 0;
    const struct pn_packet *packet = &arrival->packet;
    const struct pn_tuple *tuple = &packet->tuple;
    int icmp = pn_is_icmp(tuple->protocol);
    struct pn_event event;
    __builtin_memset(&event, 0, sizeof(event));
    event.time_ns = pn_env_time_ns(env);
    event.ifindex = arrival->ifindex;
    event.endpoint = pod->endpoint;
    event.step = step;
    event.length = arrival->length;
    pn_store_address(event.source, tuple->source, packet->family);
    pn_store_address(event.destination, tuple->destination, packet->family);
    event.source_port = icmp ? (pn_u16)packet->icmp : pn_swap16(tuple->source_port);
    event.destination_port = pn_swap16(tuple->destination_port);
    event.direction = (pn_u8)arrival->direction;
    event.family = (pn_u8)packet->family;
    event.protocol = (pn_u8)tuple->protocol;
    event.tcp_flags = (pn_u8)packet->tcp_flags;
    event.cpu = pn_env_cpu(env);
    if (wanted)
        pn_offer(env, &event, PN_RING_EVENTS);
    if (arrival->monitored)
        pn_offer(env, &event, PN_RING_MONITOR);
    return 1;
}

/* Connections that got an entry, where few packets come by: the stack of who opens them is full. */
PN_UNIT pn_u32 pn_count_opening(struct pn_env *env, pn_u32 opening)
{
    PN_KEEP(env);
    pn_count(env, PN_COUNTER_OPENED, 0);
    if (opening == PN_CT_OPENED_BY_EVICTION)
        pn_count(env, PN_COUNTER_EVICTED, 0);
    return opening;
}

/* Whether bytes that are not readable yet could make more of the packet. */
PN_INLINE int pn_is_cut(const struct pn_packet *packet)
{
    return packet->kind == PN_KIND_MALFORMED ||
           (packet->kind == PN_KIND_FRAGMENT && !(packet->flags & PN_PACKET_LATER)) ||
           (packet->flags & (PN_PACKET_ERROR | PN_PACKET_QUOTES)) == PN_PACKET_ERROR;
}

/* The final step of a frame whose slot judges. */
PN_INLINE pn_u32 pn_judge(struct pn_env *env, struct pn_frame *frame, pn_u64 slot)
{
    struct pn_arrival arrival;
    pn_parse(frame->data, frame->end, frame->length, &arrival.packet);
    if (pn_is_cut(&arrival.packet) && pn_env_more(env, frame))
        pn_parse(frame->data, frame->end, frame->length, &arrival.packet);
    arrival.record = pn_slot_record(slot);
    arrival.direction = frame->direction;
    arrival.ifindex = frame->ifindex;
    arrival.length = frame->length;
    arrival.opened = 0;
    arrival.monitored = 0;
    pn_u32 step = pn_decide(env, &arrival);
    pn_count(env, pn_counter_index(frame->direction, pn_step_reason(step)), frame->length);
    if (arrival.opened != PN_CT_NOT_OPENED)
        pn_count_opening(env, arrival.opened);
    const struct pn_pod *pod = pn_env_pod(env, arrival.record);
    if (pod && ((pod->flags & PN_POD_EVENTS) | arrival.monitored))
        pn_report(env, &arrival, step);
    return step;
}

/* The slot word of an interface; 0: it has none. */
PN_INLINE pn_u64 pn_find_slot(struct pn_env *env, pn_u32 ifindex)
{
    const pn_u64 *slot = pn_env_slot(env, ifindex & (PN_SLOTS - 1));
    pn_u64 word = slot ? PN_READ_ONCE(*slot) : 0;
    if (pn_slot_ifindex(word) == ifindex)
        return word;
    slot = pn_env_slot_far(env, ifindex);
    return slot ? PN_READ_ONCE(*slot) : 0;
}

/* An interface without a slot: open, unless the node is strict (R25). */
PN_INLINE pn_u32 pn_without_slot(struct pn_env *env, const struct pn_frame *frame)
{
    const struct pn_node *node = pn_env_node(env);
    if (!node || !(PN_READ_ONCE(node->flags) & PN_NODE_STRICT))
        return PN_STEP_NOT_JUDGED;
    pn_count(env, pn_counter_index(frame->direction, PN_REASON_STRICT), frame->length);
    return pn_step_deny(PN_REASON_STRICT, 0);
}

/* An unjudged pod's packets are not even parsed. */
PN_INLINE int pn_slot_judges(pn_u64 slot) { return (slot & PN_SLOT_JUDGE) != 0; }

#endif
