// SPDX-License-Identifier: Apache-2.0
// The classes of blocks in `idx` and `seg`: one word per page (a /16 of either family) when the whole
// page has one class, else a run of segments. A run whose borders change is built aside and switched
// by its idx word; one whose borders stay is changed word by word.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "engine/compile/address_space.h"
#include "engine/compile/delta_writer.h"
#include "engine/compile/signatures.h"
#include "engine/compile/space.h"

namespace postern {

// From `first` up to the next interval's.
struct ClassInterval {
  AddressNumber first = 0;
  ClassId class_id = kNoTermClass;
  friend bool operator==(const ClassInterval&, const ClassInterval&) = default;
};

// Joins neighbours of one class.
void normalise(std::vector<ClassInterval>& intervals);

// The word of an element of idx or seg, with the class it names.
struct ClassWord {
  TableId table = TableId::idx;
  std::uint32_t index = 0;
  ClassId class_id = kNoTermClass;
};
void store(const ClassWord& word, DeltaWriter& out);

struct IntervalChange {
  const std::vector<ClassInterval>& before;  // both normalised, covering every address
  const std::vector<ClassInterval>& after;
  const std::unordered_map<ClassId, ClassId>& merged_later;
};

struct IntervalOutcome {
  std::vector<ClassWord> late_words;  // those of a class of `merged_later`, with the class it becomes
  std::size_t longest_run = 0;        // of those written; above PN_SEG_RUN_MAX no packet finds its way
};

// `tables` holds what stands before the update; `segments` is the space of seg.
IntervalOutcome write_intervals(const IntervalChange& change, const PolicyTables& tables, Space& segments,
                                DeltaWriter& out);

}  // namespace postern
