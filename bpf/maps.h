/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The kernel's side of every table: map definitions, one per entry of enum pn_table, named "pn_" and
 * the table's name. Sizes written here are only defaults; the loader sets max_entries from its own
 * TableSizes before the object is loaded.
 *
 * Policy arrays may be mapped, so that a word is one store of user space and no system call. A map
 * with a spin lock cannot be mapped, and per-CPU maps and hashes cannot either.
 */
#ifndef POSTERN_BPF_MAPS_H
#define POSTERN_BPF_MAPS_H

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "engine/abi/conntrack.h"
#include "engine/abi/event.h"
#include "engine/abi/fragments.h"
#include "engine/abi/tables.h"

#define PN_EVENTS_BYTES (512 * 1024)
#define PN_MONITOR_BYTES (256 * 1024)

#define PN_POLICY_ARRAY(map_name, entries, value_type) \
    struct { \
        __uint(type, BPF_MAP_TYPE_ARRAY); \
        __uint(map_flags, BPF_F_MMAPABLE); \
        __uint(max_entries, entries); \
        __type(key, __u32); \
        __type(value, value_type); \
    } map_name SEC(".maps")

#define PN_POLICY_HASH(map_name, entries, key_type, value_type) \
    struct { \
        __uint(type, BPF_MAP_TYPE_HASH); \
        __uint(max_entries, entries); \
        __type(key, key_type); \
        __type(value, value_type); \
    } map_name SEC(".maps")

PN_POLICY_ARRAY(pn_node, 1, struct pn_node);
PN_POLICY_ARRAY(pn_slots, PN_SLOTS, __u64);
PN_POLICY_HASH(pn_slots_far, 1024, __u32, __u64);
PN_POLICY_ARRAY(pn_pods, 4096, struct pn_pod);
PN_POLICY_ARRAY(pn_hosts, 32768, struct pn_hosts_bucket);
PN_POLICY_HASH(pn_hosts_far, 16384, struct pn_address, __u32);
PN_POLICY_ARRAY(pn_idx, PN_IDX_ENTRIES, __u64);
PN_POLICY_ARRAY(pn_seg, 262144, struct pn_segment);
PN_POLICY_ARRAY(pn_rows, 65536, struct pn_row_chunk);
PN_POLICY_ARRAY(pn_bodies, 16384, struct pn_body);
PN_POLICY_ARRAY(pn_portdirs, 1024, struct pn_port_steps);
PN_POLICY_ARRAY(pn_portpages, 4096, struct pn_port_steps);

/* Written by the datapath under each bucket's lock. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 32768);
    __type(key, __u32);
    __type(value, struct pn_ct_bucket);
} pn_ct SEC(".maps");

/* As pn_ct. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1024);
    __type(key, __u32);
    __type(value, struct pn_fragment_bucket);
} pn_fragments SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, PN_COUNTERS);
    __type(key, __u32);
    __type(value, struct pn_counter);
} pn_counters SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, PN_EVENTS_BYTES);
} pn_events SEC(".maps");

/* Read by whoever watches for a while, never by the agent. */
struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, PN_MONITOR_BYTES);
} pn_monitor SEC(".maps");

#endif
