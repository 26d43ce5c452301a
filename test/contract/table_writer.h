// SPDX-License-Identifier: Apache-2.0
// Policy tables written by hand: a test says which class a peer has and what a row says of it, without
// the compiler. One pod, 10.0.0.9, endpoint 7, record 3, at interface 41.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "engine/abi/tables.h"
#include "engine/compile/policy_tables.h"
#include "test/contract/frames.h"

namespace postern::test {

constexpr std::uint32_t kIfindex = 41;
constexpr std::uint32_t kRecord = 3;
constexpr std::uint32_t kEndpoint = 7;
constexpr std::uint32_t kPod = ip4(10, 0, 0, 9);

template <typename T>
std::vector<std::byte> bytes_of(const T& value) {
  std::vector<std::byte> bytes(sizeof value);
  std::memcpy(bytes.data(), &value, sizeof value);
  return bytes;
}

// Small tables: what the contract needs and no more.
inline TableSizes small_sizes() {
  TableSizes sizes;
  const auto set = [&](TableId table, std::uint32_t entries) {
    sizes.entries[static_cast<std::size_t>(table)] = entries;
  };
  set(TableId::slots_far, 4);
  set(TableId::pods, 16);
  set(TableId::hosts, 64);
  set(TableId::hosts_far, 4);
  set(TableId::seg, 256);
  set(TableId::rows, 64);
  set(TableId::bodies, 64);
  set(TableId::portdirs, 8);
  set(TableId::portpages, 8);
  sizes.conntrack_buckets = 64;
  sizes.fragment_buckets = 16;
  return sizes;
}

class TableWriter {
 public:
  explicit TableWriter(const TableSizes& sizes, std::uint32_t tick_shift) {
    node_.hash_secret = 0x1234567890abcdefull;
    node_.hosts_mask = sizes.of(TableId::hosts) - 1;
    node_.ct_mask = sizes.conntrack_buckets - 1;
    node_.fragment_mask = sizes.fragment_buckets - 1;
    node_.fragment_timeout = 100;
    node_.tick_shift = tick_shift;
    node_.epoch = 1;
    for (auto& timeout : node_.timeouts) timeout = 100;
    pod_.endpoint = kEndpoint;
    if (is_v4()) {
      pod_.v4 = kPod;
    } else {
      pod_.v6 = abi_address(kPod);
    }
  }

  pn_node& node() { return node_; }
  pn_pod& pod() { return pod_; }

  // Judges a direction: classes beyond `steps` read the first.
  TableWriter& judge(pn_direction direction, const std::vector<std::uint32_t>& steps,
                     std::uint32_t extra = 0) {
    pn_pod_dir& dir = pod_.dir[direction];
    dir.row = direction == PN_INGRESS ? 1 : 9;
    dir.row_len = static_cast<std::uint32_t>(steps.size());
    dir.flags = PN_DIR_JUDGED | extra;
    for (std::uint32_t i = 0; i < steps.size(); ++i) {
      write(TableId::rows, dir.row + i / PN_ROW_CHUNK, steps[i], (i % PN_ROW_CHUNK) * 4);
    }
    return *this;
  }

  TableWriter& host(std::uint32_t address, std::uint32_t class_id) {
    constexpr std::uint32_t kWords = offsetof(pn_hosts_bucket, words);
    constexpr std::uint32_t kAddresses = offsetof(pn_hosts_bucket, addresses);
    constexpr std::uint32_t kAddress = sizeof(pn_address);
    const pn_address key = abi_address(address);
    const pn_u64 hash = pn_hash(key, node_.hash_secret);
    const std::uint32_t bucket = pn_hash_bucket(hash) & node_.hosts_mask;
    std::uint32_t way = ways_used_.size() > bucket ? ways_used_[bucket] : 0;
    if (ways_used_.size() <= bucket) ways_used_.resize(bucket + 1);
    ways_used_[bucket] = way + 1;
    write(TableId::hosts, bucket, key, kAddresses + way * kAddress);
    return write(TableId::hosts, bucket, pn_pair(pn_hash_tag(hash), class_id),
                 kWords + way * 8);
  }

  // The same, in the table for full buckets.
  TableWriter& host_far(std::uint32_t address, std::uint32_t class_id) {
    const pn_address key = abi_address(address);
    const std::uint32_t bucket = pn_hash_bucket(pn_hash(key, node_.hash_secret)) & node_.hosts_mask;
    write(TableId::hosts, bucket, std::uint64_t{PN_HOSTS_SPILLED}, 0);
    return hash(TableId::hosts_far, bytes_of(key), bytes_of(class_id));
  }

  // A run of `segments` from place `first`, or one class, for what shares the first 16 bits.
  TableWriter& page(std::uint32_t address, std::uint32_t segments, std::uint32_t first_or_class) {
    return write(TableId::idx, pn_idx_page(block_start(address)), pn_pair(segments, first_or_class));
  }
  TableWriter& segment(std::uint32_t place, std::uint32_t address, std::uint32_t class_id) {
    return write(TableId::seg, place, pn_segment{block_start(address), class_id, 0});
  }

  TableWriter& body(std::uint32_t index, const pn_body& body) { return write(TableId::bodies, index, body); }

  template <typename T>
  TableWriter& write(TableId table, std::uint32_t index, const T& value, std::uint32_t offset = 0) {
    delta_.writes.push_back({table, index, offset, {}, bytes_of(value)});
    return *this;
  }

  TableWriter& hash(TableId table, std::vector<std::byte> key, std::vector<std::byte> value) {
    delta_.writes.push_back({table, 0, 0, std::move(key), std::move(value)});
    return *this;
  }

  // Everything written so far, the record, the slot last.
  TableDelta take() {
    write(TableId::node, 0, node_);
    write(TableId::pods, kRecord, pod_);
    const bool judged = ((pod_.dir[0].flags | pod_.dir[1].flags) & PN_DIR_JUDGED) != 0;
    write(TableId::slots, kIfindex & (PN_SLOTS - 1), pn_slot(kIfindex, kRecord, judged ? 1 : 0));
    TableDelta taken;
    std::swap(taken, delta_);
    return taken;
  }

 private:
  pn_node node_{};
  pn_pod pod_{};
  std::vector<std::uint32_t> ways_used_;
  TableDelta delta_;
};

}  // namespace postern::test
