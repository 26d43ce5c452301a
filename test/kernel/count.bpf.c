/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Somebody else's program on the hook: counts the packets it sees and has no opinion. */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_helpers.h>

char count_license[] SEC("license") = "Dual BSD/GPL";

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u64);
} seen SEC(".maps");

SEC("tc")
int count(struct __sk_buff *skb)
{
    __u32 zero = 0;
    __u64 *packets = bpf_map_lookup_elem(&seen, &zero);

    (void)skb;
    if (packets)
        __sync_fetch_and_add(packets, 1);
    return TC_ACT_UNSPEC;
}
