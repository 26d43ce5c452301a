/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Fixed-width integers and layout assertions shared by the BPF program, the engine and the tools.
 * Everything in engine/abi compiles as C (clang -target bpf, gcc, clang) and as C++20.
 */
#ifndef POSTERN_ABI_TYPES_H
#define POSTERN_ABI_TYPES_H

#ifdef __bpf__
#include <linux/types.h>
typedef __u8 pn_u8;
typedef __u16 pn_u16;
typedef __u32 pn_u32;
typedef __u64 pn_u64;
#else
#include <stddef.h>
#include <stdint.h>
typedef uint8_t pn_u8;
typedef uint16_t pn_u16;
typedef uint32_t pn_u32;
typedef uint64_t pn_u64;
#endif

#ifdef __cplusplus
#define PN_STATIC_ASSERT(condition, text) static_assert(condition, text)
#else
#define PN_STATIC_ASSERT(condition, text) _Static_assert(condition, text)
#endif

/* The exact size of a shared structure; its members add up to it, so there is no padding. */
#define PN_ASSERT_SIZE(type, bytes) PN_STATIC_ASSERT(sizeof(type) == (bytes), #type " has a fixed size")
#define PN_ASSERT_OFFSET(type, member, bytes) \
    PN_STATIC_ASSERT(__builtin_offsetof(type, member) == (bytes), #type "." #member " has a fixed offset")

#endif
