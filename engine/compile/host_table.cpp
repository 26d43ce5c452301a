// SPDX-License-Identifier: Apache-2.0
#include "engine/compile/host_table.h"

#include <bit>

#include "engine/base/ip.h"

namespace postern {

namespace {

constexpr std::uint32_t kPlacesPerBucket = 8;

std::uint32_t network_order(std::uint32_t address) { return IpAddress::v4(address).v4_network_order(); }

void store_word(std::uint32_t place, std::uint64_t word, DeltaWriter& out) {
  const std::size_t way = place % kPlacesPerBucket;
  out.store(TableId::hosts4, place / kPlacesPerBucket, word,
            offsetof(pn_hosts4_bucket, words) + way * sizeof(pn_u64));
}

}  // namespace

HostTable::HostTable(std::uint32_t buckets, std::uint32_t far_entries)
    : buckets_(std::bit_floor(buckets)), far_entries_(far_entries), used_ways_(buckets_) {}

std::uint32_t HostTable::bucket_of(std::uint32_t address, std::uint64_t secret) const {
  return pn_hash4(network_order(address), secret) & mask();
}

std::uint32_t HostTable::insert(std::uint32_t address, ClassId class_id, std::uint64_t secret,
                                DeltaWriter& out) {
  const std::uint32_t bucket = bucket_of(address, secret);
  if (buckets_ != 0) {
    for (std::uint32_t way = 0; way < PN_HOSTS4_WAYS; ++way) {
      const auto bit = static_cast<std::uint8_t>(1u << way);
      if ((used_ways_[bucket] & bit) != 0) continue;
      used_ways_[bucket] = static_cast<std::uint8_t>(used_ways_[bucket] | bit);
      const std::uint32_t place = bucket * kPlacesPerBucket + way;
      store_word(place, pn_pair(network_order(address), class_id), out);
      return place;
    }
  }
  ++far_needed_;
  if (overflowed() || buckets_ == 0) return kFar;  // the update is refused
  out.set(TableId::hosts4_far, network_order(address), class_id);
  // Only now do packets look there.
  if (++far_[bucket] == 1) out.store(TableId::hosts4, bucket, pn_u64{PN_HOSTS_SPILLED});
  return kFar;
}

void HostTable::change(const StoredHost& host, ClassId class_id, DeltaWriter& out) {
  if (host.place == kFar) {
    out.set(TableId::hosts4_far, network_order(host.address), class_id);
  } else {
    store_word(host.place, pn_pair(network_order(host.address), class_id), out);
  }
}

void HostTable::erase(const StoredHost& host, std::uint64_t secret, DeltaWriter& out) {
  if (host.place != kFar) {
    const auto bit = static_cast<std::uint8_t>(1u << (host.place % kPlacesPerBucket));
    auto& used = used_ways_[host.place / kPlacesPerBucket];
    used = static_cast<std::uint8_t>(used & ~bit);
    store_word(host.place, 0, out);
    return;
  }
  out.erase(TableId::hosts4_far, network_order(host.address));
  --far_needed_;
  const auto found = far_.find(bucket_of(host.address, secret));
  if (--found->second == 0) {
    out.store(TableId::hosts4, found->first, pn_u64{0});
    far_.erase(found);
  }
}

}  // namespace postern
