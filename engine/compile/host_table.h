// SPDX-License-Identifier: Apache-2.0
// Where each stored host stands in `hosts` and `hosts_far`, and the writes that place, change and
// remove one.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "engine/compile/address_space.h"
#include "engine/compile/delta_writer.h"
#include "engine/compile/signatures.h"

namespace postern {

struct StoredHost {
  AddressNumber address = 0;
  ClassId class_id = kNoTermClass;
  std::uint32_t place = 0;  // bucket * 8 + way, or HostTable::kFar
};

class HostTable {
 public:
  static constexpr std::uint32_t kFar = 0xffffffffu;

  HostTable(std::uint32_t buckets, std::uint32_t far_entries);

  // The address must not be stored. Returns its place. The address comes before the word that makes
  // it seen.
  std::uint32_t insert(AddressNumber address, ClassId class_id, std::uint64_t secret, DeltaWriter& out);
  // One word: from the old class to the new.
  static void change(const StoredHost& host, ClassId class_id, std::uint64_t secret, DeltaWriter& out);
  // One word: then the interval around the address answers. Its place is not given to another host
  // before every insertion of the same update has been made.
  void erase(const StoredHost& host, std::uint64_t secret, DeltaWriter& out);

  [[nodiscard]] std::uint32_t mask() const { return buckets_ == 0 ? 0 : buckets_ - 1; }
  [[nodiscard]] bool overflowed() const { return far_needed_ > far_entries_; }
  [[nodiscard]] std::uint64_t far_needed() const { return far_needed_; }

 private:
  std::uint32_t buckets_;  // a power of two
  std::uint32_t far_entries_;
  std::vector<std::uint8_t> used_ways_;         // by bucket, one bit a way
  std::map<std::uint32_t, std::uint32_t> far_;  // bucket -> hosts beyond it
  std::uint64_t far_needed_ = 0;
};

}  // namespace postern
