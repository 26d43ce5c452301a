/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Fills the holes of engine/datapath/env.h with kernel maps, the kernel's clock and its ring buffer.
 * Array look-ups are inlined by the kernel; none of these is a call but the hash look-ups, the two
 * clocks and the ring.
 */
#ifndef POSTERN_BPF_ENV_H
#define POSTERN_BPF_ENV_H

#include "bpf/maps.h"
#include "engine/datapath/env.h"

/* Bytes that are made readable when headers lie beyond the linear part: extension headers may come
 * before them, so it is a whole packet of the usual size. */
#define PN_PULL_BYTES 1536u

/* Never made: maps are global. */
struct pn_env {
    pn_u32 empty;
};

#define PN_ENV_ARRAY(function, map, type) \
    PN_INLINE type *function(struct pn_env *env, pn_u32 index) \
    { \
        (void)env; \
        return (type *)bpf_map_lookup_elem(&map, &index); \
    }

PN_ENV_ARRAY(pn_env_slot, pn_slots, const pn_u64)
PN_ENV_ARRAY(pn_env_slot_far, pn_slots_far, const pn_u64)
PN_ENV_ARRAY(pn_env_pod, pn_pods, const struct pn_pod)
PN_ENV_ARRAY(pn_env_hosts, pn_hosts, const struct pn_hosts_bucket)
PN_ENV_ARRAY(pn_env_idx, pn_idx, const pn_u64)
PN_ENV_ARRAY(pn_env_seg, pn_seg, const struct pn_segment)
PN_ENV_ARRAY(pn_env_row, pn_rows, const struct pn_row_chunk)
PN_ENV_ARRAY(pn_env_body, pn_bodies, const struct pn_body)
PN_ENV_ARRAY(pn_env_portdir, pn_portdirs, const struct pn_port_steps)
PN_ENV_ARRAY(pn_env_portpage, pn_portpages, const struct pn_port_steps)
PN_ENV_ARRAY(pn_env_ct, pn_ct, struct pn_ct_bucket)
PN_ENV_ARRAY(pn_env_fragments, pn_fragments, struct pn_fragment_bucket)
PN_ENV_ARRAY(pn_env_counter, pn_counters, struct pn_counter)

PN_INLINE const pn_u32 *pn_env_hosts_far(struct pn_env *env, const struct pn_address *address)
{
    (void)env;
    return (const pn_u32 *)bpf_map_lookup_elem(&pn_hosts_far, address);
}

PN_INLINE const struct pn_node *pn_env_node(struct pn_env *env)
{
    pn_u32 index = 0;
    (void)env;
    return (const struct pn_node *)bpf_map_lookup_elem(&pn_node, &index);
}

PN_INLINE void pn_env_lock(struct pn_ct_bucket *bucket) { bpf_spin_lock(&bucket->lock); }
PN_INLINE void pn_env_unlock(struct pn_ct_bucket *bucket) { bpf_spin_unlock(&bucket->lock); }
PN_INLINE void pn_env_lock_fragments(struct pn_fragment_bucket *bucket) { bpf_spin_lock(&bucket->lock); }
PN_INLINE void pn_env_unlock_fragments(struct pn_fragment_bucket *bucket) { bpf_spin_unlock(&bucket->lock); }

PN_INLINE pn_u32 pn_env_tick(struct pn_env *env, const struct pn_node *node)
{
    (void)env;
    return (pn_u32)(bpf_jiffies64() >> (node->tick_shift & 63u));
}

PN_INLINE pn_u64 pn_env_time_ns(struct pn_env *env)
{
    (void)env;
    return bpf_ktime_get_ns();
}

PN_INLINE pn_u32 pn_env_cpu(struct pn_env *env)
{
    (void)env;
    return bpf_get_smp_processor_id();
}

/* Who reads is woken only if it had read everything before (flags 0). */
PN_INLINE pn_u32 pn_env_emit(struct pn_env *env, const struct pn_event *event, enum pn_ring ring)
{
    (void)env;
    long error = ring == PN_RING_MONITOR ? bpf_ringbuf_output(&pn_monitor, (void *)event, sizeof(*event), 0)
                                         : bpf_ringbuf_output(&pn_events, (void *)event, sizeof(*event), 0);
    return error != 0;
}

PN_INLINE void pn_frame_of(struct __sk_buff *skb, struct pn_frame *frame)
{
    frame->data = (const pn_u8 *)(unsigned long)skb->data;
    frame->end = (const pn_u8 *)(unsigned long)skb->data_end;
}

/* Headers outside the linear part are rare; pulling them in copies. */
PN_INLINE int pn_env_more(struct pn_env *env, struct pn_frame *frame)
{
    (void)env;
    pn_u32 wanted = frame->length < PN_PULL_BYTES ? frame->length : PN_PULL_BYTES;
    if (frame->data + wanted <= frame->end)
        return 0;
    struct __sk_buff *skb = (struct __sk_buff *)frame->handle;
    if (bpf_skb_pull_data(skb, wanted))
        return 0;
    pn_frame_of(skb, frame);
    return 1;
}

#endif
