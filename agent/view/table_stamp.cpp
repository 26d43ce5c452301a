// SPDX-License-Identifier: Apache-2.0
#include "agent/view/table_stamp.h"

#include <algorithm>
#include <cstring>
#include <span>

#include "engine/abi/tables.h"

namespace postern::agent {
namespace {

// Good enough to tell tables apart that nobody has made to look alike.
class Digest {
 public:
  void add(std::uint64_t word) {
    state_ = (state_ ^ word) * 0x9e3779b97f4a7c15ull;
    state_ ^= state_ >> 32;
  }
  // Empty stretches, which most of a table is, count by their length alone.
  void add(std::span<const std::byte> bytes) {
    std::uint64_t skipped = 0;
    for (std::size_t at = 0; at < bytes.size(); at += sizeof(std::uint64_t)) {
      std::uint64_t word = 0;
      std::memcpy(&word, bytes.data() + at, std::min(sizeof word, bytes.size() - at));
      if (word == 0) {
        ++skipped;
        continue;
      }
      add(skipped);
      add(word);
      skipped = 0;
    }
    add(bytes.size());
  }
  [[nodiscard]] std::uint64_t value() const { return state_; }

 private:
  std::uint64_t state_ = 0;
};

}  // namespace

TableStamp stamp_of(const PolicyTables& tables) {
  pn_node node{};
  std::memcpy(&node, tables.array(TableId::node).data(), sizeof node);
  node.monitor_until = 0;
  node.monitor_ifindex = 0;
  // The secret itself is nobody's business.
  Digest lineage;
  lineage.add(node.hash_secret);
  Digest digest;
  digest.add(std::as_bytes(std::span(&node, 1)));
  for (const TableId table : {TableId::slots, TableId::pods}) digest.add(tables.array(table));
  for (const auto& [key, value] : tables.hash(TableId::slots_far)) {
    digest.add(key);
    digest.add(value);
  }
  return {lineage.value(), node.epoch, digest.value()};
}

ViewFit fit_of(const TableStamp& view, const TableStamp& tables) {
  if (view == tables) return ViewFit::current;
  if (view.lineage != tables.lineage) return ViewFit::other;
  if (view.epoch == tables.epoch) return ViewFit::changed;
  // Epochs go round.
  return static_cast<std::int32_t>(tables.epoch - view.epoch) > 0 ? ViewFit::older : ViewFit::newer;
}

}  // namespace postern::agent
