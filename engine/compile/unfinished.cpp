// SPDX-License-Identifier: Apache-2.0
// A first part of the writes may be what was made if, of all places it touches, the tables hold what it
// wrote there last. The longest such part is right even if less was made: then the writes between the
// two change no byte.
#include "engine/compile/unfinished.h"

#include <cstring>
#include <map>
#include <tuple>
#include <utility>
#include <vector>

namespace postern {

namespace {

constexpr std::size_t kWord = 4;  // writes to arrays are whole words

// The places that writes have touched, and how many of them hold something else.
class Touched {
 public:
  explicit Touched(const PolicyTables& held) : held_(held) {}

  void add(const TableWrite& write) {
    const TableShape shape = shape_of(write.table, held_.sizes());
    if (shape.is_hash) {
      const auto& hash = held_.hash(write.table);
      const auto found = hash.find(write.key);
      const bool same = found == hash.end() ? write.bytes.empty() : found->second == write.bytes;
      note({write.table, 0, write.key}, same);
      return;
    }
    const auto bytes = held_.array(write.table);
    const std::size_t start = std::size_t{write.index} * shape.value_size + write.offset;
    for (std::size_t at = 0; at < write.bytes.size(); at += kWord) {
      note({write.table, start + at, {}},
           std::memcmp(bytes.data() + start + at, write.bytes.data() + at, kWord) == 0);
    }
  }
  [[nodiscard]] bool all_held() const { return others_ == 0; }

 private:
  using Place = std::tuple<TableId, std::size_t, std::vector<std::byte>>;  // table, byte or key

  void note(Place place, bool same) {
    const auto [found, inserted] = same_.try_emplace(std::move(place), true);
    if (!found->second) --others_;
    if (!same) ++others_;
    found->second = same;
  }

  const PolicyTables& held_;
  std::map<Place, bool> same_;
  std::size_t others_ = 0;
};

}  // namespace

TableDelta unfinished(const TableDelta& delta, const PolicyTables& held) {
  Touched touched(held);
  std::size_t made = 0;
  for (std::size_t i = 0; i < delta.writes.size(); ++i) {
    touched.add(delta.writes[i]);
    if (touched.all_held()) made = i + 1;
  }
  TableDelta rest;
  rest.writes.assign(delta.writes.begin() + static_cast<std::ptrdiff_t>(made), delta.writes.end());
  rest.reuses_freed = !rest.writes.empty();
  for (const std::size_t pause : delta.pauses) {
    if (pause > made) rest.pauses.push_back(pause - made);
  }
  return rest;
}

}  // namespace postern
