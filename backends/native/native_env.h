// SPDX-License-Identifier: Apache-2.0
// Fills the holes of engine/datapath/env.h with tables in memory. Included by exactly one source.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <unordered_map>
#include <vector>

#include "engine/datapath/env.h"

namespace postern::native {

// A table as the datapath reads it: null beyond its end, as a kernel array answers.
template <typename T>
struct View {
  T* data = nullptr;
  std::size_t size = 0;
  T* at(std::uint32_t index) const { return index < size ? data + index : nullptr; }
};

template <typename Map>
auto* find_or_null(const Map& map, typename Map::key_type key) {
  const auto found = map.find(key);
  return found == map.end() ? nullptr : &found->second;
}

// More than this is lost, as it is in a ring that nobody reads.
inline constexpr std::size_t kMaxPendingEvents = std::size_t{1} << 16;

}  // namespace postern::native

struct pn_env {
  postern::native::View<const pn_node> node;
  postern::native::View<const pn_u64> slots;
  postern::native::View<const pn_pod> pods;
  postern::native::View<const pn_hosts_bucket> hosts;
  postern::native::View<const pn_u64> idx;
  postern::native::View<const pn_segment> seg;
  postern::native::View<const pn_row_chunk> rows;
  postern::native::View<const pn_body> bodies;
  postern::native::View<const pn_port_steps> portdirs;
  postern::native::View<const pn_port_steps> portpages;
  postern::native::View<pn_ct_bucket> ct;
  postern::native::View<pn_fragment_bucket> fragments;
  const std::unordered_map<std::uint32_t, std::uint64_t>* slots_far = nullptr;
  const std::map<pn_address, std::uint32_t, postern::native::AddressOrder>* hosts_far = nullptr;
  std::vector<pn_counter>* counters = nullptr;
  std::array<std::vector<pn_event>, 2>* rings = nullptr;  // by pn_ring
  std::uint64_t now_ns = 0;
};

static inline const pn_node* pn_env_node(pn_env* env) { return env->node.at(0); }
static inline const pn_u64* pn_env_slot(pn_env* env, pn_u32 index) { return env->slots.at(index); }
static inline const pn_u64* pn_env_slot_far(pn_env* env, pn_u32 ifindex) {
  return postern::native::find_or_null(*env->slots_far, ifindex);
}
static inline const pn_pod* pn_env_pod(pn_env* env, pn_u32 record) { return env->pods.at(record); }
static inline const pn_hosts_bucket* pn_env_hosts(pn_env* env, pn_u32 bucket) {
  return env->hosts.at(bucket);
}
static inline const pn_u32* pn_env_hosts_far(pn_env* env, const pn_address* address) {
  return postern::native::find_or_null(*env->hosts_far, *address);
}
static inline const pn_u64* pn_env_idx(pn_env* env, pn_u32 index) { return env->idx.at(index); }
static inline const pn_segment* pn_env_seg(pn_env* env, pn_u32 index) { return env->seg.at(index); }
static inline const pn_row_chunk* pn_env_row(pn_env* env, pn_u32 chunk) { return env->rows.at(chunk); }
static inline const pn_body* pn_env_body(pn_env* env, pn_u32 index) { return env->bodies.at(index); }
static inline const pn_port_steps* pn_env_portdir(pn_env* env, pn_u32 index) {
  return env->portdirs.at(index);
}
static inline const pn_port_steps* pn_env_portpage(pn_env* env, pn_u32 index) {
  return env->portpages.at(index);
}
static inline pn_ct_bucket* pn_env_ct(pn_env* env, pn_u32 bucket) { return env->ct.at(bucket); }

// One thread: nobody else reads or writes a bucket.
static inline void pn_env_lock(pn_ct_bucket*) {}
static inline void pn_env_unlock(pn_ct_bucket*) {}

static inline pn_fragment_bucket* pn_env_fragments(pn_env* env, pn_u32 bucket) {
  return env->fragments.at(bucket);
}
static inline void pn_env_lock_fragments(pn_fragment_bucket*) {}
static inline void pn_env_unlock_fragments(pn_fragment_bucket*) {}

static inline int pn_env_more(pn_env*, pn_frame*) { return 0; }
static inline pn_u32 pn_env_tick(pn_env* env, const pn_node* node) {
  return static_cast<pn_u32>(env->now_ns >> (node->tick_shift & 63u));
}
static inline pn_u64 pn_env_time_ns(pn_env* env) { return env->now_ns; }

static inline pn_counter* pn_env_counter(pn_env* env, pn_u32 index) {
  return index < env->counters->size() ? &(*env->counters)[index] : nullptr;
}
static inline pn_u32 pn_env_cpu(pn_env*) { return 0; }
static inline pn_u32 pn_env_emit(pn_env* env, const pn_event* event, pn_ring ring) {
  auto& pending = (*env->rings)[ring];
  if (pending.size() >= postern::native::kMaxPendingEvents) return 1;
  pending.push_back(*event);
  return 0;
}
