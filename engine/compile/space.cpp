// SPDX-License-Identifier: Apache-2.0
#include "engine/compile/space.h"

#include <algorithm>
#include <iterator>

namespace postern {

Space::Space(std::uint32_t size, std::uint32_t reserved) : size_(size), next_(std::min(size, reserved)) {}

std::uint32_t Space::take(std::uint32_t count) {
  if (count <= size_ - next_) {
    const std::uint32_t first = next_;
    next_ += count;
    return first;
  }
  const auto fits = [&](const auto& extent) { return extent.second >= count; };
  const auto found = std::find_if(free_.begin(), free_.end(), fits);
  if (found == free_.end()) {
    missing_ += count;
    return 0;
  }
  const auto [first, length] = *found;
  free_.erase(found);
  if (length > count) free_.emplace(first + count, length - count);
  free_count_ -= count;
  reused_ = true;
  return first;
}

void Space::give_back(std::uint32_t first, std::uint32_t count) {
  if (count != 0) held_back_.emplace_back(first, count);
}

void Space::begin_update() {
  for (const auto& [first, count] : held_back_) release(first, count);
  held_back_.clear();
  reused_ = false;
}

void Space::release(std::uint32_t first, std::uint32_t count) {
  free_count_ += count;
  auto next = free_.lower_bound(first);
  if (next != free_.begin()) {
    const auto before = std::prev(next);
    if (before->first + before->second == first) {
      first = before->first;
      count += before->second;
      free_.erase(before);
    }
  }
  if (next != free_.end() && first + count == next->first) {
    count += next->second;
    free_.erase(next);
  }
  free_.emplace(first, count);
}

}  // namespace postern
