// SPDX-License-Identifier: Apache-2.0
#include "test/kernel/random_world.h"

#include <algorithm>
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

std::uint32_t network_order(std::uint32_t host) { return IpAddress::v4(host).v4_network_order(); }

std::uint32_t pod_address(std::size_t number) { return kPodNet + 1 + static_cast<std::uint32_t>(number); }

}  // namespace

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
  set(TableId::hosts4, 8);
  set(TableId::hosts4_far, 256);
  set(TableId::seg4, 256);
  set(TableId::hosts6, 8);
  set(TableId::hosts6_far, 8);
  set(TableId::seg6, 8);
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
  std::map<std::uint32_t, pn_hosts4_bucket> buckets;
  for (int n = 0; n < 70; ++n) {
    const std::uint32_t host = network_order(address());
    const std::uint32_t peer_class = below(40);
    pn_hosts4_bucket& bucket = buckets[pn_hash4(host, node_.hash_secret) & node_.hosts4_mask];
    pn_u64* const end = bucket.words + PN_HOSTS4_WAYS;
    pn_u64* const free = std::find(bucket.words, end, 0u);
    if (free != end) {
      *free = pn_pair(host, peer_class);
      continue;
    }
    bucket.head |= PN_HOSTS_SPILLED;
    delta.writes.push_back(put_far(TableId::hosts4_far, host, peer_class));
  }
  for (const auto& [index, bucket] : buckets) delta.writes.push_back(put(TableId::hosts4, index, bucket));
}

void RandomWorld::write_blocks(TableDelta& delta) {
  std::uint32_t next = 1;
  for (const std::uint32_t net : {0x0a00u, 0x0a01u, 0xac10u, 0x0000u}) {
    const std::uint32_t count = below(20);
    delta.writes.push_back(put(TableId::idx4, net, pn_pair(count, count == 0 ? below(40) : next)));
    std::vector<std::uint32_t> starts{net << 16};
    while (starts.size() < count) starts.push_back((net << 16) + below(160));
    std::sort(starts.begin(), starts.end());
    for (std::uint32_t i = 0; i < count; ++i) {
      delta.writes.push_back(put(TableId::seg4, next++, pn_pair(starts[i], below(40))));
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
  pod.v4 = network_order(pod_address(number));
  for (const pn_u32 flag : {PN_POD_SPOOF_CHECK, PN_POD_EVENT_DENY, PN_POD_EVENT_ALL})
    pod.flags |= one_in(2) ? flag : 0u;
  const std::uint32_t judged = 1 + below(3);  // ingress, egress, both
  for (std::uint32_t direction = 0; direction < 2; ++direction) {
    pod.dir[direction] = {below(kRowChunks + 1), 1 + below(48), below(9),
                          one_in(4) ? 0u : pn_u32{PN_DIR_BLOCKS4}};
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
  node_.hosts4_mask = sizes().of(TableId::hosts4) - 1;
  node_.ct4_mask = sizes().conntrack_buckets - 1;
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
