// SPDX-License-Identifier: Apache-2.0
// Fills the holes of engine/datapath/env.h with tables that change under a packet: at each hole the update
// may go on, as far as the test says. Included by exactly one source of a test, which then includes
// pipeline.h.
//
// A delta's pauses are the test's to hold: what comes after one is written when the packet has gone.
#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <cstring>
#include <span>
#include <utility>
#include <vector>

#include "engine/compile/delta_writer.h"
#include "engine/compile/policy_tables.h"
#include "engine/datapath/env.h"

// Makes the writes that are due before the packet reads on.
struct Writer {
  postern::PolicyTables* tables = nullptr;
  std::span<const postern::TableWrite> writes;
  std::size_t made = 0;
  std::size_t hole = 0;                       // holes so far
  struct Portion {
    std::size_t hole = 0;   // in front of which
    std::size_t until = 0;  // so many writes are made
  };
  std::vector<Portion> portions;
  std::vector<postern::TableWrite> before;  // what stood where the writes were made

  void make(std::size_t until) {
    for (; made < until; ++made) {
      before.push_back(standing(writes[made]));
      EXPECT_TRUE(tables->apply(writes[made]));
    }
  }
  // Back to where only the first `until` were made.
  void unmake(std::size_t until) {
    for (; made > until; --made) {
      EXPECT_TRUE(tables->apply(before.back()));
      before.pop_back();
    }
  }
  // The write that restores what another replaces.
  [[nodiscard]] postern::TableWrite standing(postern::TableWrite write) const {
    const postern::TableShape shape = postern::shape_of(write.table, tables->sizes());
    if (shape.is_hash) {
      const auto& hash = tables->hash(write.table);
      const auto found = hash.find(write.key);
      write.bytes = found == hash.end() ? std::vector<std::byte>{} : found->second;
      return write;
    }
    const auto bytes = tables->array(write.table);
    const std::size_t at = std::size_t{write.index} * shape.value_size + write.offset;
    write.bytes.assign(bytes.begin() + static_cast<std::ptrdiff_t>(at),
                       bytes.begin() + static_cast<std::ptrdiff_t>(at + write.bytes.size()));
    return write;
  }
  void at_hole() {
    for (const auto& portion : portions) {
      if (portion.hole == hole && portion.until > made) make(portion.until);
    }
    ++hole;
  }
};

struct pn_env {
  postern::PolicyTables* tables = nullptr;
  std::vector<pn_ct_bucket>* buckets = nullptr;
  Writer* writer = nullptr;
  std::uint64_t now_ns = 0;
  pn_u64 far_slot = 0;
  pn_u32 far_class = 0;

  // An entry of a hash, in `value`.
  template <typename K, typename V>
  const V* find(postern::TableId table, const K& key, V& value) {
    writer->at_hole();
    const auto& hash = tables->hash(table);
    const auto found = hash.find(postern::bytes_of(key));
    if (found == hash.end()) return nullptr;
    std::memcpy(&value, found->second.data(), sizeof(value));
    return &value;
  }
  template <typename T>
  const T* at(postern::TableId table, std::size_t index) {
    writer->at_hole();
    const auto bytes = tables->array(table);
    return index < bytes.size() / sizeof(T) ? reinterpret_cast<const T*>(bytes.data()) + index : nullptr;
  }
};

using postern::TableId;

static inline const pn_node* pn_env_node(pn_env* env) { return env->at<pn_node>(TableId::node, 0); }
static inline const pn_u64* pn_env_slot(pn_env* env, pn_u32 index) {
  return env->at<pn_u64>(TableId::slots, index);
}
static inline const pn_u64* pn_env_slot_far(pn_env* env, pn_u32 ifindex) {
  return env->find(TableId::slots_far, ifindex, env->far_slot);
}
static inline const pn_pod* pn_env_pod(pn_env* env, pn_u32 record) {
  return env->at<pn_pod>(TableId::pods, record);
}
static inline const pn_hosts_bucket* pn_env_hosts(pn_env* env, pn_u32 bucket) {
  return env->at<pn_hosts_bucket>(TableId::hosts, bucket);
}
static inline const pn_u32* pn_env_hosts_far(pn_env* env, const pn_address* address) {
  return env->find(TableId::hosts_far, *address, env->far_class);
}
static inline const pn_u64* pn_env_idx(pn_env* env, pn_u32 index) {
  return env->at<pn_u64>(TableId::idx, index);
}
static inline const pn_segment* pn_env_seg(pn_env* env, pn_u32 index) {
  return env->at<pn_segment>(TableId::seg, index);
}
static inline const pn_row_chunk* pn_env_row(pn_env* env, pn_u32 chunk) {
  return env->at<pn_row_chunk>(TableId::rows, chunk);
}
static inline const pn_body* pn_env_body(pn_env* env, pn_u32 index) {
  return env->at<pn_body>(TableId::bodies, index);
}
static inline const pn_port_steps* pn_env_portdir(pn_env* env, pn_u32 index) {
  return env->at<pn_port_steps>(TableId::portdirs, index);
}
static inline const pn_port_steps* pn_env_portpage(pn_env* env, pn_u32 index) {
  return env->at<pn_port_steps>(TableId::portpages, index);
}
static inline pn_ct_bucket* pn_env_ct(pn_env* env, pn_u32 bucket) {
  env->writer->at_hole();
  return &(*env->buckets)[bucket];
}
static inline void pn_env_lock(pn_ct_bucket*) {}
static inline void pn_env_unlock(pn_ct_bucket*) {}
static inline pn_fragment_bucket* pn_env_fragments(pn_env*, pn_u32) { return nullptr; }
static inline void pn_env_lock_fragments(pn_fragment_bucket*) {}
static inline void pn_env_unlock_fragments(pn_fragment_bucket*) {}
static inline int pn_env_more(pn_env*, pn_frame*) { return 0; }
static inline pn_u32 pn_env_tick(pn_env* env, const pn_node* node) {
  env->writer->at_hole();
  return static_cast<pn_u32>(env->now_ns >> node->tick_shift);
}
static inline pn_u64 pn_env_time_ns(pn_env* env) { return env->now_ns; }
static inline pn_counter* pn_env_counter(pn_env*, pn_u32) { return nullptr; }
static inline pn_u32 pn_env_cpu(pn_env*) { return 0; }
static inline pn_u32 pn_env_emit(pn_env*, const pn_event*, pn_ring) { return 0; }
