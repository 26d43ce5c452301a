/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Byte layout of every policy table. A *word* is 4 or 8 aligned bytes, changed by one store and
 * read by one load; a *body* never changes while a word leads to it. A packet walks word -> body ->
 * word and sees the old policy or the new one, never both.
 *
 * Host byte order throughout, addresses included (engine/abi/address.h): both families share every
 * table, and what holds for one holds for the other.
 */
#ifndef POSTERN_ABI_TABLES_H
#define POSTERN_ABI_TABLES_H

#include "engine/abi/address.h"
#include "engine/abi/types.h"
#include "engine/abi/verdict.h"

/*
 * Part of the pin path. Bumped whenever something changes, in layout or in meaning, that a process takes
 * over from the one before it: connections (engine/abi/conntrack.h, and how engine/datapath finds a
 * bucket and a fingerprint), counters, events, reasons, struct pn_node, slot words, and struct pn_pod's
 * endpoint, addresses and flags of directions. Every other table (of fragments, too: what it holds is of an
 * older epoch then) is filled anew by each process, aside,
 * so its layout may change without a new number.
 */
#define PN_ABI_VERSION 5

/* Every table, in the order in which a packet meets them. */
enum pn_table {
    PN_TABLE_NODE = 0,       /* array 1, struct pn_node */
    PN_TABLE_SLOTS = 1,      /* array 65,536, u64 slot word, index = ifindex & 0xffff */
    PN_TABLE_SLOTS_FAR = 2,  /* hash, key u32 ifindex, value u64 slot word */
    PN_TABLE_PODS = 3,       /* array, struct pn_pod */
    PN_TABLE_HOSTS = 4,      /* array of buckets, struct pn_hosts_bucket */
    PN_TABLE_HOSTS_FAR = 5,  /* hash, key struct pn_address, value u32 class (8-byte padded by the kernel) */
    PN_TABLE_IDX = 6,        /* array 131,072, u64, index = pn_idx_page of the address */
    PN_TABLE_SEG = 7,        /* array, struct pn_segment */
    PN_TABLE_ROWS = 8,       /* array of chunks, struct pn_row_chunk */
    PN_TABLE_BODIES = 9,     /* array, struct pn_body */
    PN_TABLE_PORTDIRS = 10,  /* array, struct pn_port_steps, by port / 256 */
    PN_TABLE_PORTPAGES = 11, /* array, struct pn_port_steps, by port % 256 */
    PN_TABLE_COUNT = 12,
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

#define PN_POD_EVENTS (PN_POD_EVENT_DENY | PN_POD_EVENT_NEW | PN_POD_EVENT_ALL)

enum pn_pod_dir_flags {
    PN_DIR_JUDGED = 1u << 0,  /* some tier or strict mode decides in this direction */
    PN_DIR_BLOCKS = 1u << 1, /* some rule names a block: a host miss goes on to idx */
    PN_DIR_AUDIT = 1u << 2,  /* nothing is enforced: what would be denied is allowed and reported (R44) */
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
    pn_u32 v4;               /* own IPv4 address, host order; 0 = none */
    pn_u32 grace_until;      /* tick until which mid-flow grace holds; 0 = none */
    struct pn_address v6;    /* own IPv6 address; zero = none */
    struct pn_pod_dir dir[2]; /* by enum pn_direction */
};
PN_ASSERT_SIZE(struct pn_pod, 64);
PN_ASSERT_OFFSET(struct pn_pod, dir, 32);

/* ---- classes of peers ---- */

#define PN_HOSTS_WAYS 5
#define PN_HOSTS_SPILLED 1ull

/* A word is {high 32: tag (pn_hash_tag of the address), low 32: class}; 0 = free. The address of a
 * way is a body: it is written before its word and stays while the word stands. */
struct pn_hosts_bucket {
    pn_u64 head; /* bit 0: some host of this bucket is in hosts_far */
    pn_u64 words[PN_HOSTS_WAYS];
    struct pn_address addresses[PN_HOSTS_WAYS];
};
PN_ASSERT_SIZE(struct pn_hosts_bucket, 128);
PN_ASSERT_OFFSET(struct pn_hosts_bucket, addresses, 48);

/* One page of idx is what shares its first 16 bits, of IPv4 and behind it of IPv6. */
#define PN_IDX_PAGES 65536u
#define PN_IDX_ENTRIES (2u * PN_IDX_PAGES)

static inline pn_u32 pn_idx_page(struct pn_address address)
{
    return pn_is_v4(address) ? (pn_u32)address.low >> 16 : PN_IDX_PAGES + (pn_u32)(address.high >> 48);
}

/* idx word: {high 32: n segments, low 32: class if n is 0, else index of the first segment}. A run of
 * segments is sorted, and its first starts at the first address of the page. */
#define PN_SEG_SEARCH_STEPS 20
#define PN_SEG_RUN_MAX (1u << 20) /* what that many halvings find their way in */

/* From `first` up to the next segment's. `class_id` is the word, `first` the body. */
struct pn_segment {
    struct pn_address first;
    pn_u32 class_id;
    pn_u32 pad;
};
PN_ASSERT_SIZE(struct pn_segment, 24);

static inline pn_u64 pn_pair(pn_u32 high, pn_u32 low) { return ((pn_u64)high << 32) | low; }
static inline pn_u32 pn_high(pn_u64 word) { return (pn_u32)(word >> 32); }
static inline pn_u32 pn_low(pn_u64 word) { return (pn_u32)word; }

/* Keyed: which addresses share a bucket cannot be told from outside. The bucket is the hash masked
 * with the number of buckets - 1, the tag its other half. */
static inline pn_u64 pn_hash(struct pn_address address, pn_u64 secret)
{
    pn_u64 h = (address.low ^ secret) * 0x9e3779b97f4a7c15ull;
    h ^= (address.high + (secret >> 32)) * 0xc2b2ae3d27d4eb4full;
    h ^= h >> 32;
    return h * 0xd6e8feb86659fd93ull;
}

static inline pn_u32 pn_hash_bucket(pn_u64 hash) { return (pn_u32)(hash >> 32); }
static inline pn_u32 pn_hash_tag(pn_u64 hash) { return (pn_u32)hash | 1u; } /* never 0 */

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
    pn_u32 hosts_mask; /* buckets - 1 */
    pn_u32 ct_mask;    /* buckets - 1 */
    pn_u32 tick_shift; /* tick = jiffies64 >> tick_shift in the kernel, nanoseconds >> tick_shift natively */
    pn_u32 monitor_until; /* see below; here since every judged packet reads it */
    pn_u32 timeouts[PN_TIMEOUT_COUNT];
    pn_u32 monitor_ifindex;
    pn_u32 last_rule; /* highest RuleId that these tables or those before them ever had */
    pn_u32 fragment_mask;    /* buckets - 1 */
    pn_u32 fragment_timeout; /* ticks from a first fragment on in which later ones follow it */
};
PN_ASSERT_SIZE(struct pn_node, 96);
PN_ASSERT_OFFSET(struct pn_node, monitor_until, 28);
PN_ASSERT_OFFSET(struct pn_node, timeouts, 32);
PN_ASSERT_OFFSET(struct pn_node, monitor_ifindex, 80);

/*
 * Until the tick `monitor_until` every judged packet of the interface `monitor_ifindex` (0: of all) has
 * an event in the monitor's ring, whatever its pod's flags say. 0 or past: off, so who watches moves it
 * on every few ticks, and if it is killed nothing stays on. The compiler never writes these two words.
 * Whoever does stores one word at a time into the mapped table: writing the element whole would undo
 * what an agent writes meanwhile. A new generation of tables begins with the monitor off.
 */
static inline int pn_is_monitored(pn_u32 until, pn_u32 now) { return until != 0 && until - now - 1u < 0x7fffffffu; }

/* ---- counters: per CPU, never part of a delta ---- */

/* Judged packets by direction and reason, then what the node counts beside them. */
enum pn_node_counter {
    PN_COUNTER_EVENTS = 2 * PN_REASON_COUNT, /* offered to the ring of events, lost ones included */
    PN_COUNTER_EVENTS_LOST,                  /* of them, those that found the ring full */
    PN_COUNTER_MONITOR,                      /* the same of the monitor's ring */
    PN_COUNTER_MONITOR_LOST,
    PN_COUNTER_OPENED,                       /* connections that got an entry; no bytes */
    PN_COUNTER_EVICTED,                      /* live ones that gave up theirs, in a full bucket; no bytes */
};

#define PN_COUNTERS (2 * PN_REASON_COUNT + 8)
struct pn_counter {
    pn_u64 packets;
    pn_u64 bytes;
};
static inline pn_u32 pn_counter_index(pn_u32 direction, pn_u32 reason) { return direction * PN_REASON_COUNT + reason; }

#endif
