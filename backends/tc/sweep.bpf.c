/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Changes the table of tracked connections from inside the kernel, bucket by bucket under each
 * bucket's lock, so that no packet in flight loses its entry: forgets an endpoint's connections, or
 * makes every connection older. User space runs it by BPF_PROG_TEST_RUN, many times in one call;
 * each run continues where the last one stopped. A second program changes single entries that user
 * space has read, where they are still what it read; a third puts entries in where it has looked.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_helpers.h>

#include "backends/tc/sweep.h"
#include "backends/tc/sweep_guard.h"
#include "engine/abi/conntrack.h"

char pn_license[] SEC("license") = "Dual BSD/GPL";

/* The datapath's map takes this one's place before the load. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct pn_ct_bucket);
} pn_ct SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct pn_sweep);
} pn_sweep SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct pn_sweep_changes);
} pn_sweep_list SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct pn_sweep_puts);
} pn_sweep_put_list SEC(".maps");

/* Under the bucket's lock. */
static __always_inline void free_way(struct pn_ct_bucket *bucket, pn_u32 way)
{
    /* In this order: who reads without the lock trusts a way as long as its fingerprint stands. */
    bucket->fingerprints[way] = 0;
    __asm__ volatile("" ::: "memory");
    __builtin_memset(&bucket->ways[way], 0, sizeof(bucket->ways[way]));
}

/* One way of a bucket; returns how many connections it forgot. */
static __always_inline pn_u32 sweep_way(struct pn_ct_bucket *bucket, pn_u32 way, pn_u32 endpoint, pn_u32 age)
{
    struct pn_ct_way *entry = &bucket->ways[way];

    if (bucket->fingerprints[way] == 0)
        return 0;
    if (age != 0) {
        entry->value.seen -= age;
        return 0;
    }
    if (endpoint != 0 && entry->key.endpoint_protocol >> 8 != endpoint)
        return 0;
    free_way(bucket, way);
    return 1;
}

/* Global, so that the verifier reads it once and not once per bucket. */
__attribute__((noinline)) int pn_sweep_bucket(pn_u32 index, pn_u32 endpoint, pn_u32 age)
{
    struct pn_ct_bucket *bucket = bpf_map_lookup_elem(&pn_ct, &index);
    pn_u32 forgotten = 0;

    if (!bucket)
        return 0;
    /* An empty bucket needs no lock: who inserts at this moment comes after the sweep. */
    const pn_u64 *used = (const pn_u64 *)bucket->fingerprints;
    if ((used[0] | used[1]) == 0)
        return 0;
    bpf_spin_lock(&bucket->lock);
#pragma unroll
    for (pn_u32 way = 0; way < PN_CT_WAYS; way++)
        forgotten += sweep_way(bucket, way, endpoint, age);
    bpf_spin_unlock(&bucket->lock);
    return (int)forgotten;
}

SEC("tc")
int pn_sweep_run(struct __sk_buff *skb)
{
    pn_u32 zero = 0;
    struct pn_sweep *sweep = bpf_map_lookup_elem(&pn_sweep, &zero);

    (void)skb;
    if (!sweep)
        return TC_ACT_UNSPEC;
    pn_u32 first = sweep->next;
    pn_u32 forgotten = 0;
    for (pn_u32 n = 0; n < PN_SWEEP_BUCKETS; n++)
        forgotten += (pn_u32)pn_sweep_bucket(first + n, sweep->endpoint, sweep->age);
    sweep->next = first + PN_SWEEP_BUCKETS;
    sweep->forgotten += forgotten;
    return TC_ACT_UNSPEC;
}

/* Global, so that the verifier reads it once and not once per change. */
__attribute__((noinline)) int pn_sweep_change_one(pn_u32 index)
{
    pn_u32 zero = 0;
    struct pn_sweep_changes *list = bpf_map_lookup_elem(&pn_sweep_list, &zero);

    if (!list || index >= PN_SWEEP_CHANGES)
        return 0;
    struct pn_sweep_change *change = &list->changes[index];
    pn_u32 place = change->bucket;
    pn_u32 way = change->way & (PN_CT_WAYS - 1);
    pn_u32 kind = change->kind;
    pn_u32 retired = list->now - PN_CT_RETIRED_IDLE;
    struct pn_ct_bucket *bucket = bpf_map_lookup_elem(&pn_ct, &place);

    if (!bucket)
        return 0;
    struct pn_ct_way *entry = &bucket->ways[way];
    pn_u8 made = 0;

    bpf_spin_lock(&bucket->lock);
    if (bucket->fingerprints[way] != 0 && pn_sweep_unchanged(entry, &change->read)) {
        made = 1;
        if (kind == PN_SWEEP_NOTE)
            entry->value.state |= PN_CT_NODE_HAD;
        else if (kind == PN_SWEEP_RETIRE)
            entry->value.seen = retired;
        else
            free_way(bucket, way);
    }
    bpf_spin_unlock(&bucket->lock);
    change->made = made;
    return made;
}

SEC("tc")
int pn_sweep_change_run(struct __sk_buff *skb)
{
    pn_u32 zero = 0;
    struct pn_sweep_changes *list = bpf_map_lookup_elem(&pn_sweep_list, &zero);

    (void)skb;
    if (!list)
        return TC_ACT_UNSPEC;
    pn_u32 count = list->count;
    for (pn_u32 n = 0; n < PN_SWEEP_CHANGES; n++) {
        if (n >= count)
            break;
        pn_sweep_change_one(n);
    }
    return TC_ACT_UNSPEC;
}

/* Whether another way than `way` holds this key. Under the bucket's lock. */
static __always_inline int held_elsewhere(const struct pn_ct_bucket *bucket, pn_u32 way,
                                          const struct pn_sweep_put *put)
{
    pn_u64 found = 0;

#pragma unroll
    for (pn_u32 other = 0; other < PN_CT_WAYS; other++)
        found |= (pn_u64)(other != way && bucket->fingerprints[other] == put->fingerprint &&
                          pn_sweep_same_key(&bucket->ways[other].key, &put->entry.key));
    return found != 0;
}

/* Global, so that the verifier reads it once and not once per entry. */
__attribute__((noinline)) int pn_sweep_put_one(pn_u32 index)
{
    pn_u32 zero = 0;
    struct pn_sweep_puts *list = bpf_map_lookup_elem(&pn_sweep_put_list, &zero);

    if (!list || index >= PN_SWEEP_CHANGES)
        return 0;
    struct pn_sweep_put *put = &list->puts[index];
    pn_u32 place = put->bucket;
    pn_u32 way = put->way & (PN_CT_WAYS - 1);
    pn_u32 was_free = put->read.value.state == 0;
    struct pn_ct_bucket *bucket = bpf_map_lookup_elem(&pn_ct, &place);

    if (!bucket)
        return 0;
    struct pn_ct_way *entry = &bucket->ways[way];
    pn_u32 made = 0;

    bpf_spin_lock(&bucket->lock);
    if ((was_free ? bucket->fingerprints[way] == 0
                  : bucket->fingerprints[way] != 0 && pn_sweep_unchanged(entry, &put->read)) &&
        !held_elsewhere(bucket, way, put)) {
        made = 1;
        bucket->fingerprints[way] = 0;
        __asm__ volatile("" ::: "memory");
        *entry = put->entry;
        __asm__ volatile("" ::: "memory");
        bucket->fingerprints[way] = put->fingerprint;
    }
    bpf_spin_unlock(&bucket->lock);
    put->made = made;
    return (int)made;
}

SEC("tc")
int pn_sweep_put_run(struct __sk_buff *skb)
{
    pn_u32 zero = 0;
    struct pn_sweep_puts *list = bpf_map_lookup_elem(&pn_sweep_put_list, &zero);

    (void)skb;
    if (!list)
        return TC_ACT_UNSPEC;
    pn_u32 count = list->count;
    for (pn_u32 n = 0; n < PN_SWEEP_CHANGES; n++) {
        if (n >= count)
            break;
        pn_sweep_put_one(n);
    }
    return TC_ACT_UNSPEC;
}
