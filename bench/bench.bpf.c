/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Wrappers for measuring: each writes the peer of another flow into the packet and goes on to the
 * program under test by a tail call. The same wrapper around an empty program is the floor.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "bench/bench.h"

#define HEADERS 54 /* Ethernet, IPv4, TCP */
#define SOURCE 26
#define DESTINATION 30
#define SOURCE_PORT 34
#define DESTINATION_PORT 36

char bench_license[] SEC("license") = "Dual BSD/GPL";

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct pn_bench);
} bench_flows SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PROG_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u32);
} bench_target SEC(".maps");

/* Flow f: 16 bits choose the address, all of them the port; no two flows share both as long as there
 * are at least 256 peers, or at most 65,536 flows. */
static __attribute__((always_inline)) int run(struct __sk_buff *skb, int address_at, int port_at)
{
    __u32 zero = 0;
    struct pn_bench *flows = bpf_map_lookup_elem(&bench_flows, &zero);
    __u8 *data = (__u8 *)(unsigned long)skb->data;

    if (!flows || data + HEADERS > (__u8 *)(unsigned long)skb->data_end)
        return TC_ACT_PIPE;
    __u32 flow = flows->next++ & flows->flow_mask;
    __u32 low = flow & 0xffff;
    *(__u32 *)(data + address_at) = bpf_htonl(flows->base + (low * flows->peers >> 16));
    *(__u16 *)(data + port_at) = bpf_htons((__u16)(low + (flow >> 16) * 257));
    bpf_tail_call(skb, &bench_target, 0);
    return TC_ACT_PIPE;
}

SEC("tc")
int bench_to_pod(struct __sk_buff *skb) { return run(skb, SOURCE, SOURCE_PORT); }

SEC("tc")
int bench_from_pod(struct __sk_buff *skb) { return run(skb, DESTINATION, DESTINATION_PORT); }

SEC("tc")
int bench_empty(struct __sk_buff *skb)
{
    (void)skb;
    return TC_ACT_UNSPEC;
}
