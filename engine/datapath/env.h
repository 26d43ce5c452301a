/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The holes of the datapath. Everything else in this folder is one C source that is compiled for the
 * kernel (clang -target bpf) and natively (C or C++20); what differs between the two is named here
 * and filled by the includer, who before including pipeline.h
 *
 *   1. completes `struct pn_env` (natively the tables of one node; in the kernel it is empty and its
 *      pointer null, since maps are global), and
 *   2. defines each function below as `static inline`, with exactly these parameters:
 *
 *   Tables (engine/abi/tables.h); a pointer into the table, or null outside of it
 *     const struct pn_node *pn_env_node(struct pn_env *)
 *     const pn_u64 *pn_env_slot(struct pn_env *, pn_u32 index)
 *     const pn_u64 *pn_env_slot_far(struct pn_env *, pn_u32 ifindex)
 *     const struct pn_pod *pn_env_pod(struct pn_env *, pn_u32 record)
 *     const struct pn_hosts_bucket *pn_env_hosts(struct pn_env *, pn_u32 bucket)
 *     const pn_u32 *pn_env_hosts_far(struct pn_env *, const struct pn_address *)
 *     const pn_u64 *pn_env_idx(struct pn_env *, pn_u32 index)
 *     const struct pn_segment *pn_env_seg(struct pn_env *, pn_u32 index)
 *     const struct pn_row_chunk *pn_env_row(struct pn_env *, pn_u32 chunk)
 *     const struct pn_body *pn_env_body(struct pn_env *, pn_u32 index)
 *     const struct pn_port_steps *pn_env_portdir(struct pn_env *, pn_u32 index)
 *     const struct pn_port_steps *pn_env_portpage(struct pn_env *, pn_u32 index)
 *   Connections (engine/abi/conntrack.h)
 *     struct pn_ct_bucket *pn_env_ct(struct pn_env *, pn_u32 bucket)
 *     void pn_env_lock(struct pn_ct_bucket *), void pn_env_unlock(struct pn_ct_bucket *)
 *       around every write to a bucket; nothing is called in between
 *   Fragments (engine/abi/fragments.h)
 *     struct pn_fragment_bucket *pn_env_fragments(struct pn_env *, pn_u32 bucket)
 *     void pn_env_lock_fragments(struct pn_fragment_bucket *), void pn_env_unlock_fragments(...)
 *       around every look at a bucket; nothing is called in between
 *   Packet bytes
 *     int pn_env_more(struct pn_env *, struct pn_frame *)
 *       more of the frame between data and end than there was; 0: that is all there is
 *   Time
 *     pn_u32 pn_env_tick(struct pn_env *, const struct pn_node *)  raw clock >> tick_shift
 *     pn_u64 pn_env_time_ns(struct pn_env *)                       for events only
 *   Output
 *     struct pn_counter *pn_env_counter(struct pn_env *, pn_u32 index)
 *       this CPU's, by pn_counter_index or enum pn_node_counter; null: there is none
 *     pn_u32 pn_env_cpu(struct pn_env *)                           for events only
 *     pn_u32 pn_env_emit(struct pn_env *, const struct pn_event *, enum pn_ring)
 *       not 0: the event is lost; the ring is a constant
 *
 * The verdict depends on nothing else, so two fillings that hold the same bytes agree on it.
 */
#ifndef POSTERN_DATAPATH_ENV_H
#define POSTERN_DATAPATH_ENV_H

#include "engine/abi/conntrack.h"
#include "engine/abi/event.h"
#include "engine/abi/fragments.h"
#include "engine/abi/tables.h"

struct pn_env;

/* A frame at one hook. `data` to `end` is what may be read; `length` is that of the whole frame. */
struct pn_frame {
    const pn_u8 *data;
    const pn_u8 *end;
    pn_u32 length;
    pn_u32 ifindex;
    pn_u32 direction; /* enum pn_direction */
    void *handle;     /* of the includer, for pn_env_more */
};

/*
 * How a function is built. PN_INLINE becomes part of its caller. In the kernel PN_PART stays a function
 * of its own, which bounds the stack, and PN_UNIT is one that the verifier checks once and for all
 * instead of on every path that leads to it: its parameters are numbers and pointers to plain data
 * without pointers, it starts by asking whether they are null, and it returns a number.
 */
#define PN_INLINE static inline __attribute__((always_inline))
#ifdef __bpf__
#define PN_PART static __attribute__((noinline))
#define PN_UNIT __attribute__((noinline))
/* A loop that stays one: unrolled, it takes more stack than a program has. */
#define PN_ROLLED _Pragma("clang loop unroll(disable)")
/* First in every PN_UNIT: else the compiler sees that nobody reads `env` and passes rubbish, which
 * the verifier refuses to take for a pointer. */
#define PN_KEEP(env) __asm__ volatile("" : : "r"(env))
#else
#define PN_PART static inline
#define PN_UNIT static inline
#define PN_ROLLED
#define PN_KEEP(env) ((void)0)
#endif

/* The compiler computes this value once and keeps it. */
#define PN_PINNED(value) __asm__ volatile("" : "+r"(value))

/* One load or one store that the compiler neither repeats, splits nor drops. */
#define PN_READ_ONCE(lvalue) (*(const volatile __typeof__(lvalue) *)&(lvalue))
#define PN_WRITE_ONCE(lvalue, value) (*(volatile __typeof__(lvalue) *)&(lvalue) = (value))

/* The same number, of which the verifier knows nothing any more: so what comes after a loop is checked
 * once, and not for each number of rounds. */
PN_UNIT pn_u32 pn_opaque(pn_u32 value)
{
    PN_PINNED(value);
    return value;
}

/* Loads and stores stay on their side of it (in the compiled code). */
#define PN_BARRIER() __asm__ volatile("" ::: "memory")

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
PN_INLINE pn_u16 pn_swap16(pn_u16 value) { return __builtin_bswap16(value); }
PN_INLINE pn_u32 pn_swap32(pn_u32 value) { return __builtin_bswap32(value); }
#else
PN_INLINE pn_u16 pn_swap16(pn_u16 value) { return value; }
PN_INLINE pn_u32 pn_swap32(pn_u32 value) { return value; }
#endif

/* Packet bytes as they stand, at any alignment. The verifier wants one plain load where the native
 * compiler wants a copy. */
#ifdef __bpf__
PN_INLINE pn_u16 pn_load16(const pn_u8 *bytes) { return *(const pn_u16 *)bytes; }
PN_INLINE pn_u32 pn_load32(const pn_u8 *bytes) { return *(const pn_u32 *)bytes; }
PN_INLINE int pn_holds(const pn_u8 *start, const pn_u8 *end, pn_u32 length) { return start + length <= end; }
#else
PN_INLINE pn_u16 pn_load16(const pn_u8 *bytes)
{
    pn_u16 value;
    __builtin_memcpy(&value, bytes, sizeof(value));
    return value;
}
PN_INLINE pn_u32 pn_load32(const pn_u8 *bytes)
{
    pn_u32 value;
    __builtin_memcpy(&value, bytes, sizeof(value));
    return value;
}
/* `start` may not lie behind `end`, so that no pointer outside the packet is ever formed. */
PN_INLINE int pn_holds(const pn_u8 *start, const pn_u8 *end, pn_u32 length)
{
    return (pn_u64)(end - start) >= length;
}
#endif

#endif
