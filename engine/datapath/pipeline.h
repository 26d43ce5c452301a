/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The way of a packet: slot, record, parse, spoofed source, the pod itself, then connections and
 * policy in the order that the record names (connections.h), then counter and events.
 */
#ifndef POSTERN_DATAPATH_PIPELINE_H
#define POSTERN_DATAPATH_PIPELINE_H

#include "engine/datapath/connections.h"
#include "engine/datapath/fragments.h"

/* A packet that no record judges passes with this step: allow, reason none. */
#define PN_STEP_NOT_JUDGED PN_STEP_ALLOW

/* A parsed packet at the door of its pod: plain data, so that the verifier looks at what follows once
 * and not for every way through the parser. */
struct pn_arrival {
    struct pn_packet packet;
    pn_u32 record; /* of the pod */
    pn_u32 ifindex;
    pn_u32 length;    /* of the frame */
    pn_u8 direction;  /* enum pn_direction */
    pn_u8 monitored;  /* set: somebody watches */
    pn_u16 opened;    /* enum pn_ct_opening: whether this packet opened a tracked connection */
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
    if (!pn_step_allows(step) && (pn_dir(&c, c.direction)->flags & PN_DIR_AUDIT))
        step = pn_step_would_deny(step);
    arrival->opened = (pn_u16)c.opened;
    if (pn_is_monitored(PN_READ_ONCE(c.node->monitor_until), c.now))
        arrival->monitored = (pn_u8)pn_monitors(c.node, arrival->ifindex);
    return step;
}

/* Whether the pod's flags ask for an event. What would be denied is of interest like what is. */
PN_INLINE int pn_wants_event(const struct pn_pod *pod, const struct pn_arrival *arrival, pn_u32 step)
{
    if (pod->flags & PN_POD_EVENT_ALL)
        return 1;
    if (pn_step_allows(step) && pn_step_reason(step) != PN_REASON_WOULD_DENY)
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
    event.direction = arrival->direction;
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
    arrival.direction = (pn_u8)frame->direction;
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
