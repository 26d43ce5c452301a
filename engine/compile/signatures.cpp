// SPDX-License-Identifier: Apache-2.0
#include "engine/compile/signatures.h"

#include <algorithm>

namespace postern {

TermId TermPool::id_of(const std::string& key) {
  const auto [found, inserted] = ids_.try_emplace(key, next_);
  if (inserted) ++next_;
  return found->second;
}

void TermPool::keep_only(const std::set<TermId>& used) {
  constexpr std::size_t kSlack = 256;
  if (ids_.size() <= 2 * used.size() + kSlack) return;
  std::erase_if(ids_, [&](const auto& entry) { return !used.contains(entry.second); });
}

namespace {

std::size_t hash_of(std::span<const TermId> terms) {
  std::uint64_t hash = terms.size();
  for (const TermId term : terms) {
    hash = (hash ^ term) * 0x9e3779b97f4a7c15ull;
    hash ^= hash >> 32;
  }
  return hash;
}

}  // namespace

SignaturePool::SignaturePool() { id_of({}); }

SignatureId SignaturePool::id_of(std::span<const TermId> terms) {
  const std::size_t hash = hash_of(terms);
  const auto [begin, end] = by_hash_.equal_range(hash);
  for (auto it = begin; it != end; ++it) {
    const auto& known = signatures_[it->second];
    if (std::equal(known.begin(), known.end(), terms.begin(), terms.end())) return it->second;
  }
  const auto id = static_cast<SignatureId>(signatures_.size());
  signatures_.emplace_back(terms.begin(), terms.end());
  by_hash_.emplace(hash, id);
  return id;
}

}  // namespace postern
