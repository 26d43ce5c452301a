// SPDX-License-Identifier: Apache-2.0
#include "engine/compile/interval_table.h"

#include <algorithm>
#include <cstring>

namespace postern {

namespace {

using Run = std::vector<std::uint64_t>;  // segment words

// Walks the intervals of one /16 after the other.
class Slices {
 public:
  explicit Slices(const std::vector<ClassInterval>& intervals) : intervals_(intervals) {}

  // `page` must ascend from call to call.
  void slice(std::uint32_t page, Run& run) {
    const std::uint32_t first = page << 16;
    const std::uint32_t last = first | 0xffffu;
    while (at_ + 1 < intervals_.size() && intervals_[at_ + 1].first <= first) ++at_;
    run.clear();
    run.push_back(pn_pair(first, intervals_[at_].class_id));
    while (at_ + 1 < intervals_.size() && intervals_[at_ + 1].first <= last) {
      ++at_;
      run.push_back(pn_pair(intervals_[at_].first, intervals_[at_].class_id));
    }
  }

 private:
  const std::vector<ClassInterval>& intervals_;
  std::size_t at_ = 0;
};

std::uint64_t word_at(const PolicyTables& tables, TableId table, std::uint32_t index) {
  std::uint64_t word = 0;
  std::memcpy(&word, tables.array(table).data() + std::size_t{index} * sizeof(word), sizeof(word));
  return word;
}

class IntervalWriter {
 public:
  IntervalWriter(const IntervalChange& change, const PolicyTables& tables, Space& segments, DeltaWriter& out)
      : change_(change), tables_(tables), segments_(segments), out_(out) {}

  std::vector<LateWord> run() {
    Slices before(change_.before);
    Slices after(change_.after);
    Run old_run;
    Run new_run;
    for (std::uint32_t page = 0; page < PN_IDX_ENTRIES; ++page) {
      before.slice(page, old_run);
      after.slice(page, new_run);
      if (old_run != new_run) write_page(page, new_run);
    }
    return std::move(late_);
  }

 private:
  void write_page(std::uint32_t page, const Run& run) {
    const std::uint64_t index_word = word_at(tables_, TableId::idx4, page);
    const std::uint32_t old_count = pn_high(index_word);
    if (run.size() == 1) {
      // One class for the whole /16 stands in the index itself.
      store(TableId::idx4, page, 0, pn_low(run[0]));
    } else if (same_borders(index_word, run)) {
      for (std::uint32_t i = 0; i < old_count; ++i) {
        const std::uint32_t at = pn_low(index_word) + i;
        if (word_at(tables_, TableId::seg4, at) != run[i])
          store(TableId::seg4, at, pn_high(run[i]), pn_low(run[i]));
      }
      return;
    } else {
      const auto count = static_cast<std::uint32_t>(run.size());
      const std::uint32_t first = segments_.take(count);
      if (segments_.overflowed()) return;  // the update is refused
      for (std::uint32_t i = 0; i < count; ++i)
        store(TableId::seg4, first + i, pn_high(run[i]), pn_low(run[i]));
      out_.store(TableId::idx4, page, pn_pair(count, first));
    }
    if (old_count != 0) segments_.give_back(pn_low(index_word), old_count);
  }

  bool same_borders(std::uint64_t index_word, const Run& run) const {
    if (pn_high(index_word) != run.size()) return false;
    for (std::uint32_t i = 0; i < run.size(); ++i) {
      if (pn_high(word_at(tables_, TableId::seg4, pn_low(index_word) + i)) != pn_high(run[i])) return false;
    }
    return true;
  }

  void store(TableId table, std::uint32_t index, std::uint32_t high, ClassId class_id) {
    out_.store(table, index, pn_pair(high, class_id));
    const auto merged = change_.merged_later.find(class_id);
    if (merged != change_.merged_later.end()) late_.push_back({table, index, pn_pair(high, merged->second)});
  }

  const IntervalChange& change_;
  const PolicyTables& tables_;
  Space& segments_;
  DeltaWriter& out_;
  std::vector<LateWord> late_;
};

}  // namespace

void normalise(std::vector<ClassInterval>& intervals) {
  const auto same_class = [](const ClassInterval& a, const ClassInterval& b) {
    return a.class_id == b.class_id;
  };
  intervals.erase(std::unique(intervals.begin(), intervals.end(), same_class), intervals.end());
}

std::vector<LateWord> write_intervals(const IntervalChange& change, const PolicyTables& tables,
                                      Space& segments, DeltaWriter& out) {
  if (change.before == change.after) return {};
  return IntervalWriter(change, tables, segments, out).run();
}

}  // namespace postern
