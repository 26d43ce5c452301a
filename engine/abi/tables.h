/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Byte layout of every policy table. A *word* is 4 or 8 aligned bytes, changed by one store and
 * read by one load; a *body* never changes while a word leads to it. A packet walks word -> body ->
 * word and sees the old policy or the new one, never both.
 *
 * Host byte order throughout, except packet addresses in `hosts4` keys and in pod records, which
 * are in network order (the bytes as they stand in the packet, read as a native integer).
 */
#ifndef POSTERN_ABI_TABLES_H
#define POSTERN_ABI_TABLES_H

#include "engine/abi/types.h"
#include "engine/abi/verdict.h"

/* Bumped whenever a layout below changes; it is part of the pin path. */
#define PN_ABI_VERSION 1

/* Every table, in the order in which a packet meets them. */
enum pn_table {
    PN_TABLE_NODE = 0,       /* array 1, struct pn_node */
    PN_TABLE_SLOTS = 1,      /* array 65,536, u64 slot word, index = ifindex & 0xffff */
    PN_TABLE_SLOTS_FAR = 2,  /* hash, key u32 ifindex, value u64 slot word */
    PN_TABLE_PODS = 3,       /* array, struct pn_pod */
    PN_TABLE_HOSTS4 = 4,     /* array of buckets, struct pn_hosts4_bucket */
    PN_TABLE_HOSTS4_FAR = 5, /* hash, key u32 address (network order), value u32 class (8-byte padded by the kernel) */
    PN_TABLE_IDX4 = 6,       /* array 65,536, u64, index = top 16 bits of the address */
    PN_TABLE_SEG4 = 7,       /* array, u64 segment words */
    PN_TABLE_HOSTS6 = 8,     /* array of buckets, struct pn_hosts6_bucket */
    PN_TABLE_HOSTS6_FAR = 9, /* hash, key 16 bytes, value u32 class */
    PN_TABLE_IDX6 = 10,      /* array 65,536, u64 */
    PN_TABLE_SEG6 = 11,      /* array, struct pn_seg6 */
    PN_TABLE_ROWS = 12,      /* array of chunks, struct pn_row_chunk */
    PN_TABLE_BODIES = 13,    /* array, struct pn_body */
    PN_TABLE_PORTDIRS = 14,  /* array, struct pn_port_steps, by port / 256 */
    PN_TABLE_PORTPAGES = 15, /* array, struct pn_port_steps, by port % 256 */
    PN_TABLE_COUNT = 16,
};

/* ---- slots: from an interface to its pod record ---- */

#define PN_SLOTS 65536u
#define PN_SLOT_JUDGE (1ull << 63)
#define PN_SLOT_RECORD_SHIFT 32
#define PN_SLOT_RECORD_MASK 0xffffffu

/* Zero is an empty slot. `judge` clear: the pod has no policy and its packets are not parsed. */
static inline pn_u64 pn_slot(pn_u32 ifindex, pn_u32 record, int judge)
{
    return (judge ? PN_SLOT_JUDGE : 0) | ((pn_u64)(record & PN_SLOT_RECORD_MASK) << PN_SLOT_RECORD_SHIFT) | ifindex;
}

static inline pn_u32 pn_slot_record(pn_u64 slot) { return (pn_u32)(slot >> PN_SLOT_RECORD_SHIFT) & PN_SLOT_RECORD_MASK; }
static inline pn_u32 pn_slot_ifindex(pn_u64 slot) { return (pn_u32)slot; }

/* ---- pods ---- */

enum pn_pod_flags {
    PN_POD_CT_FIRST = 1u << 0,    /* conntrack before policy; else policy first, exactly one direction judged */
    PN_POD_KEEP = 1u << 1,        /* established flows keep passing when the policy changes (implies CT_FIRST) */
    PN_POD_SPOOF_CHECK = 1u << 2, /* drop egress packets whose source is not the pod's */
    PN_POD_EVENT_DENY = 1u << 3,  /* an event for every dropped packet */
    PN_POD_EVENT_NEW = 1u << 4,   /* an event for every newly allowed flow (implies CT_FIRST) */
    PN_POD_EVENT_ALL = 1u << 5,   /* an event for every judged packet: trace and packet scenarios */
};

enum pn_pod_dir_flags {
    PN_DIR_JUDGED = 1u << 0,  /* some tier or strict mode decides in this direction */
    PN_DIR_BLOCKS4 = 1u << 1, /* some rule names an IPv4 block: a host miss goes on to idx4 */
    PN_DIR_BLOCKS6 = 1u << 2,
};

/* One direction of a pod: where its row starts, in chunks of PN_ROW_CHUNK steps. */
struct pn_pod_dir {
    pn_u32 row;     /* index of the first chunk in `rows` */
    pn_u32 row_len; /* steps that may be read; a class at or beyond it reads step 0 */
    pn_u32 content; /* number of the rule list, for dumps and events */
    pn_u32 flags;   /* enum pn_pod_dir_flags */
};
PN_ASSERT_SIZE(struct pn_pod_dir, 16);

struct pn_pod {
    pn_u32 endpoint;         /* EndpointId, 24 bits, never 0 */
    pn_u32 flags;            /* enum pn_pod_flags */
    pn_u32 v4;               /* own IPv4 address, network order; 0 = none */
    pn_u32 grace_until;      /* tick until which mid-flow grace holds; 0 = none */
    pn_u8 v6[16];            /* own IPv6 address; all zero = none */
    struct pn_pod_dir dir[2]; /* by enum pn_direction */
};
PN_ASSERT_SIZE(struct pn_pod, 64);
PN_ASSERT_OFFSET(struct pn_pod, dir, 32);

/* ---- classes of peers ---- */

#define PN_HOSTS4_WAYS 7
#define PN_HOSTS_SPILLED 1ull

/* A host word: {high 32: address in network order, low 32: class}; 0 = free. */
struct pn_hosts4_bucket {
    pn_u64 head; /* bit 0: some host of this bucket is in hosts4_far */
    pn_u64 words[PN_HOSTS4_WAYS];
};
PN_ASSERT_SIZE(struct pn_hosts4_bucket, 64);

#define PN_HOSTS6_WAYS 5

/* A word is {high 32: tag (hash of the address, never 0), low 32: class}. */
struct pn_hosts6_bucket {
    pn_u64 head;
    pn_u64 words[PN_HOSTS6_WAYS];
    pn_u8 addresses[PN_HOSTS6_WAYS][16];
};
PN_ASSERT_SIZE(struct pn_hosts6_bucket, 128);

#define PN_IDX_ENTRIES 65536u

/* idx4 word: {high 32: n segments, low 32: class if n is 0, else index of the first segment}. */
/* seg4 word: {high 32: first address of the segment in host order, low 32: class}, sorted; the
 * first segment of a run starts at the first address of its /16. n is at most 65,536. */
#define PN_SEG_SEARCH_STEPS 17

struct pn_seg6 {
    pn_u8 first[16];
    pn_u32 class_id;
    pn_u32 pad;
};
PN_ASSERT_SIZE(struct pn_seg6, 24);

static inline pn_u64 pn_pair(pn_u32 high, pn_u32 low) { return ((pn_u64)high << 32) | low; }
static inline pn_u32 pn_high(pn_u64 word) { return (pn_u32)(word >> 32); }
static inline pn_u32 pn_low(pn_u64 word) { return (pn_u32)word; }

/* Keyed multiply-shift; the caller masks the result with the number of buckets - 1. */
static inline pn_u32 pn_hash4(pn_u32 address, pn_u64 secret)
{
    pn_u64 h = ((pn_u64)address ^ (secret & 0xffffffffull)) * 0x9e3779b97f4a7c15ull;
    h ^= secret >> 32;
    return (pn_u32)((h * 0xd6e8feb86659fd93ull) >> 32);
}

/* ---- decisions ---- */

#define PN_ROW_CHUNK 16

/* Steps by class, contiguous over chunks: class c of a row is rows[row + c / 16].steps[c % 16]. */
struct pn_row_chunk {
    pn_u32 steps[PN_ROW_CHUNK];
};
PN_ASSERT_SIZE(struct pn_row_chunk, 64);

/* What one filtered rule list says by protocol. A continue step of tcp, udp, sctp is an index into
 * `portdirs`; `other` is always final. The inline interval is asked first: if `interval_protocol`
 * is the packet's protocol and lo <= port <= hi, its step (final) is the answer. */
struct pn_body {
    pn_u32 other;
    pn_u32 tcp;
    pn_u32 udp;
    pn_u32 sctp;
    pn_u32 interval_protocol; /* IP protocol number, 0 = no interval */
    pn_u16 interval_lo;
    pn_u16 interval_hi;
    pn_u32 interval_step;
    pn_u32 pad;
};
PN_ASSERT_SIZE(struct pn_body, 32);

/* 256 steps. In a directory (by port / 256) a continue step is an index into `portpages`; in a page
 * (by port % 256) every step is final. */
#define PN_PORT_STEPS 256
struct pn_port_steps {
    pn_u32 steps[PN_PORT_STEPS];
};
PN_ASSERT_SIZE(struct pn_port_steps, 1024);

/* ---- node: what holds for every pod ---- */

enum pn_node_flags {
    PN_NODE_STRICT = 1u << 0, /* an interface without a slot is closed */
};

/* Timeouts of tracked connections, in ticks. */
enum pn_timeout {
    PN_TIMEOUT_TCP_SYN = 0,         /* opened, not answered */
    PN_TIMEOUT_TCP_ESTABLISHED = 1,
    PN_TIMEOUT_TCP_FIN = 2,         /* one FIN seen */
    PN_TIMEOUT_TCP_CLOSED = 3,      /* both FINs seen */
    PN_TIMEOUT_TCP_RST = 4,
    PN_TIMEOUT_UDP = 5,
    PN_TIMEOUT_UDP_REPLIED = 6,
    PN_TIMEOUT_SCTP = 7,
    PN_TIMEOUT_ICMP = 8,
    PN_TIMEOUT_COUNT = 12,
};

struct pn_node {
    pn_u32 epoch;       /* policy generation; older conntrack entries are judged again */
    pn_u32 flags;       /* enum pn_node_flags */
    pn_u64 hash_secret;
    pn_u32 hosts4_mask; /* buckets - 1 */
    pn_u32 hosts6_mask;
    pn_u32 ct4_mask;    /* buckets - 1 */
    pn_u32 ct6_mask;
    pn_u32 tick_shift;  /* tick = jiffies64 >> tick_shift in the kernel, nanoseconds >> tick_shift natively */
    pn_u32 idx6_prefix_bits; /* bits shared by every IPv6 block; idx6 is indexed by the 16 after them */
    pn_u8 idx6_prefix[16];
    pn_u32 timeouts[PN_TIMEOUT_COUNT];
};
PN_ASSERT_SIZE(struct pn_node, 104);
PN_ASSERT_OFFSET(struct pn_node, timeouts, 56);

/* ---- counters: per CPU, never part of a delta ---- */

#define PN_COUNTERS (2 * PN_REASON_COUNT)
struct pn_counter {
    pn_u64 packets;
    pn_u64 bytes;
};
static inline pn_u32 pn_counter_index(pn_u32 direction, pn_u32 reason) { return direction * PN_REASON_COUNT + reason; }

#endif
