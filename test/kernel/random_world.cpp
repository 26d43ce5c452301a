// SPDX-License-Identifier: Apache-2.0
#include "test/kernel/random_world.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <map>

namespace postern::test {
namespace {

constexpr std::uint32_t kPods = 6;
constexpr std::uint32_t kPodNet = 0x0a000000;   // pods 10.0.0.1 ...
constexpr std::uint32_t kPeerNet = 0x0a000064;  // peers 10.0.0.100 ..., 10.1.0.100 ..., 172.16.0.100 ...
constexpr std::uint32_t kBodies = 24, kDirectories = 6, kPages = 10, kRowChunks = 24;

template <typename T>
TableWrite put(TableId table, std::uint32_t index, const T& value, std::uint32_t offset = 0) {
  const auto* start = reinterpret_cast<const std::byte*>(&value);
  return {table, index, offset, {}, {start, start + sizeof value}};
}

template <typename K, typename V>
TableWrite put_far(TableId table, const K& key, const V& value) {
  TableWrite write = put(table, 0, value);
  const auto* start = reinterpret_cast<const std::byte*>(&key);
  write.key.assign(start, start + sizeof key);
  return write;
}

std::uint32_t pod_address(std::size_t number) { return kPodNet + 1 + static_cast<std::uint32_t>(number); }

// As world_address, in the tables' form.
pn_address abi_address(std::uint32_t host, bool v6) {
  if (!v6) return pn_address_v4(host);
  return {std::uint64_t{host} << 32, host == 0 ? 0u : 1u};
}

}  // namespace

IpAddress world_address(std::uint32_t host, bool v6) {
  if (!v6) return IpAddress::v4(host);
  std::array<std::uint8_t, 16> bytes{};
  for (std::size_t i = 0; i < 4; ++i) bytes[i] = static_cast<std::uint8_t>(host >> (24 - 8 * i));
  bytes[15] = host == 0 ? 0 : 1;
  return IpAddress::v6(bytes);
}

const std::vector<std::uint32_t>& world_interfaces() {
  static const std::vector<std::uint32_t> indices{1001,  1002, 1003, 1004,
                                                  66537, 1006, 1007};  // 66537 = 1001 + 65536
  return indices;
}

TableSizes RandomWorld::sizes() {
  TableSizes sizes;
  const auto set = [&](TableId table, std::uint32_t entries) {
    sizes.entries[static_cast<std::size_t>(table)] = entries;
  };
  set(TableId::slots_far, 16);
  set(TableId::pods, 16);
  set(TableId::hosts, 8);
  set(TableId::hosts_far, 256);
  set(TableId::seg, 256);
  set(TableId::rows, kRowChunks);
  set(TableId::bodies, kBodies);
  set(TableId::portdirs, kDirectories);
  set(TableId::portpages, kPages);
  sizes.conntrack_buckets = 16;
  return sizes;
}

std::uint32_t RandomWorld::final_step() {
  const std::uint32_t rule = below(50);
  switch (below(8)) {
    case 0: return 0;
    case 1: return pn_step_allow(PN_REASON_NOT_ISOLATED, 0);
    case 2: return pn_step_allow(PN_REASON_RULE_ADMIN, rule);
    case 3: return pn_step_deny(PN_REASON_DENIED_ADMIN, rule);
    case 4: return pn_step_deny(PN_REASON_STRICT, 0);
    case 5: return pn_step_deny(PN_REASON_ISOLATED, 0);
    default: return pn_step_allow(PN_REASON_RULE, rule);
  }
}

std::uint32_t RandomWorld::step_to(std::uint32_t indices) {
  return one_in(3) ? final_step() : pn_step_continue(below(indices + 1));  // the last one is outside
}

std::uint32_t RandomWorld::address() {
  const std::uint32_t net = pick<std::uint32_t>({0x0a000000, 0x0a010000, 0xac100000});
  return one_in(12) ? pod_address(below(kPods)) : (net | (kPeerNet & 0xff)) + below(40);
}

void RandomWorld::write_hosts(TableDelta& delta) {
  std::map<std::uint32_t, pn_hosts_bucket> buckets;
  for (int n = 0; n < 100; ++n) {
    const pn_address host = abi_address(address(), one_in(2));
    const std::uint32_t peer_class = below(40);
    const pn_u64 hash = pn_hash(host, node_.hash_secret);
    pn_hosts_bucket& bucket = buckets[pn_hash_bucket(hash) & node_.hosts_mask];
    pn_u64* const end = bucket.words + PN_HOSTS_WAYS;
    pn_u64* const free = std::find(bucket.words, end, 0u);
    if (free != end) {
      *free = pn_pair(pn_hash_tag(hash), peer_class);
      bucket.addresses[free - bucket.words] = host;
      continue;
    }
    bucket.head |= PN_HOSTS_SPILLED;
    delta.writes.push_back(put_far(TableId::hosts_far, host, peer_class));
  }
  for (const auto& [index, bucket] : buckets) delta.writes.push_back(put(TableId::hosts, index, bucket));
}

void RandomWorld::write_blocks(TableDelta& delta) {
  std::uint32_t next = 1;
  for (const std::uint32_t page : {0x00a00u, 0x00a01u, 0x0ac10u, 0x00000u, 0x10a00u, 0x10a01u, 0x1ac10u}) {
    const bool v6 = page >= PN_IDX_PAGES;
    const std::uint32_t net = page % PN_IDX_PAGES;
    const std::uint32_t count = below(20);
    delta.writes.push_back(put(TableId::idx, page, pn_pair(count, count == 0 ? below(40) : next)));
    std::vector<std::uint32_t> starts{net << 16};
    while (starts.size() < count) starts.push_back((net << 16) + below(160));
    std::sort(starts.begin(), starts.end());
    for (std::uint32_t i = 0; i < count; ++i) {
      delta.writes.push_back(put(TableId::seg, next++, pn_segment{abi_address(starts[i], v6), below(40), 0}));
    }
  }
}

void RandomWorld::write_decisions(TableDelta& delta) {
  for (std::uint32_t page = 0; page < kPages; ++page) {
    pn_port_steps steps{};
    for (auto& step : steps.steps) step = final_step();
    delta.writes.push_back(put(TableId::portpages, page, steps));
  }
  for (std::uint32_t directory = 0; directory < kDirectories; ++directory) {
    pn_port_steps steps{};
    for (auto& step : steps.steps) step = step_to(kPages);
    delta.writes.push_back(put(TableId::portdirs, directory, steps));
  }
  for (std::uint32_t index = 0; index < kBodies; ++index) {
    const auto lo = static_cast<pn_u16>(below(500));
    const pn_body body{final_step(),
                       step_to(kDirectories),
                       step_to(kDirectories),
                       step_to(kDirectories),
                       pick<pn_u32>({0, 6, 17, 132}),
                       lo,
                       static_cast<pn_u16>(lo + below(300)),
                       final_step(),
                       0};
    delta.writes.push_back(put(TableId::bodies, index, body));
  }
  for (std::uint32_t chunk = 0; chunk < kRowChunks; ++chunk) {
    pn_row_chunk row{};
    for (auto& step : row.steps) step = one_in(2) ? final_step() : step_to(kBodies);
    delta.writes.push_back(put(TableId::rows, chunk, row));
  }
}

pn_pod RandomWorld::pod(std::size_t number) {
  pn_pod pod{};
  pod.endpoint = static_cast<pn_u32>(number) + 1;
  pod.v4 = pod_address(number);
  pod.v6 = abi_address(pod_address(number), true);
  for (const pn_u32 flag : {PN_POD_SPOOF_CHECK, PN_POD_EVENT_DENY, PN_POD_EVENT_ALL})
    pod.flags |= one_in(2) ? flag : 0u;
  const std::uint32_t judged = 1 + below(3);  // ingress, egress, both
  for (std::uint32_t direction = 0; direction < 2; ++direction) {
    pod.dir[direction] = {below(kRowChunks + 1), 1 + below(48), below(9),
                          one_in(4) ? 0u : pn_u32{PN_DIR_BLOCKS}};
    if ((judged >> direction & 1) != 0) pod.dir[direction].flags |= PN_DIR_JUDGED;
  }
  if (judged == 3 || one_in(4)) pod.flags |= PN_POD_CT_FIRST;
  if (one_in(5)) pod.flags |= PN_POD_KEEP | PN_POD_CT_FIRST;
  if (one_in(5)) pod.flags |= PN_POD_EVENT_NEW | PN_POD_CT_FIRST;
  return pod;
}

void RandomWorld::write_slots(TableDelta& delta) {
  const auto& indices = world_interfaces();
  for (std::uint32_t n = 0; n < kPods; ++n) {
    delta.writes.push_back(put(TableId::pods, n + 1, pod(n)));
    const std::uint32_t record = one_in(40) ? 200 : n + 1;  // outside the table
    const pn_u64 slot = pn_slot(indices[n], record, one_in(12) ? 0 : 1);
    if (indices[n] > 0xffff) {
      delta.writes.push_back(put_far(TableId::slots_far, indices[n], slot));
    } else {
      delta.writes.push_back(put(TableId::slots, indices[n], slot));
    }
  }
}

TableDelta RandomWorld::tables() {
  TableDelta delta;
  node_.epoch = 1;
  node_.flags = one_in(4) ? pn_u32{PN_NODE_STRICT} : 0u;
  node_.hash_secret = random_.next();
  node_.hosts_mask = sizes().of(TableId::hosts) - 1;
  node_.ct_mask = sizes().conntrack_buckets - 1;
  node_.tick_shift = 30;
  for (auto& timeout : node_.timeouts) timeout = 2 + below(100);
  delta.writes.push_back(put(TableId::node, 0, node_));
  write_hosts(delta);
  write_blocks(delta);
  write_decisions(delta);
  write_slots(delta);
  return delta;
}

TableDelta RandomWorld::edit() {
  TableDelta delta;
  switch (below(4)) {
    case 0:
      delta.writes.push_back(
          put(TableId::rows, below(kRowChunks), step_to(kBodies), 4 * below(PN_ROW_CHUNK)));
      break;
    case 1: delta.writes.push_back(put(TableId::pods, 1 + below(kPods), pod(below(kPods)))); break;
    case 2: write_hosts(delta); break;
    default: delta.writes.push_back(put(TableId::bodies, below(kBodies), final_step(), 4 * below(4))); break;
  }
  if (one_in(2)) delta.writes.push_back(put(TableId::node, 0, ++node_.epoch));
  return delta;
}

}  // namespace postern::test
