/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The words a verdict is made of: direction, tier, action, reason, and the 32-bit step that policy
 * tables hold. A step is either final (verdict, reason and rule) or the index of the next table.
 */
#ifndef POSTERN_ABI_VERDICT_H
#define POSTERN_ABI_VERDICT_H

#include "engine/abi/types.h"

/* Always relative to the pod: ingress is what arrives at it. */
enum pn_direction {
    PN_INGRESS = 0,
    PN_EGRESS = 1,
};

/* Tiers in the order they are asked. Values are those of the flow log's Tier field. */
enum pn_tier {
    PN_TIER_ERROR = 0,
    PN_TIER_ADMIN = 1,
    PN_TIER_NETWORK_POLICY = 2,
    PN_TIER_BASELINE = 3,
    PN_TIER_DEFAULT = 4,
};

/* What a rule in a tier says. A verdict (allow or deny) is what comes out for a packet. */
enum pn_action {
    PN_ACTION_DENY = 0,
    PN_ACTION_ACCEPT = 1,
    PN_ACTION_PASS = 2,
};

/*
 * Why a packet passed or was dropped. Closed: 6 bits. Several reasons share one public name (the
 * scenario format's list) and differ by tier. Zero is never written by the compiler: a zeroed word
 * is a denial with reason `none`, so a hole in the tables is closed and visible.
 */
enum pn_reason {
    PN_REASON_NONE = 0,
    /* allow */
    PN_REASON_NOT_ISOLATED = 1,      /* no tier decides, default allow */
    PN_REASON_RULE_ADMIN = 2,        /* Accept in the Admin tier */
    PN_REASON_RULE = 3,              /* a NetworkPolicy rule */
    PN_REASON_RULE_BASELINE = 4,     /* Accept in the Baseline tier */
    PN_REASON_ESTABLISHED = 5,       /* part of a tracked connection */
    PN_REASON_RELATED = 6,           /* ICMP error that quotes a tracked connection */
    PN_REASON_SELF = 7,              /* a pod to itself */
    PN_REASON_OWN_NODE = 8,          /* the node the pod runs on */
    PN_REASON_ALWAYS = 9,            /* ARP, neighbour discovery, multicast listener messages */
    PN_REASON_GRACE = 10,            /* mid-flow grace */
    PN_REASON_WOULD_DENY = 11,       /* allowed, but an audited policy would deny */
    /* deny */
    PN_REASON_ISOLATED = 32,         /* isolated by NetworkPolicy, no rule allows */
    PN_REASON_DENIED_ADMIN = 33,     /* Deny in the Admin tier */
    PN_REASON_DENIED_BASELINE = 34,  /* Deny in the Baseline tier */
    PN_REASON_STRICT = 35,           /* no tier decides, default deny */
    PN_REASON_BACKENDS_DIFFER = 36,  /* a Service whose backends disagree */
    PN_REASON_NO_BACKEND = 37,       /* a Service without a ready backend */
    PN_REASON_SPOOFED_SOURCE = 38,   /* a source address that is not the pod's */
    PN_REASON_FRAGMENT = 39,         /* a fragment whose first one is unknown, denied or too short */
    PN_REASON_MALFORMED = 40,        /* truncated or inconsistent headers */
    PN_REASON_PROTOCOL = 41,         /* an IP protocol without ports under rules with ports */
    PN_REASON_ETHERTYPE = 42,        /* neither IP nor ARP */
    PN_REASON_COUNT = 64,
};

/* A step: bit 31 set = continue, bits 0-23 index the next table; else final. */
#define PN_STEP_CONTINUE 0x80000000u
#define PN_STEP_ALLOW 0x40000000u
#define PN_STEP_REASON_SHIFT 24
#define PN_STEP_REASON_MASK 0x3fu
#define PN_STEP_INDEX_MASK 0x00ffffffu

/* RuleId: 0 = by default; the compiler refuses more than this. Numbers above it are a would-deny's, which says
 * the reason there where no rule denies. */
#define PN_RULE_ID_MAX 0x00ffffbfu
#define PN_WOULD_DENY_REASONS 0x00ffffc0u

static inline pn_u32 pn_step_allow(pn_u32 reason, pn_u32 rule)
{
    return PN_STEP_ALLOW | (reason << PN_STEP_REASON_SHIFT) | (rule & PN_STEP_INDEX_MASK);
}

static inline pn_u32 pn_step_deny(pn_u32 reason, pn_u32 rule)
{
    return (reason << PN_STEP_REASON_SHIFT) | (rule & PN_STEP_INDEX_MASK);
}

static inline pn_u32 pn_step_continue(pn_u32 index)
{
    return PN_STEP_CONTINUE | (index & PN_STEP_INDEX_MASK);
}

static inline int pn_step_is_final(pn_u32 step) { return (step & PN_STEP_CONTINUE) == 0; }
static inline int pn_step_allows(pn_u32 step) { return (step & (PN_STEP_CONTINUE | PN_STEP_ALLOW)) == PN_STEP_ALLOW; }
static inline pn_u32 pn_step_reason(pn_u32 step) { return (step >> PN_STEP_REASON_SHIFT) & PN_STEP_REASON_MASK; }
static inline pn_u32 pn_step_rule(pn_u32 step) { return step & PN_STEP_INDEX_MASK; }
static inline pn_u32 pn_step_index(pn_u32 step) { return step & PN_STEP_INDEX_MASK; }

/* Allowed, but denied with `denied` if all that is in audit were enforced (R44). */
static inline pn_u32 pn_step_would_deny(pn_u32 denied)
{
    pn_u32 rule = pn_step_rule(denied);
    return pn_step_allow(PN_REASON_WOULD_DENY, rule ? rule : PN_WOULD_DENY_REASONS | pn_step_reason(denied));
}

/* A protocol that has no ports and is not ICMP is denied by isolation for want of a rule without ports (R18), and
 * its denial says so. */
static inline pn_u32 pn_step_portless(pn_u32 step)
{
    pn_u32 isolated = pn_step_deny(PN_REASON_ISOLATED, 0);
    pn_u32 portless = pn_step_deny(PN_REASON_PROTOCOL, 0);
    if (step == pn_step_would_deny(isolated))
        return pn_step_would_deny(portless);
    return step == isolated ? portless : step;
}

/* The reason of a step, and of a would-deny that of the denial: PN_REASON_NONE if a rule of a cluster-wide tier
 * denies. */
static inline pn_u32 pn_step_said_reason(pn_u32 step)
{
    pn_u32 rule = pn_step_rule(step);
    if (pn_step_reason(step) != PN_REASON_WOULD_DENY)
        return pn_step_reason(step);
    return rule > PN_RULE_ID_MAX ? rule & PN_STEP_REASON_MASK : (pn_u32)PN_REASON_NONE;
}

/* The rule of a step, and of a would-deny the one that denies; 0: none. */
static inline pn_u32 pn_step_said_rule(pn_u32 step)
{
    pn_u32 rule = pn_step_rule(step);
    return rule > PN_RULE_ID_MAX ? 0 : rule;
}

#endif
