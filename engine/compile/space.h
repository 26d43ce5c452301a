// SPDX-License-Identifier: Apache-2.0
// Who uses which entries of an array table. What an update frees is held back until the next one,
// because packets under way may still read it; and space that was never used goes first, so that
// most updates need not wait for such packets at all.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

namespace postern {

class Space {
 public:
  Space() = default;
  // Entries [reserved, size) can be handed out.
  explicit Space(std::uint32_t size, std::uint32_t reserved = 0);

  // The first of `count` entries in a row. Never fails by itself: when there is no room the answer is
  // meaningless, overflowed() is true and needed() keeps counting, so that a refusal can name the need.
  std::uint32_t take(std::uint32_t count);
  void give_back(std::uint32_t first, std::uint32_t count);

  // Entries freed before now may be handed out from here on.
  void begin_update();
  // More entries at the end; `size` never falls.
  void grow(std::uint32_t size) { size_ = size; }

  [[nodiscard]] bool overflowed() const { return missing_ != 0; }
  // Size that would have been enough for everything asked for.
  [[nodiscard]] std::uint64_t needed() const { return std::uint64_t{size_} + missing_; }
  [[nodiscard]] std::uint32_t size() const { return size_; }
  // Whether anything handed out since begin_update() had been in use before.
  [[nodiscard]] bool reused() const { return reused_; }
  // Entries that single requests would get without growing.
  [[nodiscard]] std::uint64_t available() const { return std::uint64_t{size_} - next_ + free_count_; }

 private:
  void release(std::uint32_t first, std::uint32_t count);

  std::uint32_t size_ = 0;
  std::uint32_t next_ = 0;                       // entries from here on were never used
  std::map<std::uint32_t, std::uint32_t> free_;  // first -> count, neighbours joined
  std::uint64_t free_count_ = 0;
  std::vector<std::pair<std::uint32_t, std::uint32_t>> held_back_;
  std::uint64_t missing_ = 0;
  bool reused_ = false;
};

}  // namespace postern
