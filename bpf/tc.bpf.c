/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The datapath on the host side of each pod's veth: one object for the node, two programs.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_helpers.h>

#include "bpf/maps.h"

char pn_license[] SEC("license") = "Dual BSD/GPL";

SEC("tc")
int pn_from_pod(struct __sk_buff *skb)
{
    (void)skb;
    return TC_ACT_UNSPEC;
}

SEC("tc")
int pn_to_pod(struct __sk_buff *skb)
{
    (void)skb;
    return TC_ACT_UNSPEC;
}
