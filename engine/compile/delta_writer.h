// SPDX-License-Identifier: Apache-2.0
// Spells table writes: words, whole elements and hash entries.
#pragma once

#include <cstring>
#include <type_traits>
#include <utility>
#include <vector>

#include "engine/compile/policy_tables.h"

namespace postern {

template <typename T>
std::vector<std::byte> bytes_of(const T& value) {
  static_assert(std::is_trivially_copyable_v<T>);
  std::vector<std::byte> bytes(sizeof(T));
  std::memcpy(bytes.data(), &value, sizeof(T));
  return bytes;
}

class DeltaWriter {
 public:
  // One store of 4 or 8 bytes, or a body that no word leads to yet.
  template <typename T>
  void store(TableId table, std::uint32_t index, const T& value, std::size_t offset = 0) {
    delta_.writes.push_back({table, index, static_cast<std::uint32_t>(offset), {}, bytes_of(value)});
  }
  template <typename K, typename V>
  void set(TableId table, const K& key, const V& value) {
    delta_.writes.push_back({table, 0, 0, bytes_of(key), bytes_of(value)});
  }
  template <typename K>
  void erase(TableId table, const K& key) {
    delta_.writes.push_back({table, 0, 0, bytes_of(key), {}});
  }
  // Packets under way must be gone before what follows.
  void pause() {
    if (!delta_.writes.empty()) delta_.pauses.push_back(delta_.writes.size());
  }
  void append(DeltaWriter&& other) {
    if (empty()) {
      std::swap(delta_, other.delta_);
      return;
    }
    for (const std::size_t position : other.delta_.pauses)
      delta_.pauses.push_back(delta_.writes.size() + position);
    delta_.writes.insert(delta_.writes.end(), std::make_move_iterator(other.delta_.writes.begin()),
                         std::make_move_iterator(other.delta_.writes.end()));
    other.delta_ = {};
  }
  // Room for that many writes more.
  void expect(std::size_t writes) { delta_.writes.reserve(delta_.writes.size() + writes); }
  [[nodiscard]] bool empty() const { return delta_.writes.empty(); }
  [[nodiscard]] std::size_t size() const { return delta_.writes.size(); }
  TableDelta take() { return std::exchange(delta_, {}); }

 private:
  TableDelta delta_;
};

}  // namespace postern
