// SPDX-License-Identifier: Apache-2.0
#include "engine/decode/prefix_table.h"

#include <algorithm>
#include <cstddef>
#include <iterator>

#include "engine/conntrack/conntrack_view.h"

namespace postern {
namespace {

constexpr int kBits = 128;
constexpr int kBitsBeforeV4 = 96;
constexpr std::uint32_t kLeaf = 0xffffffffu;

struct TrieNode {
  // Sorted; with each of them its subtree takes equally few prefixes. None: any answer will do.
  std::vector<std::uint32_t> candidates;
  std::uint32_t children[2] = {kLeaf, kLeaf};
};

AddressNumber last_of(AddressNumber first, int length) {
  return length == kBits ? first : first | (kLastAddress >> length);
}

class Tree {
 public:
  Tree(const std::vector<AnswerSpan>& spans, IpFamily family) : spans_(spans), family_(family) {}

  std::vector<AnswerPrefix> prefixes() {
    const bool v4 = family_ == IpFamily::v4;
    const AddressNumber first = v4 ? kFirstV4 : 0;
    const int length = v4 ? kBitsBeforeV4 : 0;
    const std::uint32_t root = grow(first, length);
    // The prefix of length 0 is always there: what everybody else gets.
    take(first, length, nodes_[root].candidates.front());
    walk(root, first, length, nodes_[root].candidates.front());
    return std::move(prefixes_);
  }

 private:
  std::uint32_t grow(AddressNumber first, int length) {
    const auto after = std::upper_bound(spans_.begin(), spans_.end(), first,
                                        [](AddressNumber at, const AnswerSpan& span) { return at < span.first; });
    const auto& span = *std::prev(after);
    const auto at = static_cast<std::uint32_t>(nodes_.size());
    nodes_.emplace_back();
    if (length == kBits || after == spans_.end() || last_of(first, length) < after->first) {
      if (span.answer != kAnyAnswer) nodes_[at].candidates = {span.answer};
      return at;
    }
    const std::uint32_t low = grow(first, length + 1);
    const std::uint32_t high = grow(first | AddressNumber{1} << (kBits - 1 - length), length + 1);
    TrieNode& node = nodes_[at];
    node.children[0] = low;
    node.children[1] = high;
    const auto& a = nodes_[low].candidates;
    const auto& b = nodes_[high].candidates;
    std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(node.candidates));
    if (node.candidates.empty()) {
      std::set_union(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(node.candidates));
    }
    return at;
  }

  void walk(std::uint32_t at, AddressNumber first, int length, std::uint32_t inherited) {
    const TrieNode& node = nodes_[at];
    if (node.candidates.empty()) return;
    if (!std::binary_search(node.candidates.begin(), node.candidates.end(), inherited)) {
      inherited = node.candidates.front();
      take(first, length, inherited);
    }
    if (node.children[0] == kLeaf) return;
    walk(node.children[0], first, length + 1, inherited);
    walk(node.children[1], first | AddressNumber{1} << (kBits - 1 - length), length + 1, inherited);
  }

  void take(AddressNumber first, int length, std::uint32_t answer) {
    const int shown = family_ == IpFamily::v4 ? length - kBitsBeforeV4 : length;
    prefixes_.push_back({Cidr(address_of(first), shown), answer});
  }

  const std::vector<AnswerSpan>& spans_;
  IpFamily family_;
  std::vector<TrieNode> nodes_;
  std::vector<AnswerPrefix> prefixes_;
};

}  // namespace

std::vector<AnswerPrefix> prefixes_of(const std::vector<AnswerSpan>& spans, IpFamily family) {
  return Tree(spans, family).prefixes();
}

IpAddress address_of(AddressNumber number) { return address_of(to_abi(number)); }

}  // namespace postern
