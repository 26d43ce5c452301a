// SPDX-License-Identifier: Apache-2.0
// The classes of IPv4 blocks in `idx4` and `seg4`: one word per /16 when the whole /16 has one class,
// else a run of segments. A run whose borders change is built aside and switched by its idx4 word;
// one whose borders stay is changed word by word.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "engine/compile/delta_writer.h"
#include "engine/compile/signatures.h"
#include "engine/compile/space.h"

namespace postern {

// From `first` (host order) up to the next interval's.
struct ClassInterval {
  std::uint32_t first = 0;
  ClassId class_id = kNoTermClass;
  friend bool operator==(const ClassInterval&, const ClassInterval&) = default;
};

// Joins neighbours of one class.
void normalise(std::vector<ClassInterval>& intervals);

// A word that has to be written again later, when its class has been merged into another.
struct LateWord {
  TableId table = TableId::idx4;
  std::uint32_t index = 0;
  std::uint64_t word = 0;
};

struct IntervalChange {
  const std::vector<ClassInterval>& before;  // both normalised, covering every address
  const std::vector<ClassInterval>& after;
  const std::unordered_map<ClassId, ClassId>& merged_later;
};

// `tables` holds what stands before the update; `segments` is the space of seg4. Returns the words
// that name a class of `merged_later`, with the class it becomes.
std::vector<LateWord> write_intervals(const IntervalChange& change, const PolicyTables& tables,
                                      Space& segments, DeltaWriter& out);

}  // namespace postern
