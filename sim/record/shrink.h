// SPDX-License-Identifier: Apache-2.0
// Takes away what a question does not need (delta debugging): large runs of a list first, then halves, then
// single elements until none can go. What is asked looks at the list in its place, so nothing is copied but
// the list itself. The order of trials depends on the list alone.
#pragma once

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <utility>

namespace postern::sim {

// `holds()` is true for the list as it is, and is asked after every cut; a cut that it denies is undone.
// Afterwards no single element can be taken away. Returns whether any went.
template <typename List, typename Holds>
bool shrink_list(List& list, const Holds& holds) {
  bool shrunk = false;
  for (std::size_t length = list.size(); length > 0 && !list.empty();) {
    bool cut = false;
    for (std::size_t start = 0; start < list.size();) {
      List before = list;
      const auto first = std::next(list.begin(), static_cast<std::ptrdiff_t>(start));
      const std::size_t count = std::min(length, list.size() - start);
      list.erase(first, std::next(first, static_cast<std::ptrdiff_t>(count)));
      if (holds()) {
        cut = true;
        continue;
      }
      list = std::move(before);
      start += length;
    }
    shrunk = shrunk || cut;
    if (length == 1 && !cut) break;
    length = (length + 1) / 2;
  }
  return shrunk;
}

// The simpler value in place of the one that is there, if the question can do with it.
template <typename Field, typename Holds>
bool simplify(Field& field, Field simpler, const Holds& holds) {
  if (field == simpler) return false;
  std::swap(field, simpler);
  if (holds()) return true;
  std::swap(field, simpler);
  return false;
}

}  // namespace postern::sim
