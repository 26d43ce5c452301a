/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The headers are C: they compile as such, with every warning on, over an environment with nothing
 * in it. An empty table is a hole, and a hole is closed. */
#include "engine/datapath/env.h"

struct pn_env {
    struct pn_node node;
    struct pn_pod pod;
    pn_u64 slot;
};

static inline const struct pn_node *pn_env_node(struct pn_env *env) { return &env->node; }
static inline const pn_u64 *pn_env_slot(struct pn_env *env, pn_u32 index) { return index ? &env->slot : 0; }
static inline const struct pn_pod *pn_env_pod(struct pn_env *env, pn_u32 record)
{
    return record ? 0 : &env->pod;
}

#define PN_NOTHING(type, function) \
    static inline type *function(struct pn_env *env, pn_u32 index) \
    { \
        (void)env; \
        (void)index; \
        return 0; \
    }
PN_NOTHING(const pn_u64, pn_env_slot_far)
PN_NOTHING(const struct pn_hosts_bucket, pn_env_hosts)
PN_NOTHING(const pn_u64, pn_env_idx)
PN_NOTHING(const struct pn_segment, pn_env_seg)
PN_NOTHING(const struct pn_row_chunk, pn_env_row)
PN_NOTHING(const struct pn_body, pn_env_body)
PN_NOTHING(const struct pn_port_steps, pn_env_portdir)
PN_NOTHING(const struct pn_port_steps, pn_env_portpage)
PN_NOTHING(struct pn_ct_bucket, pn_env_ct)
PN_NOTHING(struct pn_counter, pn_env_counter)

static inline const pn_u32 *pn_env_hosts_far(struct pn_env *env, const struct pn_address *address)
{
    (void)env;
    (void)address;
    return 0;
}

static inline void pn_env_lock(struct pn_ct_bucket *bucket) { (void)bucket; }
static inline void pn_env_unlock(struct pn_ct_bucket *bucket) { (void)bucket; }
PN_NOTHING(struct pn_fragment_bucket, pn_env_fragments)
static inline void pn_env_lock_fragments(struct pn_fragment_bucket *bucket) { (void)bucket; }
static inline void pn_env_unlock_fragments(struct pn_fragment_bucket *bucket) { (void)bucket; }
static inline pn_u32 pn_env_tick(struct pn_env *env, const struct pn_node *node)
{
    (void)env;
    return node->epoch;
}
static inline pn_u64 pn_env_time_ns(struct pn_env *env)
{
    (void)env;
    return 0;
}
static inline int pn_env_more(struct pn_env *env, struct pn_frame *frame)
{
    (void)env;
    (void)frame;
    return 0;
}
static inline pn_u32 pn_env_cpu(struct pn_env *env)
{
    (void)env;
    return 0;
}
static inline pn_u32 pn_env_emit(struct pn_env *env, const struct pn_event *event, enum pn_ring ring)
{
    (void)env;
    (void)event;
    return ring == PN_RING_EVENTS;
}

#include "engine/datapath/pipeline.h"

pn_u32 pn_judge_with_empty_tables(const pn_u8 *data, pn_u32 length, pn_u32 flags);

/* The final step of a frame at an interface whose pod is judged at ingress by tables with nothing in them. */
pn_u32 pn_judge_with_empty_tables(const pn_u8 *data, pn_u32 length, pn_u32 flags)
{
    struct pn_env env;
    __builtin_memset(&env, 0, sizeof(env));
    env.pod.endpoint = 1;
    env.pod.flags = flags;
    env.pod.dir[PN_INGRESS].flags = PN_DIR_JUDGED | PN_DIR_BLOCKS;
    env.slot = pn_slot(5, 0, 1);
    struct pn_frame frame = {data, data + length, length, 5, PN_INGRESS, 0};
    pn_u64 slot = pn_find_slot(&env, frame.ifindex);
    return slot ? pn_judge(&env, &frame, slot) : pn_without_slot(&env, &frame);
}
