// SPDX-License-Identifier: Apache-2.0
// The connections of a dump of the node's conntrack, to ask whether one of ours is among them. Each is kept
// as a hash of its addresses, ports and protocol, whichever end opened it; two that share a hash make one
// entry of ours stay longer than it must, and nothing worse. Filled and asked in small steps: no call takes
// longer when there are many.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/abi/conntrack.h"
#include "engine/datapath/parse.h"

namespace postern::agent {

class ListedConnections {
 public:
  ListedConnections() : parts_(kParts) {}

  void add(const pn_tuple& tuple);
  // Puts a part of what was added in order. True: all of it is. Until then questions are as right, and slow.
  bool sort_some();
  // Gives back a part of the memory. True: all of it, and nothing is listed any more.
  bool clear_some();
  // Of whatever endpoint.
  [[nodiscard]] bool contains(const pn_ct_key& key);
  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  static constexpr std::size_t kParts = 4096;
  struct Part {
    std::vector<std::uint64_t> hashes;
    bool sorted = true;
  };
  static void sort(Part& part);

  std::vector<Part> parts_;
  std::size_t next_to_sort_ = 0;
  std::size_t next_to_clear_ = 0;
  std::size_t size_ = 0;
};

}  // namespace postern::agent
