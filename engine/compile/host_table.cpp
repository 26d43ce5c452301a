// SPDX-License-Identifier: Apache-2.0
#include "engine/compile/host_table.h"

#include <bit>

namespace postern {

namespace {

constexpr std::uint32_t kPlacesPerBucket = 8;
static_assert(PN_HOSTS_WAYS <= kPlacesPerBucket);

void store_word(std::uint32_t place, std::uint64_t word, DeltaWriter& out) {
  const std::size_t way = place % kPlacesPerBucket;
  out.store(TableId::hosts, place / kPlacesPerBucket, word,
            offsetof(pn_hosts_bucket, words) + way * sizeof(pn_u64));
}

void store_address(std::uint32_t place, AddressNumber address, DeltaWriter& out) {
  const std::size_t way = place % kPlacesPerBucket;
  out.store(TableId::hosts, place / kPlacesPerBucket, to_abi(address),
            offsetof(pn_hosts_bucket, addresses) + way * sizeof(pn_address));
}

}  // namespace

HostTable::HostTable(std::uint32_t buckets, std::uint32_t far_entries)
    : buckets_(std::bit_floor(buckets)), far_entries_(far_entries), used_ways_(buckets_) {}

std::uint32_t HostTable::insert(AddressNumber address, ClassId class_id, std::uint64_t secret,
                                DeltaWriter& out) {
  const std::uint64_t hash = pn_hash(to_abi(address), secret);
  const std::uint32_t bucket = pn_hash_bucket(hash) & mask();
  if (buckets_ != 0) {
    for (std::uint32_t way = 0; way < PN_HOSTS_WAYS; ++way) {
      const auto bit = static_cast<std::uint8_t>(1u << way);
      if ((used_ways_[bucket] & bit) != 0) continue;
      used_ways_[bucket] = static_cast<std::uint8_t>(used_ways_[bucket] | bit);
      const std::uint32_t place = bucket * kPlacesPerBucket + way;
      store_address(place, address, out);
      store_word(place, pn_pair(pn_hash_tag(hash), class_id), out);
      return place;
    }
  }
  ++far_needed_;
  if (overflowed() || buckets_ == 0) return kFar;  // the update is refused
  out.set(TableId::hosts_far, to_abi(address), class_id);
  // Only now do packets look there.
  if (++far_[bucket] == 1) out.store(TableId::hosts, bucket, pn_u64{PN_HOSTS_SPILLED});
  return kFar;
}

void HostTable::change(const StoredHost& host, ClassId class_id, std::uint64_t secret, DeltaWriter& out) {
  const pn_address address = to_abi(host.address);
  if (host.place == kFar) {
    out.set(TableId::hosts_far, address, class_id);
  } else {
    store_word(host.place, pn_pair(pn_hash_tag(pn_hash(address, secret)), class_id), out);
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
  const pn_address address = to_abi(host.address);
  out.erase(TableId::hosts_far, address);
  --far_needed_;
  const auto found = far_.find(pn_hash_bucket(pn_hash(address, secret)) & mask());
  if (--found->second == 0) {
    out.store(TableId::hosts, found->first, pn_u64{0});
    far_.erase(found);
  }
}

}  // namespace postern
