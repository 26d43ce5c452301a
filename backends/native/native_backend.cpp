// SPDX-License-Identifier: Apache-2.0
#include "backends/native/native_backend.h"

#include <sys/mman.h>

#include <bit>
#include <cstring>
#include <new>
#include <string>
#include <utility>

#include "backends/native/native_env.h"
#include "engine/conntrack/conntrack_view.h"
#include "engine/datapath/pipeline.h"

namespace postern {
namespace {

template <typename T>
native::View<const T> view(const PolicyTables& tables, TableId table) {
  const auto bytes = tables.array(table);
  return {reinterpret_cast<const T*>(bytes.data()), bytes.size() / sizeof(T)};
}

template <typename T>
T number_of(const std::vector<std::byte>& bytes) {
  T value{};
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

template <typename Map>
void mirror_into(Map& map, const TableWrite& write) {
  const auto key = number_of<typename Map::key_type>(write.key);
  if (write.bytes.empty()) {
    map.erase(key);
  } else {
    map[key] = number_of<typename Map::mapped_type>(write.bytes);
  }
}

// Untouched pages stay the kernel's page of zeros.
pn_ct_bucket* map_buckets(std::size_t bytes) {
  void* memory =
      mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  return static_cast<pn_ct_bucket*>(memory);
}

}  // namespace

void NativeBackend::Unmap::operator()(pn_ct_bucket* buckets) const { munmap(buckets, bytes); }

NativeBackend::NativeBackend(const TableSizes& sizes)
    : tables_(sizes),
      bucket_count_(sizes.conntrack_buckets),
      buckets_(map_buckets(bucket_count_ * sizeof(pn_ct_bucket)),
               Unmap{bucket_count_ * sizeof(pn_ct_bucket)}),
      fragments_(sizes.fragment_buckets),
      counters_(PN_COUNTERS) {}

NativeBackend::~NativeBackend() = default;

Result<void> NativeBackend::apply(const TableDelta& delta) {
  for (const auto& write : delta.writes) {
    if (auto done = tables_.apply(write); !done) return done;
    mirror(write);
  }
  return {};
}

void NativeBackend::mirror(const TableWrite& write) {
  if (write.table == TableId::slots_far) mirror_into(slots_far_, write);
  if (write.table == TableId::hosts_far) mirror_into(hosts_far_, write);
}

Result<void> NativeBackend::attach(std::uint32_t ifindex) {
  if (ifindex == 0)
    return fail(ErrorCode::invalid_input, "attach to interface 0; expected an index from 1 up");
  attached_.insert(ifindex);
  return {};
}

Result<void> NativeBackend::detach(std::uint32_t ifindex) {
  attached_.erase(ifindex);
  return {};
}

Result<std::vector<ConntrackEntry>> NativeBackend::conntrack() const {
  std::vector<ConntrackEntry> entries;
  for (const auto& bucket : used_buckets()) {
    for_each_entry(bucket, [&](const pn_ct_key& key, const pn_ct_value& value) {
      entries.push_back({key, value});
    });
  }
  return entries;
}

Result<void> NativeBackend::forget_connections(EndpointId endpoint) {
  for (auto& bucket : used_buckets()) forget_in_bucket(bucket, endpoint);
  if (endpoint.value == 0) fragments_.assign(fragments_.size(), {});
  return {};
}

Result<void> NativeBackend::age_connections(Duration by) {
  const std::uint32_t ticks = ticks_of(by, clock().tick_ns);
  for (auto& bucket : used_buckets()) age_bucket(bucket, ticks);
  for (auto& bucket : fragments_) {
    for (auto& way : bucket.ways) way.seen -= ticks;
  }
  return {};
}

std::size_t NativeBackend::drain(pn_ring ring, EventSink& sink) {
  const auto events = std::exchange(rings_[ring], {});
  for (const auto& event : events) sink.on_event(event);
  return events.size();
}

Result<std::uint32_t> NativeBackend::now() {
  return static_cast<std::uint32_t>(static_cast<std::uint64_t>(now_.ns) >> clock().shift);
}

Result<void> NativeBackend::read(std::uint32_t first, std::uint32_t count, std::vector<PlacedConnection>& into) {
  const auto used = used_buckets();
  const std::size_t end = std::min(used.size(), std::size_t{first} + count);
  for (std::size_t i = first; i < end; ++i) {
    for (std::uint32_t way = 0; way < PN_CT_WAYS; ++way) {
      const pn_ct_way& entry = used[i].ways[way];
      if (used[i].fingerprints[way] == 0 || entry.value.state == 0) continue;
      into.push_back({static_cast<std::uint32_t>(i), way, entry.key, entry.value});
    }
  }
  return {};
}

namespace {
bool is_as_read(const pn_ct_bucket& bucket, const PlacedConnection& read) {
  if (read.value.state == 0) return bucket.fingerprints[read.way] == 0;
  const pn_ct_way& entry = bucket.ways[read.way];
  return bucket.fingerprints[read.way] != 0 && std::memcmp(&entry.key, &read.key, sizeof read.key) == 0 &&
         std::memcmp(&entry.value, &read.value, sizeof read.value) == 0;
}
}  // namespace

Result<void> NativeBackend::change(std::span<ConnectionChange> changes, std::uint32_t now) {
  for (auto& change : changes) {
    pn_ct_bucket& bucket = buckets_[change.read.bucket];
    change.made = is_as_read(bucket, change.read);
    if (!change.made) continue;
    pn_ct_way& entry = bucket.ways[change.read.way];
    switch (change.kind) {
      case ConnectionChangeKind::note: entry.value.state |= PN_CT_NODE_HAD; break;
      case ConnectionChangeKind::retire: entry.value.seen = now - PN_CT_RETIRED_IDLE; break;
      case ConnectionChangeKind::free:
        bucket.fingerprints[change.read.way] = 0;
        entry = {};
        break;
    }
  }
  return {};
}

Result<void> NativeBackend::put(std::span<ConnectionPut> puts) {
  for (auto& put : puts) {
    pn_ct_bucket& bucket = buckets_[put.read.bucket];
    put.made = is_as_read(bucket, put.read);
    for (std::uint32_t way = 0; way < PN_CT_WAYS; ++way) {
      if (way != put.read.way && bucket.fingerprints[way] == put.fingerprint &&
          pn_ct_same(&bucket.ways[way].key, &put.key) != 0) {
        put.made = false;
      }
    }
    if (!put.made) continue;
    tracked_ = true;
    bucket.ways[put.read.way] = {.key = put.key, .value = put.value};
    bucket.fingerprints[put.read.way] = put.fingerprint;
  }
  return {};
}

Classified NativeBackend::classify(std::uint32_t ifindex, std::uint8_t direction,
                                   std::span<const std::byte> frame, Instant now) {
  now_ = std::max(now_, now);
  if (!attached_.contains(ifindex)) return {.allow = true, .step = 0};
  pn_env env{
      .node = view<pn_node>(tables_, TableId::node),
      .slots = view<pn_u64>(tables_, TableId::slots),
      .pods = view<pn_pod>(tables_, TableId::pods),
      .hosts = view<pn_hosts_bucket>(tables_, TableId::hosts),
      .idx = view<pn_u64>(tables_, TableId::idx),
      .seg = view<pn_segment>(tables_, TableId::seg),
      .rows = view<pn_row_chunk>(tables_, TableId::rows),
      .bodies = view<pn_body>(tables_, TableId::bodies),
      .portdirs = view<pn_port_steps>(tables_, TableId::portdirs),
      .portpages = view<pn_port_steps>(tables_, TableId::portpages),
      .ct = {buckets_.get(), bucket_count_},
      .fragments = {fragments_.data(), fragments_.size()},
      .slots_far = &slots_far_,
      .hosts_far = &hosts_far_,
      .counters = &counters_,
      .rings = &rings_,
      .now_ns = static_cast<std::uint64_t>(now.ns),
  };
  const auto* data = reinterpret_cast<const pn_u8*>(frame.data());
  pn_frame packet{
      .data = data,
      .end = data + frame.size(),
      .length = static_cast<pn_u32>(frame.size()),
      .ifindex = ifindex,
      .direction = direction,
      .handle = nullptr,
  };
  const pn_u64 slot = pn_find_slot(&env, ifindex);
  if (slot != 0 && !pn_slot_judges(slot)) return {.allow = true, .step = 0};
  tracked_ = true;
  const pn_u32 step = slot != 0 ? pn_judge(&env, &packet, slot) : pn_without_slot(&env, &packet);
  return {.allow = pn_step_allows(step) != 0, .step = step == PN_STEP_NOT_JUDGED ? 0 : step};
}

Result<std::unique_ptr<Backend>> make_native_backend(const TableSizes& sizes) {
  for (const auto entries : {sizes.conntrack_buckets, sizes.fragment_buckets, sizes.of(TableId::hosts)}) {
    if (!std::has_single_bit(entries)) {
      return fail(ErrorCode::invalid_input, "a table of " + std::to_string(entries) +
                                                " buckets; expected a power of two (conntrack, fragments, hosts)");
    }
  }
  return std::unique_ptr<Backend>(std::make_unique<NativeBackend>(sizes));
}

}  // namespace postern
