// SPDX-License-Identifier: Apache-2.0
#include "engine/compile/interval_table.h"

#include <algorithm>
#include <cstring>

namespace postern {

namespace {

using Intervals = std::vector<ClassInterval>;

// The pages of one family: where they lie in the address space and in idx.
struct Pages {
  std::uint32_t first_index;
  AddressNumber first_address;
  unsigned page_bits;  // addresses of a page, as a power of two
  [[nodiscard]] AddressNumber start_of(std::uint32_t page) const {
    return first_address + (AddressNumber{page} << page_bits);
  }
  [[nodiscard]] std::uint32_t page_of(AddressNumber address) const {
    return static_cast<std::uint32_t>((address - first_address) >> page_bits);
  }
};

constexpr Pages kPagesV4{0, kFirstV4, 16};
constexpr Pages kPagesV6{PN_IDX_PAGES, 0, 112};

Intervals::const_iterator around(const Intervals& intervals, AddressNumber address) {
  return std::prev(
      std::upper_bound(intervals.begin(), intervals.end(), address,
                       [](AddressNumber at, const ClassInterval& interval) { return at < interval.first; }));
}

// The part that is IPv4.
Intervals part_v4(const Intervals& intervals) {
  Intervals part;
  for (auto it = around(intervals, kFirstV4); it != intervals.end() && it->first <= kLastV4; ++it) {
    part.push_back({std::max(it->first, kFirstV4), it->class_id});
  }
  return part;
}

// The part that is IPv6. No IPv6 packet has a number of IPv4: what comes before reaches over it.
Intervals part_v6(const Intervals& intervals) {
  Intervals part;
  for (auto it = intervals.begin(); it != intervals.end() && it->first < kFirstV4; ++it) part.push_back(*it);
  for (auto it = around(intervals, kLastV4 + 1); it != intervals.end(); ++it) {
    part.push_back({std::max(it->first, kLastV4 + 1), it->class_id});
  }
  normalise(part);
  return part;
}

// Walks the intervals of one page after the other.
class Slices {
 public:
  Slices(const Intervals& intervals, const Pages& pages) : intervals_(intervals), pages_(pages) {}

  // `page` must ascend from call to call.
  void slice(std::uint32_t page, Intervals& run) {
    const AddressNumber first = pages_.start_of(page);
    const AddressNumber last = first + ((AddressNumber{1} << pages_.page_bits) - 1);
    while (at_ + 1 < intervals_.size() && intervals_[at_ + 1].first <= first) ++at_;
    run.clear();
    run.push_back({first, intervals_[at_].class_id});
    while (at_ + 1 < intervals_.size() && intervals_[at_ + 1].first <= last) {
      ++at_;
      run.push_back(intervals_[at_]);
    }
  }
  // The page of the next border after the last slice.
  [[nodiscard]] std::uint32_t next_page() const {
    return at_ + 1 < intervals_.size() ? pages_.page_of(intervals_[at_ + 1].first) : PN_IDX_PAGES;
  }

 private:
  const Intervals& intervals_;
  const Pages& pages_;
  std::size_t at_ = 0;
};

template <typename T>
T element(const PolicyTables& tables, TableId table, std::uint32_t index) {
  T value;
  std::memcpy(&value, tables.array(table).data() + std::size_t{index} * sizeof(value), sizeof(value));
  return value;
}

class IntervalWriter {
 public:
  IntervalWriter(const IntervalChange& change, const PolicyTables& tables, Space& segments, DeltaWriter& out)
      : change_(change), tables_(tables), segments_(segments), out_(out) {}

  IntervalOutcome run() {
    write_pages(part_v4(change_.before), part_v4(change_.after), kPagesV4);
    write_pages(part_v6(change_.before), part_v6(change_.after), kPagesV6);
    return std::move(outcome_);
  }

 private:
  void write_pages(const Intervals& before, const Intervals& after, const Pages& pages) {
    if (before == after) return;
    Slices old_slices(before, pages);
    Slices new_slices(after, pages);
    Intervals old_run;
    Intervals new_run;
    for (std::uint32_t page = 0; page < PN_IDX_PAGES;) {
      old_slices.slice(page, old_run);
      new_slices.slice(page, new_run);
      const bool same = old_run == new_run;
      if (!same) write_page(pages.first_index + page, new_run);
      ++page;
      // From here to the next border of either every page says what this one said.
      if (same && old_run.size() == 1) {
        page = std::max(page, std::min(old_slices.next_page(), new_slices.next_page()));
      }
    }
  }

  void write_page(std::uint32_t index, const Intervals& run) {
    const auto index_word = element<std::uint64_t>(tables_, TableId::idx, index);
    const std::uint32_t old_count = pn_high(index_word);
    outcome_.longest_run = std::max(outcome_.longest_run, run.size());
    if (run.size() == 1) {
      // One class for the whole page stands in the index itself.
      store_word({TableId::idx, index, run[0].class_id});
    } else if (same_borders(index_word, run)) {
      const std::uint32_t first = pn_low(index_word);
      for (std::uint32_t i = 0; i < old_count; ++i) {
        if (element<pn_segment>(tables_, TableId::seg, first + i).class_id != run[i].class_id)
          store({TableId::seg, first + i, run[i].class_id}, out_);
      }
      return settle_run(index, first, run);
    } else {
      const auto count = static_cast<std::uint32_t>(run.size());
      const std::uint32_t first = segments_.take(count);
      if (segments_.overflowed()) return;  // the update is refused
      for (std::uint32_t i = 0; i < count; ++i) {
        out_.store(TableId::seg, first + i, pn_segment{to_abi(run[i].first), run[i].class_id, 0});
      }
      out_.store(TableId::idx, index, pn_pair(count, first));
      settle_run(index, first, run);
    }
    if (old_count != 0) segments_.give_back(pn_low(index_word), old_count);
  }

  // The words that a run gets late. Where its classes are all merged into one, the page needs no run any
  // more; no later update would look at a page whose class stays, and so the run goes now.
  void settle_run(std::uint32_t index, std::uint32_t first, const Intervals& run) {
    const ClassId settled = settled_class(run[0].class_id);
    const bool one_class = std::all_of(run.begin(), run.end(), [&](const ClassInterval& interval) {
      return settled_class(interval.class_id) == settled;
    });
    const auto count = static_cast<std::uint32_t>(run.size());
    if (one_class) {
      outcome_.late_words.push_back({TableId::idx, index, settled});
      segments_.give_back(first, count);
      return;
    }
    for (std::uint32_t i = 0; i < count; ++i) note_late({TableId::seg, first + i, run[i].class_id});
  }

  ClassId settled_class(ClassId id) const {
    const auto merged = change_.merged_later.find(id);
    return merged == change_.merged_later.end() ? id : merged->second;
  }

  bool same_borders(std::uint64_t index_word, const Intervals& run) const {
    if (pn_high(index_word) != run.size()) return false;
    for (std::uint32_t i = 0; i < run.size(); ++i) {
      const auto segment = element<pn_segment>(tables_, TableId::seg, pn_low(index_word) + i);
      if (from_abi(segment.first) != run[i].first) return false;
    }
    return true;
  }

  void store_word(const ClassWord& word) {
    store(word, out_);
    note_late(word);
  }

  void note_late(const ClassWord& word) {
    const ClassId settled = settled_class(word.class_id);
    if (settled != word.class_id) outcome_.late_words.push_back({word.table, word.index, settled});
  }

  const IntervalChange& change_;
  const PolicyTables& tables_;
  Space& segments_;
  DeltaWriter& out_;
  IntervalOutcome outcome_;
};

}  // namespace

void normalise(std::vector<ClassInterval>& intervals) {
  const auto same_class = [](const ClassInterval& a, const ClassInterval& b) {
    return a.class_id == b.class_id;
  };
  intervals.erase(std::unique(intervals.begin(), intervals.end(), same_class), intervals.end());
}

void store(const ClassWord& word, DeltaWriter& out) {
  if (word.table == TableId::idx) {
    out.store(TableId::idx, word.index, pn_pair(0, word.class_id));
  } else {
    out.store(TableId::seg, word.index, word.class_id, offsetof(pn_segment, class_id));
  }
}

IntervalOutcome write_intervals(const IntervalChange& change, const PolicyTables& tables, Space& segments,
                                DeltaWriter& out) {
  if (change.before == change.after) return {};
  return IntervalWriter(change, tables, segments, out).run();
}

}  // namespace postern
