/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The datapath on the host side of each pod's veth: one object for the node, two programs, one for
 * each hook. On the host side, tc ingress is what leaves the pod.
 *
 * An allowed packet goes on to the next program of the hook (TC_ACT_UNSPEC, which TCX calls next);
 * a denied one is dropped.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_helpers.h>

#include "bpf/env.h"
#include "engine/datapath/pipeline.h"

char pn_license[] SEC("license") = "Dual BSD/GPL";

PN_INLINE int pn_judge_skb(struct __sk_buff *skb, pn_u32 direction, pn_u64 slot)
{
    struct pn_frame frame = {
        .length = skb->len,
        .ifindex = skb->ifindex,
        .direction = direction,
        .handle = skb,
    };
    pn_frame_of(skb, &frame);
    pn_u32 step = slot ? pn_judge(0, &frame, slot) : pn_without_slot(0, &frame);
    if (step == PN_STEP_NOT_JUDGED)
        return TC_ACT_UNSPEC;
    return pn_step_allows(step) ? TC_ACT_UNSPEC : TC_ACT_SHOT;
}

/* An interface whose pod nobody judges costs one look-up. */
PN_INLINE int pn_run(struct __sk_buff *skb, pn_u32 direction)
{
    pn_u64 slot = pn_find_slot(0, skb->ifindex);
    if (slot != 0 && !pn_slot_judges(slot))
        return TC_ACT_UNSPEC;
    return pn_judge_skb(skb, direction, slot);
}

SEC("tc")
int pn_from_pod(struct __sk_buff *skb) { return pn_run(skb, PN_EGRESS); }

SEC("tc")
int pn_to_pod(struct __sk_buff *skb) { return pn_run(skb, PN_INGRESS); }
