// SPDX-License-Identifier: Apache-2.0
// Turns what a content says to a class into a step: final, or the body, directory and pages behind
// it. Whatever has equal bytes is stored once, across contents.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <unordered_map>
#include <vector>

#include "engine/compile/delta_writer.h"
#include "engine/compile/fold.h"
#include "engine/compile/space.h"

namespace postern {

// Elements of one table, each stored once. Copies share the elements.
class SharedElements {
 public:
  using Words = std::vector<std::uint32_t>;
  SharedElements(TableId table, std::uint32_t entries) : table_(table), space_(entries) {}

  struct Place {
    std::uint32_t index = 0;
    bool inserted = false;
  };
  Place intern(Words words);
  void keep_only(const std::set<std::uint32_t>& used);
  [[nodiscard]] const Words& at(std::uint32_t index) const { return *elements_.at(index); }
  [[nodiscard]] TableId table() const { return table_; }
  [[nodiscard]] Space& space() { return space_; }
  [[nodiscard]] const Space& space() const { return space_; }

 private:
  TableId table_;
  Space space_;
  std::map<std::uint32_t, std::shared_ptr<const Words>> elements_;
  std::unordered_multimap<std::size_t, std::uint32_t> by_hash_;
};

class StepTables {
 public:
  explicit StepTables(const TableSizes& sizes);
  void begin_update();

  // The step of a folded list. What has to stand in the tables before that step does is added to `out`.
  std::uint32_t step_of(const Folded& folded, DeltaWriter& out);
  // Gives up every body that is not marked here by its index, and what only such bodies lead to.
  void keep_only(const std::vector<bool>& used_bodies);

  [[nodiscard]] const SharedElements& bodies() const { return bodies_; }
  [[nodiscard]] const SharedElements& directories() const { return directories_; }
  [[nodiscard]] const SharedElements& pages() const { return pages_; }

 private:
  std::uint32_t port_directory(const std::vector<PortStep>& ports, DeltaWriter& out);
  std::uint32_t place(SharedElements& elements, SharedElements::Words words, DeltaWriter& out);

  SharedElements bodies_;
  SharedElements directories_;
  SharedElements pages_;
};

}  // namespace postern
